//! The one owner of the fleet's view.
//!
//! [`Owner`] is the state: messages gather in it, and a tick applies all of them at once, so everything that is said
//! between two ticks describes one state. [`run`] is the task that holds it, [`FleetHandle`] is how others ask it.

mod handle;
mod task;

use std::{collections::BTreeMap, sync::Arc};

use tidemap_wire::{
    Delta, NodeId, Partition, PartitionCount, PartitionStats, http::NodeDetailJson, stream::SnapshotEvent,
};
use tokio::{sync::watch, time::Instant};

#[cfg(test)]
pub(crate) use self::task::answer;
pub(crate) use self::{
    handle::{Ask, FleetHandle, OwnerGone},
    task::run,
};
use crate::{
    answers::{self, Health, Nodes, NotBuilt, PartitionHealth, Room, Stats, Version},
    frames::{Frame, Frames, Listening, Place},
    sheet::Sheet,
    view::{Fleet, Snapshot, Taken},
};

/// Ticks between two states of the fleet that answers tell of: half a second. Nodes report once a second, and who polls for
/// all of 10,000 would otherwise have a list made, which takes 90 ms until the first one has it, four times a second.
const ANSWERS_EVERY: u64 = 2;
/// Ticks between two `stats` frames: a second.
const STATS_EVERY: u64 = 4;
/// Ticks between two `ping` frames: 5 s.
const PING_EVERY: u64 = 20;
/// Messages that may gather between two ticks; at this many the owner stops taking more until it has ticked.
const PENDING_LIMIT: usize = 16_384;

/// Room for long answers that are being read: half a gigabyte, which are thirty lists of 10,000 nodes.
const ROOM_BYTES: u32 = 512 << 20;

/// What comes from the broker, decoded.
#[derive(Clone, Debug)]
pub(crate) enum Incoming {
    Delta(Partition, Delta),
    Stats(Partition, Box<PartitionStats>),
    /// The answer to a request for a snapshot.
    Snapshot(Partition, Snapshot),
    /// No answer to such a request.
    NoSnapshot(Partition),
    /// A message that could not be used, and why.
    Refused(&'static str),
}

/// What has happened since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) ticks: u64,
    pub(crate) deltas_applied: u64,
    pub(crate) deltas_stale: u64,
    pub(crate) deltas_ahead: u64,
    pub(crate) snapshots_applied: u64,
    pub(crate) snapshots_failed: u64,
    pub(crate) streams_opened: u64,
    pub(crate) streams_resumed: u64,
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

/// The answers of the newest tick that answers tell of, as far as somebody has asked for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) nodes: Option<Arc<Nodes>>,
    pub(crate) stats: Option<Arc<Stats>>,
}

/// A node that was asked for by name.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: NodeId,
    pub(crate) partition: Partition,
    pub(crate) version: Version,
    pub(crate) detail: NodeDetailJson,
}

/// The view, what is being said about it, and when it is.
#[derive(Debug)]
pub(crate) struct Owner {
    fleet: Fleet,
    sheet: Sheet,
    frames: Frames,
    pending: Vec<Incoming>,
    version: Version,
    now: Instant,
    at_ms: i64,
    redacted: bool,
    answers: watch::Sender<Answers>,
    room: Room,
    /// The frame that opens a stream in this tick. When there was no room for it, there is none in this tick.
    snapshot_frame: Option<Result<Frame, NotBuilt>>,
    counters: Counters,
}

impl Owner {
    /// An owner that knows nothing yet. `wall_ms` is this host's clock: the stream's epoch, and the time of the fleet
    /// until the first message tells the broker's.
    pub(crate) fn new(count: PartitionCount, redacted: bool, now: Instant, wall_ms: i64) -> Self {
        let epoch = u64::try_from(wall_ms).unwrap_or(0);
        Self {
            fleet: Fleet::new(count),
            sheet: Sheet::default(),
            // Owners number the rows, so all apis of one division of the fleet show the same rows.
            frames: Frames::new(u64::from(count.get())),
            pending: Vec::new(),
            version: Version { epoch, tick: 0 },
            now,
            at_ms: wall_ms,
            redacted,
            answers: watch::Sender::default(),
            room: Room::new(ROOM_BYTES),
            snapshot_frame: None,
            counters: Counters::default(),
        }
    }

    /// What has been answered of late.
    pub(crate) fn answers(&self) -> watch::Receiver<Answers> {
        self.answers.subscribe()
    }

    /// Keeps a message for the next tick.
    pub(crate) fn receive(&mut self, incoming: Incoming) {
        self.pending.push(incoming);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_LIMIT
    }

    /// Applies what has gathered and says what changed. `number` is the tick's, by this host's clock.
    ///
    /// Returns the partitions whose owners should be asked for a snapshot.
    pub(crate) fn tick(&mut self, number: u64, now: Instant, wall_ms: i64) -> Vec<Partition> {
        let last = self.version.tick;
        // A wall clock that is set back must not make an old version seem new.
        self.version.tick = number.max(last + 1);
        self.now = now;
        if self.is_due(ANSWERS_EVERY, last) {
            // Before anything changes: what an answer still holds of a node is copied when that changes.
            self.forget_answers();
        }
        let known = self.fleet.len();
        for incoming in std::mem::take(&mut self.pending) {
            self.apply(incoming);
        }
        let wanted = self.fleet.settle(now);
        if self.fleet.len() < known {
            // Who had a node forgotten looks at once whether it is.
            self.forget_answers();
        }
        self.at_ms = self.fleet.broker_ms(now).unwrap_or(wall_ms);
        self.counters.ticks += 1;
        self.snapshot_frame = None;
        self.say(last);
        wanted
    }

    /// Whether a multiple of `every` has come since the tick `last`, unless this is the first tick, which knows of nothing.
    /// By the tick's number, which all api processes share, so all of them tell of the same moments; and a tick that
    /// comes too late leaves nothing out.
    fn is_due(&self, every: u64, last: u64) -> bool {
        last > 0 && self.version.tick / every > last / every
    }

    /// All nodes, by name.
    pub(crate) fn nodes(&self) -> Arc<Nodes> {
        if let Some(nodes) = &self.answers.borrow().nodes {
            return Arc::clone(nodes);
        }
        let nodes = self.fleet.nodes().map(Arc::clone).collect();
        let nodes = Arc::new(Nodes::new(self.version, nodes, self.at_ms, self.redacted, self.room.clone()));
        self.answers.send_modify(|answers| answers.nodes = Some(Arc::clone(&nodes)));
        nodes
    }

    /// The fleet's totals.
    pub(crate) fn stats(&self) -> Arc<Stats> {
        if let Some(stats) = &self.answers.borrow().stats {
            return Arc::clone(stats);
        }
        let stats = self.fresh_stats();
        self.answers.send_modify(|answers| answers.stats = Some(Arc::clone(&stats)));
        stats
    }

    fn fresh_stats(&self) -> Arc<Stats> {
        let values = answers::fleet_stats(&self.fleet, self.now, self.at_ms);
        Arc::new(Stats::new(self.version, values, self.health()))
    }

    /// The node with this display name, else the one with this encoded name.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        let candidates = [NodeId::from_name(name).ok(), NodeId::from_token(name).ok()];
        let node = candidates.iter().flatten().find_map(|id| self.fleet.node(id))?;
        Some(Found {
            id: node.id().clone(),
            partition: self.fleet.partition_of(node.id()),
            version: self.version,
            detail: answers::detail(node, self.at_ms, self.redacted),
        })
    }

    /// Opens an event stream, after `place` when that is possible.
    pub(crate) fn listen(&mut self, place: Option<Place>) -> Result<Listening, NotBuilt> {
        if let Some(listening) = place.and_then(|place| self.frames.resume(place)) {
            self.counters.streams_resumed += 1;
            return Ok(listening);
        }
        let event = || SnapshotEvent { v: 0, at_ms: self.at_ms, nodes: self.sheet.columns(self.at_ms) };
        let in_step = self.fleet.is_in_step(self.now);
        let made = self.snapshot_frame.get_or_insert_with(|| self.frames.snapshot(event(), in_step));
        let frame = made.clone()?;
        self.counters.streams_opened += 1;
        Ok(self.frames.open(frame))
    }

    fn forget_answers(&self) {
        self.answers.send_if_modified(|answers| std::mem::take(answers).is_some());
    }

    fn apply(&mut self, incoming: Incoming) {
        let (now, counters) = (self.now, &mut self.counters);
        match incoming {
            Incoming::Delta(partition, delta) => match self.fleet.delta(partition, delta, now) {
                Taken::Applied => counters.deltas_applied += 1,
                Taken::Stale => counters.deltas_stale += 1,
                Taken::Ahead => counters.deltas_ahead += 1,
            },
            Incoming::Stats(partition, stats) => self.fleet.stats(partition, *stats, now),
            Incoming::Snapshot(partition, snapshot) => {
                counters.snapshots_applied += 1;
                self.fleet.snapshot(partition, snapshot, now);
            }
            Incoming::NoSnapshot(partition) => {
                counters.snapshots_failed += 1;
                self.fleet.snapshot_failed(partition, now);
            }
            Incoming::Refused(reason) => {
                let count = counters.refused.entry(reason).or_default();
                *count += 1;
                // The 1st, 2nd, 4th, 8th …: told, but never a flood.
                if count.is_power_of_two() {
                    tracing::warn!(count, reason, "a message from the broker was refused");
                }
            }
        }
    }

    /// Says what is new since the tick `last`.
    fn say(&mut self, last: u64) {
        let changed = self.fleet.take_changed();
        let delta = self.sheet.update(&self.fleet, &changed, self.at_ms);
        self.frames.delta(&delta, self.fleet.is_in_step(self.now));
        if self.is_due(STATS_EVERY, last) {
            let stats = self.fresh_stats();
            self.frames.stats(stats.body.plain());
        }
        if self.is_due(PING_EVERY, last) {
            self.frames.ping(self.at_ms);
        }
    }

    fn health(&self) -> Health {
        let partition = |(partition, view): (Partition, &crate::view::PartitionView)| PartitionHealth {
            number: partition.get(),
            fresh: view.is_fresh(self.now),
            owner: view.owner_stats().cloned(),
        };
        Health {
            partitions: self.fleet.partitions().map(partition).collect(),
            listeners: self.frames.listeners(),
            counters: self.counters.clone(),
        }
    }
}

impl Answers {
    fn is_some(&self) -> bool {
        self.nodes.is_some() || self.stats.is_some()
    }
}
