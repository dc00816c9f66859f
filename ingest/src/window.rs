//! Byte sums in time buckets, from which rolling averages are exact.
//!
//! A sample's bytes and time go, whole, into the bucket in which the sample was read. So a bucket, and every average
//! over buckets, depends on the set of samples alone and not on their order. All arithmetic is in integers; the one
//! division comes last. Time is the host's clock: a window ends with the bucket of the newest sample.

mod packed;

use serde::{Deserialize, Serialize};
use tidemap_wire::{Averages, Bps, History, Series};

use packed::Packed;

/// The recent past of one node: the last minute by the second, the last 15 minutes by quarters of a minute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Windows {
    seconds: Ring<60>,
    quarters: Ring<60>,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Milliseconds that samples cover.
    pub covered_ms: u64,
}

impl Default for Windows {
    fn default() -> Self {
        Self { seconds: Ring::new(1_000), quarters: Ring::new(15_000) }
    }
}

impl Windows {
    /// The longest time that one sample may cover.
    pub const MAX_COVERED_MS: u32 = u16::MAX as u32;
    /// How far the longest window reaches back.
    pub const REACH_MS: i64 = 900_000;

    /// Adds one sample that was read at `at_ms`. Returns whether any window still reaches back that far.
    pub fn add(&mut self, at_ms: i64, sum: Sum) -> bool {
        let in_seconds = self.seconds.add(at_ms, sum);
        let in_quarters = self.quarters.add(at_ms, sum);
        in_seconds || in_quarters
    }

    /// Moves the windows to end at `at_ms`, dropping what they no longer reach.
    pub fn reset_to(&mut self, at_ms: i64) {
        *self = Self::default();
        self.add(at_ms, Sum::default());
    }

    /// Whether a sample at `at_ms` is older than all windows.
    pub fn is_beyond(&self, at_ms: i64) -> bool {
        self.quarters.is_beyond(at_ms)
    }

    /// Whether a sample at `at_ms` would move all windows beyond what they hold.
    pub fn is_ahead(&self, at_ms: i64) -> bool {
        self.quarters.is_ahead(at_ms)
    }

    /// Rolling averages of download and of upload.
    pub fn averages(&self) -> (Averages, Averages) {
        let sums =
            [self.seconds.last(10), self.seconds.last(60), self.quarters.last(20), self.quarters.last(60)];
        (averages(sums, |sum| sum.rx_bytes), averages(sums, |sum| sum.tx_bytes))
    }

    /// Both rings as series of rates.
    pub fn history(&self) -> History {
        History { last_60s: self.seconds.series(), last_15m: self.quarters.series() }
    }
}

fn averages(sums: [Sum; 4], bytes: impl Fn(&Sum) -> u64) -> Averages {
    let [s10, m1, m5, m15] = sums.map(|sum| Bps::over(bytes(&sum), sum.covered_ms));
    Averages { s10, m1, m5, m15 }
}

/// The newest `N` buckets of one length.
#[derive(Clone, Debug)]
struct Ring<const N: usize> {
    step_ms: i64,
    /// Number of the newest bucket, counted from the epoch; absent before the first sample.
    newest: Option<i64>,
    cells: [Cell; N],
}

impl<const N: usize> Ring<N> {
    fn new(step_ms: i64) -> Self {
        Self { step_ms, newest: None, cells: [Cell::default(); N] }
    }

    fn add(&mut self, at_ms: i64, sum: Sum) -> bool {
        let number = at_ms.div_euclid(self.step_ms);
        let newest = *self.newest.get_or_insert(number);
        if number > newest {
            // Buckets that no sample has reached are empty, however long the silence was.
            let skipped = (number - newest).min(N as i64);
            for passed in 0..skipped {
                self.cells[Self::place(number - passed)] = Cell::default();
            }
            self.newest = Some(number);
        }
        if newest - number >= N as i64 {
            return false;
        }
        self.cells[Self::place(number)].add(sum);
        true
    }

    fn is_beyond(&self, at_ms: i64) -> bool {
        self.newest.is_some_and(|newest| newest - at_ms.div_euclid(self.step_ms) >= N as i64)
    }

    fn is_ahead(&self, at_ms: i64) -> bool {
        self.newest.is_some_and(|newest| at_ms.div_euclid(self.step_ms) - newest >= N as i64)
    }

    /// The sum of the newest `count` buckets.
    fn last(&self, count: i64) -> Sum {
        let Some(newest) = self.newest else { return Sum::default() };
        (0..count).fold(Sum::default(), |total, back| {
            let cell = self.cells[Self::place(newest - back)].get();
            Sum {
                rx_bytes: total.rx_bytes + cell.rx_bytes,
                tx_bytes: total.tx_bytes + cell.tx_bytes,
                covered_ms: total.covered_ms + cell.covered_ms,
            }
        })
    }

    fn series(&self) -> Series {
        let newest = self.newest.unwrap_or(0);
        let cells: Vec<Sum> =
            (0..N as i64).rev().map(|back| self.cells[Self::place(newest - back)].get()).collect();
        Series {
            step_ms: u32::try_from(self.step_ms).unwrap_or(u32::MAX),
            end_ms: (newest + 1) * self.step_ms,
            rx_bps: cells.iter().map(|sum| Bps::over(sum.rx_bytes, sum.covered_ms)).collect(),
            tx_bps: cells.iter().map(|sum| Bps::over(sum.tx_bytes, sum.covered_ms)).collect(),
        }
    }

    fn place(number: i64) -> usize {
        number.rem_euclid(N as i64).unsigned_abs() as usize
    }
}

/// A bucket in 15 bytes: a node has 120 of them, and a fleet has 100,000 nodes. Bytes saturate at 2⁴⁸ − 1 (256 TiB in
/// a quarter of a minute), covered time at 2²⁴ − 1 ms: a bucket may hold a sample of a minute and those after it.
#[derive(Clone, Copy, Debug, Default)]
struct Cell([u8; 15]);

impl Cell {
    const MAX_BYTES: u64 = (1 << 48) - 1;
    const MAX_COVERED_MS: u64 = (1 << 24) - 1;

    fn get(self) -> Sum {
        let mut rx = [0; 8];
        let mut tx = [0; 8];
        let mut covered = [0; 8];
        rx[..6].copy_from_slice(&self.0[..6]);
        tx[..6].copy_from_slice(&self.0[6..12]);
        covered[..3].copy_from_slice(&self.0[12..]);
        Sum {
            rx_bytes: u64::from_le_bytes(rx),
            tx_bytes: u64::from_le_bytes(tx),
            covered_ms: u64::from_le_bytes(covered),
        }
    }

    fn add(&mut self, sum: Sum) {
        let held = self.get();
        let rx = held.rx_bytes.saturating_add(sum.rx_bytes).min(Self::MAX_BYTES);
        let tx = held.tx_bytes.saturating_add(sum.tx_bytes).min(Self::MAX_BYTES);
        let covered = held.covered_ms.saturating_add(sum.covered_ms).min(Self::MAX_COVERED_MS);
        self.0[..6].copy_from_slice(&rx.to_le_bytes()[..6]);
        self.0[6..12].copy_from_slice(&tx.to_le_bytes()[..6]);
        self.0[12..].copy_from_slice(&covered.to_le_bytes()[..3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(rx_bytes: u64, covered_ms: u64) -> Sum {
        Sum { rx_bytes, tx_bytes: rx_bytes / 2, covered_ms }
    }

    #[test]
    fn an_average_is_bytes_over_covered_time() {
        let mut windows = Windows::default();
        for second in 0..30 {
            assert!(windows.add(second * 1_000, sample(1_000, 1_000)));
        }
        windows.add(30_000, sample(21_000, 1_000));
        let (rx, tx) = windows.averages();
        assert_eq!(rx.s10.map(Bps::get), Some(3_000.0));
        assert_eq!(rx.m1.map(Bps::get), Some(51_000.0 / 31.0));
        assert_eq!(rx.m15, rx.m1);
        assert_eq!(tx.s10.map(Bps::get), Some(1_500.0));
    }

    #[test]
    fn a_window_that_no_sample_covers_is_unknown() {
        let mut windows = Windows::default();
        windows.add(0, sample(1_000, 1_000));
        windows.add(20_000, Sum::default());
        let (rx, _) = windows.averages();
        assert_eq!(rx.s10, None);
        assert_eq!(rx.m1.map(Bps::get), Some(1_000.0));
        assert!(!windows.is_beyond(-870_000) && windows.is_beyond(-870_001));
    }

    #[test]
    fn a_bucket_holds_a_sample_of_a_minute_and_those_after_it() {
        let mut windows = Windows::default();
        windows.add(0, sample(60_000, 60_000));
        for second in 1..15 {
            windows.add(second * 1_000, sample(1_000, 1_000));
        }
        let (rx, _) = windows.averages();
        assert_eq!(rx.m15.map(Bps::get), Some(1_000.0));
    }

    #[test]
    fn a_gap_in_the_past_stays_a_gap() {
        let mut windows = Windows::default();
        windows.add(0, sample(10, 1_000));
        windows.add(2_000, sample(30, 1_000));
        let series = windows.history().last_60s;
        let tail: Vec<_> = series.rx_bps[57..].iter().map(|rate| rate.map(Bps::get)).collect();
        assert_eq!((tail, series.end_ms), (vec![Some(10.0), None, Some(30.0)], 3_000));
    }

    proptest! {
        /// The independent way: keep every sample, and add up those whose bucket is in the window.
        #[test]
        fn order_changes_nothing_and_sums_are_exact(
            samples in proptest::collection::vec((0_i64..1_000_000, 0_u64..1 << 40, 1_u64..2_000), 1..80),
            seed in any::<prop::sample::Index>(),
        ) {
            let newest = samples.iter().map(|(at, ..)| *at).max().unwrap();
            let expected = |step: i64, count: i64| {
                let within = |at: &i64| newest.div_euclid(step) - at.div_euclid(step) < count;
                samples.iter().filter(|(at, ..)| within(at)).fold((0, 0), |(bytes, ms), (_, b, c)| (bytes + b, ms + c))
            };
            let mut shuffled = samples.clone();
            shuffled.rotate_left(seed.index(samples.len()));
            let mut windows = Windows::default();
            for (at, bytes, covered) in &shuffled {
                windows.add(*at, sample(*bytes, *covered));
            }
            for (sum, (step, count)) in [
                (windows.seconds.last(10), (1_000, 10)),
                (windows.seconds.last(60), (1_000, 60)),
                (windows.quarters.last(20), (15_000, 20)),
                (windows.quarters.last(60), (15_000, 60)),
            ] {
                prop_assert_eq!((sum.rx_bytes, sum.covered_ms), expected(step, count));
            }
        }
    }
}
