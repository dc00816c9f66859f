//! Windows in a checkpoint, half as large as in memory.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Ring, Sum, Windows, number};

/// Both rings: the buckets of each from the newest backwards, as three numbers each. A number takes seven
/// bits a byte, the lowest first.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    newest_ms: Option<i64>,
    seconds: ByteBuf,
    quarters: ByteBuf,
}

impl From<Windows> for Packed {
    fn from(windows: Windows) -> Self {
        let Windows { newest_ms, seconds, quarters } = windows;
        let newest = newest_ms.unwrap_or(0);
        Self { newest_ms, seconds: pack(&seconds, newest), quarters: pack(&quarters, newest) }
    }
}

impl From<Packed> for Windows {
    fn from(packed: Packed) -> Self {
        let mut windows = Self { newest_ms: packed.newest_ms, ..Self::default() };
        if let Some(newest_ms) = packed.newest_ms {
            unpack(&packed.seconds, newest_ms, &mut windows.seconds);
            unpack(&packed.quarters, newest_ms, &mut windows.quarters);
        }
        windows
    }
}

fn pack<const N: usize, const STEP_MS: i64>(ring: &Ring<N, STEP_MS>, newest_ms: i64) -> ByteBuf {
    let mut cells = Vec::new();
    for sum in ring.backwards(newest_ms) {
        for number in [sum.rx_bytes, sum.tx_bytes, sum.covered_ms] {
            put(&mut cells, number);
        }
    }
    ByteBuf::from(cells)
}

/// Buckets that do not fit are left out, as a ring of another version may have had other buckets.
fn unpack<const N: usize, const STEP_MS: i64>(cells: &[u8], newest_ms: i64, ring: &mut Ring<N, STEP_MS>) {
    let newest = number::<STEP_MS>(newest_ms);
    let mut bytes = cells.iter().copied();
    for back in 0..N as i64 {
        let numbers = (take(&mut bytes), take(&mut bytes), take(&mut bytes));
        let (Some(rx_bytes), Some(tx_bytes), Some(covered_ms)) = numbers else { return };
        let place = Ring::<N, STEP_MS>::place(newest.saturating_sub(back));
        ring.cells.set(place, Sum { rx_bytes, tx_bytes, covered_ms });
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
        fn no_bytes_break_the_reader(newest_ms in any::<Option<i64>>(), cells in any::<Vec<u8>>()) {
            let cells = || ByteBuf::from(cells.clone());
            Windows::from(Packed { newest_ms, seconds: cells(), quarters: cells() }).averages();
        }
    }
}
