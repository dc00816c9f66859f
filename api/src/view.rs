//! The fleet as this process sees it, kept from deltas and snapshots. Pure: time comes in as an argument.

mod node;
mod partition;
mod roster;
mod snapshot;
#[cfg(test)]
mod tests;
mod time;

use std::sync::Arc;

use tidemap_wire::{Delta, NodeId, Partition, PartitionCount, PartitionStats, Slot};
use tokio::time::Instant;

use self::time::FleetTime;
pub(crate) use self::{
    node::Node,
    partition::{Mark, PartitionView, Taken},
    snapshot::{Assembly, Snapshot},
};

/// An owner gives rows without many gaps, so a number beyond this is none that an owner of ours has given.
const MOST_ROWS: u32 = 1 << 21;

/// All partitions together.
#[derive(Debug)]
pub(crate) struct Fleet {
    count: PartitionCount,
    partitions: Vec<PartitionView>,
    time: FleetTime,
}

impl Fleet {
    pub(crate) fn new(count: PartitionCount) -> Self {
        Self {
            count,
            partitions: count.all().map(|_| PartitionView::default()).collect(),
            time: FleetTime::default(),
        }
    }

    pub(crate) fn delta(&mut self, partition: Partition, mut delta: Delta, now: Instant) -> Taken {
        self.time.observe(delta.at_ms, now);
        delta.nodes.retain(|node| self.number(partition, node.row) < MOST_ROWS);
        self.view_mut(partition).delta(delta, now)
    }

    pub(crate) fn stats(&mut self, partition: Partition, stats: PartitionStats, now: Instant) {
        self.time.observe(stats.at_ms, now);
        self.view_mut(partition).stats(stats, now);
    }

    /// Takes the answer to a request that [`Fleet::settle`] named.
    pub(crate) fn snapshot(&mut self, partition: Partition, mut snapshot: Snapshot, now: Instant) {
        self.time.observe(snapshot.at_ms, now);
        snapshot.nodes.retain(|node| self.number(partition, node.row) < MOST_ROWS);
        self.view_mut(partition).snapshot(snapshot, now);
    }

    /// Takes the failure of such a request.
    pub(crate) fn snapshot_failed(&mut self, partition: Partition, now: Instant) {
        self.view_mut(partition).snapshot_failed(now);
    }

    /// Ends a tick: everything that had arrived by now has been taken.
    ///
    /// Returns the partitions whose owner should be asked for a snapshot. Each one is outstanding until its answer or
    /// failure has been taken.
    pub(crate) fn settle(&mut self, now: Instant) -> Vec<Partition> {
        let settled = self.count.all().zip(&mut self.partitions);
        settled.filter_map(|(partition, view)| view.settle(now).then_some(partition)).collect()
    }

    /// Whether everything that owners have said is known, and all of them have spoken just before.
    pub(crate) fn is_in_step(&self, now: Instant) -> bool {
        self.partitions.iter().all(|view| view.is_in_step(now))
    }

    /// The rows whose nodes changed, joined, left or were forgotten since the last call, ascending.
    pub(crate) fn take_changed(&mut self) -> Vec<u32> {
        let mut changed = Vec::new();
        for partition in self.count.all() {
            let rows = self.view_mut(partition).take_changed();
            changed.extend(rows.into_iter().map(|row| self.number(partition, row)));
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    pub(crate) fn node(&self, id: &NodeId) -> Option<&Node> {
        self.view(self.partition_of(id)).nodes().find(id)
    }

    /// The node in a row of all partitions' rows.
    pub(crate) fn at(&self, number: u32) -> Option<&Node> {
        let count = u32::from(self.count.get());
        self.partitions[(number % count) as usize].nodes().at(number / count)
    }

    /// All nodes, partition by partition, by their rows: the same order in every process that knows the same nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.partitions.iter().flat_map(|view| view.nodes().all())
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.partitions.iter().map(|view| view.nodes().len()).sum()
    }

    pub(crate) fn partition_of(&self, id: &NodeId) -> Partition {
        self.count.of(Slot::of(id))
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = (Partition, &PartitionView)> {
        self.count.all().zip(&self.partitions)
    }

    /// The broker's time, Unix milliseconds; `None` before the first message.
    pub(crate) fn broker_ms(&self, now: Instant) -> Option<i64> {
        self.time.at(now)
    }

    /// A partition's row among all partitions' rows: the same in every process.
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
