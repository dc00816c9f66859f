//! The fleet as this process knows it, updated from deltas and snapshots. Pure: time comes in as an argument.

mod node;
mod node_table;
mod partition;
#[cfg(test)]
mod tests;
mod time;

use std::{collections::BTreeMap, sync::Arc};

use tidemap_wire::{Delta, NodeId, Partition, PartitionCount, PartitionStats, Slot};
use tokio::time::Instant;

use self::partition::DeltaOutcome;
use self::time::FleetTime;
pub use self::{node::Node, partition::PartitionView};
use crate::{feed::FeedMessage, snapshot::Snapshot};

/// Workers number rows with few gaps, so a number beyond this was not given by a worker.
const MAX_ROWS: u32 = 1 << 21;

/// All partitions together.
#[derive(Debug)]
pub struct Fleet {
    count: PartitionCount,
    partitions: Vec<PartitionView>,
    time: FleetTime,
    counters: FleetCounters,
}

/// Counts of messages since the view began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetCounters {
    /// Deltas applied to the view.
    pub deltas_applied: u64,
    /// Deltas older than the view.
    pub deltas_stale: u64,
    /// Deltas that had to wait for an earlier delta or a snapshot.
    pub deltas_ahead: u64,
    /// Snapshots received.
    pub snapshots_applied: u64,
    /// Requests for snapshots without an answer.
    pub snapshots_failed: u64,
    /// Messages refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

impl Fleet {
    /// An empty view. `count` is the number of partitions that ingest workers run with.
    pub fn new(count: PartitionCount) -> Self {
        Self {
            count,
            partitions: count.all().map(|_| PartitionView::default()).collect(),
            time: FleetTime::default(),
            counters: FleetCounters::default(),
        }
    }

    /// Applies a message.
    pub fn apply(&mut self, message: FeedMessage, now: Instant) {
        match message {
            FeedMessage::Delta(partition, delta) => match self.apply_delta(partition, delta, now) {
                DeltaOutcome::Applied => self.counters.deltas_applied += 1,
                DeltaOutcome::Stale => self.counters.deltas_stale += 1,
                DeltaOutcome::Ahead => self.counters.deltas_ahead += 1,
            },
            FeedMessage::Stats(partition, stats) => self.apply_stats(partition, *stats, now),
            FeedMessage::Snapshot(partition, snapshot) => {
                self.counters.snapshots_applied += 1;
                self.apply_snapshot(partition, snapshot, now);
            }
            FeedMessage::NoSnapshot(partition) => {
                self.counters.snapshots_failed += 1;
                self.view_mut(partition).snapshot_failed(now);
            }
            FeedMessage::Refused(reason) => self.count_refused(reason),
        }
    }

    /// Ends a tick: all messages that have arrived so far have been applied.
    ///
    /// Returns the partitions of which a snapshot should be requested. Each request is outstanding until its
    /// answer or its failure has been applied.
    pub fn settle(&mut self, now: Instant) -> Vec<Partition> {
        let mut wanted = Vec::new();
        for (partition, view) in self.count.all().zip(&mut self.partitions) {
            if view.settle(now) {
                wanted.push(partition);
            }
        }
        wanted
    }

    /// The rows whose nodes changed, joined, left or were forgotten since the last call, ascending.
    pub fn take_changed(&mut self) -> Vec<u32> {
        let mut changed = Vec::new();
        for partition in self.count.all() {
            let rows = self.view_mut(partition).take_changed();
            changed.extend(rows.into_iter().map(|row| self.number(partition, row)));
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Whether the workers of all partitions publish and are followed.
    pub fn is_followed(&self, now: Instant) -> bool {
        self.partitions.iter().all(|view| view.is_fresh(now))
    }

    /// Whether nothing that workers have published is missing, and all of them have published just before.
    pub fn is_in_step(&self, now: Instant) -> bool {
        self.partitions.iter().all(|view| view.is_in_step(now))
    }

    /// The node with this id.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.view(self.partition_of(id)).nodes().find(id)
    }

    /// The node in a row; rows are numbered over all partitions.
    pub fn at(&self, row: u32) -> Option<&Node> {
        let count = u32::from(self.count.get());
        self.partitions[(row % count) as usize].nodes().at(row / count)
    }

    /// All nodes, by partition and row: the same order in every process that knows the same nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.partitions.iter().flat_map(|view| view.nodes().all())
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.partitions.iter().map(|view| view.nodes().len()).sum()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The partition that a node belongs to, known or not.
    pub fn partition_of(&self, id: &NodeId) -> Partition {
        self.count.of(Slot::of(id))
    }

    /// All partitions.
    pub fn partitions(&self) -> impl Iterator<Item = (Partition, &PartitionView)> {
        self.count.all().zip(&self.partitions)
    }

    /// The broker's time, Unix milliseconds; `None` before the first message.
    pub fn broker_ms(&self, now: Instant) -> Option<i64> {
        self.time.at(now)
    }

    /// What has become of messages since the view began.
    pub fn counters(&self) -> &FleetCounters {
        &self.counters
    }

    fn apply_delta(&mut self, partition: Partition, mut delta: Delta, now: Instant) -> DeltaOutcome {
        self.time.observe(delta.at_ms, now);
        delta.nodes.retain(|node| self.number(partition, node.row) < MAX_ROWS);
        self.view_mut(partition).apply_delta(delta, now)
    }

    fn apply_stats(&mut self, partition: Partition, stats: PartitionStats, now: Instant) {
        self.time.observe(stats.at_ms, now);
        self.view_mut(partition).apply_stats(stats, now);
    }

    fn apply_snapshot(&mut self, partition: Partition, mut snapshot: Snapshot, now: Instant) {
        self.time.observe(snapshot.at_ms, now);
        snapshot.nodes.retain(|node| self.number(partition, node.row) < MAX_ROWS);
        self.view_mut(partition).apply_snapshot(snapshot, now);
    }

    fn count_refused(&mut self, reason: &'static str) {
        let count = self.counters.refused.entry(reason).or_default();
        *count += 1;
        // Logs the 1st, 2nd, 4th, 8th, …, so that there is never a flood of lines.
        if count.is_power_of_two() {
            tracing::warn!(count, reason, "a message from the broker was refused");
        }
    }

    /// A partition's row as a row of the whole fleet, the same number in every process.
    fn number(&self, partition: Partition, row: u32) -> u32 {
        row.saturating_mul(u32::from(self.count.get())).saturating_add(u32::from(partition.get()))
    }

    fn view(&self, partition: Partition) -> &PartitionView {
        &self.partitions[usize::from(partition.get())]
    }

    fn view_mut(&mut self, partition: Partition) -> &mut PartitionView {
        &mut self.partitions[usize::from(partition.get())]
    }
}
