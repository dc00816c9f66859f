//! The owners of the partitions that are ours: started, ended, and their leases given back.

use std::{collections::BTreeMap, time::Duration};

use tidemap_wire::Partition;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{LeaseManager, swap, within};
use crate::{
    leases::Lease,
    partition_task::{self, Assignment, Deps},
};

/// For an owner to finish.
const FAREWELL: Duration = Duration::from_secs(5);

/// An owner at work.
pub(super) struct RunningTask {
    pub(super) epoch: u64,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl LeaseManager {
    /// Starts owners of partitions that became ours, ends those of partitions that no longer are.
    pub(super) async fn follow(&mut self) {
        let held: BTreeMap<Partition, u64> =
            self.leases.mine().filter_map(|k| Some((k, self.leases.held(k)?.0.epoch))).collect();
        let stale: Vec<(Partition, bool)> = self
            .tasks
            .iter()
            .filter(|(k, running)| held.get(k) != Some(&running.epoch) || running.task.is_finished())
            .map(|(k, running)| (*k, held.get(k) == Some(&running.epoch)))
            .collect();
        for (partition, is_held) in stale {
            if is_held {
                // It broke down. Whoever goes on must do so under a new epoch, or readers would take its first deltas
                // for old ones.
                self.release(partition).await;
            } else {
                self.end(partition).await;
            }
        }
        let held: BTreeMap<Partition, u64> =
            held.into_iter().filter(|(k, _)| self.leases.held(*k).is_some()).collect();
        for (partition, epoch) in held {
            if !self.tasks.contains_key(&partition) {
                self.start(partition, epoch);
            }
        }
    }

    fn start(&mut self, partition: Partition, epoch: u64) {
        let Some(lease) = &self.lease else { return };
        tracing::info!(%partition, epoch, "took a partition");
        let assignment = Assignment {
            partition,
            slots: self.parts.count.slots(partition).collect(),
            epoch,
            worker: self.parts.me.clone(),
            limits: self.parts.limits,
        };
        let deps = Deps {
            data: self.parts.data.clone(),
            output: self.parts.output.clone(),
            lease: lease.subscribe(),
            status: self.parts.status.clone(),
        };
        let stop = CancellationToken::new();
        let running = partition_task::run(assignment, deps, stop.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%partition, "the partition's owner ended: {error:#}");
            }
        });
        self.tasks.insert(partition, RunningTask { epoch, stop, task });
    }

    async fn end(&mut self, partition: Partition) {
        let Some(running) = self.tasks.remove(&partition) else { return };
        running.stop.cancel();
        match tokio::time::timeout(FAREWELL, running.task).await {
            Ok(Ok(())) => tracing::info!(%partition, epoch = running.epoch, "left a partition"),
            Ok(Err(panic)) => tracing::error!(%partition, "the partition's owner panicked: {panic}"),
            Err(_) => tracing::error!(%partition, "the partition's owner does not end"),
        }
    }

    /// Ends the owner, then says so: the next owner must find its work done.
    pub(super) async fn release(&mut self, partition: Partition) {
        self.end(partition).await;
        let Some((lease, revision)) = self.leases.held(partition) else { return };
        let released = Lease { owner: String::new(), epoch: lease.epoch };
        match swap(&self.bucket, partition, &released, revision).await {
            Ok(revision) => self.note(partition, &released, revision),
            Err(error) => tracing::warn!(%partition, "not released, others will wait: {error:#}"),
        }
    }

    pub(super) async fn give_back(&mut self) {
        for running in self.tasks.values() {
            running.stop.cancel();
        }
        let mine: Vec<Partition> = self.leases.mine().collect();
        let release_all = async {
            for partition in mine {
                self.release(partition).await;
            }
        };
        if tokio::time::timeout(FAREWELL, release_all).await.is_err() {
            tracing::warn!("not everything was given back in time; others will wait for it");
        }
        if let Err(error) = within(self.bucket.purge(format!("w.{}", self.parts.me))).await {
            tracing::debug!("the heartbeat stays behind: {error:#}");
        }
    }
}
