//! The whole way of rows under random faults: whatever is lost, repeated, late or published by an owner that
//! was replaced, what a reader joins is never more than the samples that there are, and is them in the end.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidemap_wire::{Bps, LateSample, MinuteRow, ReceivedReport, Sample, bounds, decode, encode};

use super::{Receipt, Untold};
use crate::{node::Node, window::minute_of};

const BEGIN_MS: i64 = 1_700_000_000_000;

/// What can go wrong in a history.
#[derive(Clone, Copy, Debug)]
struct Faults {
    /// The longest outage of the way from the agent to the log.
    outage_s: i64,
    /// Whether the log may lose its end.
    cuts: bool,
    /// Whether clocks of hosts and of the broker may be wrong. Then nobody knows a sample's true minute, and
    /// all minutes together are exact. Nor is a run then always known from a second agent, whose samples are
    /// refused. What counters have besides is not compared: where a clock jumps and jumps back while no
    /// report comes through, rows and counters are in an order that no reader can know.
    clocks: bool,
}

/// Reports as the log holds them: run, samples, and when they were stored.
type Stored = (u64, Vec<Sample>, i64);

/// An owner of the node, and how much of the log it has read.
#[derive(Clone, Default)]
struct Owner {
    node: Option<Node>,
    read: usize,
    /// Samples that are not placed, and those of them that counters do not have either.
    lost: u64,
    refused: u64,
}

/// Everything outside of the owners.
struct World {
    random: fastrand::Rng,
    faults: Faults,
    now_ms: i64,
    log: Vec<Stored>,
    truth: Truth,
    reader: Reader,
    boot: u64,
    seq: u64,
    counters: [u64; 2],
    /// Samples that the agent could not send yet, with their runs.
    backlog: Vec<(u64, Sample)>,
    outage_until_ms: i64,
    /// When the run's newest sample was read, by the host's clock, and by how much that clock is wrong.
    at_ms: i64,
    host_ms: i64,
    /// By how much the broker's clock is wrong.
    broker_ms: i64,
}

/// Bytes and time of every sample that was stored, by minute, and the highest counters of each run and
/// minute.
#[derive(Default)]
struct Truth {
    known: BTreeSet<(u64, u64)>,
    minutes: BTreeMap<u32, [u64; 4]>,
    counters: BTreeMap<(u64, u32), [u64; 2]>,
}

#[derive(Default)]
struct Reader {
    rows: BTreeMap<u32, MinuteRow>,
    late: BTreeMap<(u64, u64), LateSample>,
}

impl Truth {
    fn add(&mut self, boot: u64, sample: &Sample) {
        if !self.known.insert((boot, sample.seq)) {
            return;
        }
        let minute = minute_of(sample.at_ms);
        let covered = sample.rx_bps.map_or(0, |_| sample.elapsed_ms);
        let bytes = |rate: Option<Bps>| rate.map_or(0, |rate| rate.bytes_in(sample.elapsed_ms));
        let sums = self.minutes.entry(minute).or_default();
        let added = [1, u64::from(covered), bytes(sample.rx_bps), bytes(sample.tx_bps)];
        (0..4).for_each(|place| sums[place] += added[place]);
        let counters = self.counters.entry((boot, minute)).or_default();
        *counters = [counters[0].max(sample.rx_bytes), counters[1].max(sample.tx_bytes)];
    }
}

impl Truth {
    /// What all runs have counted.
    fn moved(&self) -> [u64; 2] {
        let mut runs = BTreeMap::<u64, [u64; 2]>::new();
        for ((boot, _), counters) in &self.counters {
            let most = runs.entry(*boot).or_default();
            *most = [0, 1].map(|way| most[way].max(counters[way]));
        }
        runs.values().fold([0, 0], |all, run| [0, 1].map(|way| all[way] + run[way]))
    }
}

impl Reader {
    fn join(&mut self, untold: &Untold) {
        for row in &untold.rows {
            self.rows.entry(row.minute).or_insert_with(|| row.clone()).join(row);
        }
        self.late.extend(untold.late.iter().map(|late| ((late.boot, late.seq), *late)));
    }

    fn minutes(&self) -> BTreeMap<u32, [u64; 4]> {
        let mut minutes: BTreeMap<u32, [u64; 4]> = BTreeMap::new();
        let rows = self.rows.values().map(|row| {
            (row.minute, [u64::from(row.samples), u64::from(row.covered_ms), row.rx_bytes, row.tx_bytes])
        });
        let late = self
            .late
            .values()
            .map(|late| (late.minute, [1, u64::from(late.covered_ms), late.rx_bytes, late.tx_bytes]));
        for (minute, added) in rows.chain(late) {
            let sums = minutes.entry(minute).or_default();
            (0..4).for_each(|place| sums[place] += added[place]);
        }
        minutes
    }

    /// Bytes that counters have and minutes do not, as a station adds them up.
    fn unplaced(&self) -> [u64; 2] {
        let late = self.late.values().map(|late| late.minute);
        let minutes: BTreeSet<u32> = self.rows.keys().copied().chain(late).collect();
        // What each run has counted, and bytes that minutes have and its counters do not yet.
        let mut runs = BTreeMap::<u64, ([u64; 2], [u64; 2])>::new();
        let mut unplaced = [0, 0];
        for minute in minutes {
            for late in self.late.values().filter(|late| late.minute == minute) {
                let (_, ahead) = runs.entry(late.boot).or_default();
                *ahead = [ahead[0] + late.rx_bytes, ahead[1] + late.tx_bytes];
            }
            let Some(row) = self.rows.get(&minute) else { continue };
            let Some(last) = row.counters.last() else { continue };
            let (mut grown, mut placed) = ([0, 0], [row.rx_bytes, row.tx_bytes]);
            for run in &row.counters {
                let (counted, ahead) = runs.entry(run.boot).or_default();
                for (way, counter) in [run.rx_bytes, run.tx_bytes].into_iter().enumerate() {
                    grown[way] += counter.saturating_sub(counted[way]);
                    counted[way] = counted[way].max(counter);
                    placed[way] += std::mem::take(&mut ahead[way]);
                }
            }
            (0..2).for_each(|way| unplaced[way] += grown[way].saturating_sub(placed[way]));
            runs.entry(last.boot).or_default().1 = [0, 1].map(|way| placed[way].saturating_sub(grown[way]));
        }
        unplaced
    }

    fn never_more_than(&self, truth: &Truth, faults: Faults) {
        let (placed, unplaced, moved) = (total(&self.minutes()), self.unplaced(), truth.moved());
        if faults.clocks {
            let expected = total(&truth.minutes);
            assert!((0..4).all(|place| placed[place] <= expected[place]), "{placed:?} of {expected:?}");
            return;
        }
        for way in 0..2 {
            assert!(
                placed[2 + way] + unplaced[way] <= moved[way],
                "placed {placed:?} and unplaced {unplaced:?} of {moved:?}"
            );
        }
        for (minute, untold) in self.minutes() {
            let true_sums = truth.minutes.get(&minute).copied().unwrap_or_default();
            assert!(
                (0..4).all(|place| untold[place] <= true_sums[place]),
                "{minute}: {untold:?} of {true_sums:?}"
            );
        }
        for row in self.rows.values() {
            for run in &row.counters {
                let until = truth.counters.range((run.boot, 0)..=(run.boot, row.minute));
                let most = until.fold([0, 0], |most: [u64; 2], (_, counters)| {
                    [most[0].max(counters[0]), most[1].max(counters[1])]
                });
                assert!(
                    run.rx_bytes <= most[0] && run.tx_bytes <= most[1],
                    "{}: {run:?}, {most:?}",
                    row.minute
                );
            }
        }
    }

    /// No byte is missing, whether or not its minute is known.
    fn has_all_bytes(&self, truth: &Truth) {
        let (placed, unplaced) = (total(&self.minutes()), self.unplaced());
        let known = [0, 1].map(|way| placed[2 + way] + unplaced[way]);
        assert_eq!(known, truth.moved(), "placed {placed:?} and unplaced {unplaced:?}");
    }

    /// Every sample is published, and a run's counters of a minute are those of its last sample in it, or a
    /// late sample's minute has none.
    fn is_whole(&self, truth: &Truth, faults: Faults) {
        if faults.clocks {
            let (mut placed, mut expected) = (total(&self.minutes()), total(&truth.minutes));
            // A clock that stands still while it is put back a little makes a minute longer than a row can
            // say.
            if self.rows.values().any(|row| row.covered_ms == bounds::MINUTE_MS) {
                (placed[1], expected[1]) = (0, 0);
            }
            assert_eq!(placed, expected);
            return;
        }
        assert_eq!(self.minutes(), truth.minutes);
        let late_minutes: BTreeSet<u32> = self.late.values().map(|late| late.minute).collect();
        for ((boot, minute), expected) in &truth.counters {
            if late_minutes.contains(minute) {
                continue;
            }
            let run = self.rows[minute].counters.iter().find(|run| run.boot == *boot).unwrap();
            assert_eq!([run.rx_bytes, run.tx_bytes], *expected, "run {boot}, minute {minute}");
        }
    }
}

/// Of all minutes.
fn total(minutes: &BTreeMap<u32, [u64; 4]>) -> [u64; 4] {
    minutes.values().fold([0; 4], |all, sums| [0, 1, 2, 3].map(|place| all[place] + sums[place]))
}

impl Owner {
    fn read(&mut self, log: &[Stored]) {
        for (boot, samples, published_ms) in log.iter().skip(self.read) {
            let report =
                ReceivedReport { node: "web-01", boot: *boot, hello: None, samples: samples.clone() };
            let node = self.node.get_or_insert_with(|| Node::new(0, &report, *published_ms));
            node.judge(*published_ms, *published_ms, i64::MAX);
            let waiting = node.late_waiting();
            let observed = node.observe(report, *published_ms);
            let late = node.late_waiting().saturating_sub(waiting);
            // Of two runs at a time, one is refused, and so are samples of a run before all that are
            // remembered: by clocks that jump, a run and its successor may seem so.
            let unknown = observed.late.saturating_sub(late);
            self.lost += observed.history_lost + observed.rivals + unknown;
            self.refused += observed.rivals + unknown.saturating_sub(observed.history_lost);
        }
        self.read = log.len();
    }

    fn untold(&self, until: u32) -> Untold {
        self.node.as_ref().map(|node| node.untold(until)).unwrap_or_default()
    }

    fn acknowledge(&mut self, untold: &Untold) {
        let Some(node) = &mut self.node else { return };
        let rows = untold.rows.iter().map(Receipt::of_row);
        let receipts: Vec<Receipt> = rows.chain(untold.late.iter().map(Receipt::of_late)).collect();
        node.acknowledge(&receipts);
    }

    fn checkpoint(&self) -> Self {
        let node = self.node.as_ref().map(|node| decode(&encode(node)).unwrap());
        Self { node, ..self.clone() }
    }
}

impl World {
    fn new(seed: u64, faults: Faults) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            faults,
            now_ms: BEGIN_MS,
            log: Vec::new(),
            truth: Truth::default(),
            reader: Reader::default(),
            boot: 1,
            seq: 0,
            counters: [0, 0],
            backlog: Vec::new(),
            outage_until_ms: 0,
            at_ms: 0,
            host_ms: 0,
            broker_ms: 0,
        }
    }

    /// Some seconds of the agent, which has an outage now and then, restarts, and misses samples.
    fn live(&mut self) {
        for _ in 0..self.random.i64(1..20) {
            let elapsed_ms = self.random.u32(500..6_000);
            self.now_ms += i64::from(elapsed_ms);
            self.seq += 1;
            let moved = [self.random.u64(0..1 << 30), self.random.u64(0..1_000)];
            (0..2).for_each(|way| self.counters[way] += moved[way]);
            let has_rate = self.random.u8(..) > 10;
            let rate = |way: usize| Bps::over(moved[way], u64::from(elapsed_ms)).filter(|_| has_rate);
            // An agent's times fall only where its clock was put back by a lot.
            let at_ms = (self.now_ms + self.host_ms + self.random.i64(-400..400)).max(0);
            self.at_ms = if self.at_ms - at_ms > 45_000 { at_ms } else { self.at_ms.max(at_ms) };
            if self.random.u8(..) < 5 {
                continue;
            }
            let sample = Sample {
                seq: self.seq,
                at_ms: self.at_ms,
                elapsed_ms,
                rx_bytes: self.counters[0],
                tx_bytes: self.counters[1],
                rx_bps: rate(0),
                tx_bps: rate(1),
                ..Sample::default()
            };
            self.backlog.push((self.boot, sample));
        }
        if self.now_ms >= self.outage_until_ms {
            self.send();
            if self.random.u8(..) < 20 {
                self.outage_until_ms = self.now_ms + self.random.i64(0..self.faults.outage_s) * 1_000;
            }
        }
        // With a spool, the next run sends what this one could not.
        if self.random.u8(..) < 8 {
            self.now_ms += self.random.i64(800..3_000);
            (self.boot, self.seq, self.counters, self.at_ms) = (self.boot + 1, 0, [0, 0], 0);
        }
        if self.faults.clocks {
            self.set_clocks();
        }
    }

    /// Sets the host's or the broker's clock wrong, or right.
    fn set_clocks(&mut self) {
        // Seconds, hours, no clock at all. Years ahead are tests of their own.
        let errors_ms = [0, 0, 20_000, -70_000, 5_400_000, -10_800_000, -BEGIN_MS];
        if self.random.u8(..) < 6 {
            self.host_ms = self.random.choice(errors_ms).unwrap();
        }
        if self.random.u8(..) < 6 {
            self.broker_ms = self.random.choice(errors_ms).unwrap();
        }
    }

    /// The broker's clock.
    fn broker_now_ms(&self) -> i64 {
        (self.now_ms + self.broker_ms).max(0)
    }

    /// Live samples first, then the backlog in any order of its parts; some of it twice.
    fn send(&mut self) {
        let mut backlog = std::mem::take(&mut self.backlog);
        if backlog.is_empty() {
            return;
        }
        let live = backlog.split_off(backlog.len().saturating_sub(3));
        let of_run = |part: &[(u64, Sample)]| {
            (part[0].0, part.iter().map(|(_, sample)| sample.clone()).collect::<Vec<_>>())
        };
        let is_same_run = |one: &(u64, Sample), two: &(u64, Sample)| one.0 == two.0;
        let live: Vec<_> = live.chunk_by(is_same_run).map(of_run).rev().collect();
        let runs = backlog.chunk_by(is_same_run);
        let mut parts: Vec<_> = runs.flat_map(|run| run.chunks(7)).map(of_run).collect();
        self.random.shuffle(&mut parts);
        for (boot, samples) in live.into_iter().chain(parts) {
            for _ in 0..self.random.usize(1..3) {
                self.store((boot, samples.clone(), self.broker_now_ms()));
            }
        }
        if self.random.bool() {
            let newest = self.log.len().saturating_sub(40)..self.log.len();
            let (boot, samples, _) = self.log[self.random.usize(newest)].clone();
            self.store((boot, samples, self.broker_now_ms()));
        }
    }

    fn store(&mut self, (boot, samples, at_ms): Stored) {
        samples.iter().for_each(|sample| self.truth.add(boot, sample));
        self.log.push((boot, samples, at_ms));
    }

    /// The broker crashes, and agents send again what they had just sent and it has lost.
    fn cut(&mut self) -> usize {
        let recent = self
            .log
            .iter()
            .rev()
            .take_while(|(.., at_ms)| (self.broker_now_ms() - at_ms).abs() < 10_000)
            .count();
        let left = self.log.len() - self.random.usize(0..4).min(recent);
        for (boot, samples, _) in self.log.split_off(left) {
            self.log.push((boot, samples, self.broker_now_ms()));
        }
        left
    }

    /// An owner tells what it knows: the message may be lost, and so may its acknowledgement.
    fn tell(&mut self, owner: &mut Owner) {
        let untold = owner.untold(minute_of(self.broker_now_ms() - 5_000));
        if self.random.u8(..) < 200 {
            self.reader.join(&untold);
            self.reader.never_more_than(&self.truth, self.faults);
            if self.random.u8(..) < 200 {
                owner.acknowledge(&untold);
            }
        }
    }
}

fn run(seed: u64, faults: Faults) {
    let mut world = World::new(seed, faults);
    let (mut owner, mut zombies, mut kept) = (Owner::default(), Vec::new(), vec![Owner::default()]);
    for _ in 0..250 {
        world.live();
        if world.random.u8(..) < 150 {
            owner.read(&world.log);
        }
        match world.random.u8(..100) {
            0..40 => world.tell(&mut owner),
            40..60 => kept.push(owner.checkpoint()),
            60..68 => {
                // Another owner begins with a checkpoint of some age; this one may not know it yet.
                let newest = kept.len().saturating_sub(4)..kept.len();
                let next = kept[world.random.usize(newest)].clone();
                zombies.push(std::mem::replace(&mut owner, next));
                owner.read(&world.log);
            }
            68..80 if !zombies.is_empty() => {
                let zombie = world.random.usize(0..zombies.len());
                world.tell(&mut zombies[zombie]);
                zombies.drain(..zombies.len().saturating_sub(3));
            }
            80..84 if faults.cuts => {
                let left = world.cut();
                for one in kept.iter_mut().chain([&mut owner]) {
                    one.read = one.read.min(left);
                }
                // What was replaced reads no more.
            }
            _ => {}
        }
    }
    world.send();
    owner.read(&world.log);
    let rest = owner.untold(u32::MAX);
    world.reader.join(&rest);
    owner.acknowledge(&rest);
    assert_eq!(owner.untold(u32::MAX), Untold::default());
    world.reader.never_more_than(&world.truth, faults);
    // What was given up, counted, is not published. That takes several outages in which nothing is
    // acknowledged.
    if owner.refused == 0 && !faults.clocks {
        world.reader.has_all_bytes(&world.truth);
    }
    if owner.lost == 0 {
        world.reader.is_whole(&world.truth, faults);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rows_are_exact_whatever_is_lost_or_published_twice(seed in any::<u64>()) {
        run(seed, Faults { outage_s: 540, cuts: true, clocks: false });
    }

    #[test]
    fn samples_of_closed_minutes_are_published_apart_and_once(seed in any::<u64>()) {
        run(seed, Faults { outage_s: 1_100, cuts: false, clocks: false });
    }

    #[test]
    fn no_byte_is_missing_or_counted_twice_when_clocks_jump(seed in any::<u64>()) {
        run(seed, Faults { outage_s: 540, cuts: false, clocks: true });
    }
}
