//! A node's rate in each of its last seconds.

use super::{Sum, Windows, number};

/// Seconds that a window of a minute has.
const MINUTE_S: usize = 60;
/// Seconds before the first one that decide what is part of it.
const BEFORE_S: i64 = 3;
/// Bytes received and sent in a second.
pub(crate) type Rates = [u64; 2];

impl Windows {
    /// The rates in `N` successive seconds of the host's clock from `first` on, counted from the epoch;
    /// absent where nothing tells. In a second that has samples it is their mean. The empty seconds before
    /// are part of what these cover. So two samples that fall into one second make no peak; they leave an
    /// empty one beside it, on either side.
    pub(crate) fn rates<const N: usize>(&self, first: i64) -> [Option<Rates>; N] {
        let mut found = [None; N];
        let Some(newest_ms) = self.newest() else { return found };
        let newest = number::<1_000>(newest_ms);
        let oldest = newest - (MINUTE_S as i64 - 1);
        let place = |second: i64| usize::try_from(second - oldest).ok().filter(|place| *place < MINUTE_S);
        if (first..first + N as i64).all(|second| place(second).is_none()) {
            return found;
        }
        // What lies before has no part in it.
        let begin = (first - BEFORE_S).max(oldest);
        let mut sums = [Sum::default(); MINUTE_S];
        for second in begin..=newest {
            sums[place(second).unwrap_or_default()] = self.seconds.of(newest_ms, second);
        }
        let rates = spread(&sums);
        for (second, rate) in (first..).zip(&mut found) {
            *rate = place(second).and_then(|place| rates[place]);
        }
        found
    }
}

fn spread(sums: &[Sum; MINUTE_S]) -> [Option<Rates>; MINUTE_S] {
    let mut rates = [None; MINUTE_S];
    for (place, sum) in sums.iter().enumerate().filter(|(_, sum)| sum.covered_ms > 0) {
        let mean = |bytes: u64| bytes.saturating_mul(1_000) / sum.covered_ms;
        let rate = Some([mean(sum.rx_bytes), mean(sum.tx_bytes)]);
        rates[place] = rate;
        let others = usize::try_from((sum.covered_ms + 500) / 1_000).unwrap_or(0).saturating_sub(1);
        let empty = rates[..place].iter().rev().take_while(|rate| rate.is_none()).count().min(others);
        rates[place - empty..place].fill(rate);
        let is_after = others == 1 && empty == 0;
        if is_after && sums.get(place + 1).is_some_and(|sum| sum.covered_ms == 0) {
            rates[place + 1] = rate;
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(samples: &[(i64, u64, u64)]) -> Windows {
        let mut windows = Windows::default();
        for (at_ms, rx_bytes, covered_ms) in samples {
            windows.add(*at_ms, Sum { rx_bytes: *rx_bytes, tx_bytes: *rx_bytes, covered_ms: *covered_ms });
        }
        windows
    }

    fn rx<const N: usize>(samples: &[(i64, u64, u64)], first: i64) -> [Option<u64>; N] {
        windows(samples).rates(first).map(|rates| {
            rates.map(|[rx, tx]| {
                assert_eq!(tx, rx);
                rx
            })
        })
    }

    #[test]
    fn a_second_has_the_rate_of_its_samples() {
        let samples = [(1_100, 10, 1_000), (2_050, 30, 1_000), (4_200, 50, 500), (4_700, 0, 500)];
        assert_eq!(rx(&samples, 0), [None, Some(10), Some(30), None, Some(50), None]);
    }

    #[test]
    fn a_sample_of_five_seconds_is_one_rate_for_five_seconds() {
        let samples = [(5_000, 50, 5_000), (10_020, 502, 5_020)];
        let expected = [Some(10), Some(10), Some(100), Some(100), Some(100), Some(100), Some(100), None];
        assert_eq!(rx(&samples, 4), expected);
    }

    #[test]
    fn two_samples_in_one_second_make_no_peak_and_no_gap() {
        // The third comes early, and leaves its own second empty.
        let early = [(10, 10, 1_000), (1_010, 10, 1_000), (1_995, 10, 985), (3_005, 10, 1_010)];
        assert_eq!(rx(&early, 0), [Some(10), Some(10), Some(10), Some(9), None]);
        let late = [(990, 10, 1_000), (2_005, 10, 1_015), (2_990, 10, 985), (3_990, 10, 1_000)];
        assert_eq!(rx(&late, 0), [Some(10); 4]);
    }

    #[test]
    fn what_the_window_does_not_reach_is_not_known() {
        let samples = [(0, 10, 1_000), (70_000, 10, 1_000)];
        assert_eq!(rx(&samples, -1), [None; 4]);
        assert_eq!(rx(&samples, 69), [None, Some(10), None]);
        assert_eq!(rx(&[], 0), [None; 2]);
        assert_eq!(rx(&samples, i64::from(u32::MAX)), [None; 2]);
    }

    proptest! {
        #[test]
        fn no_rate_is_above_that_of_a_sample(
            samples in proptest::collection::vec((0_i64..60_000, 0_u64..1 << 40, 1_u64..9_000), 1..60),
        ) {
            let most = samples.iter().map(|(_, bytes, ms)| bytes * 1_000 / ms).max();
            let rates: [_; 70] = rx(&samples, -5);
            prop_assert!(rates.into_iter().flatten().max() <= most);
            let last = samples.iter().map(|(at_ms, ..)| at_ms / 1_000).max().unwrap();
            prop_assert!(rates[usize::try_from(last + 5).unwrap()].is_some());
        }
    }
}
