//! What a worker's parts share.

use async_nats::jetstream;
use tidemap_wire::PartitionCount;
use tokio::{sync::watch, time::Instant};

use crate::{minutes_publisher::MinutesPublisher, partition::Limits, worker_status::WorkerStatus};

/// What the lease manager needs from the worker.
pub(crate) struct WorkerContext {
    /// This worker's id.
    pub(crate) me: String,
    pub(crate) count: PartitionCount,
    pub(crate) limits: Limits,
    /// Copies that the broker keeps of each stream.
    pub(crate) replicas: usize,
    /// A connection of its own: leases must never queue behind data.
    pub(crate) leases: jetstream::Context,
    /// For the tasks' logs.
    pub(crate) data: jetstream::Context,
    /// For what the tasks publish.
    pub(crate) output: async_nats::Client,
    /// For what the tasks tell the history.
    pub(crate) minutes: MinutesPublisher,
    /// Where the tasks report their totals.
    pub(crate) status: WorkerStatus,
    /// When the heartbeat and all leases were last renewed.
    pub(crate) renewed: watch::Sender<Instant>,
}
