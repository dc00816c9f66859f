//! A worker's status, and what it answers by NATS's service protocol.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use async_nats::{Client, service::ServiceExt};
use futures_util::StreamExt;
use tidemap_wire::{Partition, PartitionStats, subject};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The newest totals of each owned partition. Partition tasks write, everything else reads.
#[derive(Clone, Debug)]
pub struct WorkerStatus(Arc<watch::Sender<BTreeMap<Partition, PartitionStats>>>);

impl Default for WorkerStatus {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl WorkerStatus {
    /// Replaces a partition's totals.
    pub(crate) fn post(&self, partition: Partition, stats: PartitionStats) {
        self.0.send_modify(|posted| {
            posted.insert(partition, stats);
        });
    }

    /// Removes a partition that is no longer owned.
    pub(crate) fn clear(&self, partition: Partition) {
        self.0.send_modify(|posted| {
            posted.remove(&partition);
        });
    }

    /// The answer to `$SRV.STATS`: each partition's position, and counts of what became of its messages.
    fn json(&self) -> serde_json::Value {
        let posted = self.0.borrow();
        let partitions: serde_json::Map<String, serde_json::Value> = posted
            .iter()
            .map(|(partition, stats)| {
                let status = serde_json::json!({
                    "epoch": stats.epoch,
                    "applied": stats.applied,
                    "lag": stats.lag,
                    "lag_ms": stats.lag_ms,
                    "nodes": stats.online + stats.warning + stats.offline,
                    "samples": stats.samples,
                    "total_samples": stats.total_samples,
                    "duplicates": stats.duplicates,
                    "late": stats.late,
                    "refused": stats.refused,
                });
                (partition.to_string(), status)
            })
            .collect();
        serde_json::json!({ "partitions": partitions })
    }

    /// The newest totals of each owned partition.
    pub(crate) fn totals(&self) -> BTreeMap<Partition, PartitionStats> {
        self.0.borrow().clone()
    }
}

/// Answers `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`, and `tidemap.v1.rpc.worker.<id>` with the same status.
///
/// # Errors
///
/// When the broker refuses the subscriptions.
pub(crate) async fn answer(
    client: Client,
    me: String,
    status: WorkerStatus,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let posted = status.clone();
    let service = client
        .service_builder()
        .description("A Tidemap ingest worker")
        .metadata(std::collections::HashMap::from([("worker".to_owned(), me.clone())]))
        .stats_handler(move |_, _| posted.json())
        .start("tidemap-ingest", env!("CARGO_PKG_VERSION"))
        .await
        .map_err(anyhow::Error::from_boxed)
        .context("the service protocol")?;
    let endpoint = service.endpoint_builder().name("status").add(subject::worker_status(&me)).await;
    let mut requests = endpoint.map_err(anyhow::Error::from_boxed).context("the worker's endpoint")?;
    while let Some(Some(request)) = shutdown.run_until_cancelled(requests.next()).await {
        if let Err(error) = request.respond(Ok(status.json().to_string().into())).await {
            tracing::debug!("cannot answer a status request: {error}");
        }
    }
    // Otherwise the service's own task would keep the connection open.
    service.stop().await.map_err(anyhow::Error::from_boxed).context("the service protocol")
}
