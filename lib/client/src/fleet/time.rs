//! Fleet time: the broker's clock, estimated from the times in ingest's messages.

use std::time::Duration;

use tidemap_service::clock::BrokerClock;
use tokio::time::Instant;

/// After this time even a reading that is behind replaces the present one, so that a wrong one does not stay.
const READING_TIMEOUT: Duration = Duration::from_secs(10);

/// The broker's clock. Messages arrive late but never early, so the reading that is furthest ahead is the
/// best.
#[derive(Debug, Default)]
pub(crate) struct FleetTime(Option<Reading>);

#[derive(Debug)]
struct Reading {
    clock: BrokerClock,
    at: Instant,
}

impl FleetTime {
    pub(crate) fn observe(&mut self, broker_ms: i64, now: Instant) {
        let keeps = self.0.as_ref().is_some_and(|reading| {
            reading.clock.at(now) > broker_ms && now.saturating_duration_since(reading.at) < READING_TIMEOUT
        });
        if !keeps {
            self.0 = Some(Reading { clock: BrokerClock::new(broker_ms, now), at: now });
        }
    }

    pub(crate) fn at(&self, now: Instant) -> Option<i64> {
        self.0.as_ref().map(|reading| reading.clock.at(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_messages_do_not_move_time_back_and_wrong_ones_expire() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut time = FleetTime::default();
        assert_eq!(time.at(start), None);
        time.observe(1_000, start);
        time.observe(1_050, after(100));
        assert_eq!(time.at(after(200)), Some(1_200));
        time.observe(99_000, after(200));
        assert_eq!(time.at(after(300)), Some(99_100));
        time.observe(11_300, after(10_300));
        assert_eq!(time.at(after(10_300)), Some(11_300));
    }
}
