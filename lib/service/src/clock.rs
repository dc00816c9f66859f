//! The only place that reads the wall clock, the monotonic milliseconds that pure code takes as an argument,
//! and the broker's time as this process estimates it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// This host's wall clock, Unix milliseconds.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time since a start in whole milliseconds. It never falls; state machines take it as `now_ms`.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts the stopwatch now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.0
    }

    /// Milliseconds since the start.
    pub fn now_ms(&self) -> u64 {
        whole_ms(self.elapsed())
    }

    /// The time since the start, where milliseconds are too coarse.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A duration in whole milliseconds.
pub fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The next instant at which this host's wall clock is `offset` past a multiple of `period`.
///
/// With an `offset`, one kind of process can tick just after another without waiting for it.
pub fn next_multiple(period: Duration, offset: Duration) -> Instant {
    let (period_ms, offset_ms) = (millis(period).max(1), millis(offset));
    let into = (unix_ms() - offset_ms).rem_euclid(period_ms);
    Instant::now() + Duration::from_millis((period_ms - into).unsigned_abs())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The broker's clock, continued by this process's monotonic clock after each timestamp of the broker.
///
/// Fleet time is the broker's time, because hosts' wall clocks, this host's included, may be wrong by hours.
#[derive(Clone, Copy, Debug)]
pub struct BrokerClock {
    seen_ms: i64,
    seen_at: Instant,
}

impl BrokerClock {
    /// Starts from a broker's timestamp that has just been received.
    pub fn new(broker_ms: i64, now: Instant) -> Self {
        Self { seen_ms: broker_ms, seen_at: now }
    }

    /// The broker's time at `now`, Unix milliseconds.
    pub fn at(&self, now: Instant) -> i64 {
        self.seen_ms + millis(now.saturating_duration_since(self.seen_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stopwatch_counts_whole_milliseconds() {
        let watch = Stopwatch::start();
        assert_eq!(watch.now_ms(), 0);
        tokio::time::advance(Duration::from_micros(1_999)).await;
        assert_eq!(watch.now_ms(), 1);
    }

    #[test]
    fn broker_time_advances_between_timestamps() {
        let start = Instant::now();
        let clock = BrokerClock::new(5_000, start);
        assert_eq!(clock.at(start + Duration::from_millis(1_250)), 6_250);
        assert_eq!(clock.at(start - Duration::from_secs(1)), 5_000);
    }

    #[test]
    fn the_next_multiple_lies_within_one_period() {
        let period = Duration::from_millis(250);
        let wait = next_multiple(period, Duration::from_millis(60)).saturating_duration_since(Instant::now());
        assert!(wait <= period, "{wait:?}");
    }
}
