//! The fleet as this process sees it, kept from deltas and snapshots. Pure: time comes in as an argument.

mod node;
mod partition;
mod snapshot;
#[cfg(test)]
mod tests;
mod time;

use std::collections::BTreeSet;

use tidemap_wire::{Delta, NodeId, Partition, PartitionCount, PartitionStats, Slot};
use tokio::time::Instant;

use self::time::FleetTime;
pub(crate) use self::{
    node::Node,
    partition::{Mark, PartitionView, Taken},
    snapshot::{Assembly, Snapshot},
};

/// All partitions together.
#[derive(Debug)]
pub(crate) struct Fleet {
    count: PartitionCount,
    partitions: Vec<PartitionView>,
    time: FleetTime,
    changed: BTreeSet<NodeId>,
}

impl Fleet {
    pub(crate) fn new(count: PartitionCount) -> Self {
        Self {
            count,
            partitions: count.all().map(|_| PartitionView::default()).collect(),
            time: FleetTime::default(),
            changed: BTreeSet::new(),
        }
    }

    pub(crate) fn delta(&mut self, partition: Partition, delta: Delta, now: Instant) -> Taken {
        self.time.observe(delta.at_ms, now);
        let (view, changed) = self.parts(partition);
        view.delta(delta, now, changed)
    }

    pub(crate) fn stats(&mut self, partition: Partition, stats: PartitionStats, now: Instant) {
        self.time.observe(stats.at_ms, now);
        self.parts(partition).0.stats(stats, now);
    }

    /// Takes the answer to a request that [`Fleet::settle`] named.
    pub(crate) fn snapshot(&mut self, partition: Partition, snapshot: Snapshot, now: Instant) {
        self.time.observe(snapshot.at_ms, now);
        let (view, changed) = self.parts(partition);
        view.snapshot(snapshot, now, changed);
    }

    /// Takes the failure of such a request.
    pub(crate) fn snapshot_failed(&mut self, partition: Partition, now: Instant) {
        self.parts(partition).0.snapshot_failed(now);
    }

    /// Ends a tick: everything that had arrived by now has been taken.
    ///
    /// Returns the partitions whose owner should be asked for a snapshot. Each one is outstanding until its answer or
    /// failure has been taken.
    pub(crate) fn settle(&mut self, now: Instant) -> Vec<Partition> {
        let settled = self.count.all().zip(&mut self.partitions);
        settled.filter_map(|(partition, view)| view.settle(now).then_some(partition)).collect()
    }

    /// The nodes that changed, joined or were forgotten since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.changed)
    }

    pub(crate) fn node(&self, id: &NodeId) -> Option<&Node> {
        self.view(self.partition_of(id)).node(id)
    }

    /// All nodes, partition by partition: the same order in every process that knows the same nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.partitions.iter().flat_map(PartitionView::nodes)
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

    fn view(&self, partition: Partition) -> &PartitionView {
        &self.partitions[usize::from(partition.get())]
    }

    fn parts(&mut self, partition: Partition) -> (&mut PartitionView, &mut BTreeSet<NodeId>) {
        (&mut self.partitions[usize::from(partition.get())], &mut self.changed)
    }
}
