//! One partition: its nodes, and how many of its worker's deltas have been applied.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidemap_wire::{Delta, NodeUpdate, PartitionStats, timing};
use tokio::time::Instant;

use crate::{
    delta_id::DeltaId,
    fleet::{node::Node, node_table::NodeTable},
    snapshot::Snapshot,
};

/// A worker that has published nothing for this long is taken to be gone.
const FRESH_TIMEOUT: Duration = timing::OWNER_SILENCE;
/// A worker publishes changes every 250 ms, and its totals every second even without changes; one tick is
/// added for delays. An event stream replays more than this to clients that resume.
const IN_STEP_TIMEOUT: Duration =
    Duration::from_millis(timing::millis(timing::TICK) * (timing::TICKS_PER_STATS + 1));
/// After this much silence, a lower epoch is accepted, too. Epochs fall only if the broker has lost all
/// leases and the new owner's clock is behind the old owner's.
const EPOCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How many deltas may wait for a snapshot. Beyond it the oldest is dropped, as the snapshot will be newer
/// than it.
const AHEAD_LIMIT: usize = 256;
const FIRST_RETRY: Duration = Duration::from_millis(125);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The result of applying a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeltaOutcome {
    /// It is in the view now.
    Applied,
    /// It was older than the view, or from a worker with an outranked epoch.
    Stale,
    /// It waits for earlier deltas, or for a snapshot.
    Ahead,
}

/// What this process knows of a partition.
#[derive(Debug, Default)]
pub struct PartitionView {
    nodes: NodeTable,
    /// The rows whose nodes have changed since the last call of `take_changed`; a row may occur more than
    /// once.
    changed: Vec<u32>,
    /// The newest delta that `nodes` contain; `None` before the first snapshot.
    held: Option<DeltaId>,
    /// The newest delta that the worker has mentioned in any message, and when its last message arrived.
    newest: Option<DeltaId>,
    heard_at: Option<Instant>,
    /// Deltas after a gap.
    ahead: BTreeMap<DeltaId, Delta>,
    /// The newest delta that statistics of this tick mention. Deltas and statistics have different
    /// subscriptions, so the delta itself may arrive a tick later.
    claimed: Option<DeltaId>,
    /// The newest delta that statistics of earlier ticks mention: a view that is older has missed a delta.
    due: Option<DeltaId>,
    stats: Option<PartitionStats>,
    stats_at: Option<Instant>,
    in_step_at: Option<Instant>,
    /// Broker time of its worker's newest message, Unix milliseconds.
    heard_ms: i64,
    /// When the nodes were first known.
    known_at: Option<Instant>,
    /// Whether nodes are known, and their worker is not heard.
    is_unheard: bool,
    request: Request,
}

/// The request for a snapshot, of which at most one is outstanding.
#[derive(Debug, Default)]
struct Request {
    outstanding: bool,
    not_before: Option<Instant>,
    retry: Option<Duration>,
}

impl PartitionView {
    /// Applies a delta, or keeps it for later.
    pub(crate) fn apply_delta(&mut self, delta: Delta, now: Instant) -> DeltaOutcome {
        let id = DeltaId { epoch: delta.epoch, seq: delta.seq };
        if !self.accept(id, now) || self.held >= Some(id) {
            return DeltaOutcome::Stale;
        }
        self.heard_ms = delta.at_ms;
        self.ahead.insert(id, delta);
        self.catch_up();
        if self.ahead.len() > AHEAD_LIMIT {
            self.ahead.pop_first();
        }
        if self.held >= Some(id) { DeltaOutcome::Applied } else { DeltaOutcome::Ahead }
    }

    /// Applies the worker's statistics, which also show that it is alive.
    pub(crate) fn apply_stats(&mut self, stats: PartitionStats, now: Instant) {
        let id = DeltaId { epoch: stats.epoch, seq: stats.seq };
        if !self.accept(id, now) {
            return;
        }
        self.claimed = self.claimed.max(Some(id));
        self.heard_ms = stats.at_ms;
        self.stats = Some(stats);
        self.stats_at = Some(now);
    }

    /// Applies a snapshot, which replaces all nodes unless the view is newer or the worker is outranked.
    pub(crate) fn apply_snapshot(&mut self, snapshot: Snapshot, now: Instant) {
        if !self.accept(snapshot.id, now) {
            return self.snapshot_failed(now);
        }
        self.request = Request { not_before: Some(now + FIRST_RETRY), ..Request::default() };
        if self.held >= Some(snapshot.id) {
            return;
        }
        self.held = Some(snapshot.id);
        self.known_at.get_or_insert(now);
        self.heard_ms = snapshot.at_ms;
        self.replace(snapshot.nodes);
        self.catch_up();
    }

    /// Notes that a request for a snapshot had no answer.
    pub(crate) fn snapshot_failed(&mut self, now: Instant) {
        let retry = self.request.retry.map_or(FIRST_RETRY, |retry| (retry * 2).min(LAST_RETRY));
        self.request = Request { outstanding: false, not_before: Some(now + retry), retry: Some(retry) };
    }

    /// Ends a tick; returns whether a snapshot should be requested now.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        let behind = self.held.is_none() || !self.ahead.is_empty() || self.due > self.held;
        self.due = self.due.max(self.claimed.take());
        if !behind {
            self.in_step_at = Some(now);
        }
        self.judge(now);
        let may_ask = !self.request.outstanding && self.request.not_before.is_none_or(|time| time <= now);
        self.request.outstanding |= behind && may_ask;
        behind && may_ask
    }

    /// Marks all nodes as unknown while their worker is not heard, also those that a snapshot adds meanwhile,
    /// and as known once it is heard again.
    fn judge(&mut self, now: Instant) {
        let was_unheard = self.is_unheard;
        // Its first statistics come up to a second after the first snapshot, if they come.
        let is_silent = |at: Option<Instant>| !is_within(FRESH_TIMEOUT, at.max(self.known_at), now);
        self.is_unheard = self.known_at.is_some() && (is_silent(self.stats_at) || is_silent(self.in_step_at));
        if self.is_unheard || was_unheard {
            let since_ms = self.is_unheard.then_some(self.heard_ms);
            let changed = self.nodes.mark_unheard(since_ms);
            self.changed.extend(changed);
        }
    }

    /// Whether its worker publishes and the view follows it.
    pub fn is_fresh(&self, now: Instant) -> bool {
        is_within(FRESH_TIMEOUT, self.stats_at, now) && is_within(FRESH_TIMEOUT, self.in_step_at, now)
    }

    /// Whether, as of the newest tick, the view contains everything that its worker has published, and the
    /// worker has published just before.
    pub fn is_in_step(&self, now: Instant) -> bool {
        self.in_step_at == Some(now) && is_within(IN_STEP_TIMEOUT, self.heard_at, now)
    }

    /// The age of its worker's newest message; `None` before the first.
    pub fn silent_for(&self, now: Instant) -> Option<Duration> {
        self.heard_at.map(|at| now.saturating_duration_since(at))
    }

    pub(crate) fn nodes(&self) -> &NodeTable {
        &self.nodes
    }

    /// The rows whose nodes changed, joined, left or were forgotten since the last call, in no order.
    pub(crate) fn take_changed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.changed)
    }

    /// The worker's newest statistics.
    pub fn stats(&self) -> Option<&PartitionStats> {
        self.stats.as_ref()
    }

    /// Whether the sender of `id` owns the partition, that is, has not been outranked.
    fn accept(&mut self, id: DeltaId, now: Instant) -> bool {
        if self.newest.is_some_and(|newest| id.epoch < newest.epoch) {
            if is_within(EPOCH_TIMEOUT, self.heard_at, now) {
                return false;
            }
            self.ahead.clear();
            (self.held, self.newest, self.claimed, self.due) = (None, None, None, None);
        }
        self.newest = self.newest.max(Some(id));
        self.heard_at = Some(now);
        true
    }

    /// Applies the waiting deltas that have no gap before them any more.
    fn catch_up(&mut self) {
        while let (Some(held), Some(first)) = (self.held, self.ahead.first_entry()) {
            let id = *first.key();
            if id > held && id != held.next() {
                break;
            }
            let delta = first.remove();
            if id == held.next() {
                self.apply(delta);
                self.held = Some(id);
            }
        }
    }

    fn apply(&mut self, delta: Delta) {
        // A node that was forgotten and has joined again is in both lists, so forgetting comes first.
        for id in delta.forgotten {
            self.changed.extend(self.nodes.remove(&id).map(|node| node.latest().row));
        }
        for update in delta.nodes {
            self.changed.push(update.row);
            match self.nodes.in_row(&update.node, update.row) {
                Some(node) => node.merge(update),
                None => {
                    let known = self.nodes.remove(&update.node);
                    self.changed.extend(known.as_ref().map(|node| node.latest().row));
                    self.insert(known, update, Node::merge);
                }
            }
        }
    }

    fn replace(&mut self, updates: Vec<NodeUpdate>) {
        let mut before = std::mem::take(&mut self.nodes);
        self.changed.extend(before.all().map(|node| node.latest().row));
        for update in updates {
            self.changed.push(update.row);
            self.insert(before.remove(&update.node), update, Node::replace);
        }
    }

    /// Inserts a node in its row; if the node was known, `change` applies the update to it.
    fn insert(&mut self, known: Option<Arc<Node>>, update: NodeUpdate, change: fn(&mut Node, NodeUpdate)) {
        self.nodes.insert(match known {
            Some(mut node) => {
                change(Arc::make_mut(&mut node), update);
                node
            }
            None => Arc::new(Node::new(update)),
        });
    }
}

fn is_within(limit: Duration, at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now.saturating_duration_since(at) < limit)
}
