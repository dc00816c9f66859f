//! The partition tasks of a worker.

use std::{collections::BTreeMap, time::Duration};

use tidemap_service::causes::causes;
use tidemap_wire::Partition;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    leases::Leases,
    partition_task::{self, Assignment, Deps},
};

/// For a task to end after it was stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The running tasks, at most one for each partition.
#[derive(Default)]
pub(super) struct Tasks {
    running: BTreeMap<Partition, Running>,
    handles: JoinSet<()>,
}

struct Running {
    epoch: u64,
    stop: CancellationToken,
    stopped_at: Option<Instant>,
    handle: AbortHandle,
}

impl Tasks {
    /// Starts a partition's task. Its partition must not have one.
    pub(super) fn start(&mut self, assignment: Assignment, deps: Deps) {
        let (partition, epoch) = (assignment.partition, assignment.epoch);
        tracing::info!(%partition, epoch, "took a partition");
        let stop = CancellationToken::new();
        let task = partition_task::run(assignment, deps, stop.clone());
        let handle = self.handles.spawn(async move {
            if let Err(error) = task.await {
                tracing::error!(%partition, "the partition's task failed: {}", causes(error.as_ref()));
            }
        });
        self.running.insert(partition, Running { epoch, stop, stopped_at: None, handle });
    }

    /// The partitions that have a task, and the tasks' epochs.
    pub(super) fn epochs(&self) -> impl Iterator<Item = (Partition, u64)> {
        self.running.iter().map(|(partition, running)| (*partition, running.epoch))
    }

    /// Whether a partition has a task, even one that is stopping.
    pub(super) fn contains(&self, partition: Partition) -> bool {
        self.running.contains_key(&partition)
    }

    /// Asks a partition's task to end.
    pub(super) fn stop(&mut self, partition: Partition) {
        if let Some(running) = self.running.get_mut(&partition) {
            running.stop();
        }
    }

    /// Asks all tasks to end whose lease is lost.
    pub(super) fn stop_lost(&mut self, leases: &Leases) {
        for (partition, running) in &mut self.running {
            if leases.is_lost(*partition, running.epoch) {
                running.stop();
            }
        }
    }

    /// Asks all tasks to end.
    pub(super) fn stop_all(&mut self) {
        self.running.values_mut().for_each(Running::stop);
    }

    /// Aborts the tasks that did not end in time.
    pub(super) fn abort_overdue(&mut self) {
        for (partition, running) in &self.running {
            if running.stopped_at.is_some_and(|at| at.elapsed() > STOP_TIMEOUT) {
                tracing::error!(%partition, "the partition's task does not end; aborting it");
                running.handle.abort();
            }
        }
    }

    /// Waits until a task has ended, and returns its partition and epoch; `None` when there are no tasks.
    /// Nothing is lost when the wait is cancelled.
    pub(super) async fn ended(&mut self) -> Option<(Partition, u64)> {
        let joined = self.handles.join_next_with_id().await?;
        let id = match &joined {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let (&partition, _) = self.running.iter().find(|(_, running)| running.handle.id() == id)?;
        let epoch = self.running.remove(&partition)?.epoch;
        match joined {
            Ok(_) => tracing::info!(%partition, epoch, "left a partition"),
            Err(error) => tracing::error!(%partition, epoch, "the partition's task ended: {error}"),
        }
        Some((partition, epoch))
    }
}

impl Running {
    fn stop(&mut self) {
        self.stop.cancel();
        self.stopped_at.get_or_insert_with(Instant::now);
    }
}
