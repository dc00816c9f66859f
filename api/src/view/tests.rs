//! However messages travel, the view arrives at the truth.

use std::time::Duration;

use proptest::prelude::*;
use tidemap_wire::{Delta, NodeUpdate};
use tokio::time::Instant;

use crate::{
    testing::{Truth, bps, full_node, id, node, one_partition},
    view::{Fleet, Node, Taken},
};

/// Something that happens to the partition.
#[derive(Clone, Debug)]
enum Change {
    Put(Vec<NodeUpdate>),
    Forget(&'static str),
    Owner,
}

/// What happens to the message about it on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    ArrivesTwice,
    IsLost,
    /// Comes after this many later ones.
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
        1 => Just(Change::Owner),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Arrives),
        1 => Just(Fate::ArrivesTwice),
        1 => Just(Fate::IsLost),
        1 => (1_usize..6).prop_map(Fate::IsLate),
    ]
}

/// A view at the end of an unreliable way, with its requests for snapshots.
struct Way {
    fleet: Fleet,
    truth: Truth,
    late: Vec<(usize, Delta)>,
    asked: bool,
    now: Instant,
}

impl Way {
    fn new() -> Self {
        let (count, _) = one_partition();
        let truth = Truth::new();
        Self { fleet: Fleet::new(count), truth, late: Vec::new(), asked: false, now: Instant::now() }
    }

    fn happens(&mut self, change: Change, fate: Fate) {
        let delta = match change {
            Change::Put(updates) => self.truth.put(updates),
            Change::Forget(name) => self.truth.forget(&id(name)),
            Change::Owner => return self.truth.change_owner(),
        };
        match fate {
            Fate::Arrives => self.arrives(delta),
            Fate::ArrivesTwice => {
                self.arrives(delta.clone());
                self.arrives(delta);
            }
            Fate::IsLost => {}
            Fate::IsLate(by) => self.late.push((by, delta)),
        }
        self.late.iter_mut().for_each(|(by, _)| *by = by.saturating_sub(1));
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(|(by, _)| *by == 0);
        self.late = late;
        let due: Vec<_> = due;
        due.into_iter().for_each(|(_, delta)| self.arrives(delta));
    }

    fn arrives(&mut self, delta: Delta) {
        self.fleet.delta(one_partition().1, delta, self.now);
    }

    /// Ends a tick. A snapshot that was asked for in an earlier one arrives now.
    fn tick(&mut self) {
        self.now += Duration::from_millis(250);
        if std::mem::take(&mut self.asked) {
            self.fleet.snapshot(one_partition().1, self.truth.snapshot(), self.now);
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
    fn a_view_ends_at_the_truth_whatever_was_lost_late_or_doubled(
        changes in proptest::collection::vec((change(), fate(), any::<bool>()), 1..60),
    ) {
        let mut way = Way::new();
        for (change, fate, tick) in changes {
            way.happens(change, fate);
            if tick {
                way.tick();
            }
        }
        let stats = way.truth.stats();
        way.fleet.stats(one_partition().1, stats, way.now);
        for _ in 0..4 {
            way.tick();
        }
        prop_assert_eq!(way.sees(), way.truth.nodes());
        prop_assert!(way.fleet.partitions().all(|(_, view)| view.is_fresh(way.now)));
    }
}

#[test]
fn a_reader_in_step_asks_for_nothing() {
    let mut way = Way::new();
    way.tick();
    way.tick();
    for rate in 0..20 {
        way.happens(
            Change::Put(vec![NodeUpdate { rx_bps: bps(f64::from(rate)), ..node("a") }]),
            Fate::Arrives,
        );
        way.tick();
        assert!(!way.asked);
    }
    assert_eq!(way.sees(), way.truth.nodes());
}

#[test]
fn a_gap_is_asked_about_at_once_and_forgotten_when_the_missing_delta_comes() {
    let mut way = Way::new();
    (0..3).for_each(|_| way.tick());
    let missing = way.truth.put(vec![node("a")]);
    let next = way.truth.put(vec![node("b")]);
    let (_, partition) = one_partition();
    assert_eq!(way.fleet.delta(partition, next, way.now), Taken::Ahead);
    assert_eq!(way.fleet.settle(way.now), [partition]);
    assert_eq!(way.fleet.delta(partition, missing, way.now), Taken::Applied);
    assert_eq!(way.sees(), way.truth.nodes());
}

#[test]
fn a_claim_is_given_a_tick_to_be_followed_by_its_delta() {
    let mut way = Way::new();
    way.tick();
    way.tick();
    let delta = way.truth.put(vec![node("a")]);
    way.fleet.stats(one_partition().1, way.truth.stats(), way.now);
    way.tick();
    assert!(!way.asked);
    way.arrives(delta);
    way.tick();
    assert!(!way.asked);
    way.truth.put(vec![node("b")]);
    way.fleet.stats(one_partition().1, way.truth.stats(), way.now);
    way.tick();
    way.tick();
    assert!(way.asked);
}

#[test]
fn an_outranked_owner_is_not_heard_until_its_successor_has_long_been_silent() {
    let (_, partition) = one_partition();
    let mut way = Way::new();
    let mut zombie = way.truth.clone();
    way.truth.epoch = 5;
    way.tick();
    way.tick();
    let late = zombie.put(vec![node("ghost")]);
    assert_eq!(way.fleet.delta(partition, late.clone(), way.now), Taken::Stale);
    way.fleet.snapshot(partition, zombie.snapshot(), way.now);
    assert_eq!(way.sees(), way.truth.nodes());
    // The broker has lost its disk, and leases have begun anew.
    way.now += Duration::from_secs(11);
    way.truth = zombie;
    assert_eq!(way.fleet.delta(partition, late, way.now), Taken::Ahead);
    way.tick();
    way.tick();
    assert_eq!(way.sees(), way.truth.nodes());
}

#[test]
fn requests_that_fail_are_repeated_ever_more_slowly_but_every_second() {
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
        fleet.snapshot_failed(partition, now);
    }
    assert_eq!(asked_after_ms, [0, 125, 250, 500, 1000, 1000]);
}

#[test]
fn a_view_is_fresh_while_its_owner_speaks_and_is_followed() {
    let mut way = Way::new();
    let fresh = |way: &Way| way.fleet.partitions().all(|(_, view)| view.is_fresh(way.now));
    assert!(!fresh(&way));
    way.tick();
    way.tick();
    way.fleet.stats(one_partition().1, way.truth.stats(), way.now);
    assert!(fresh(&way));
    way.now += Duration::from_millis(2_900);
    assert!(fresh(&way));
    way.now += Duration::from_millis(100);
    assert!(!fresh(&way));
}
