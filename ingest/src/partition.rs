//! One partition of the fleet: a pure function of its stream.

mod nodes;

use std::collections::BTreeMap;

use tidemap_wire::{
    Event, EventKind, History, NodeId, NodeUpdate, Pack, PartitionStats, ReceivedReport, Slot, Status,
    decode, subject,
};

use crate::{checkpoint::Part, node::Node, rows::Rows};
use nodes::Nodes;

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

/// What became of the reports of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many were applied.
    pub reports: u64,
    /// Why the last of those that were refused was. All of them are counted already, and have changed nothing.
    pub refused: Option<&'static str>,
}

/// What readers are told at a tick.
#[derive(Debug, Default)]
pub struct Output {
    /// The nodes that are no longer known.
    pub forgotten: Vec<NodeId>,
    /// What happened to nodes.
    pub events: Vec<Event>,
}

/// The nodes of one partition, and what became of its messages.
#[derive(Debug)]
pub struct Partition {
    limits: Limits,
    nodes: Nodes,
    rows: Rows,
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
            nodes: Nodes::default(),
            rows: Rows::default(),
            pending: Output::default(),
            samples: 0,
            duplicates: 0,
            late: 0,
            refused: BTreeMap::new(),
            forgotten_samples: 0,
            is_missing_past: false,
        }
    }

    /// Takes over nodes from a checkpoint, before any message.
    pub fn restore(&mut self, mut nodes: Vec<(NodeId, Node)>) {
        self.rows = Rows::restore(nodes.iter_mut().map(|(_, node)| node.row_mut()));
        for (id, node) in nodes {
            self.nodes.insert(id, node);
        }
    }

    /// Takes note that messages were lost, of whichever nodes.
    pub fn lose(&mut self) {
        self.is_missing_past = true;
        self.nodes.all_mut().for_each(|(_, node)| node.lose());
    }

    /// Takes note that the state contains what the log holds.
    pub fn caught_up(&mut self) {
        self.is_missing_past = false;
    }

    /// The nodes of one part of a slot.
    pub fn part(&self, part: Part) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.of_slot(part.slot).filter(move |(id, _)| part.contains(id))
    }

    /// All parts of slots, as their nodes are many.
    pub fn parts(&self, slots: &[Slot]) -> Vec<Part> {
        slots.iter().flat_map(|slot| Part::all(*slot, self.nodes.of_slot(*slot).len())).collect()
    }

    /// Fetches the nodes of which messages are about to be applied: a fleet's state is far larger than a processor's cache.
    pub fn approach<'a>(&self, subjects: impl Iterator<Item = &'a str>) {
        self.nodes.approach(subjects.filter_map(subject::parts_of_sample));
    }

    /// Applies a message.
    ///
    /// # Errors
    ///
    /// The reason when it, or a report in it, is refused. It is counted already, and nothing has changed.
    pub fn observe(&mut self, message: Message<'_>) -> Result<(), &'static str> {
        self.observe_unless(message, |_| false).refused.map_or(Ok(()), Err)
    }

    /// Applies what a message says of those nodes for which it `is_known`, by their names as they are written, not to be
    /// contained already. Each report of a pack is taken as if it had come alone.
    pub fn observe_unless(&mut self, message: Message<'_>, is_known: impl Fn(&str) -> bool) -> Taken {
        let Message { subject, payload, published_ms } = message;
        let mut taken = Taken::default();
        if let Some(place) = subject::parts_of_sample(subject) {
            self.note(&mut taken, |state| state.apply(place, payload, published_ms, is_known));
            return taken;
        }
        match pack(subject, payload) {
            Ok((slot, pack)) => {
                for report in pack.reports() {
                    self.note(&mut taken, |state| state.apply_packed(slot, report, published_ms, &is_known));
                }
            }
            Err(reason) => self.note(&mut taken, |_| Err(reason)),
        }
        taken
    }

    /// Judges every node at broker time `now_ms`, forgets those that have been silent for too long, and hands out
    /// what has happened since the last call. `alive_ms`: see [`Node::judge`].
    pub fn tick(&mut self, now_ms: i64, alive_ms: i64) -> Output {
        let Self { limits, nodes, rows, pending, forgotten_samples, .. } = self;
        nodes.retain(|id, node| {
            if let Some(status) = node.judge(now_ms, alive_ms, limits.offline_after_ms) {
                pending.events.push(Event { kind: kind(status), node: id.clone(), at_ms: now_ms });
            }
            let keep = now_ms - node.seen_ms().max(alive_ms) < limits.forget_after_ms;
            if !keep {
                *forgotten_samples += node.samples();
                rows.vacate(node.row());
                pending.forgotten.push(id.clone());
                pending.events.push(Event { kind: EventKind::Forgotten, node: id.clone(), at_ms: now_ms });
            }
            keep
        });
        std::mem::take(&mut self.pending)
    }

    /// The nodes that changed since the last call, as long as somebody takes them.
    pub fn updates(&mut self) -> impl Iterator<Item = NodeUpdate> {
        self.nodes.all_mut().filter_map(|(id, node)| node.take_update(id))
    }

    /// Takes note that readers will learn of all nodes by a snapshot.
    pub fn told_all(&mut self) {
        self.nodes.all_mut().for_each(|(_, node)| node.told());
    }

    /// Drops a node at an operator's wish. Returns whether it was known.
    pub fn forget(&mut self, id: &NodeId, now_ms: i64) -> bool {
        let removed = self.nodes.remove(id);
        if let Some(node) = &removed {
            self.forgotten_samples += node.samples();
            self.rows.vacate(node.row());
            self.pending.forgotten.push(id.clone());
            self.pending.events.push(Event { kind: EventKind::Forgotten, node: id.clone(), at_ms: now_ms });
        }
        removed.is_some()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All nodes, whole.
    pub fn snapshot(&self) -> Vec<NodeUpdate> {
        self.nodes.all().map(|(id, node)| node.full_update(id)).collect()
    }

    /// One node, whole, and its recent past.
    pub fn snapshot_of(&self, id: &NodeId) -> Option<(NodeUpdate, History)> {
        self.nodes.get(Slot::of(id), id.as_str()).map(|node| (node.full_update(id), node.windows().history()))
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
        for (_, node) in self.nodes.all() {
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

    /// Counts what becomes of a report: whether it was applied, unless it was known.
    fn note(&mut self, taken: &mut Taken, apply: impl FnOnce(&mut Self) -> Result<bool, &'static str>) {
        match apply(self) {
            Ok(applied) => taken.reports += u64::from(applied),
            Err(reason) => {
                *self.refused.entry(reason).or_default() += 1;
                taken.refused = Some(reason);
            }
        }
    }

    /// Applies a report that came alone: the subject says whose it is.
    fn apply(
        &mut self,
        (slot, token): (Slot, &str),
        report: &[u8],
        at_ms: i64,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<bool, &'static str> {
        if is_known(token) {
            return Ok(false);
        }
        let report = ReceivedReport::decode(report).map_err(|_| "garbage")?;
        check(&report, token)?;
        self.apply_report(slot, report, at_ms, "subject")
    }

    /// Applies a report that came in a pack: it says itself whose it is, and its slot must be the pack's.
    fn apply_packed(
        &mut self,
        slot: Slot,
        report: &[u8],
        at_ms: i64,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<bool, &'static str> {
        let report = ReceivedReport::decode(report).map_err(|_| "garbage")?;
        if is_known(report.node) {
            return Ok(false);
        }
        check(&report, report.node)?;
        self.apply_report(slot, report, at_ms, "other-slot")
    }

    fn apply_report(
        &mut self,
        slot: Slot,
        report: ReceivedReport<'_>,
        at_ms: i64,
        stray: &'static str,
    ) -> Result<bool, &'static str> {
        let token = report.node;
        let node = match self.nodes.get_mut(slot, token) {
            Some(node) => node,
            None => {
                // Once known, a node needs no second look: it is in the slot where it belongs.
                let id = node_in(slot, token).ok_or(stray)?;
                self.pending.events.push(Event { kind: EventKind::Joined, node: id.clone(), at_ms });
                self.nodes.insert(id, Node::new(self.rows.take(), &report, at_ms))
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
            && let Some(node) = node_in(slot, token)
        {
            self.pending.events.push(Event { kind: EventKind::Restarted, node, at_ms });
        }
        if outcome.rivals > 0 { Err("second-agent") } else { Ok(true) }
    }
}

/// The node of this name, if there can be one and it is of this slot.
fn node_in(slot: Slot, token: &str) -> Option<NodeId> {
    NodeId::from_token(token).ok().filter(|node| Slot::of(node) == slot)
}

/// The pack that a message is, and its slot.
fn pack<'a>(subject: &str, payload: &'a [u8]) -> Result<(Slot, Pack<'a>), &'static str> {
    let slot = subject::slot_of_pack(subject).ok_or("subject")?;
    decode(payload).map(|pack| (slot, pack)).map_err(|_| "garbage")
}

fn check(report: &ReceivedReport<'_>, token: &str) -> Result<(), &'static str> {
    if report.node != token {
        return Err("node-mismatch");
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
