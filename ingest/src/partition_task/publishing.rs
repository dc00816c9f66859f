//! Decides when a task publishes, and what. Pure: the caller sends it.

use std::time::Duration;

use tidemap_wire::{Event, PartitionStats, timing};
use tokio::time::Instant;

use super::{Assignment, LeaseState};
use crate::{
    chunks,
    log_reader::LogPosition,
    partition::{Output, PartitionState},
    replica::Replica,
};

/// If the lease was not renewed for this long, nothing is published, because another worker may already have
/// taken over.
const FREEZE_AFTER: Duration = timing::LEASE_FREEZE;
/// The longest that an agent waits between two attempts to reach its broker.
const RECONNECT_MS: i64 = timing::millis(timing::RECONNECT) as i64;
/// A log without messages for this long may have been unreachable.
const QUIET_MS: i64 = 3_000;

/// How far a task has published.
#[derive(Debug)]
pub(super) struct Publishing {
    /// The number of the newest delta.
    pub(super) seq: u64,
    /// Ticks at which there was something to publish.
    ticks: u64,
    was_publishing: bool,
    is_frozen: bool,
    /// Broker time from which a node's silence counts: when this task began to read, or read again.
    alive_ms: i64,
    /// Broker time as of which silence was judged last.
    judged_ms: i64,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            seq: 0,
            ticks: 0,
            was_publishing: false,
            is_frozen: false,
            alive_ms: i64::MIN / 2,
            judged_ms: i64::MIN / 2,
        }
    }
}

impl Publishing {
    /// Whether the lease may be another worker's.
    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// Begins a tick. Returns the broker's time if the task may publish: its lease is valid, and the state
    /// contains the log.
    pub(super) fn begin_tick(&mut self, lease: LeaseState, now: Instant, replica: &Replica) -> Option<i64> {
        let now_ms = lease.clock.at(now);
        self.is_frozen = now.duration_since(lease.renewed_at) > FREEZE_AFTER;
        let may_publish = !self.is_frozen && replica.is_caught_up();
        let was_away = self.ticks > 0 || now_ms - replica.position().applied_ms() > QUIET_MS;
        if may_publish && !self.was_publishing && was_away {
            // No report could arrive meanwhile, and agents take up to this long to reconnect.
            self.alive_ms = now_ms + RECONNECT_MS;
        }
        // Unless the broker's clock was put back meanwhile.
        self.alive_ms = self.alive_ms.min(now_ms + RECONNECT_MS);
        self.was_publishing = may_publish;
        may_publish.then_some(now_ms)
    }

    /// Broker time as of which silence is judged at broker time `at_ms`; `newest` is the newest message of
    /// the log. A report that waits to be read is not silence, so while any does, nodes are judged as of what
    /// was read last. That is for 10 s at most, because messages can be removed from the log before they are
    /// read.
    pub(super) fn judged_at(&mut self, position: &LogPosition, newest: u64, at_ms: i64) -> i64 {
        let is_behind = newest > position.applied;
        let as_of_ms = if is_behind { position.applied_ms().max(at_ms - RECONNECT_MS) } else { at_ms };
        // Never earlier than before, so that no node comes back without a report.
        self.judged_ms = as_of_ms.max(self.judged_ms).min(at_ms);
        self.judged_ms
    }

    /// The events and the encoded deltas since the last tick, when silence was judged as of `judged_ms`. Each
    /// delta that is sent increments `seq`.
    pub(super) fn changes(
        &mut self,
        header: chunks::Header,
        judged_ms: i64,
        state: &mut PartitionState,
    ) -> (Vec<Event>, Vec<Vec<u8>>) {
        state.caught_up();
        let Output { forgotten, events } = state.tick(judged_ms, self.alive_ms);
        self.ticks += 1;
        if self.ticks > 1 {
            return (events, chunks::deltas(header, state.updates(), &forgotten));
        }
        // Changes from before this task began were published by the previous owner.
        state.mark_published();
        // A gap, so that readers whose snapshot is older than this tick request another.
        self.seq += 1;
        (Vec::new(), vec![chunks::first_delta(chunks::Header { seq: self.seq + 1, ..header })])
    }

    /// Whether the totals are due. They are due at the first tick, because readers consider a partition fresh
    /// only after its owner has published totals.
    pub(super) fn are_totals_due(&self) -> bool {
        self.ticks % timing::TICKS_PER_STATS == 1
    }

    /// The partition's totals, and what its owner knows. `newest` is the newest message of the log.
    pub(super) fn totals(
        &self,
        assignment: &Assignment,
        replica: &Replica,
        newest: u64,
        at_ms: i64,
    ) -> PartitionStats {
        let position = replica.position();
        let lag = newest.saturating_sub(position.applied);
        let mut stats = PartitionStats {
            partition: assignment.partition.get(),
            epoch: assignment.epoch,
            owner: assignment.worker.clone(),
            seq: self.seq,
            at_ms,
            applied: position.applied,
            lag,
            lag_ms: if lag > 0 { (at_ms - position.applied_ms()).max(0).unsigned_abs() } else { 0 },
            ..replica.state.stats()
        };
        if replica.lost() > 0 {
            stats.refused.insert("lost".to_owned(), replica.lost());
        }
        stats
    }

    /// The header of what is published at broker time `at_ms`.
    pub(super) fn header(&self, assignment: &Assignment, at_ms: i64) -> chunks::Header {
        let Assignment { partition, epoch, .. } = *assignment;
        chunks::Header { partition, epoch, seq: self.seq, at_ms }
    }
}

#[cfg(test)]
mod tests {
    use tidemap_service::clock::BrokerClock;
    use tidemap_wire::{
        Delta, EventKind, NodeId, PartitionCount, Report, Sample, Slot, decode, encode, subject,
    };

    use super::*;
    use crate::{
        checkpoint::Recovery,
        log_reader::{LogEvent, Record},
        partition::Limits,
    };

    const LIMITS: Limits =
        Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000, max_nodes: usize::MAX };
    const NOW_MS: i64 = 1_700_000_000_000;

    fn assignment() -> Assignment {
        let count = PartitionCount::default();
        let partition = count.of(Slot::of(&node()));
        let slots = count.slots(partition).collect();
        Assignment { partition, slots, epoch: 5, worker: "w".to_owned(), limits: LIMITS }
    }

    fn node() -> NodeId {
        NodeId::from_name("web-01").unwrap()
    }

    /// A replica that has read one report of one node, stored at `at_ms`.
    fn replica(at_ms: i64) -> Replica {
        let mut replica = Replica::restore(LIMITS, Vec::new(), Recovery::default(), LogPosition::default());
        replica.apply(LogEvent::Opened { last: 1, created_ns: 7 });
        read(&mut replica, 1, at_ms);
        replica
    }

    fn read(replica: &mut Replica, seq: u64, at_ms: i64) {
        let sample = Sample { seq, at_ms, elapsed_ms: 1_000, ..Sample::default() };
        let report = Report { node: node(), boot: 1, hello: None, samples: vec![sample] };
        let record = Record {
            subject: subject::sample(&report.node).into(),
            payload: encode(&report).into(),
            headers: None,
            sequence: seq,
            pending: 0,
            published_ns: at_ms * 1_000_000,
        };
        replica.apply(LogEvent::Messages(vec![record]));
    }

    fn lease(now: Instant) -> LeaseState {
        LeaseState { renewed_at: now, clock: BrokerClock::new(NOW_MS, now) }
    }

    fn deltas(encoded: &[Vec<u8>]) -> Vec<Delta> {
        encoded.iter().map(|delta| decode(delta).unwrap()).collect()
    }

    #[test]
    fn the_first_tick_makes_readers_request_a_snapshot_and_the_next_publishes_changes() {
        let (mut publishing, mut replica, now) = (Publishing::default(), replica(NOW_MS), Instant::now());
        let at_ms = publishing.begin_tick(lease(now), now, &replica).unwrap();
        let header = publishing.header(&assignment(), at_ms);
        let (events, first) = publishing.changes(header, header.at_ms, &mut replica.state);
        assert_eq!((events.len(), deltas(&first)[0].seq, deltas(&first)[0].nodes.len()), (0, 2, 0));
        assert!(publishing.are_totals_due());
        publishing.seq += 1;

        read(&mut replica, 2, NOW_MS + 1_000);
        let header = publishing.header(&assignment(), NOW_MS + 1_000);
        let (_, next) = publishing.changes(header, header.at_ms, &mut replica.state);
        assert_eq!((deltas(&next)[0].seq, deltas(&next)[0].nodes.len()), (3, 1));
        assert!(!publishing.are_totals_due());
    }

    #[test]
    fn the_lag_counts_what_is_known_of_the_log_and_not_applied_and_says_how_old_that_is() {
        let (publishing, mut replica) = (Publishing::default(), replica(NOW_MS));
        let lag = |replica: &Replica, newest| {
            let stats = publishing.totals(&assignment(), replica, newest, NOW_MS + 5_000);
            (stats.lag, stats.lag_ms)
        };
        assert_eq!(lag(&replica, 1), (0, 0));
        assert_eq!(lag(&replica, 9), (8, 5_000));
        read(&mut replica, 2, NOW_MS + 4_000);
        assert_eq!((lag(&replica, 9), lag(&replica, 2)), ((7, 1_000), (0, 0)));
    }

    #[test]
    fn nothing_is_published_while_the_lease_may_have_passed_on() {
        let (mut publishing, replica, now) = (Publishing::default(), replica(NOW_MS), Instant::now());
        assert!(publishing.begin_tick(lease(now), now + FREEZE_AFTER, &replica).is_some());
        let later = now + FREEZE_AFTER + Duration::from_millis(1);
        assert!(publishing.begin_tick(lease(now), later, &replica).is_none() && publishing.is_frozen());
        assert!(publishing.begin_tick(lease(later), later, &replica).is_some() && !publishing.is_frozen());
    }

    #[test]
    fn nothing_is_published_before_the_log_is_read() {
        let (mut publishing, mut replica, now) = (Publishing::default(), replica(NOW_MS), Instant::now());
        replica.apply(LogEvent::Opened { last: 2, created_ns: 7 });
        assert!(publishing.begin_tick(lease(now), now, &replica).is_none());
        read(&mut replica, 2, NOW_MS);
        assert!(publishing.begin_tick(lease(now), now, &replica).is_some());
    }

    #[test]
    fn the_grace_after_an_outage_ends_also_if_the_brokers_clock_is_put_back() {
        let (mut publishing, replica, now) =
            (Publishing::default(), replica(NOW_MS - 60_000), Instant::now());
        publishing.begin_tick(lease(now), now, &replica);
        assert_eq!(publishing.alive_ms, NOW_MS + RECONNECT_MS);
        let back_ms = NOW_MS - 8 * 3_600_000;
        let put_back = LeaseState { renewed_at: now, clock: BrokerClock::new(back_ms, now) };
        publishing.begin_tick(put_back, now, &replica);
        assert_eq!(publishing.alive_ms, back_ms + RECONNECT_MS);
    }

    #[test]
    fn a_log_that_was_quiet_makes_no_node_silent() {
        let kinds = |published_ms: i64| -> Vec<EventKind> {
            let (mut publishing, mut replica, now) =
                (Publishing::default(), replica(published_ms), Instant::now());
            let at_ms = publishing.begin_tick(lease(now), now, &replica).unwrap();
            let header = publishing.header(&assignment(), at_ms);
            publishing.changes(header, header.at_ms, &mut replica.state);
            let header = publishing.header(&assignment(), at_ms + RECONNECT_MS);
            let (events, _) = publishing.changes(header, header.at_ms, &mut replica.state);
            events.into_iter().map(|event| event.kind).collect()
        };
        assert_eq!(kinds(NOW_MS), [EventKind::Warning]);
        assert_eq!(kinds(NOW_MS - 60_000), []);
    }

    #[test]
    fn a_report_that_waits_in_the_log_is_no_silence() {
        let (mut publishing, replica) = (Publishing::default(), replica(NOW_MS));
        let mut judged_at =
            |newest, after_ms| publishing.judged_at(replica.position(), newest, NOW_MS + after_ms) - NOW_MS;
        assert_eq!((judged_at(1, 100), judged_at(3, 5_000)), (100, 100));
        assert_eq!((judged_at(1, 6_000), judged_at(2, 6_250)), (6_000, 6_000), "never earlier than before");
        assert_eq!(judged_at(2, 60_000), 60_000 - RECONNECT_MS, "what waits may have been removed");
        assert_eq!(judged_at(2, -3_600_000), -3_600_000, "the broker's clock was put back");
    }
}
