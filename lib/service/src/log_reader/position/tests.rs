use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

/// A stream whose message `n` was stored at `stored[n - 1]`; those before `first` have aged away.
#[derive(Clone)]
struct Stored {
    first: u64,
    stored: Vec<i64>,
}

impl StoredMessages for Stored {
    fn range(&self) -> (u64, u64) {
        (self.first, self.stored.len() as u64)
    }

    async fn stored_ns(&self, sequence: u64) -> anyhow::Result<Option<i64>> {
        assert!((1..=self.stored.len() as u64).contains(&sequence), "{sequence} cannot be there");
        Ok((sequence >= self.first).then(|| self.stored[sequence as usize - 1]))
    }
}

const START_NS: i64 = 1_700_000_000_000_000_000;

fn times(start_ns: i64, steps: &[u32]) -> Vec<i64> {
    let later = |at_ns: &mut i64, step: &u32| {
        *at_ns += 1 + i64::from(*step);
        Some(*at_ns)
    };
    steps.iter().scan(start_ns, later).collect()
}

fn read(stored: &[i64]) -> LogPosition {
    let mut position = LogPosition { created_ns: 7, ..LogPosition::default() };
    stored.iter().zip(1..).for_each(|(stored_ns, sequence)| position.pass(sequence, *stored_ns));
    position
}

fn left(position: &LogPosition, held: &Stored) -> LogPosition {
    position.left(held).now_or_never().unwrap().unwrap()
}

/// Steps of up to 4 s from one message to the next.
fn steps(most: usize) -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(prop_oneof![0..1_000_000_u32, 0..4_000_000_000_u32], 1..most)
}

proptest! {
    /// Wherever a stream was cut and whatever came instead: exactly what is left of the old is found.
    #[test]
    fn what_is_left_of_a_cut_stream_is_found(
        old in steps(300),
        cut in 0_usize..300,
        away_ns in 1_000_000_000_u32..,
        new in steps(300),
        aged in 0_u64..400,
    ) {
        let old = times(START_NS, &old);
        let position = read(&old);
        let cut = cut.min(old.len());
        let restart_ns = old.last().unwrap() + i64::from(away_ns);
        let stored = [&old[..cut], &times(restart_ns, &new)].concat();
        let held = Stored { first: aged.clamp(1, stored.len() as u64 + 1), stored };
        let found = left(&position, &held).applied;
        if cut == old.len() {
            prop_assert_eq!(&left(&position, &held), &position);
        } else if held.first <= cut as u64 {
            prop_assert_eq!(found, cut as u64);
        } else {
            // Nothing of the old is there; what is must be read, unless it has a number above all that were
            // read.
            prop_assert!(found < held.first || (found == position.applied && position.applied < held.first));
        }
    }

    /// A clock that was put back makes messages be read twice, and hides none.
    #[test]
    fn no_clock_hides_a_message(
        old in steps(200),
        cut in 0_usize..200,
        back_ns in 30_000_000_000_i64..4_000_000_000_000,
        new in steps(50),
    ) {
        let old = times(START_NS, &old);
        let position = read(&old);
        let cut = cut.min(old.len() - 1);
        let newest_left_ns = cut.checked_sub(1).map_or(START_NS, |number| old[number]);
        let stored = [&old[..cut], &times(newest_left_ns - back_ns - 200_000_000_000, &new)].concat();
        let found = left(&position, &Stored { first: 1, stored }).applied;
        prop_assert!(found <= cut as u64, "{} of {}", found, cut);
    }

    #[test]
    fn marks_are_few_and_the_nearer_the_finer(steps in steps(2_000)) {
        let stored = times(START_NS, &steps);
        let position = read(&stored);
        prop_assert!(position.marks.len() < 64, "{}", position.marks.len());
        let seconds: Vec<u64> = position.marks.iter().map(|mark| mark.second().abs_diff(0)).collect();
        let now = second(position.applied_ns).abs_diff(0);
        // What lies between two neighbours that have no message between them is no gap.
        let all: Vec<u64> = stored.iter().map(|stored_ns| second(*stored_ns).abs_diff(0)).collect();
        for pair in seconds.windows(2) {
            let is_wide = pair[1] - pair[0] > ((now - pair[0]) / FINENESS).max(1);
            let skips = all.iter().any(|at| pair[0] < *at && *at < pair[1]);
            prop_assert!(!(is_wide && skips), "{pair:?} at {now}");
        }
    }
}
