//! The times of samples. They come from the monotonic clock; the wall clock is only its anchor.

/// If the wall clock advances by this much more than the monotonic clock, time has passed that was not
/// measured: the host slept, or its clock was set. Smaller differences come from ordinary time
/// synchronisation.
const GAP_MS: i64 = 2_000;

/// When a sample was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    /// Unix milliseconds; never falls within one run.
    pub(crate) at_ms: i64,
    /// Monotonic milliseconds since the tick before.
    pub(crate) elapsed_ms: u32,
    /// Whether time passed that the monotonic clock has not measured, so that a rate would be wrong.
    pub(crate) gap: bool,
}

/// The times of samples of one run.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// The wall clock minus the monotonic clock, as of the last anchoring.
    offset_ms: i64,
    last_ms: u64,
}

impl Timeline {
    /// Anchors both clocks at this moment.
    pub(crate) fn new(monotonic_ms: u64, wall_ms: i64) -> Self {
        Self { offset_ms: wall_ms - whole(monotonic_ms), last_ms: monotonic_ms }
    }

    /// The time of a sample that is read now. Elapsed times are differences of whole milliseconds since the
    /// start, so that their sum does not drift.
    pub(crate) fn tick(&mut self, monotonic_ms: u64, wall_ms: i64) -> Tick {
        let elapsed_ms = monotonic_ms.saturating_sub(self.last_ms);
        self.last_ms = self.last_ms.max(monotonic_ms);
        let ahead_ms = wall_ms - (self.offset_ms + whole(self.last_ms));
        let gap = ahead_ms > GAP_MS;
        if gap {
            self.offset_ms += ahead_ms;
        }
        Tick {
            at_ms: self.offset_ms + whole(self.last_ms),
            elapsed_ms: u32::try_from(elapsed_ms).unwrap_or(u32::MAX),
            gap,
        }
    }
}

fn whole(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_comes_from_the_monotonic_clock() {
        let mut times = Timeline::new(10, 1_000_000);
        assert_eq!(times.tick(1_010, 1_001_003), Tick { at_ms: 1_001_000, elapsed_ms: 1_000, gap: false });
        // The clock is set back by an hour, which has no effect.
        assert_eq!(times.tick(2_010, -2_600_000), Tick { at_ms: 1_002_000, elapsed_ms: 1_000, gap: false });
    }

    #[test]
    fn a_suspension_is_a_gap_and_moves_the_anchor_forward() {
        let mut times = Timeline::new(0, 0);
        assert_eq!(times.tick(1_000, 3_601_000), Tick { at_ms: 3_601_000, elapsed_ms: 1_000, gap: true });
        assert_eq!(times.tick(2_000, 3_602_000), Tick { at_ms: 3_602_000, elapsed_ms: 1_000, gap: false });
    }

    proptest! {
        #[test]
        fn whatever_the_wall_clock_does_time_never_falls_and_elapsed_adds_up(
            steps in proptest::collection::vec((0_u64..5_000, -1_i64 << 40..1_i64 << 40), 1..50),
        ) {
            let mut times = Timeline::new(0, 0);
            let (mut now_ms, mut last_at_ms, mut sum_ms) = (0, 0, 0);
            for (step_ms, wall_ms) in steps {
                now_ms += step_ms;
                let tick = times.tick(now_ms, wall_ms);
                sum_ms += u64::from(tick.elapsed_ms);
                prop_assert!(tick.at_ms - last_at_ms >= i64::from(tick.elapsed_ms));
                prop_assert_eq!(sum_ms, now_ms);
                last_at_ms = tick.at_ms;
            }
        }
    }
}
