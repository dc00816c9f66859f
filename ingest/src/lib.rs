//! An ingest worker: owns partitions, keeps node state and rolling averages, publishes deltas.
//!
//! As many workers as you like share the partitions by leases ([`leases`], kept by [`lease_manager`];
//! [`connection_watchdog`] watches its connections). Each owned partition is one task ([`partition_task`]) that reads
//! the partition's stream ([`log_reader`]) into pure state ([`partition`], [`node`], [`window`], [`dedup`],
//! [`packed_metadata`]) in numbered [`rows`], tells readers what has changed ([`chunks`]), and keeps its state
//! ([`checkpoint`]) for the next owner ([`checkpoint_store`]).

pub mod checkpoint;
pub mod checkpoint_store;
pub mod chunks;
pub mod config;
pub mod connection_watchdog;
pub mod dedup;
pub mod lease_manager;
pub mod leases;
pub mod log_reader;
pub mod node;
pub mod packed_metadata;
pub mod partition;
pub mod partition_task;
pub mod repartition;
pub mod rows;
pub mod run;
pub mod window;
pub mod worker_status;

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream;
use tidemap_service::{cli::UsageError, nats, nats::NatsArgs, streams};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

pub use config::{IngestArgs, IngestConfig};
use worker_status::WorkerStatus;

/// What a program that runs a worker allocates with. Each message is allocated by one thread and freed by another, where
/// the C library's allocator costs a tenth of all time (`benches/drain`).
pub use mimalloc::MiMalloc as Allocator;

/// How long a broker may refuse to make streams. A cluster does while it elects leaders, of which each attempt may take
/// ten seconds on a busy machine, and while another worker has it make the same ones.
const STREAMS_PATIENCE: Duration = Duration::from_secs(60);
/// Between attempts to have them made.
const RETRY: Duration = Duration::from_millis(500);
/// How long a starting worker waits for its broker before it says so and goes on waiting.
const BROKER_PATIENCE: Duration = Duration::from_secs(10);

/// Works until `shutdown`: then everything owned is given back, and another worker goes on within a second.
///
/// # Errors
///
/// When the configuration does not fit the broker, or the broker refuses us.
pub async fn run(config: IngestConfig, broker: &NatsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let me = format!("{:08x}", fastrand::u32(..));
    // Three connections: leases never queue behind data, and data in never behind data out.
    let leases = broker.connect(&format!("tidemap-ingest {me} leases"), None).await?;
    let data = broker.connect(&format!("tidemap-ingest {me} data"), None).await?;
    let output = broker.connect(&format!("tidemap-ingest {me} output"), None).await?;
    let leases_js = jetstream::new(leases.clone());
    let metrics = match config.metrics {
        Some(address) => Some(worker_status::listen(address).await?),
        None => None,
    };
    let ready = async {
        while let Err(error) = nats::reached(&leases, BROKER_PATIENCE).await {
            tracing::warn!("{error:#}; waiting");
        }
        made(&leases_js, &config).await
    };
    match shutdown.run_until_cancelled(ready).await {
        Some(ready) => ready?,
        None => return Ok(()),
    }
    tracing::info!(worker = me, partitions = config.partitions.get(), "worker is up");
    let status = WorkerStatus::default();
    let (renewed, is_renewed) = watch::channel(Instant::now());
    let mut watching = JoinSet::new();
    watching.spawn(connection_watchdog::watch_leases(leases.clone(), is_renewed.clone(), shutdown.clone()));
    for client in [&data, &output] {
        watching.spawn(connection_watchdog::watch(client.clone(), is_renewed.clone(), shutdown.clone()));
    }
    let answering = tokio::spawn(worker_status::answer(leases, me.clone(), status.clone(), shutdown.clone()));
    let serving = metrics
        .map(|listener| tokio::spawn(worker_status::serve(listener, status.clone(), shutdown.clone())));
    let parts = lease_manager::WorkerContext {
        me,
        status,
        count: config.partitions,
        limits: config.limits,
        replicas: config.replicas,
        leases: leases_js,
        data: jetstream::new(data),
        output,
        renewed,
    };
    lease_manager::run(parts, shutdown).await?;
    watching.join_all().await;
    if let Some(serving) = serving {
        serving.await.context("the metrics")?;
    }
    answering.await.context("the service protocol")?
}

/// Has the streams and buckets made that are missing.
async fn made(js: &jetstream::Context, config: &IngestConfig) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        match streams::ensure(js, config.partitions, config.replicas).await {
            Err(error) if !error.is::<UsageError>() && begun.elapsed() < STREAMS_PATIENCE => {
                tracing::warn!("{error:#}; trying again");
            }
            ended => return ended,
        }
        tokio::time::sleep(RETRY).await;
    }
}
