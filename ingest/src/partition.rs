//! One partition of the fleet: a pure function of its log.

mod nodes;
mod refusal;

use std::collections::BTreeMap;

use tidemap_wire::{
    Event, EventKind, History, NodeId, NodeUpdate, Pack, PartitionStats, ReceivedReport, Slot, Status,
    decode, subject,
};

use crate::{checkpoint::Part, node::Node, rows::Rows};
use nodes::Nodes;
pub(crate) use refusal::Refusal;

/// More bytes per second than any host's network moves today.
const MAX_PLAUSIBLE_BPS: f64 = 1e14;
/// The years 1970 to 9999. A host's clock may be wrong, but not beyond a calendar's range.
const TIMES_MS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// When a silent node is offline, and when it is forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Milliseconds of silence until a node is offline.
    pub offline_after_ms: i64,
    /// Milliseconds of silence until a node is forgotten.
    pub forget_after_ms: i64,
}

/// A message of the partition's log.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub subject: &'a str,
    pub payload: &'a [u8],
    /// When the broker stored it, Unix milliseconds.
    pub published_ms: i64,
}

/// The result of a message's reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many were applied.
    pub reports: u64,
    /// Why the last refused report was refused. A refused report is counted in the totals and changes nothing
    /// else.
    pub refused: Option<Refusal>,
}

/// What a tick yields for publishing, besides [`PartitionState::updates`].
#[derive(Debug, Default)]
pub struct Output {
    /// Nodes that are no longer known.
    pub forgotten: Vec<NodeId>,
    /// What happened to nodes.
    pub events: Vec<Event>,
}

/// The nodes of one partition, and counts of its messages.
#[derive(Debug)]
pub struct PartitionState {
    limits: Limits,
    nodes: Nodes,
    rows: Rows,
    pending: Output,
    samples: u64,
    duplicates: u64,
    late: u64,
    refused: BTreeMap<Refusal, u64>,
    /// Samples of nodes that are no longer known.
    forgotten_samples: u64,
    /// Set when messages are lost, until the state has caught up: a node that joins meanwhile may have lost
    /// reports.
    is_missing_past: bool,
}

impl PartitionState {
    /// A partition without nodes.
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

    /// Adds the nodes of checkpoints, before any message is observed.
    pub fn restore(&mut self, mut nodes: Vec<(NodeId, Node)>) {
        self.rows = Rows::restore(nodes.iter_mut().map(|(_, node)| node.row_mut()));
        for (id, node) in nodes {
            self.nodes.insert(id, node);
        }
    }

    /// Marks all nodes as partial: messages were lost, and it is unknown of which nodes.
    pub fn lose(&mut self) {
        self.is_missing_past = true;
        self.nodes.all_mut().for_each(|(_, node)| node.lose());
    }

    /// Notes that the state contains the whole log.
    pub fn caught_up(&mut self) {
        self.is_missing_past = false;
    }

    /// The nodes of one part of a slot.
    pub fn part(&self, part: Part) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.of_slot(part.slot).filter(move |(id, _)| part.contains(id))
    }

    /// The parts that these slots are divided into, by their numbers of nodes.
    pub fn parts(&self, slots: &[Slot]) -> Vec<Part> {
        slots.iter().flat_map(|slot| Part::all(*slot, self.nodes.of_slot(*slot).len())).collect()
    }

    /// Prefetches the nodes of messages that are about to be observed: a fleet's state is far larger than a
    /// processor's cache.
    pub fn prefetch<'a>(&self, subjects: impl Iterator<Item = &'a str>) {
        self.nodes.prefetch(subjects.filter_map(subject::parts_of_sample));
    }

    /// Applies a message.
    ///
    /// # Errors
    ///
    /// The reason when it, or a report in it, is refused. It is counted and changes nothing else.
    pub fn observe(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        self.observe_unless(message, |_| false).refused.map_or(Ok(()), Err)
    }

    /// Applies a message's reports, except for nodes whose state contains the message already, which
    /// `contains` answers for the node's encoded name. Reports in a pack are applied one by one, like reports
    /// in messages of their own.
    pub fn observe_unless(&mut self, message: Message<'_>, contains: impl Fn(&str) -> bool) -> Outcome {
        let Message { subject, payload, published_ms } = message;
        let mut outcome = Outcome::default();
        if let Some((slot, node)) = subject::parts_of_sample(subject) {
            if !contains(node) {
                let applied = self.apply(slot, node, payload, published_ms);
                self.count(&mut outcome, applied);
            }
            return outcome;
        }
        match pack(subject, payload) {
            Ok((slot, pack)) => {
                for report in pack.reports() {
                    let applied = self.apply_packed(slot, report, published_ms, &contains);
                    self.count(&mut outcome, applied);
                }
            }
            Err(refusal) => self.count(&mut outcome, Err(refusal)),
        }
        outcome
    }

    /// Judges every node at broker time `now_ms`, forgets those that have been silent for too long, and
    /// returns what has happened since the last call. For `alive_ms` see [`Node::judge`].
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

    /// The nodes that have changed since the last call. Lazy: a node counts as published once the iterator
    /// yields it.
    pub fn updates(&mut self) -> impl Iterator<Item = NodeUpdate> {
        self.nodes.all_mut().filter_map(|(id, node)| node.take_update(id))
    }

    /// Marks all nodes as published, because readers will ask for a snapshot.
    pub fn mark_published(&mut self) {
        self.nodes.all_mut().for_each(|(_, node)| node.mark_published());
    }

    /// Forgets a node on an operator's request. Returns whether it was known.
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

    /// All nodes in full.
    pub fn snapshot(&self) -> Vec<NodeUpdate> {
        self.nodes.all().map(|(id, node)| node.full_update(id)).collect()
    }

    /// One node in full, and its history.
    pub fn snapshot_of(&self, id: &NodeId) -> Option<(NodeUpdate, History)> {
        self.nodes.get(Slot::of(id), id.as_str()).map(|node| (node.full_update(id), node.windows().history()))
    }

    /// Totals, without partition, epoch, owner and position, which the caller knows.
    pub fn stats(&self) -> PartitionStats {
        let mut stats = PartitionStats {
            samples: self.samples,
            total_samples: self.forgotten_samples,
            duplicates: self.duplicates,
            late: self.late,
            refused: self
                .refused
                .iter()
                .map(|(refusal, count)| (refusal.name().to_owned(), *count))
                .collect(),
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

    fn count(&mut self, outcome: &mut Outcome, applied: Result<bool, Refusal>) {
        match applied {
            Ok(applied) => outcome.reports += u64::from(applied),
            Err(refusal) => {
                *self.refused.entry(refusal).or_default() += 1;
                outcome.refused = Some(refusal);
            }
        }
    }

    /// Applies a report in a message of its own, whose subject names the node.
    fn apply(&mut self, slot: Slot, node: &str, report: &[u8], at_ms: i64) -> Result<bool, Refusal> {
        let report = ReceivedReport::decode(report).map_err(|_| Refusal::Garbage)?;
        check(&report, node)?;
        self.apply_report(slot, report, at_ms, Refusal::Subject)
    }

    /// Applies a report in a pack. It names its node itself, which must belong to the pack's slot.
    fn apply_packed(
        &mut self,
        slot: Slot,
        report: &[u8],
        at_ms: i64,
        contains: impl Fn(&str) -> bool,
    ) -> Result<bool, Refusal> {
        let report = ReceivedReport::decode(report).map_err(|_| Refusal::Garbage)?;
        if contains(report.node) {
            return Ok(false);
        }
        check(&report, report.node)?;
        self.apply_report(slot, report, at_ms, Refusal::OtherSlot)
    }

    fn apply_report(
        &mut self,
        slot: Slot,
        report: ReceivedReport<'_>,
        at_ms: i64,
        in_wrong_slot: Refusal,
    ) -> Result<bool, Refusal> {
        let token = report.node;
        let node = match self.nodes.get_mut(slot, token) {
            Some(node) => node,
            None => {
                // Only unknown nodes need the check, as known ones are in their slot.
                let id = node_in(slot, token).ok_or(in_wrong_slot)?;
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
        if outcome.rivals > 0 { Err(Refusal::SecondAgent) } else { Ok(true) }
    }
}

/// The node with this encoded name, if the name is valid and belongs to the slot.
fn node_in(slot: Slot, token: &str) -> Option<NodeId> {
    NodeId::from_token(token).ok().filter(|node| Slot::of(node) == slot)
}

fn pack<'a>(subject: &str, payload: &'a [u8]) -> Result<(Slot, Pack<'a>), Refusal> {
    let slot = subject::slot_of_pack(subject).ok_or(Refusal::Subject)?;
    decode(payload).map(|pack| (slot, pack)).map_err(|_| Refusal::Garbage)
}

fn check(report: &ReceivedReport<'_>, token: &str) -> Result<(), Refusal> {
    if report.node != token {
        return Err(Refusal::NodeMismatch);
    }
    if report.samples.is_empty() {
        return Err(Refusal::Empty);
    }
    let plausible = report.samples.iter().all(|sample| {
        let rates = [sample.rx_bps, sample.tx_bps];
        sample.seq > 0
            && TIMES_MS.contains(&sample.at_ms)
            && (sample.elapsed_ms > 0 || rates == [None, None])
            && rates.into_iter().flatten().all(|rate| rate.get() <= MAX_PLAUSIBLE_BPS)
    });
    if plausible { Ok(()) } else { Err(Refusal::Implausible) }
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
