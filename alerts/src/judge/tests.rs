//! A station that takes over goes on where the one before has ended: nothing ends early, and no time begins
//! again.

use proptest::{collection::vec, prelude::*};
use serde::Serialize;
use tidemap_client::{
    AlertLease, AlertRecord, ClearRecord, LEASE_KEY, PendingRecord, SilenceRecord, clear_key, pending_key,
    silence_key,
    testing::{bps, node},
};
use tidemap_wire::{AlertState, Averages, Silence, Status};

use super::*;

const START_MS: i64 = 1_700_000_000_000;
const RULE: &str = "[[rule]]\nname = \"busy\"\nmetric = \"rate\"\nabove = \"900 Mbit/s\"\nfor = \"20s\"\nkeep_firing_for = \"1m\"\n";

/// What is known of the only node.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Busy,
    /// Below the threshold, and above what ends an alert.
    Between,
    Calm,
    Unheard,
}

/// A station and the bucket.
struct World {
    file: AlertFile,
    judge: Judge,
    bucket: AlertBucket,
    revision: u64,
    fact: Fact,
    now_ms: i64,
    /// What happened, and when.
    said: Vec<(AlertChange, i64)>,
    notified: usize,
}

impl World {
    fn new() -> Self {
        let file = AlertFile::parse(RULE).unwrap();
        let bucket = AlertBucket::default();
        let judge = Judge::new(&file, &bucket, START_MS);
        let (fact, now_ms) = (Fact::Calm, START_MS);
        Self { file, judge, bucket, revision: 0, fact, now_ms, said: Vec::new(), notified: 0 }
    }

    fn put(&mut self, key: &str, value: &impl Serialize) {
        self.revision += 1;
        self.bucket.note(key, Some(&serde_json::to_vec(value).unwrap()), self.revision);
    }

    fn observe(&mut self) {
        let mbits = match self.fact {
            Fact::Busy => 950.0,
            Fact::Between => 880.0,
            Fact::Calm | Fact::Unheard => 1.0,
        };
        let rate = bps(mbits * 125_000.0);
        let averages = Averages { s10: rate, m1: rate, m5: rate, m15: rate };
        let mut latest = node("a");
        (latest.rx_bps, latest.tx_bps) = (rate, rate);
        (latest.rx_avg, latest.tx_avg) = (averages, averages);
        let status = if matches!(self.fact, Fact::Unheard) { Status::Unknown } else { Status::Online };
        latest.seen_ms = self.now_ms;
        let facts = NodeFacts {
            id: &latest.node,
            status,
            since_ms: START_MS,
            latest: &latest,
            hello: None,
            host: None,
        };
        self.judge.engine.observe(self.now_ms, &facts);
    }

    fn learn(&mut self, fact: Fact) {
        self.fact = fact;
        self.observe();
    }

    /// Time passes, and the station does what it does at a tick.
    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.judge.silence(&self.bucket, self.now_ms);
        for judged in self.judge.judge(self.now_ms) {
            let Judged { key, update, .. } = judged;
            let at_ms = match update.change {
                AlertChange::Resolved => update.alert.resolved_ms,
                _ => update.alert.fired_ms,
            };
            if update.audience.programs {
                self.said.push((update.change, at_ms.unwrap() - START_MS));
            }
            self.notified += usize::from(update.audience.people);
            let before = self.bucket.records.get(&key).map(|stored| &stored.value);
            let record = AlertRecord::after(before, update, "n".to_owned());
            self.put(&key, &record);
        }
        if let Some(timers) = self.judge.take_timers() {
            self.put(&pending_key(0), &PendingRecord::new(timers.pending));
            self.put(&clear_key(0), &ClearRecord::new(timers.clear));
        }
    }

    /// The station ends, and another goes on after a while, in which nothing changes.
    fn hand_over(&mut self, gap_ms: i64, knows_clear: bool) {
        self.begin_again(gap_ms, knows_clear);
        self.observe();
        self.pass(0);
    }

    /// Likewise, but the other has not heard of the node yet.
    fn begin_again(&mut self, gap_ms: i64, knows_clear: bool) {
        let lease = AlertLease { judged_ms: self.now_ms, knows_clear, ..AlertLease::default() };
        self.put(LEASE_KEY, &lease);
        self.now_ms += gap_ms;
        self.judge = Judge::new(&self.file, &self.bucket, self.now_ms);
        self.pass(0);
    }

    /// An alert that fires since 20 s.
    fn firing() -> Self {
        let mut world = Self::new();
        world.learn(Fact::Busy);
        world.pass(30_000);
        assert_eq!(world.said, [(AlertChange::Fired, 20_000)]);
        world
    }

    /// When it ends.
    fn end_ms(&mut self) -> i64 {
        for _ in 0..200 {
            self.pass(1_000);
        }
        let (change, at_ms) = *self.said.last().unwrap();
        assert_eq!((self.said.len(), change), (2, AlertChange::Resolved), "{:?}", self.said);
        at_ms
    }
}

#[test]
fn keep_firing_for_goes_on_where_the_station_before_ended() {
    let mut world = World::firing();
    world.learn(Fact::Calm);
    world.pass(40_000);
    world.hand_over(5_000, true);
    // It is taken over once more, before and after a word of the node.
    world.hand_over(1_000, true);
    world.pass(1_000);
    world.hand_over(1_000, true);
    assert_eq!(world.said.len(), 1);
    assert_eq!(world.end_ms(), 90_000, "a minute from when it is clear, at 30 s");
}

#[test]
fn the_time_in_which_nobody_could_say_does_not_count_however_often_it_is_taken_over() {
    let mut world = World::firing();
    world.learn(Fact::Calm);
    world.pass(10_000);
    world.learn(Fact::Unheard);
    world.pass(100_000);
    world.hand_over(5_000, true);
    world.pass(100_000);
    world.hand_over(5_000, true);
    world.pass(10_000);
    world.learn(Fact::Calm);
    assert_eq!(world.said.len(), 1);
    assert_eq!(world.end_ms(), 90_000 + 220_000);
}

#[test]
fn the_time_counts_also_where_a_station_ends_before_it_has_heard_of_the_node() {
    let mut world = World::firing();
    world.learn(Fact::Calm);
    world.pass(10_000);
    world.begin_again(5_000, true);
    world.pass(2_000);
    world.begin_again(5_000, true);
    world.pass(2_000);
    world.observe();
    assert_eq!(world.end_ms(), 90_000);
}

#[test]
fn a_condition_that_holds_again_is_not_clear_for_the_next_station() {
    let mut world = World::firing();
    world.learn(Fact::Calm);
    world.pass(50_000);
    world.learn(Fact::Between);
    world.learn(Fact::Busy);
    world.pass(10_000);
    world.learn(Fact::Calm);
    world.pass(20_000);
    world.hand_over(5_000, true);
    assert_eq!(world.end_ms(), 30_000 + 60_000 + 60_000);
}

#[test]
fn after_a_station_of_before_the_time_begins_again_and_nothing_ends_early() {
    // It left what a newer one had written, and the condition held meanwhile.
    let mut world = World::firing();
    world.learn(Fact::Calm);
    world.pass(50_000);
    let clear = world.bucket.clear.clone();
    world.learn(Fact::Busy);
    world.pass(1_000);
    world.learn(Fact::Calm);
    world.pass(10_000);
    world.put(&clear_key(0), &clear["c.0"].value);
    assert_eq!(world.bucket.clear["c.0"].value.clear[0].clear_ms, START_MS + 30_000);
    world.hand_over(5_000, false);
    assert_eq!(world.end_ms(), 30_000 + 50_000 + 1_000 + 10_000 + 5_000 + 60_000);
}

#[test]
fn what_a_station_of_before_has_kept_is_continued() {
    let mut world = World::firing();
    // The record of a firing and the lease, as a station writes them that keeps nothing of what is clear.
    let (key, stored) = world.bucket.records.pop_first().unwrap();
    let mut record = serde_json::to_value(&stored.value).unwrap();
    let standing = record["standing"].as_object_mut().unwrap();
    let kept = ["alert", "held_from_ms", "seen_ms", "is_notified", "is_dropped", "repeats", "notified_ms"];
    assert!(standing.keys().all(|name| kept.contains(&name.as_str())), "{standing:?}");
    world.put(&key, &record);
    let lease = serde_json::json!({ "owner": "x", "since_ms": 1, "judged_ms": world.now_ms, "rules": 1 });
    world.put(LEASE_KEY, &lease);
    world.judge = Judge::new(&world.file, &world.bucket, world.now_ms);
    world.learn(Fact::Calm);
    assert_eq!(world.end_ms(), 90_000);
}

#[test]
fn what_is_silenced_is_notified_once_when_the_silence_ends_also_by_another_station() {
    let mut world = World::new();
    let silence = Silence {
        node: Some("a".to_owned()),
        made_ms: START_MS,
        until_ms: START_MS + 60_000,
        ..Silence::default()
    };
    world.put(&silence_key("q"), &SilenceRecord::new(silence));
    world.learn(Fact::Busy);
    world.pass(30_000);
    assert_eq!((world.said.len(), world.notified), (1, 0));
    let record = world.bucket.records.values().next().unwrap().value.clone();
    assert_eq!(record.alert.state, AlertState::Firing);
    assert_eq!(record.alert.silenced_until_ms, Some(START_MS + 60_000));
    world.hand_over(5_000, true);
    world.pass(24_999);
    assert_eq!(world.notified, 0);
    world.pass(1);
    assert_eq!(world.notified, 1);
    world.hand_over(5_000, true);
    world.pass(60_000);
    assert_eq!((world.said.len(), world.notified), (1, 1));
    world.learn(Fact::Calm);
    world.end_ms();
    assert_eq!(world.notified, 2);
}

#[test]
fn a_brokers_clock_that_is_stepped_by_hours_makes_no_second_notice() {
    let hour_ms = 3_600_000;
    let mut world = World::firing();
    for step_ms in [-hour_ms, 3 * hour_ms, -hour_ms] {
        world.pass(step_ms);
        world.observe();
        world.hand_over(5_000, true);
        assert_eq!((world.said.len(), world.notified), (1, 1), "{step_ms}");
    }
    world.learn(Fact::Calm);
    world.pass(-hour_ms);
    world.observe();
    world.hand_over(5_000, true);
    world.pass(hour_ms + 60_000);
    assert_eq!((world.said.len(), world.notified), (2, 2));
    world.pass(-hour_ms);
    world.hand_over(5_000, true);
    assert_eq!((world.said.len(), world.notified), (2, 2));
}

proptest! {
    #[test]
    fn stations_that_take_over_say_what_one_alone_says(
        steps in vec(
            (
                prop_oneof![Just(Fact::Busy), Just(Fact::Between), Just(Fact::Calm), Just(Fact::Unheard)],
                0_i64..70_000,
                proptest::option::of(0_i64..5_000),
            ),
            1..60,
        ),
    ) {
        let (mut alone, mut several) = (World::new(), World::new());
        for (fact, ms, handover) in steps {
            for world in [&mut alone, &mut several] {
                world.learn(fact);
                world.pass(ms);
            }
            if let Some(gap_ms) = handover {
                alone.pass(gap_ms);
                several.hand_over(gap_ms, true);
            }
        }
        prop_assert_eq!(&alone.said, &several.said);
        prop_assert_eq!(alone.notified, several.notified);
    }
}
