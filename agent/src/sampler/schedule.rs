//! An action that is due once in a period, in a sampler that ticks more often.

use std::time::Duration;

use tidemap_service::clock::whole_ms;

/// An action that is due once in a period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    period_ms: u64,
    last_ms: u64,
}

impl Schedule {
    /// Due at the start for the first time. Later, of the ticks that are `tick` apart, the one nearest to the
    /// due time is used.
    pub(super) fn new(period_ms: u64, tick: Duration) -> Self {
        Self { period_ms: period_ms.saturating_sub(whole_ms(tick) / 2), last_ms: 0 }
    }

    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.last_ms + self.period_ms
    }

    /// Notes that it is done now. Returns the milliseconds since it was done before.
    pub(super) fn done(&mut self, now_ms: u64) -> u64 {
        let elapsed_ms = now_ms.saturating_sub(self.last_ms);
        self.last_ms = now_ms;
        elapsed_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tick_nearest_to_the_due_time_is_taken() {
        let mut schedule = Schedule::new(5_000, Duration::from_secs(2));
        assert!(!schedule.is_due(3_999));
        assert!(schedule.is_due(4_000));
        assert_eq!(schedule.done(4_100), 4_100);
        assert!(!schedule.is_due(8_099) && schedule.is_due(8_100));
    }
}
