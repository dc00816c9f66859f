//! A synthetic node with the outbox of a real agent, which keeps and resends what is not acknowledged. Pure:
//! time comes in as the simulation's milliseconds and the host's clock.

use std::collections::BTreeMap;

use tidemap_agent::outbox::Outbox;
use tidemap_wire::{NodeId, Report};

use crate::{ack_log::Entry, fleet::SimulatedNode, plan::AgentFaults};

/// A node's clock is put back within its first ten seconds, if at all.
const LEAP_WITHIN_MS: u64 = 10_000;

/// A node, and the runs of its agent whose samples are not all acknowledged.
pub(crate) struct SimulatedAgent {
    node: SimulatedNode,
    clock: SkewedClock,
    restarts: Option<Restarts>,
    interval_ms: u64,
    next_sample_ms: u64,
    samples: u64,
    /// Newest last; never empty. A run that has ended stays until all of its samples are acknowledged,
    /// because the ack log lists acknowledged samples only.
    runs: Vec<Run>,
    next_run: u64,
}

/// A report to send, with the run it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) run: u64,
    pub(crate) id: u64,
    pub(crate) report: Report,
}

/// The host's clock, which may be wrong.
struct SkewedClock {
    offset_ms: i64,
    leap: Option<(u64, i64)>,
}

/// When the agent restarts.
struct Restarts {
    every_ms: u64,
    next_ms: u64,
}

struct Run {
    number: u64,
    outbox: Outbox,
    entries: BTreeMap<u64, Entry>,
}

impl SimulatedAgent {
    /// The agent of a node. `faults` bound what goes wrong; the node's own random numbers choose from that.
    pub(crate) fn new(mut node: SimulatedNode, interval_ms: u64, faults: AgentFaults) -> Self {
        let random = &mut node.random;
        let clock = SkewedClock::new(faults, random);
        let restarts = faults.restart_every_ms.filter(|_| random.f64() < faults.churn);
        let restarts = restarts.map(|every_ms| Restarts { every_ms, next_ms: random.u64(1..=every_ms) });
        let next_sample_ms = (node.phase * interval_ms as f64) as u64;
        let mut agent = Self {
            node,
            clock,
            restarts,
            interval_ms,
            next_sample_ms,
            samples: 0,
            runs: Vec::new(),
            next_run: 0,
        };
        agent.begin_run();
        agent
    }

    /// The node's name.
    pub(crate) fn id(&self) -> &NodeId {
        &self.node.id
    }

    /// Samples taken so far, over all runs.
    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// Takes a sample if it is due. Returns whether it has.
    pub(crate) fn sample(&mut self, run_ms: u64, wall_ms: i64) -> bool {
        if run_ms < self.next_sample_ms {
            return false;
        }
        // As in an agent: at a steady pace, and only one sample after a long wait.
        let missed = (run_ms - self.next_sample_ms) / self.interval_ms;
        self.next_sample_ms += (missed + 1) * self.interval_ms;
        self.restart_when_due(run_ms);
        let before = self.node.sums();
        let Some(mut report) = self.node.report(run_ms, self.clock.at(run_ms, wall_ms)) else { return false };
        let Some((run, sample)) = self.runs.last_mut().zip(report.samples.pop()) else { return false };
        run.entries.insert(sample.seq, Entry::new(&self.node.id, report.boot, &sample, before));
        run.outbox.push(sample, report.hello.map(|hello| *hello), run_ms);
        self.samples += 1;
        true
    }

    /// The next report to send, if one is due.
    pub(crate) fn next(&mut self, now_ms: u64) -> Option<Sending> {
        self.runs.iter_mut().rev().find_map(|run| {
            let batch = run.outbox.next(now_ms)?;
            Some(Sending { run: run.number, id: batch.id, report: batch.report })
        })
    }

    /// Notes that the broker has stored a report; returns those of its samples that were not acknowledged
    /// before.
    pub(crate) fn acknowledged(&mut self, run: u64, id: u64, now_ms: u64) -> Vec<Entry> {
        let Some(run) = self.runs.iter_mut().find(|held| held.number == run) else { return Vec::new() };
        let delivery = run.outbox.acknowledged(id, now_ms);
        let seqs = delivery.map(|delivery| delivery.seqs).unwrap_or_default();
        seqs.iter().filter_map(|seq| run.entries.remove(seq)).collect()
    }

    /// Notes that the broker did not store a report.
    pub(crate) fn refused(&mut self, run: u64, id: u64, now_ms: u64) {
        if let Some(run) = self.runs.iter_mut().find(|held| held.number == run) {
            run.outbox.refused(id, now_ms);
        }
    }

    /// Gives up waiting for overdue acknowledgements, and removes runs that have ended and are fully
    /// acknowledged.
    pub(crate) fn tidy(&mut self, now_ms: u64) {
        for run in &mut self.runs {
            run.outbox.expire(now_ms);
        }
        // The last few stay: after a change of the broker their last seconds are sent again.
        while self.runs.len() > 8 && self.runs[0].outbox.is_done() {
            self.runs.remove(0);
        }
    }

    /// Notes a new connection, perhaps to a new server.
    pub(crate) fn reconnected(&mut self, new_server: bool) {
        self.runs.iter_mut().for_each(|run| run.outbox.reconnected(new_server));
    }

    /// Whether the broker has acknowledged everything.
    pub(crate) fn is_done(&self) -> bool {
        self.runs.iter().all(|run| run.outbox.is_done())
    }

    /// Samples that were dropped. If there are any, the ack log is incomplete.
    pub(crate) fn lost(&self) -> u64 {
        self.runs.iter().map(|run| run.outbox.lost()).sum()
    }

    fn restart_when_due(&mut self, run_ms: u64) {
        let Some(restarts) = &mut self.restarts else { return };
        if run_ms < restarts.next_ms {
            return;
        }
        restarts.next_ms = run_ms + restarts.every_ms;
        self.node.restart();
        self.begin_run();
    }

    fn begin_run(&mut self) {
        let outbox = Outbox::new(self.node.id.clone(), self.node.boot);
        self.runs.push(Run { number: self.next_run, outbox, entries: BTreeMap::new() });
        self.next_run += 1;
    }
}

impl SkewedClock {
    fn new(faults: AgentFaults, random: &mut fastrand::Rng) -> Self {
        let skew_ms = i64::try_from(faults.skew_ms).unwrap_or(i64::MAX);
        let leap_ms = i64::try_from(faults.leap_ms).unwrap_or(i64::MAX);
        Self {
            offset_ms: random.i64(-skew_ms..=skew_ms),
            leap: (leap_ms > 0).then(|| (random.u64(0..LEAP_WITHIN_MS), random.i64(1..=leap_ms))),
        }
    }

    fn at(&self, run_ms: u64, wall_ms: i64) -> i64 {
        let back_ms = self.leap.filter(|(from_ms, _)| run_ms >= *from_ms).map_or(0, |(_, back_ms)| back_ms);
        wall_ms + self.offset_ms - back_ms
    }
}

#[cfg(test)]
mod tests;
