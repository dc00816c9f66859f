//! Windows as a checkpoint keeps them: half the size of what they are in memory.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Ring, Sum, Windows};

/// Both rings, packed.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    seconds: PackedRing,
    quarters: PackedRing,
}

/// A ring: the number of its newest bucket, and its buckets from the newest backwards, three numbers each. A number
/// takes seven bits a byte, the lowest first.
#[derive(Serialize, Deserialize)]
struct PackedRing {
    newest: Option<i64>,
    cells: ByteBuf,
}

impl From<Windows> for Packed {
    fn from(windows: Windows) -> Self {
        Self { seconds: pack(&windows.seconds), quarters: pack(&windows.quarters) }
    }
}

impl From<Packed> for Windows {
    fn from(packed: Packed) -> Self {
        let Self { mut seconds, mut quarters } = Self::default();
        unpack(&packed.seconds, &mut seconds);
        unpack(&packed.quarters, &mut quarters);
        Self { seconds, quarters }
    }
}

fn pack<const N: usize>(ring: &Ring<N>) -> PackedRing {
    let mut cells = Vec::new();
    if let Some(newest) = ring.newest {
        for back in 0..N as i64 {
            let sum = ring.cells[Ring::<N>::place(newest - back)].get();
            for number in [sum.rx_bytes, sum.tx_bytes, sum.covered_ms] {
                put(&mut cells, number);
            }
        }
    }
    PackedRing { newest: ring.newest, cells: ByteBuf::from(cells) }
}

/// What does not fit is left out: a ring of another version may have had other buckets.
fn unpack<const N: usize>(packed: &PackedRing, ring: &mut Ring<N>) {
    let Some(newest) = packed.newest else { return };
    ring.newest = Some(newest);
    let mut bytes = packed.cells.iter().copied();
    for back in 0..N as i64 {
        let numbers = (take(&mut bytes), take(&mut bytes), take(&mut bytes));
        let (Some(rx_bytes), Some(tx_bytes), Some(covered_ms)) = numbers else { return };
        ring.cells[Ring::<N>::place(newest.saturating_sub(back))].add(Sum { rx_bytes, tx_bytes, covered_ms });
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u64>()) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            prop_assert_eq!(take(&mut bytes.into_iter()), Some(number));
        }

        #[test]
        fn no_bytes_break_the_reader(newest in any::<Option<i64>>(), cells in any::<Vec<u8>>()) {
            let ring = || PackedRing { newest, cells: ByteBuf::from(cells.clone()) };
            Windows::from(Packed { seconds: ring(), quarters: ring() }).averages();
        }
    }
}
