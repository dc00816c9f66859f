//! How long the broker takes to acknowledge reports, and how many it does not acknowledge. Pure: time comes
//! in as the time since the agent started.
//!
//! The agent waits for each acknowledgement anyway, so this costs no packet. Each attempt to send is counted
//! by itself: one that was not acknowledged within [`timing::AGENT_ACK_TIMEOUT`], was refused, or was cut off
//! with its connection is lost, and has no round trip, however soon the next attempt succeeds. Only reports
//! of one sample count, because a batch of a backlog takes as long as its bytes do.

use std::{collections::VecDeque, time::Duration};

use tidemap_wire::{Host, timing};

use crate::outbox::MAX_IN_FLIGHT;

/// Attempts of this time count.
const WINDOW: Duration = Duration::from_secs(60);
/// An agent that reports rarely counts the attempts of this many intervals instead.
const MIN_INTERVALS: u32 = 10;
/// The most attempts that count, the newest: a minute of the shortest interval has 240. A full queue forgets
/// the oldest.
const CAPACITY: usize = 1_024;

/// Round trips of reports over the last minute.
#[derive(Debug)]
pub(crate) struct RoundTrips {
    window: Duration,
    /// Attempts without an answer: their batches' numbers, and when they were sent. At most
    /// [`MAX_IN_FLIGHT`].
    waiting: VecDeque<(u64, Duration)>,
    /// When each attempt ended, and how long it took; no time if it was lost.
    settled: VecDeque<(Duration, Option<Duration>)>,
}

impl RoundTrips {
    /// Of an agent with this time between samples.
    pub(crate) fn new(interval: Duration) -> Self {
        let window = WINDOW.max(interval * MIN_INTERVALS);
        Self { window, waiting: VecDeque::new(), settled: VecDeque::new() }
    }

    /// A report of so many samples is sent now.
    pub(crate) fn sent(&mut self, id: u64, n_samples: usize, now: Duration) {
        if n_samples == 1 && self.waiting.len() < MAX_IN_FLIGHT {
            self.waiting.push_back((id, now));
        }
    }

    /// The broker has stored it.
    pub(crate) fn acknowledged(&mut self, id: u64, now: Duration) {
        if let Some(sent) = self.take(id) {
            self.settle(now, Some(now.saturating_sub(sent)));
        }
    }

    /// It was refused, or could not be sent.
    pub(crate) fn failed(&mut self, id: u64, now: Duration) {
        if self.take(id).is_some() {
            self.settle(now, None);
        }
    }

    /// Gives up attempts whose acknowledgements are overdue. One that comes later changes nothing.
    pub(crate) fn expire(&mut self, now: Duration) {
        let is_overdue =
            |(_, sent): &mut (u64, Duration)| now.saturating_sub(*sent) >= timing::AGENT_ACK_TIMEOUT;
        while self.waiting.pop_front_if(is_overdue).is_some() {
            self.settle(now, None);
        }
    }

    /// The connection is another one: no acknowledgement of the one before can come.
    pub(crate) fn reconnected(&mut self, now: Duration) {
        while self.waiting.pop_front().is_some() {
            self.settle(now, None);
        }
    }

    /// Adds what is known to a host's metrics.
    pub(crate) fn add_to(&mut self, host: &mut Host, now: Duration) {
        let window = self.window;
        while self.settled.pop_front_if(|(at, _)| now.saturating_sub(*at) > window).is_some() {}
        if self.settled.is_empty() {
            return;
        }
        let mut times: Vec<Duration> = self.settled.iter().filter_map(|(_, time)| *time).collect();
        times.sort_unstable();
        let lost = self.settled.len() - times.len();
        host.broker_loss_percent = Some(lost as f64 / self.settled.len() as f64 * 100.0);
        host.broker_rtt_p50_ms = percentile_ms(&times, 50);
        host.broker_rtt_p99_ms = percentile_ms(&times, 99);
    }

    fn take(&mut self, id: u64) -> Option<Duration> {
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == id)?;
        self.waiting.remove(at).map(|(_, sent)| sent)
    }

    fn settle(&mut self, now: Duration, time: Option<Duration>) {
        if self.settled.len() == CAPACITY {
            self.settled.pop_front();
        }
        self.settled.push_back((now, time));
    }
}

/// The smallest of the sorted times that so many hundredths of them do not exceed, in milliseconds.
fn percentile_ms(times: &[Duration], percent: usize) -> Option<f64> {
    let place = (times.len() * percent).div_ceil(100);
    let time = times.get(place.checked_sub(1)?)?;
    Some(time.as_micros() as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn known(trips: &mut RoundTrips, now: Duration) -> [Option<f64>; 3] {
        let mut host = Host::default();
        trips.add_to(&mut host, now);
        [host.broker_rtt_p50_ms, host.broker_rtt_p99_ms, host.broker_loss_percent]
    }

    #[test]
    fn nothing_is_known_before_the_first_answer_and_a_minute_after_the_last() {
        let mut trips = RoundTrips::new(SECOND);
        assert_eq!(known(&mut trips, ms(0)), [None; 3]);
        trips.sent(0, 1, ms(0));
        assert_eq!(known(&mut trips, ms(3)), [None; 3]);
        trips.acknowledged(0, Duration::from_micros(1_250));
        assert_eq!(known(&mut trips, ms(60_001)), [Some(1.25), Some(1.25), Some(0.0)]);
        assert_eq!(known(&mut trips, ms(60_002)), [None; 3]);
        let mut rare = RoundTrips::new(60 * SECOND);
        rare.sent(0, 1, ms(0));
        rare.acknowledged(0, ms(2));
        assert_eq!(known(&mut rare, ms(600_000))[0], Some(2.0));
        assert_eq!(known(&mut rare, ms(600_003)), [None; 3]);
    }

    #[test]
    fn what_is_lost_is_loss_and_never_a_time() {
        let mut trips = RoundTrips::new(SECOND);
        // Overdue, although its acknowledgement comes at last.
        trips.sent(0, 1, ms(0));
        trips.expire(ms(4_999));
        assert_eq!(known(&mut trips, ms(4_999)), [None; 3]);
        trips.expire(ms(5_000));
        trips.acknowledged(0, ms(5_001));
        assert_eq!(known(&mut trips, ms(5_001)), [None, None, Some(100.0)]);
        // The same sample again.
        trips.sent(1, 1, ms(5_500));
        trips.acknowledged(1, ms(5_510));
        assert_eq!(known(&mut trips, ms(5_510)), [Some(10.0), Some(10.0), Some(50.0)]);
        // Refused; cut off with its connection.
        trips.sent(2, 1, ms(6_000));
        trips.failed(2, ms(6_001));
        trips.sent(3, 1, ms(7_000));
        trips.reconnected(ms(7_001));
        trips.acknowledged(3, ms(7_002));
        assert_eq!(known(&mut trips, ms(8_000)), [Some(10.0), Some(10.0), Some(75.0)]);
    }

    #[test]
    fn batches_of_a_backlog_do_not_count() {
        let mut trips = RoundTrips::new(SECOND);
        trips.sent(0, 60, ms(0));
        trips.acknowledged(0, ms(900));
        trips.sent(1, 2, ms(0));
        trips.expire(ms(5_000));
        assert_eq!(known(&mut trips, ms(5_000)), [None; 3]);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_times(
            times in proptest::collection::vec(proptest::option::of(1_u64..4_999), 1..200),
        ) {
            let mut trips = RoundTrips::new(SECOND);
            // All within a minute, whatever each takes.
            for (id, time) in (0..).zip(&times) {
                trips.sent(id, 1, ms(0));
                match time {
                    Some(time) => trips.acknowledged(id, ms(*time)),
                    None => trips.failed(id, ms(5_000)),
                }
            }
            let [p50, p99, loss] = known(&mut trips, ms(5_000));
            let mut answered: Vec<u64> = times.iter().flatten().copied().collect();
            answered.sort_unstable();
            // Of a share of the times, no more are below the percentile, and no fewer are up to it.
            for (value, share) in [(p50, 0.5), (p99, 0.99)] {
                prop_assert_eq!(value.is_some(), !answered.is_empty());
                let Some(value) = value else { continue };
                let below = answered.iter().filter(|time| (**time as f64) < value).count();
                let up_to = answered.iter().filter(|time| **time as f64 <= value).count();
                let count = answered.len() as f64;
                prop_assert!((below as f64) < share * count && up_to as f64 >= share * count);
            }
            let lost = (times.len() - answered.len()) as f64 / times.len() as f64 * 100.0;
            prop_assert_eq!(loss, Some(lost));
        }
    }
}
