//! Windows in a checkpoint, half as large as in memory.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{NEVER, Ring, Sum, Windows, number};
use crate::varint::{put, take};

/// Both rings: the buckets of each from the newest backwards, as three numbers each.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    newest_ms: Option<i64>,
    seconds: ByteBuf,
    quarters: ByteBuf,
}

impl From<Windows> for Packed {
    fn from(windows: Windows) -> Self {
        let newest_ms = windows.newest();
        let Windows { seconds, quarters, .. } = windows;
        let newest = newest_ms.unwrap_or(0);
        Self { newest_ms, seconds: pack(&seconds, newest), quarters: pack(&quarters, newest) }
    }
}

impl From<Packed> for Windows {
    fn from(packed: Packed) -> Self {
        let mut windows = Self { newest_ms: packed.newest_ms.unwrap_or(NEVER), ..Self::default() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(newest_ms in any::<Option<i64>>(), cells in any::<Vec<u8>>()) {
            let cells = || ByteBuf::from(cells.clone());
            Windows::from(Packed { newest_ms, seconds: cells(), quarters: cells() }).averages();
        }
    }
}
