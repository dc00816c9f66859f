//! One partition of the fleet: a pure function of its stream.

use std::collections::{BTreeMap, HashMap};

use tidemap_wire::{
    Event, EventKind, History, NodeId, NodeUpdate, PartitionStats, Report, Slot, Status, subject,
};

use crate::{checkpoint::Part, node::Node};

/// No network of today moves more than this many bytes a second through one host; a rate above it is garbage.
const MAX_PLAUSIBLE_BPS: f64 = 1e14;
/// From 1970 to 9999. A host's clock may be wrong, but not beyond what a calendar holds.
const TIMES_MS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// When a silent node is called what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Milliseconds of silence until `offline`.
    pub offline_after_ms: i64,
    /// Milliseconds of silence until it is forgotten.
    pub forget_after_ms: i64,
}

/// A message of the partition's stream.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its subject.
    pub subject: &'a str,
    /// Its payload.
    pub payload: &'a [u8],
    /// When the broker stored it, Unix milliseconds.
    pub published_ms: i64,
}

/// What readers are told at a tick.
#[derive(Debug, Default)]
pub struct Output {
    /// The nodes that changed.
    pub nodes: Vec<NodeUpdate>,
    /// The nodes that are no longer known.
    pub forgotten: Vec<NodeId>,
    /// What happened to nodes.
    pub events: Vec<Event>,
}

/// The nodes of one partition, and what became of its messages.
#[derive(Debug)]
pub struct Partition {
    limits: Limits,
    /// Boxed, because a table of large values moves and wastes half of itself when it grows.
    nodes: HashMap<NodeId, Box<Node>>,
    pending: Output,
    samples: u64,
    duplicates: u64,
    late: u64,
    refused: BTreeMap<&'static str, u64>,
    /// Samples of nodes that are no longer known.
    forgotten_samples: u64,
    /// Whether the log began too late to know a node's past: true from a loss until the state has caught up.
    is_missing_past: bool,
}

impl Partition {
    /// A partition of which nothing is known.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            nodes: HashMap::new(),
            pending: Output::default(),
            samples: 0,
            duplicates: 0,
            late: 0,
            refused: BTreeMap::new(),
            forgotten_samples: 0,
            is_missing_past: false,
        }
    }

    /// Takes over nodes from a checkpoint.
    pub fn restore(&mut self, nodes: Vec<(NodeId, Node)>) {
        self.nodes.extend(nodes.into_iter().map(|(id, node)| (id, Box::new(node))));
    }

    /// Takes note that messages were lost, of whichever nodes.
    pub fn lose(&mut self) {
        self.is_missing_past = true;
        self.nodes.values_mut().for_each(|node| node.lose());
    }

    /// Takes note that the state contains what the log holds.
    pub fn caught_up(&mut self) {
        self.is_missing_past = false;
    }

    /// The nodes of one part of a slot.
    pub fn part(&self, part: Part) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.iter().map(|(id, node)| (id, &**node)).filter(move |(id, _)| part.contains(id))
    }

    /// How many nodes each slot has.
    pub fn slot_sizes(&self) -> HashMap<Slot, usize> {
        let mut sizes = HashMap::new();
        for id in self.nodes.keys() {
            *sizes.entry(Slot::of(id)).or_default() += 1;
        }
        sizes
    }

    /// Applies a message.
    ///
    /// # Errors
    ///
    /// The reason when it is refused. It is counted already, and nothing has changed.
    pub fn observe(&mut self, message: Message<'_>) -> Result<(), &'static str> {
        let result = self.apply(message);
        if let Err(reason) = result {
            *self.refused.entry(reason).or_default() += 1;
        }
        result
    }

    /// Judges every node at broker time `now_ms`, forgets those that have been silent for too long, and hands out
    /// what has changed since the last call. `alive_ms`: see [`Node::judge`].
    pub fn tick(&mut self, now_ms: i64, alive_ms: i64) -> Output {
        let Self { limits, nodes, pending, forgotten_samples, .. } = self;
        nodes.retain(|id, node| {
            if let Some(status) = node.judge(now_ms, alive_ms, limits.offline_after_ms) {
                pending.events.push(Event { kind: kind(status), node: id.clone(), at_ms: now_ms });
            }
            let keep = now_ms - node.seen_ms().max(alive_ms) < limits.forget_after_ms;
            if !keep {
                *forgotten_samples += node.samples();
                pending.forgotten.push(id.clone());
                pending.events.push(Event { kind: EventKind::Forgotten, node: id.clone(), at_ms: now_ms });
            } else if let Some(update) = node.take_update(id) {
                pending.nodes.push(update);
            }
            keep
        });
        std::mem::take(&mut self.pending)
    }

    /// Drops a node at an operator's wish. Returns whether it was known.
    pub fn forget(&mut self, id: &NodeId, now_ms: i64) -> bool {
        let removed = self.nodes.remove(id);
        if let Some(node) = &removed {
            self.forgotten_samples += node.samples();
            self.pending.forgotten.push(id.clone());
            self.pending.events.push(Event { kind: EventKind::Forgotten, node: id.clone(), at_ms: now_ms });
        }
        removed.is_some()
    }

    /// All nodes, whole.
    pub fn snapshot(&self) -> Vec<NodeUpdate> {
        self.nodes.iter().map(|(id, node)| node.full_update(id)).collect()
    }

    /// One node, whole, and its recent past.
    pub fn snapshot_of(&self, id: &NodeId) -> Option<(NodeUpdate, History)> {
        self.nodes.get(id).map(|node| (node.full_update(id), node.windows().history()))
    }

    /// Totals. The caller fills in what it knows: partition, epoch, owner, position.
    pub fn stats(&self) -> PartitionStats {
        let mut stats = PartitionStats {
            samples: self.samples,
            total_samples: self.forgotten_samples,
            duplicates: self.duplicates,
            late: self.late,
            refused: self.refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            ..PartitionStats::default()
        };
        for node in self.nodes.values() {
            stats.total_samples += node.samples();
            match node.status() {
                Status::Online => stats.online += 1,
                Status::Warning => stats.warning += 1,
                Status::Offline => stats.offline += 1,
            }
            if node.status() == Status::Online {
                let (rx, tx) = node.rates();
                stats.rx_bps = [Some(stats.rx_bps), rx].into_iter().flatten().sum();
                stats.tx_bps = [Some(stats.tx_bps), tx].into_iter().flatten().sum();
                let (rx_avg, tx_avg) = node.windows().averages();
                stats.rx_avg.add(&rx_avg);
                stats.tx_avg.add(&tx_avg);
            }
        }
        stats
    }

    fn apply(&mut self, message: Message<'_>) -> Result<(), &'static str> {
        let Message { subject, payload, published_ms: at_ms } = message;
        let Ok(report) = tidemap_wire::decode::<Report>(payload) else {
            return Err(subject::node_of_sample(subject).map_or("subject", |_| "garbage"));
        };
        check(&report, subject)?;
        let event = |kind, node| Event { kind, node, at_ms };
        let node = match self.nodes.get_mut(&report.node) {
            Some(node) => node,
            None => {
                self.pending.events.push(event(EventKind::Joined, report.node.clone()));
                self.nodes.entry(report.node.clone()).or_insert_with(|| Box::new(Node::new(&report, at_ms)))
            }
        };
        let outcome = node.observe(report, at_ms);
        if self.is_missing_past && !node.is_partial() {
            node.lose();
        }
        self.samples += outcome.applied;
        self.duplicates += outcome.duplicates;
        self.late += outcome.late;
        if outcome.restarted
            && let Some(node) = subject::node_of_sample(subject)
        {
            self.pending.events.push(event(EventKind::Restarted, node));
        }
        if outcome.rivals > 0 { Err("second-agent") } else { Ok(()) }
    }
}

fn check(report: &Report, subject: &str) -> Result<(), &'static str> {
    if !subject::is_sample_of(subject, &report.node) {
        return Err(subject::node_of_sample(subject).map_or("subject", |_| "node-mismatch"));
    }
    if report.samples.is_empty() {
        return Err("empty");
    }
    let plausible = report.samples.iter().all(|sample| {
        let rates = [sample.rx_bps, sample.tx_bps];
        sample.seq > 0
            && TIMES_MS.contains(&sample.at_ms)
            && (sample.elapsed_ms > 0 || rates == [None, None])
            && rates.into_iter().flatten().all(|rate| rate.get() <= MAX_PLAUSIBLE_BPS)
    });
    if plausible { Ok(()) } else { Err("implausible") }
}

fn kind(status: Status) -> EventKind {
    match status {
        Status::Online => EventKind::Online,
        Status::Warning => EventKind::Warning,
        Status::Offline => EventKind::Offline,
    }
}

#[cfg(test)]
mod tests;
