//! One partition of the fleet: a pure function of its log.

mod minutes;
mod nodes;
mod totals;

use std::collections::BTreeMap;

use tidemap_wire::{
    Event, EventKind, History, NodeId, NodeUpdate, Pack, ReceivedReport, ReportError, Slot, Status, decode,
    subject,
};

use crate::{
    checkpoint::Part,
    gate,
    node::{Node, Observed},
    refusal::Refusal,
    rows::Rows,
};
use minutes::Departed;
use nodes::Nodes;

/// When a silent node is offline, when it is forgotten, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Milliseconds of silence until a node is offline.
    pub offline_after_ms: i64,
    /// Milliseconds of silence until a node is forgotten.
    pub forget_after_ms: i64,
    /// Nodes of the partition. A relay's key admits reports of any name.
    pub max_nodes: usize,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many were applied.
    pub reports: u64,
    /// The last report that was refused, or of which a part was refused. Refusals are counted in the totals
    /// and for the node, and change nothing else.
    pub refused: Option<RefusedReport>,
}

/// A report that was refused, or of which a part was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedReport {
    /// The node that the message names, if it names one.
    pub node: Option<NodeId>,
    pub reason: Refusal,
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
    /// Nodes that were forgotten before the history had all of their rows.
    departed: Vec<Departed>,
    samples: u64,
    duplicates: u64,
    late: u64,
    /// Rows and late samples that the history did not take for too long.
    history_lost: u64,
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
            departed: Vec::new(),
            samples: 0,
            duplicates: 0,
            late: 0,
            history_lost: 0,
            refused: BTreeMap::new(),
            forgotten_samples: 0,
            is_missing_past: false,
        }
    }

    /// Adds the nodes of checkpoints, before any message is observed. What a node has beyond the bounds of a
    /// report is cut off, and counted as refused.
    pub fn restore(&mut self, mut nodes: Vec<(NodeId, Node)>) {
        for (_, node) in &mut nodes {
            if node.bound() {
                node.refuse(Refusal::Oversized);
                *self.refused.entry(Refusal::Oversized).or_default() += 1;
            }
        }
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
        self.observe_unless(message, |_| false).refused.map_or(Ok(()), |refused| Err(refused.reason))
    }

    /// Applies a message's reports, except for nodes whose state contains the message already, which
    /// `contains` answers for the node's encoded name. Reports in a pack are applied one by one, like reports
    /// in messages of their own.
    pub fn observe_unless(&mut self, message: Message<'_>, contains: impl Fn(&str) -> bool) -> Outcome {
        let Message { subject, payload, published_ms } = message;
        let mut outcome = Outcome::default();
        if let Some((slot, node)) = subject::parts_of_sample(subject) {
            if !contains(node)
                && let Some(report) = self.decode(&mut outcome, slot, node, payload)
            {
                self.apply(&mut outcome, slot, (node, Refusal::Subject), report, published_ms);
            }
            return outcome;
        }
        match pack(subject, payload) {
            Ok((slot, pack)) => {
                for report in pack.reports() {
                    if let Some(report) = self.decode(&mut outcome, slot, "", report)
                        && !contains(report.node)
                    {
                        let named = (report.node, Refusal::OtherSlot);
                        self.apply(&mut outcome, slot, named, report, published_ms);
                    }
                }
            }
            Err(reason) => self.count(&mut outcome, "", reason),
        }
        outcome
    }

    /// Judges every node at broker time `now_ms`, forgets those that have been silent for too long, and
    /// returns what has happened since the last call. For `alive_ms` see [`Node::judge`].
    pub fn tick(&mut self, now_ms: i64, alive_ms: i64) -> Output {
        self.give_up_departed(now_ms);
        let Self { limits, nodes, rows, pending, departed, forgotten_samples, .. } = self;
        nodes.retain(|id, node| {
            if let Some(status) = node.judge(now_ms, alive_ms, limits.offline_after_ms) {
                pending.events.push(Event { kind: kind(status), node: id.clone(), at_ms: now_ms });
            }
            let keep = now_ms - node.seen_ms().max(alive_ms) < limits.forget_after_ms;
            if !keep {
                *forgotten_samples += node.samples();
                rows.vacate(node.row());
                departed.extend(Departed::new(id, node, now_ms));
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
            self.departed.extend(Departed::new(id, node, now_ms));
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
        self.nodes.get(Slot::of(id), id.as_str()).map(|node| {
            let mut history = node.windows().history();
            node.newest_minutes().iter().for_each(|row| history.minutes.push(id, row));
            (node.full_update(id), history)
        })
    }

    /// Who reports under a node's id: the one that is shown, and the other one, as far as they are known.
    pub fn claimants(&self, id: &NodeId) -> (Option<Box<str>>, Option<Box<str>>) {
        self.nodes.get(Slot::of(id), id.as_str()).map_or((None, None), Node::claimants)
    }

    fn decode<'a>(
        &mut self,
        outcome: &mut Outcome,
        slot: Slot,
        node: &str,
        report: &'a [u8],
    ) -> Option<ReceivedReport<'a>> {
        let reason = match ReceivedReport::decode(report) {
            Ok(report) => return Some(report),
            Err(ReportError::TooLong) => Refusal::TooLong,
            Err(ReportError::Invalid(_)) => Refusal::Garbage,
        };
        self.refuse(outcome, slot, node, reason);
        None
    }

    /// Applies a report. `named` is the node that its message names, and why a report of a node of another
    /// slot is refused: a message of its own names the node in its subject; in a pack, only the report does.
    fn apply(
        &mut self,
        outcome: &mut Outcome,
        slot: Slot,
        named: (&str, Refusal),
        mut report: ReceivedReport<'_>,
        at_ms: i64,
    ) {
        let (token, in_wrong_slot) = named;
        let left_out = match gate::admit(&mut report, token) {
            Ok(left_out) => left_out,
            Err(reason) => return self.refuse(outcome, slot, token, reason),
        };
        let observed = match self.observe_report(slot, report, at_ms, in_wrong_slot) {
            Ok(observed) => observed,
            Err(reason) => return self.refuse(outcome, slot, token, reason),
        };
        outcome.reports += u64::from(observed.rivals == 0);
        let reasons = [
            left_out,
            observed.is_hello_refused.then_some(Refusal::HelloRate),
            (observed.rivals > 0).then_some(Refusal::SecondAgent),
        ];
        for reason in reasons.into_iter().flatten() {
            self.refuse(outcome, slot, token, reason);
        }
    }

    /// Hands a report to its node, unless its name is invalid or belongs to another slot, or there are too
    /// many nodes.
    fn observe_report(
        &mut self,
        slot: Slot,
        report: ReceivedReport<'_>,
        at_ms: i64,
        in_wrong_slot: Refusal,
    ) -> Result<Observed, Refusal> {
        let token = report.node;
        let node = match self.nodes.get_mut(slot, token) {
            Some(node) => node,
            None => {
                // Only unknown nodes need the check, as known ones are in their slot.
                let id = node_in(slot, token).ok_or(in_wrong_slot)?;
                if self.len() >= self.limits.max_nodes {
                    return Err(Refusal::TooManyNodes);
                }
                self.pending.events.push(Event { kind: EventKind::Joined, node: id.clone(), at_ms });
                self.nodes.insert(id, Node::new(self.rows.take(), &report, at_ms))
            }
        };
        let observed = node.observe(report, at_ms);
        if self.is_missing_past && !node.is_partial() {
            node.lose();
        }
        self.samples += observed.applied;
        self.duplicates += observed.duplicates;
        self.late += observed.late;
        self.history_lost += observed.history_lost;
        if observed.restarted
            && let Some(node) = node_in(slot, token)
        {
            self.pending.events.push(Event { kind: EventKind::Restarted, node, at_ms });
        }
        Ok(observed)
    }

    /// Counts a refusal, for the node too when it is known.
    fn refuse(&mut self, outcome: &mut Outcome, slot: Slot, node: &str, reason: Refusal) {
        if let Some(node) = self.nodes.get_mut(slot, node) {
            node.refuse(reason);
        }
        self.count(outcome, node, reason);
    }

    fn count(&mut self, outcome: &mut Outcome, node: &str, reason: Refusal) {
        *self.refused.entry(reason).or_default() += 1;
        outcome.refused = Some(RefusedReport { node: NodeId::from_token(node).ok(), reason });
    }
}

/// The node with this encoded name, if the name is valid and belongs to the slot.
fn node_in(slot: Slot, token: &str) -> Option<NodeId> {
    NodeId::from_token(token).ok().filter(|node| Slot::of(node) == slot)
}

fn pack<'a>(subject: &str, payload: &'a [u8]) -> Result<(Slot, Pack<'a>), Refusal> {
    let slot = subject::slot_of_pack(subject).ok_or(Refusal::Subject)?;
    let pack: Pack<'_> = decode(payload).map_err(|_| Refusal::Garbage)?;
    if pack.reports().len() > Pack::MAX_REPORTS { Err(Refusal::TooLong) } else { Ok((slot, pack)) }
}

fn kind(status: Status) -> EventKind {
    match status {
        Status::Online => EventKind::Online,
        Status::Warning => EventKind::Warning,
        Status::Offline | Status::Unknown => EventKind::Offline,
    }
}

#[cfg(test)]
mod tests;
