//! `/metrics` for Prometheus, of all workers of a process.

use std::{collections::BTreeMap, net::SocketAddr};

use tidemap_service::{
    cli::UsageError,
    exposition::{Exposition, ExpositionFormat, Kind},
    listen_address::bind_failure,
};
use tidemap_wire::{Partition, PartitionStats};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::Filter;

use crate::worker_status::WorkerStatus;

/// The address of `/metrics`, bound.
#[derive(Debug)]
pub struct MetricsServer(TcpListener);

impl MetricsServer {
    /// Listens for Prometheus.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, UsageError> {
        let bound = TcpListener::bind(address).await;
        bound.map(Self).map_err(|error| bind_failure("--metrics", address, &error))
    }

    /// Serves `/metrics` and `/healthz` until `shutdown`. Neither has anything about nodes.
    pub async fn serve(self, workers: Vec<WorkerStatus>, shutdown: CancellationToken) {
        if let Ok(address) = self.0.local_addr() {
            tracing::info!("serving http://{address}/metrics");
        }
        let accept = warp::header::optional::<String>("accept");
        let metrics = warp::path!("metrics").and(accept).map(move |accept: Option<String>| {
            let format = ExpositionFormat::preferred(&accept.unwrap_or_default());
            warp::reply::with_header(exposition(&workers, format), "content-type", format.content_type())
        });
        let health = warp::path!("healthz").map(|| "ok\n".to_owned());
        let routes = warp::get().and(metrics.or(health));
        warp::serve(routes).incoming(self.0).graceful(shutdown.cancelled_owned()).run().await;
    }
}

fn exposition(workers: &[WorkerStatus], format: ExpositionFormat) -> String {
    let mut owned = 0;
    let mut partitions: BTreeMap<Partition, PartitionStats> = BTreeMap::new();
    for (partition, stats) in workers.iter().flat_map(WorkerStatus::totals) {
        owned += 1;
        // One worker may have taken what another of this process is about to leave.
        if partitions.get(&partition).is_none_or(|known| known.epoch < stats.epoch) {
            partitions.insert(partition, stats);
        }
    }
    let mut text = Exposition::new(format);
    text.family(Kind::Gauge, "tidemap_ingest_partitions", "Partitions that this worker owns.")
        .sample(&[], f64::from(owned));
    text.owners(partitions.values());
    text.process("tidemap-ingest");
    text.finish()
}
