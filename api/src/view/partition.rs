//! One partition: its nodes, and how far its owner's deltas have been followed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidemap_wire::{Delta, NodeUpdate, PartitionStats, timing};
use tokio::time::Instant;

use crate::view::{Node, Snapshot, roster::Roster};

/// An owner that has said nothing for this long is not there.
const SILENCE: Duration = timing::OWNER_SILENCE;
/// An owner that has something to say says it each 250 ms, and else gives a sign of life each second; a tick of doubt
/// beyond. What a stream is told again when it resumes covers it.
const JUST_NOW: Duration =
    Duration::from_millis(timing::millis(timing::TICK) * (timing::TICKS_PER_STATS + 1));
/// After so much silence the owner's epoch counts no more: epochs begin anew when a broker has lost its disk.
const EPOCH_HOLDS: Duration = Duration::from_secs(10);
/// Deltas that may wait for a snapshot. When there are more, the oldest goes: the snapshot will be newer than it.
const AHEAD_LIMIT: usize = 256;
const FIRST_RETRY: Duration = Duration::from_millis(125);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// A place in the order of a partition's deltas. A higher epoch outranks every sequence number of a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// What became of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is part of the view now.
    Applied,
    /// It was older than the view, or of an owner that has been outranked.
    Stale,
    /// It waits for the ones before it, or for a snapshot.
    Ahead,
}

/// What is known of a partition.
#[derive(Debug, Default)]
pub(crate) struct PartitionView {
    nodes: Roster,
    /// The rows whose nodes have changed and have not been asked for since. It may name one more than once.
    changed: Vec<u32>,
    /// The delta that `nodes` include; `None` before the first snapshot.
    held: Option<Mark>,
    /// The newest mark that the owner has named, and when it last said anything.
    newest: Option<Mark>,
    heard_at: Option<Instant>,
    /// Deltas after a gap.
    ahead: BTreeMap<Mark, Delta>,
    /// The owner's newest claim of this tick. Deltas and stats travel apart, so its delta may be a tick behind.
    claimed: Option<Mark>,
    /// Its newest claim of an earlier tick: a view that holds less has missed a delta.
    due: Option<Mark>,
    stats: Option<PartitionStats>,
    stats_at: Option<Instant>,
    in_step_at: Option<Instant>,
    request: Request,
}

/// The request for a snapshot: at most one is outstanding.
#[derive(Debug, Default)]
struct Request {
    outstanding: bool,
    not_before: Option<Instant>,
    retry: Option<Duration>,
}

impl PartitionView {
    /// Takes a delta.
    pub(crate) fn delta(&mut self, delta: Delta, now: Instant) -> Taken {
        let mark = Mark { epoch: delta.epoch, seq: delta.seq };
        if !self.hear(mark, now) || self.held >= Some(mark) {
            return Taken::Stale;
        }
        self.ahead.insert(mark, delta);
        self.catch_up();
        if self.ahead.len() > AHEAD_LIMIT {
            self.ahead.pop_first();
        }
        if self.held >= Some(mark) { Taken::Applied } else { Taken::Ahead }
    }

    /// Takes the owner's totals, which are its sign of life.
    pub(crate) fn stats(&mut self, stats: PartitionStats, now: Instant) {
        let mark = Mark { epoch: stats.epoch, seq: stats.seq };
        if !self.hear(mark, now) {
            return;
        }
        self.claimed = self.claimed.max(Some(mark));
        self.stats = Some(stats);
        self.stats_at = Some(now);
    }

    /// Takes a snapshot: it replaces all nodes, unless the view is newer or the owner has been outranked.
    pub(crate) fn snapshot(&mut self, snapshot: Snapshot, now: Instant) {
        if !self.hear(snapshot.mark, now) {
            return self.snapshot_failed(now);
        }
        self.request = Request { not_before: Some(now + FIRST_RETRY), ..Request::default() };
        if self.held >= Some(snapshot.mark) {
            return;
        }
        self.held = Some(snapshot.mark);
        self.replace(snapshot.nodes);
        self.catch_up();
    }

    /// No owner has answered.
    pub(crate) fn snapshot_failed(&mut self, now: Instant) {
        let retry = self.request.retry.map_or(FIRST_RETRY, |retry| (retry * 2).min(LAST_RETRY));
        self.request = Request { outstanding: false, not_before: Some(now + retry), retry: Some(retry) };
    }

    /// Ends a tick; says whether the owner should be asked for a snapshot now.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        let behind = self.held.is_none() || !self.ahead.is_empty() || self.due > self.held;
        self.due = self.due.max(self.claimed.take());
        if !behind {
            self.in_step_at = Some(now);
        }
        let may_ask = !self.request.outstanding && self.request.not_before.is_none_or(|time| time <= now);
        self.request.outstanding |= behind && may_ask;
        behind && may_ask
    }

    /// Whether its owner speaks and is being followed.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        is_within(SILENCE, self.stats_at, now) && is_within(SILENCE, self.in_step_at, now)
    }

    /// Whether nothing is missing that its owner has said, as of the newest tick, and it has spoken just before.
    pub(crate) fn is_in_step(&self, now: Instant) -> bool {
        self.in_step_at == Some(now) && is_within(JUST_NOW, self.heard_at, now)
    }

    /// The age of its owner's newest word; `None` before the first.
    pub(crate) fn silent_for(&self, now: Instant) -> Option<Duration> {
        self.heard_at.map(|at| now.saturating_duration_since(at))
    }

    pub(crate) fn nodes(&self) -> &Roster {
        &self.nodes
    }

    /// The rows whose nodes changed, joined, left or were forgotten since the last call, in no order.
    pub(crate) fn take_changed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.changed)
    }

    /// The owner's newest totals and health.
    pub(crate) fn owner_stats(&self) -> Option<&PartitionStats> {
        self.stats.as_ref()
    }

    /// Whether the sender of `mark` is the owner, and not one that has been outranked.
    fn hear(&mut self, mark: Mark, now: Instant) -> bool {
        if self.newest.is_some_and(|newest| mark.epoch < newest.epoch) {
            if is_within(EPOCH_HOLDS, self.heard_at, now) {
                return false;
            }
            self.ahead.clear();
            (self.held, self.newest, self.claimed, self.due) = (None, None, None, None);
        }
        self.newest = self.newest.max(Some(mark));
        self.heard_at = Some(now);
        true
    }

    /// Applies the deltas that have no gap before them any more.
    fn catch_up(&mut self) {
        while let (Some(held), Some(first)) = (self.held, self.ahead.first_entry()) {
            let mark = *first.key();
            let next = Mark { epoch: held.epoch, seq: held.seq.saturating_add(1) };
            if mark > held && mark != next {
                break;
            }
            let delta = first.remove();
            if mark == next {
                self.apply(delta);
                self.held = Some(mark);
            }
        }
    }

    fn apply(&mut self, delta: Delta) {
        // A node that was forgotten and has joined again since is in both.
        for id in delta.forgotten {
            self.changed.extend(self.nodes.take(&id).map(|node| node.latest().row));
        }
        for update in delta.nodes {
            self.changed.push(update.row);
            match self.nodes.sitting(&update.node, update.row) {
                Some(node) => node.merge(update),
                None => {
                    let known = self.nodes.take(&update.node);
                    self.changed.extend(known.as_ref().map(|node| node.latest().row));
                    self.seat(known, update, Node::merge);
                }
            }
        }
    }

    fn replace(&mut self, updates: Vec<NodeUpdate>) {
        let mut before = std::mem::take(&mut self.nodes);
        self.changed.extend(before.all().map(|node| node.latest().row));
        for update in updates {
            self.changed.push(update.row);
            self.seat(before.take(&update.node), update, Node::replace);
        }
    }

    /// Gives a node its row: one that was known and `takes` what is said of it, or a new one.
    fn seat(&mut self, known: Option<Arc<Node>>, update: NodeUpdate, takes: fn(&mut Node, NodeUpdate)) {
        self.nodes.seat(match known {
            Some(mut node) => {
                takes(Arc::make_mut(&mut node), update);
                node
            }
            None => Arc::new(Node::new(update)),
        });
    }
}

fn is_within(limit: Duration, at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now.saturating_duration_since(at) < limit)
}
