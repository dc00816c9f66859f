//! The task that owns the fleet's view.
//!
//! [`FleetTask`] is its state: messages are collected in it, and a tick applies all of them at once, so
//! everything that is published between two ticks describes one state. [`run`] is the loop, and requests
//! reach it through [`FleetHandle`].

mod handle;
mod renewal;
mod task;

use std::sync::Arc;

use tidemap_client::{FeedMessage, Fleet, Node};
use tidemap_wire::{NodeId, Partition, PartitionCount, Series, http::NodeDetailJson, stream::SnapshotEvent};
use tokio::{sync::watch, time::Instant};

#[cfg(test)]
pub(crate) use self::task::answer;
pub(crate) use self::{
    handle::{FleetHandle, FleetRequest, Stopping},
    renewal::Renewal,
    task::run,
};
use crate::{
    alerts::ShownAlerts,
    answers::{self, Counters, Health, Nodes, PartitionHealth, Recent, Stats, Version},
    memory_budget::{MemoryBudget, OverBudget},
    stream_log::{Frame, Listening, StreamLog, StreamPosition},
    stream_rows::StreamRows,
};

/// Ticks between two states of the fleet that answers and `stats` frames show: a second, because nodes report
/// once a second. With a state at every tick, a client that polls all 10,000 nodes would have a list built
/// four times a second, which takes 90 ms each time.
const ANSWERS_EVERY: u64 = 4;
/// Ticks between two `ping` frames: 5 s.
const PING_EVERY: u64 = 20;
/// Messages that may wait between two ticks; with this many the task accepts no more until it has ticked.
const PENDING_LIMIT: usize = 16_384;

/// For long answers that are being read: half a gigabyte, which is thirty lists of 10,000 nodes.
const ANSWERS_BUDGET_BYTES: u32 = 512 << 20;

/// The answers of the newest state that answers show, as far as they were requested.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) nodes: Option<Arc<Nodes>>,
    pub(crate) stats: Option<Arc<Stats>>,
}

/// A node that was requested by name.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: NodeId,
    pub(crate) partition: Partition,
    pub(crate) version: Version,
    pub(crate) detail: NodeDetailJson,
}

/// The view, what streams and answers have shown of it, and the time of the newest tick.
#[derive(Debug)]
pub(crate) struct FleetTask {
    fleet: Fleet,
    rows: StreamRows,
    log: StreamLog,
    pending: Vec<FeedMessage>,
    version: Version,
    now: Instant,
    at_ms: i64,
    redacted: bool,
    answers: watch::Sender<Answers>,
    /// Whether the list is polled and a newer one has not been begun.
    is_renewal_due: bool,
    budget: MemoryBudget,
    /// The frame that opens a stream in this tick. An error stays for the rest of the tick when the frame was
    /// over the budget.
    snapshot_frame: Option<Result<Frame, OverBudget>>,
    counters: Counters,
    recent: Recent,
    /// What alert stations have found; absent in tests without them.
    alerts: Option<watch::Receiver<ShownAlerts>>,
}

impl FleetTask {
    /// A task without any data. `wall_ms` is this host's clock: the version's epoch, and the fleet's time
    /// until the first message brings the broker's.
    pub(crate) fn new(count: PartitionCount, redacted: bool, now: Instant, wall_ms: i64) -> Self {
        let epoch = u64::try_from(wall_ms).unwrap_or(0);
        Self {
            fleet: Fleet::new(count),
            rows: StreamRows::default(),
            // Workers number the rows, so all apis with the same number of partitions show the same rows.
            log: StreamLog::new(u64::from(count.get())),
            pending: Vec::new(),
            version: Version { epoch, tick: 0 },
            now,
            at_ms: wall_ms,
            redacted,
            answers: watch::Sender::default(),
            is_renewal_due: false,
            budget: MemoryBudget::new(ANSWERS_BUDGET_BYTES),
            snapshot_frame: None,
            counters: Counters::default(),
            recent: Recent::default(),
            alerts: None,
        }
    }

    /// Tells streams what alert stations find.
    pub(crate) fn with_alerts(self, alerts: watch::Receiver<ShownAlerts>) -> Self {
        Self { alerts: Some(alerts), ..self }
    }

    /// The answers of the newest tick.
    pub(crate) fn answers(&self) -> watch::Receiver<Answers> {
        self.answers.subscribe()
    }

    /// For long answers that are being read.
    pub(crate) fn budget(&self) -> MemoryBudget {
        self.budget.clone()
    }

    /// Keeps a message for the next tick.
    pub(crate) fn receive(&mut self, message: FeedMessage) {
        self.pending.push(message);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_LIMIT
    }

    /// Applies the messages that have arrived, and sends what changed to the streams. `number` is the tick's,
    /// from this host's clock.
    ///
    /// Returns the partitions of which a snapshot should be requested.
    pub(crate) fn tick(&mut self, number: u64, now: Instant, wall_ms: i64) -> Vec<Partition> {
        let last = self.version.tick;
        // After a step back of the wall clock, old versions must not be used again.
        self.version.tick = number.max(last + 1);
        self.now = now;
        if self.is_due(ANSWERS_EVERY, last) {
            self.is_renewal_due = self.is_polled();
            if self.answers.borrow().nodes.is_none() {
                self.budget.drop_buffers();
            }
            if !self.is_renewal_due {
                // Before anything changes: a node that an answer still holds is copied when it changes.
                self.drop_answers();
            }
        }
        let known = self.fleet.len();
        for message in std::mem::take(&mut self.pending) {
            self.fleet.apply(message, now);
        }
        let wanted = self.fleet.settle(now);
        if self.fleet.len() < known {
            // The client that requested the forgetting reads at once and must not get an older answer.
            self.drop_answers();
        }
        self.at_ms = self.fleet.broker_ms(now).unwrap_or(wall_ms);
        self.counters.ticks += 1;
        self.snapshot_frame = None;
        self.publish(last);
        wanted
    }

    /// Whether a multiple of `every` has passed since the tick `last`; not at the first tick, when no data is
    /// known. Uses the tick's number, which all api processes share, so all of them show the same moments,
    /// and a late tick skips nothing.
    fn is_due(&self, every: u64, last: u64) -> bool {
        last > 0 && self.version.tick / every > last / every
    }

    /// All nodes, by name.
    pub(crate) fn nodes(&self) -> Arc<Nodes> {
        if let Some(nodes) = &self.answers.borrow().nodes {
            return Arc::clone(nodes);
        }
        let nodes = self.fresh_nodes();
        self.answers.send_modify(|answers| answers.nodes = Some(Arc::clone(&nodes)));
        nodes
    }

    fn fresh_nodes(&self) -> Arc<Nodes> {
        let nodes = self.fleet.nodes().map(Arc::clone).collect();
        Arc::new(Nodes::new(self.version, nodes, self.at_ms, self.redacted, self.budget.clone()))
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

    /// The fleet's totals of the last minutes.
    pub(crate) fn recent(&self) -> Series {
        self.recent.series(self.at_ms)
    }

    /// The node with this display name, else the one with this encoded name.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        let node = NodeId::possible(name).iter().find_map(|id| self.fleet.node(id))?;
        Some(Found {
            id: node.id().clone(),
            partition: self.fleet.partition_of(node.id()),
            version: self.version,
            detail: answers::detail(node, self.at_ms, self.redacted),
        })
    }

    /// How these nodes are called, as far as they are known.
    pub(crate) fn display_names(&self, ids: &[NodeId]) -> Vec<Option<String>> {
        ids.iter().map(|id| self.fleet.node(id).map(Node::display_name)).collect()
    }

    /// Opens an event stream, after `position` if possible.
    pub(crate) fn listen(&mut self, position: Option<StreamPosition>) -> Result<Listening, OverBudget> {
        if let Some(position) = position
            && let Some(listening) = self.log.resume(position)
        {
            self.counters.streams_resumed += 1;
            return Ok(listening);
        }
        let event = || SnapshotEvent { v: 0, at_ms: self.at_ms, nodes: self.rows.columns(self.at_ms) };
        let in_step = self.fleet.is_in_step(self.now);
        let made = self.snapshot_frame.get_or_insert_with(|| self.log.snapshot(event(), in_step));
        let frame = made.clone()?;
        self.counters.streams_opened += 1;
        Ok(self.log.open(frame))
    }

    /// Whether clients have requested the list of the state that answers show.
    fn is_polled(&self) -> bool {
        self.answers.borrow().nodes.as_ref().is_some_and(|nodes| nodes.is_polled())
    }

    /// The answers of the present state, if the list is polled and theirs are of an older one. Clients get
    /// those until these are built.
    pub(crate) fn renewal(&mut self) -> Option<Renewal> {
        let is_due = std::mem::take(&mut self.is_renewal_due);
        let present = self.answers.borrow().nodes.clone().filter(|_| is_due)?;
        let next = Answers { nodes: Some(self.fresh_nodes()), stats: Some(self.fresh_stats()) };
        Some(Renewal::new(present, next, self.answers.clone()))
    }

    fn drop_answers(&self) {
        self.answers.send_if_modified(|answers| std::mem::take(answers).is_some());
    }

    /// Sends everything that is new since the tick `last` to the streams.
    fn publish(&mut self, last: u64) {
        let changed = self.fleet.take_changed();
        let delta = self.rows.update(&self.fleet, &changed, self.at_ms);
        self.log.delta(&delta, self.fleet.is_in_step(self.now));
        if self.is_due(ANSWERS_EVERY, last) {
            let stats = self.fresh_stats();
            self.log.stats(stats.body.plain());
            self.recent.record(self.at_ms, &stats.values);
        }
        let alerts = self.alerts.as_mut().filter(|alerts| alerts.has_changed().unwrap_or(false));
        let shown = alerts.and_then(|alerts| alerts.borrow_and_update().clone());
        if let Some(shown) = shown {
            self.log.alerts(&shown.event(self.at_ms));
        }
        if self.is_due(PING_EVERY, last) {
            self.log.ping(self.at_ms);
        }
    }

    fn health(&self) -> Health {
        let partitions = self.fleet.partitions().map(|(partition, view)| PartitionHealth {
            number: partition.get(),
            fresh: view.is_fresh(self.now),
            owner: view.stats().cloned(),
        });
        Health {
            partitions: partitions.collect(),
            listeners: self.log.listeners(),
            counters: Counters { fleet: self.fleet.counters().clone(), ..self.counters.clone() },
        }
    }
}

impl Answers {
    fn is_some(&self) -> bool {
        self.nodes.is_some() || self.stats.is_some()
    }
}
