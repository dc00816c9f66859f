//! Which of several stations answer: those that have read all, and of these, those whose history begins
//! first and are whole longest.
//!
//! Each station publishes once a second what it has, and decides for itself from what it hears. A station
//! that began later so answers only while none that has more can be heard; likewise one that lacks minutes
//! which another has that began at the same time.

use std::{collections::HashMap, time::Duration};

use tidemap_wire::history_query::{HistoryStatus, StationStanding};
use tokio::time::Instant;

/// Between two messages of a station.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// A station that is silent for as long counts no more.
const SILENT: Duration = Duration::from_millis(3_500);
/// A station is behind when it lacks so many milliseconds that another has.
const BEHIND_MS: i64 = 3 * 60_000;
/// Two stations that begin within as many milliseconds of each other have the same.
const SAME_MS: i64 = 2 * 60_000;

/// What is known of the stations.
#[derive(Debug)]
pub(crate) struct Peers {
    own: u64,
    known: HashMap<u64, (StationStanding, Instant)>,
}

impl Peers {
    /// Of a station with this number.
    pub(crate) fn new(own: u64) -> Self {
        Self { own, known: HashMap::new() }
    }

    /// What a station says of itself.
    pub(crate) fn standing(&self, status: &HistoryStatus, is_leaving: bool) -> StationStanding {
        StationStanding {
            station: self.own,
            since_ms: status.since_ms.unwrap_or(i64::MAX),
            whole_from_ms: status.whole_from_ms.or(status.since_ms).unwrap_or(i64::MAX),
            complete_until_ms: status.complete_until_ms,
            is_leaving,
        }
    }

    /// Takes what a station says. Returns whether it was not known.
    pub(crate) fn hear(&mut self, standing: StationStanding, now: Instant) -> bool {
        if standing.station == self.own {
            return false;
        }
        if standing.is_leaving {
            self.known.remove(&standing.station);
            return false;
        }
        self.known.insert(standing.station, (standing, now)).is_none()
    }

    /// Whether this station answers. At least one of those that hear each other does.
    pub(crate) fn is_first(&mut self, own: &StationStanding, now: Instant) -> bool {
        self.known.retain(|_, (_, heard)| now.duration_since(*heard) < SILENT);
        let all = || self.known.values().map(|(standing, _)| standing).chain([own]);
        let newest = all().map(|it| it.complete_until_ms).max().unwrap_or(own.complete_until_ms);
        let is_up_to_date = |it: &StationStanding| it.complete_until_ms >= newest.saturating_sub(BEHIND_MS);
        let since = all().filter(|it| is_up_to_date(it)).map(|it| it.since_ms).min().unwrap_or(i64::MAX);
        let begins = |it: &StationStanding| is_up_to_date(it) && it.since_ms <= since.saturating_add(SAME_MS);
        let whole = all().filter(|it| begins(it)).map(|it| it.whole_from_ms).min().unwrap_or(i64::MAX);
        begins(own) && own.whole_from_ms <= whole.saturating_add(SAME_MS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn standing(station: u64, since: i64, complete_until: i64) -> StationStanding {
        StationStanding {
            station,
            since_ms: since * MINUTE_MS,
            whole_from_ms: since * MINUTE_MS,
            complete_until_ms: complete_until * MINUTE_MS,
            is_leaving: false,
        }
    }

    /// Which of these answer, if they hear each other.
    fn first(all: &[StationStanding]) -> Vec<u64> {
        let now = Instant::now();
        let is_first = |own: &&StationStanding| {
            let mut peers = Peers::new(own.station);
            all.iter().for_each(|it| _ = peers.hear(it.clone(), now));
            peers.is_first(own, now)
        };
        all.iter().filter(is_first).map(|it| it.station).collect()
    }

    #[test]
    fn those_that_have_most_answer() {
        // One alone, even if it has nothing.
        assert_eq!(first(&[standing(1, i64::MAX / MINUTE_MS, 0)]), [1]);
        // The same history: both.
        assert_eq!(first(&[standing(1, 100, 900), standing(2, 101, 899)]), [1, 2]);
        // A later one, and one that is new.
        assert_eq!(first(&[standing(1, 100, 900), standing(2, 500, 900), standing(3, 900, 0)]), [1]);
        // One that was built again lacks minutes, and a later one more of them.
        let rebuilt = StationStanding { whole_from_ms: 700 * MINUTE_MS, ..standing(1, 100, 900) };
        assert_eq!(first(&[rebuilt.clone(), standing(2, 101, 900)]), [2]);
        assert_eq!(first(&[rebuilt, standing(2, 500, 900)]), [1]);
        // A station of yesterday does not say whether it is whole: it answers, and is left to.
        let earlier = StationStanding { whole_from_ms: 0, ..standing(1, 100, 900) };
        assert_eq!(first(&[earlier, standing(2, 100, 900)]), [1]);
        // The first is behind.
        assert_eq!(first(&[standing(1, 100, 800), standing(2, 500, 900)]), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_leaves_or_is_silent_counts_no_more() {
        let own = standing(2, 500, 900);
        let mut peers = Peers::new(2);
        assert!(peers.hear(standing(1, 100, 900), Instant::now()));
        assert!(!peers.hear(standing(1, 100, 900), Instant::now()));
        assert!(!peers.is_first(&own, Instant::now()));
        peers.hear(StationStanding { is_leaving: true, ..standing(1, 100, 900) }, Instant::now());
        assert!(peers.is_first(&own, Instant::now()));
        peers.hear(standing(1, 100, 900), Instant::now());
        tokio::time::advance(SILENT).await;
        assert!(peers.is_first(&own, Instant::now()));
    }

    proptest! {
        #[test]
        fn somebody_answers(all in proptest::collection::vec(any::<[i64; 3]>(), 1..6)) {
            let all: Vec<_> = (0..)
                .zip(all)
                .map(|(station, [since_ms, whole_from_ms, complete_until_ms])| StationStanding {
                    station,
                    since_ms,
                    whole_from_ms,
                    complete_until_ms,
                    is_leaving: false,
                })
                .collect();
            prop_assert!(!first(&all).is_empty());
        }
    }
}
