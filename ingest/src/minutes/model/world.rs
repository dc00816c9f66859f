//! A host with its agent, the broker's log, and a reader.

use tidemap_wire::{Bps, Host, Sample};

use super::{
    Faults, Owner, Stored,
    reader::{Reader, Truth},
};
use crate::window::minute_of;

const BEGIN_MS: i64 = 1_700_000_000_000;

/// Everything outside of the owners.
pub(super) struct World {
    pub(super) random: fastrand::Rng,
    faults: Faults,
    now_ms: i64,
    pub(super) log: Vec<Stored>,
    pub(super) truth: Truth,
    pub(super) reader: Reader,
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

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
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
    pub(super) fn live(&mut self) {
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
                host: self.host(),
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

    /// Metrics, every few samples; some cannot be read.
    fn host(&mut self) -> Option<Box<Host>> {
        if self.random.u8(..) > 80 {
            return None;
        }
        let mut known = |most: f64| (self.random.u8(..) > 40).then(|| self.random.f64() * most);
        let share = |known: Option<f64>| known.map(|share| share as u64);
        Some(Box::new(Host {
            cpu_percent: known(100.0),
            memory_used_bytes: share(known(1e9)),
            memory_total_bytes: Some(1_000_000_000),
            disk_used_bytes: share(known(1e12)),
            disk_total_bytes: Some(1_000_000_000_000),
            load_1: known(30.0),
            ..Host::default()
        }))
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
    pub(super) fn send(&mut self) {
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
    pub(super) fn cut(&mut self) -> usize {
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
    pub(super) fn tell(&mut self, owner: &mut Owner) {
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
