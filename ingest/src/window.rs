//! Byte sums in time buckets, from which rolling averages are exact.
//!
//! A sample's bytes and time go undivided into the bucket of the time at which the sample was read. So a
//! bucket, and every average over buckets, depends only on the set of samples and not on their order. All
//! arithmetic is in integers; the only division comes last. Time is the host's clock: a window ends with the
//! bucket of the newest sample.

mod cells;
mod packed;
mod rates;

use serde::{Deserialize, Serialize};
use tidemap_wire::{Averages, Bps, History, Minutes, Series, bounds, timing};

use cells::Cells;
use packed::Packed;
pub(crate) use rates::Rates;

/// A step back of more than this is none of messages that come out of order.
const RESET_MS: i64 = timing::CLOCK_RESET.as_millis() as i64;

const NEVER: i64 = i64::MIN;
/// How many quarters a minute has.
const QUARTERS: i64 = 4;

/// The recent past of one node: the last minute by the second, the last 15 minutes by quarters of a minute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Windows {
    /// When the newest sample was read; [`NEVER`] before the first. An `Option` would take eight bytes more
    /// of each node.
    newest_ms: i64,
    seconds: Ring<60, 1_000>,
    quarters: Ring<60, 15_000>,
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

impl Sum {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            rx_bytes: self.rx_bytes.saturating_add(other.rx_bytes),
            tx_bytes: self.tx_bytes.saturating_add(other.tx_bytes),
            covered_ms: self.covered_ms.saturating_add(other.covered_ms),
        }
    }

    /// What this holds beyond the other.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            rx_bytes: self.rx_bytes.saturating_sub(other.rx_bytes),
            tx_bytes: self.tx_bytes.saturating_sub(other.tx_bytes),
            covered_ms: self.covered_ms.saturating_sub(other.covered_ms),
        }
    }

    fn min(self, other: Self) -> Self {
        Self {
            rx_bytes: self.rx_bytes.min(other.rx_bytes),
            tx_bytes: self.tx_bytes.min(other.tx_bytes),
            covered_ms: self.covered_ms.min(other.covered_ms),
        }
    }
}

impl Windows {
    /// The longest time that one sample may cover.
    pub const MAX_COVERED_MS: u32 = bounds::SAMPLE_MS;
    /// How far the longest window reaches back.
    pub const REACH_MS: i64 = 900_000;

    /// Adds one sample that was read at `at_ms`. Returns whether any window still reaches back that far.
    pub fn add(&mut self, at_ms: i64, sum: Sum) -> bool {
        let newest_ms = self.newest().unwrap_or(at_ms);
        self.newest_ms = newest_ms.max(at_ms);
        let in_seconds = self.seconds.add(newest_ms, at_ms, sum);
        let in_quarters = self.quarters.add(newest_ms, at_ms, sum);
        in_seconds || in_quarters
    }

    /// Moves the windows to end at `at_ms`, dropping what they no longer reach.
    pub fn reset_to(&mut self, at_ms: i64) {
        *self = Self { newest_ms: at_ms, ..Self::default() };
    }

    /// Whether the host's clock was put back, if its newest sample is one at `at_ms`.
    pub fn is_beyond(&self, at_ms: i64) -> bool {
        self.newest().is_some_and(|newest_ms| newest_ms - at_ms > RESET_MS)
    }

    /// Whether the host's clock was put back, if a sample at `at_ms` is not its newest.
    pub fn is_ahead(&self, at_ms: i64) -> bool {
        self.newest().is_some_and(|newest_ms| at_ms - newest_ms > RESET_MS)
    }

    /// The newest sample's minute, counted from the epoch; absent before the first sample.
    pub(crate) fn newest_minute(&self) -> Option<u32> {
        self.newest().map(minute_of)
    }

    /// What a whole minute holds that ends at most 15 minutes before the newest sample's minute does.
    pub(crate) fn minute(&self, minute: u32) -> Sum {
        let first = i64::from(minute) * QUARTERS;
        (first..first + QUARTERS)
            .map(|number| self.quarters.of(self.newest().unwrap_or(0), number))
            .fold(Sum::default(), Sum::plus)
    }

    /// Reads the bucket that the next sample probably changes, so that the processor loads it. The sum has no
    /// meaning.
    pub fn prefetch(&self) -> u64 {
        let newest_ms = self.newest().unwrap_or(0);
        self.seconds.newest(newest_ms).covered_ms.wrapping_add(self.quarters.newest(newest_ms).covered_ms)
    }

    fn newest(&self) -> Option<i64> {
        (self.newest_ms != NEVER).then_some(self.newest_ms)
    }

    /// Rolling averages of download and of upload.
    pub fn averages(&self) -> (Averages, Averages) {
        let newest_ms = self.newest().unwrap_or(0);
        let sums = [
            self.seconds.last(newest_ms, 10),
            self.seconds.last(newest_ms, 60),
            self.quarters.last(newest_ms, 20),
            self.quarters.last(newest_ms, 60),
        ];
        (averages(sums, |sum| sum.rx_bytes), averages(sums, |sum| sum.tx_bytes))
    }

    /// Both rings as series of rates; without rows of minutes.
    pub fn history(&self) -> History {
        let newest_ms = self.newest().unwrap_or(0);
        History {
            last_60s: self.seconds.series(newest_ms),
            last_15m: self.quarters.series(newest_ms),
            minutes: Minutes::default(),
        }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self { newest_ms: NEVER, seconds: Ring::default(), quarters: Ring::default() }
    }
}

fn averages(sums: [Sum; 4], bytes: impl Fn(&Sum) -> u64) -> Averages {
    let [s10, m1, m5, m15] = sums.map(|sum| Bps::over(bytes(&sum), sum.covered_ms));
    Averages { s10, m1, m5, m15 }
}

/// The newest `N` buckets of `STEP_MS` each. Which ones these are follows from when the newest sample was
/// read.
#[derive(Clone, Debug, Default)]
struct Ring<const N: usize, const STEP_MS: i64> {
    cells: Cells<N>,
}

impl<const N: usize, const STEP_MS: i64> Ring<N, STEP_MS> {
    fn add(&mut self, newest_ms: i64, at_ms: i64, sum: Sum) -> bool {
        let (newest, number) = (number::<STEP_MS>(newest_ms), number::<STEP_MS>(at_ms));
        // Buckets that no sample has reached are empty, however long the silence was.
        let passed = (number - newest).clamp(0, N as i64) as usize;
        self.cells.clear_last(Self::place(number), passed);
        if newest - number >= N as i64 {
            return false;
        }
        let place = Self::place(number);
        self.cells.set(place, self.cells.get(place).plus(sum));
        true
    }

    fn newest(&self, newest_ms: i64) -> Sum {
        self.cells.get(Self::place(number::<STEP_MS>(newest_ms)))
    }

    /// The bucket with this number, empty when it is not among these.
    fn of(&self, newest_ms: i64, number: i64) -> Sum {
        let back = self::number::<STEP_MS>(newest_ms) - number;
        if (0..N as i64).contains(&back) { self.cells.get(Self::place(number)) } else { Sum::default() }
    }

    /// The sum of the newest buckets.
    fn last(&self, newest_ms: i64, count: usize) -> Sum {
        let end = Self::place(number::<STEP_MS>(newest_ms)) + 1;
        // The buckets before the first place of the ring are at its end.
        let rest = N - count.saturating_sub(end);
        self.cells.sum(end.saturating_sub(count)..end).plus(self.cells.sum(rest..N))
    }

    /// All buckets from the newest to the oldest.
    fn backwards(&self, newest_ms: i64) -> impl Iterator<Item = Sum> {
        let newest = Self::place(number::<STEP_MS>(newest_ms));
        (0..=newest).rev().chain((newest + 1..N).rev()).map(|place| self.cells.get(place))
    }

    fn series(&self, newest_ms: i64) -> Series {
        let mut cells: Vec<Sum> = self.backwards(newest_ms).collect();
        cells.reverse();
        Series {
            step_ms: u32::try_from(STEP_MS).unwrap_or(u32::MAX),
            end_ms: (number::<STEP_MS>(newest_ms) + 1) * STEP_MS,
            rx_bps: cells.iter().map(|sum| Bps::over(sum.rx_bytes, sum.covered_ms)).collect(),
            tx_bps: cells.iter().map(|sum| Bps::over(sum.tx_bytes, sum.covered_ms)).collect(),
        }
    }

    fn place(number: i64) -> usize {
        number.rem_euclid(N as i64).unsigned_abs() as usize
    }
}

/// The minute of a moment, counted from the epoch.
pub(crate) fn minute_of(at_ms: i64) -> u32 {
    u32::try_from(at_ms.div_euclid(60_000).max(0)).unwrap_or(u32::MAX)
}

/// The number of a moment's bucket, counted from the epoch.
fn number<const STEP_MS: i64>(at_ms: i64) -> i64 {
    at_ms.div_euclid(STEP_MS)
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
        assert!(!windows.is_beyond(-20_000) && windows.is_beyond(-20_001));
        assert!(!windows.is_ahead(60_000) && windows.is_ahead(60_001));
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
        /// The reference: keep every sample, and add up those whose bucket is in the window.
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
                (windows.seconds.last(newest, 10), (1_000, 10)),
                (windows.seconds.last(newest, 60), (1_000, 60)),
                (windows.quarters.last(newest, 20), (15_000, 20)),
                (windows.quarters.last(newest, 60), (15_000, 60)),
            ] {
                prop_assert_eq!((sum.rx_bytes, sum.covered_ms), expected(step, count));
            }
        }
    }
}
