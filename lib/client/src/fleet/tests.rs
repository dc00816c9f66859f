//! Whatever happens to messages, the view ends in the worker's state.

use std::time::Duration;

use proptest::prelude::*;
use tidemap_wire::{Delta, NodeUpdate, Status};
use tokio::time::Instant;

use crate::{
    feed::FeedMessage,
    fleet::{DeltaOutcome, Fleet, Node},
    testing::{TestPartition, bps, full_node, id, node, one_partition},
};

/// Something that happens to the partition.
#[derive(Clone, Debug)]
enum Change {
    Put(Vec<NodeUpdate>),
    Forget(&'static str),
    Worker,
}

/// What happens to the message about it on the way.
#[derive(Clone, Copy, Debug)]
enum Delivery {
    Arrives,
    ArrivesTwice,
    IsLost,
    /// Arrives after this many later messages.
    IsLate(usize),
}

const NAMES: [&str; 5] = ["a", "b", "c", "d.example", "e"];

fn update() -> impl Strategy<Value = NodeUpdate> {
    (0..NAMES.len(), 0_u32..5, any::<bool>()).prop_map(|(name, rate, full)| NodeUpdate {
        rx_bps: bps(f64::from(rate)),
        ..if full { full_node(NAMES[name]) } else { node(NAMES[name]) }
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => proptest::collection::vec(update(), 1..4).prop_map(Change::Put),
        2 => (0..NAMES.len()).prop_map(|name| Change::Forget(NAMES[name])),
        1 => Just(Change::Worker),
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        6 => Just(Delivery::Arrives),
        1 => Just(Delivery::ArrivesTwice),
        1 => Just(Delivery::IsLost),
        1 => (1_usize..6).prop_map(Delivery::IsLate),
    ]
}

/// A worker and a view, with unreliable messages between them.
struct Link {
    fleet: Fleet,
    worker: TestPartition,
    late: Vec<(usize, Delta)>,
    asked: bool,
    now: Instant,
}

impl Link {
    fn new() -> Self {
        let (count, _) = one_partition();
        let worker = TestPartition::new();
        Self { fleet: Fleet::new(count), worker, late: Vec::new(), asked: false, now: Instant::now() }
    }

    fn happens(&mut self, change: Change, delivery: Delivery) {
        let delta = match change {
            Change::Put(updates) => self.worker.put(updates),
            Change::Forget(name) => self.worker.forget(&id(name)),
            Change::Worker => return self.worker.change_worker(),
        };
        match delivery {
            Delivery::Arrives => self.arrives(delta),
            Delivery::ArrivesTwice => {
                self.arrives(delta.clone());
                self.arrives(delta);
            }
            Delivery::IsLost => {}
            Delivery::IsLate(by) => self.late.push((by, delta)),
        }
        self.late.iter_mut().for_each(|(by, _)| *by = by.saturating_sub(1));
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(|(by, _)| *by == 0);
        self.late = late;
        let due: Vec<_> = due;
        due.into_iter().for_each(|(_, delta)| self.arrives(delta));
    }

    fn arrives(&mut self, delta: Delta) {
        self.fleet.apply_delta(one_partition().1, delta, self.now);
    }

    /// Its worker's totals arrive.
    fn is_heard(&mut self) {
        self.fleet.apply_stats(one_partition().1, self.worker.stats(), self.now);
    }

    /// Ends a tick. A snapshot requested in an earlier tick arrives now.
    fn tick(&mut self) {
        self.now += Duration::from_millis(250);
        if std::mem::take(&mut self.asked) {
            self.fleet.apply_snapshot(one_partition().1, self.worker.snapshot(), self.now);
        }
        self.asked = !self.fleet.settle(self.now).is_empty();
    }

    /// All nodes, by their names.
    fn sees(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.fleet.nodes().map(|node| Node::clone(node)).collect();
        nodes.sort_by(|one, other| one.id().cmp(other.id()));
        nodes
    }
}

proptest! {
    #[test]
    fn a_view_reaches_the_workers_state_whatever_was_lost_late_or_doubled(
        changes in proptest::collection::vec((change(), delivery(), any::<bool>()), 1..60),
    ) {
        let mut link = Link::new();
        for (change, delivery, tick) in changes {
            link.happens(change, delivery);
            if tick {
                link.tick();
            }
        }
        link.is_heard();
        for _ in 0..4 {
            link.tick();
        }
        prop_assert_eq!(link.sees(), link.worker.nodes());
        prop_assert!(link.fleet.partitions().all(|(_, view)| view.is_fresh(link.now)));
    }
}

#[test]
fn a_reader_that_missed_nothing_requests_nothing() {
    let mut link = Link::new();
    link.tick();
    link.tick();
    for rate in 0..20 {
        link.happens(
            Change::Put(vec![NodeUpdate { rx_bps: bps(f64::from(rate)), ..node("a") }]),
            Delivery::Arrives,
        );
        link.is_heard();
        link.tick();
        assert!(!link.asked);
    }
    assert_eq!(link.sees(), link.worker.nodes());
}

#[test]
fn a_gap_requests_a_snapshot_at_once_unless_the_missing_delta_comes() {
    let mut link = Link::new();
    (0..3).for_each(|_| link.tick());
    let missing = link.worker.put(vec![node("a")]);
    let next = link.worker.put(vec![node("b")]);
    let (_, partition) = one_partition();
    assert_eq!(link.fleet.apply_delta(partition, next, link.now), DeltaOutcome::Ahead);
    assert_eq!(link.fleet.settle(link.now), [partition]);
    assert_eq!(link.fleet.apply_delta(partition, missing, link.now), DeltaOutcome::Applied);
    assert_eq!(link.sees(), link.worker.nodes());
}

#[test]
fn statistics_may_come_a_tick_before_their_delta() {
    let mut link = Link::new();
    link.tick();
    link.tick();
    let delta = link.worker.put(vec![node("a")]);
    link.is_heard();
    link.tick();
    assert!(!link.asked);
    link.arrives(delta);
    link.tick();
    assert!(!link.asked);
    link.worker.put(vec![node("b")]);
    link.is_heard();
    link.tick();
    link.tick();
    assert!(link.asked);
}

#[test]
fn an_outranked_worker_is_ignored_until_its_successor_has_long_been_silent() {
    let (_, partition) = one_partition();
    let mut link = Link::new();
    let mut zombie = link.worker.clone();
    link.worker.epoch = 5;
    link.tick();
    link.tick();
    let late = zombie.put(vec![node("ghost")]);
    assert_eq!(link.fleet.apply_delta(partition, late.clone(), link.now), DeltaOutcome::Stale);
    link.fleet.apply_snapshot(partition, zombie.snapshot(), link.now);
    assert_eq!(link.sees(), link.worker.nodes());
    // The broker has lost its disk, and the new owner's epoch is lower.
    link.now += Duration::from_secs(11);
    link.worker = zombie;
    assert_eq!(link.fleet.apply_delta(partition, late, link.now), DeltaOutcome::Ahead);
    link.is_heard();
    link.tick();
    link.tick();
    assert_eq!(link.sees(), link.worker.nodes());
}

#[test]
fn failed_requests_are_repeated_with_backoff_up_to_a_second() {
    let (count, partition) = one_partition();
    let mut fleet = Fleet::new(count);
    let mut now = Instant::now();
    let mut asked_after_ms = Vec::new();
    for _ in 0..6 {
        let from = now;
        while fleet.settle(now).is_empty() {
            now += Duration::from_millis(5);
        }
        asked_after_ms.push((now - from).as_millis());
        assert!(fleet.settle(now).is_empty(), "one request is outstanding");
        fleet.apply(FeedMessage::NoSnapshot(partition), now);
    }
    assert_eq!(asked_after_ms, [0, 125, 250, 500, 1000, 1000]);
}

#[test]
fn a_view_is_fresh_while_its_worker_publishes_and_is_followed() {
    let mut link = Link::new();
    let fresh = |link: &Link| link.fleet.is_followed(link.now);
    assert!(!fresh(&link));
    link.tick();
    link.tick();
    link.is_heard();
    assert!(fresh(&link));
    link.now += Duration::from_millis(2_900);
    assert!(fresh(&link));
    link.now += Duration::from_millis(100);
    assert!(!fresh(&link));
}

#[test]
fn nodes_of_a_worker_that_only_ever_sent_a_snapshot_become_unknown() {
    let mut link = Link::new();
    let statuses = |link: &Link| link.sees().iter().map(Node::status).collect::<Vec<_>>();
    link.happens(Change::Put(vec![node("a")]), Delivery::IsLost);
    link.tick();
    link.tick();
    assert_eq!(statuses(&link), [Status::Online], "its totals may still come");
    link.now += Duration::from_secs(3);
    link.tick();
    assert_eq!(statuses(&link), [Status::Unknown]);
}

#[test]
fn nodes_whose_worker_is_not_heard_are_unknown_until_it_is_heard_again() {
    let mut link = Link::new();
    let statuses = |link: &Link| link.sees().iter().map(Node::status).collect::<Vec<_>>();
    link.tick();
    link.happens(Change::Put(vec![node("a"), node("b")]), Delivery::Arrives);
    link.is_heard();
    link.tick();
    link.tick();
    assert_eq!(statuses(&link), [Status::Online; 2]);

    link.fleet.take_changed();
    link.now += Duration::from_secs(3);
    link.tick();
    assert_eq!((statuses(&link), link.fleet.take_changed().len()), (vec![Status::Unknown; 2], 2));
    assert!(link.fleet.nodes().all(|node| node.latest().status == Status::Online), "what it said last stays");

    // Its successor's nodes come before its totals, which alone prove that it goes on.
    link.happens(Change::Put(vec![node("c")]), Delivery::IsLost);
    link.happens(Change::Worker, Delivery::Arrives);
    link.happens(Change::Put(vec![node("d.example")]), Delivery::Arrives);
    link.tick();
    link.tick();
    assert_eq!(statuses(&link), [Status::Unknown; 4]);
    link.is_heard();
    link.tick();
    assert_eq!(statuses(&link), [Status::Online; 4]);
    link.fleet.take_changed();
    link.tick();
    assert_eq!(link.fleet.take_changed(), Vec::<u32>::new(), "nothing changes while nothing happens");
}
