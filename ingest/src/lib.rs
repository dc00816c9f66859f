//! An ingest worker: owns partitions, keeps node state and rolling averages, publishes deltas.
//!
//! Any number of workers share the partitions by leases (`leases`, held by `lease_manager`;
//! `connection_watchdog` watches the worker's connections). Each owned partition has one task
//! (`partition_task`). It reads the partition's stream (`tidemap_service::log_reader`), admits reports that
//! are within their bounds (`gate`) to pure state (`replica`, `partition`, `node`, `window`, `minutes`,
//! `dedup`, `packed_metadata`) with numbered `rows`, publishes the changes (`chunks`), tells the history each
//! node's minutes (`minute_messages`, `minutes_publisher`), and writes checkpoints (`checkpoint`,
//! `checkpoint_store`) for the next owner.

mod agent_run;
mod checkpoint;
mod checkpoint_store;
mod chunks;
mod config;
mod connection_watchdog;
mod dedup;
mod disk_budget;
mod gate;
mod group_seconds;
mod lease_manager;
mod leases;
mod metrics;
mod minute_messages;
mod minutes;
mod minutes_publisher;
mod node;
mod packed_metadata;
mod partition;
mod partition_task;
mod refusal;
pub mod repartition;
mod replica;
mod rows;
mod varint;
mod window;
mod worker_status;

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream;
use tidemap_service::{
    causes::causes, cli::UsageError, log_reader, logging::Throttle, nats, nats::NatsArgs, service_manager,
    streams,
};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

pub use config::{Args, Config};
use lease_manager::WorkerContext;
pub use metrics::MetricsServer;
use minutes_publisher::MinutesPublisher;
pub use worker_status::WorkerStatus;

/// The allocator for programs that run a worker. Each message is allocated by one thread and freed by
/// another, which took a tenth of the time with the C library's allocator (`benches/drain`).
pub use mimalloc::MiMalloc as Allocator;

/// Parts of a worker, for this workspace's tests and benchmarks only: they measure single steps, compare a
/// worker's state with what it should be, and write what a replaced owner might write.
#[doc(hidden)]
pub mod internals {
    pub use crate::{
        checkpoint::{Checkpoint, Part},
        checkpoint_store::{CheckpointWriter, Restored, WriteRequest, load as load_checkpoints},
        chunks::{Header as DeltaHeader, deltas as encode_deltas},
        group_seconds::SpanAdder,
        log_reader::{Content, LogPosition},
        minutes::{Receipt, Untold},
        minutes_publisher::MinutesPublisher,
        node::Node,
        partition::{Limits, Message, PartitionState},
        partition_task::{Assignment, Deps, LeaseState, run as run_partition},
        window::{Sum, Windows},
        worker_status::WorkerStatus,
    };
}

/// How long a broker may refuse to create streams. A cluster refuses while it elects leaders, where each
/// attempt may take ten seconds on a busy machine, and while it creates the same streams for another worker.
const STREAMS_TIMEOUT: Duration = Duration::from_secs(60);
/// Between attempts to create them.
const RETRY: Duration = Duration::from_millis(500);
/// For the last minutes to be published when the worker ends.
const MINUTES_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a starting worker waits for its broker before it logs a warning; it continues to wait.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a worker until `shutdown`, and serves its metrics where they were asked for.
///
/// # Errors
///
/// As [`work`]; and when the address of the metrics is taken or is not this host's.
pub async fn run(config: Config, broker: &NatsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let metrics = config.bind_metrics().await?;
    let status = WorkerStatus::default();
    let ended = shutdown.child_token();
    let serving = metrics.map(|metrics| tokio::spawn(metrics.serve(vec![status.clone()], ended.clone())));
    let worked = work(config, broker, status, shutdown).await;
    ended.cancel();
    if let Some(serving) = serving {
        serving.await.context("the metrics")?;
    }
    worked
}

/// Runs a worker until `shutdown`, whose totals are in `status`. It then releases all partitions, and other
/// workers take them within a second.
///
/// # Errors
///
/// When the configuration does not fit the broker, or the broker refuses the worker's credentials.
pub async fn work(
    config: Config,
    broker: &NatsArgs,
    status: WorkerStatus,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let me = format!("{:08x}", fastrand::u32(..));
    // Three connections, so that leases never queue behind data, and incoming data never behind outgoing
    // data.
    let leases = broker.connect(&format!("tidemap-ingest {me} leases"), None).await?;
    let data = broker.connect(&format!("tidemap-ingest {me} data"), None).await?;
    let output = broker.connect(&format!("tidemap-ingest {me} output"), None).await?;
    let leases_js = jetstream::new(leases.clone());
    let ready = async {
        while let Err(error) = nats::reached(&leases, BROKER_TIMEOUT).await {
            tracing::warn!("{}; waiting", causes(error.as_ref()));
        }
        ensure_streams(&leases_js, &config).await
    };
    match shutdown.run_until_cancelled(ready).await {
        Some(ready) => ready?,
        None => return Ok(()),
    }
    tracing::info!(worker = me, partitions = config.partitions.get(), "worker is up");
    service_manager::ready();
    let (renewed, is_renewed) = watch::channel(Instant::now());
    let mut watchdogs = JoinSet::new();
    watchdogs.spawn(connection_watchdog::watch_leases(leases.clone(), is_renewed.clone(), shutdown.clone()));
    for client in [&data, &output] {
        watchdogs.spawn(connection_watchdog::watch(client.clone(), is_renewed.clone(), shutdown.clone()));
    }
    let answering = tokio::spawn(worker_status::answer(leases, me.clone(), status.clone(), shutdown.clone()));
    let budget = disk_budget::keep(
        jetstream::new(data.clone()),
        me.clone(),
        config.partitions,
        config.disk_budget,
        shutdown.clone(),
    );
    watchdogs.spawn(budget);
    let (minutes, publishing) =
        MinutesPublisher::start(jetstream::new(data.clone()), config.replicas, config.minutes_period);
    let context = WorkerContext {
        me,
        status,
        count: config.partitions,
        limits: config.limits,
        replicas: config.replicas,
        leases: leases_js,
        data: jetstream::new(data),
        output,
        minutes,
        renewed,
    };
    lease_manager::run(context, shutdown).await?;
    // What it still has the next owners tell again.
    tokio::time::timeout(MINUTES_TIMEOUT, publishing).await.ok();
    watchdogs.join_all().await;
    answering.await.context("the service protocol")?
}

/// Creates the streams and buckets that are missing.
async fn ensure_streams(js: &jetstream::Context, config: &Config) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut said = Throttle::new(BROKER_TIMEOUT);
    loop {
        match streams::ensure(js, config.partitions, config.replicas).await {
            Err(error) if !error.is::<UsageError>() && begun.elapsed() < STREAMS_TIMEOUT => {
                if said.is_due() {
                    tracing::warn!("{}; trying again", causes(error.as_ref()));
                }
            }
            ended => return ended,
        }
        tokio::time::sleep(RETRY).await;
    }
}
