//! An ingest worker: owns partitions, keeps node state and rolling averages, publishes deltas.
//!
//! As many workers as you like share the partitions by leases ([`leases`], kept by [`keeper`]). Each owned partition
//! is one task ([`owner`]) that reads the partition's stream ([`log`]) into pure state ([`partition`], [`node`],
//! [`window`], [`seen`]), tells readers what has changed ([`chunks`]), and keeps its state ([`checkpoint`]) for the next
//! owner ([`vault`]).

pub mod board;
pub mod checkpoint;
pub mod chunks;
pub mod config;
pub mod keeper;
pub mod leases;
pub mod log;
pub mod node;
pub mod owner;
pub mod partition;
pub mod repartition;
pub mod run;
pub mod seen;
pub mod vault;
pub mod window;

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream;
use tidemap_service::{nats, nats::NatsArgs, streams};
use tokio_util::sync::CancellationToken;

use board::Board;
pub use config::{IngestArgs, IngestConfig};

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
        Some(address) => Some(board::listen(address).await?),
        None => None,
    };
    let ready = async {
        while let Err(error) = nats::reached(&leases, BROKER_PATIENCE).await {
            tracing::warn!("{error:#}; waiting");
        }
        streams::ensure(&leases_js, config.partitions, config.replicas).await
    };
    match shutdown.run_until_cancelled(ready).await {
        Some(ready) => ready?,
        None => return Ok(()),
    }
    tracing::info!(worker = me, partitions = config.partitions.get(), "worker is up");
    let board = Board::default();
    let answering = tokio::spawn(board::answer(leases, me.clone(), board.clone(), shutdown.clone()));
    let serving =
        metrics.map(|listener| tokio::spawn(board::serve(listener, board.clone(), shutdown.clone())));
    let parts = keeper::KeeperParts {
        me,
        board,
        count: config.partitions,
        limits: config.limits,
        replicas: config.replicas,
        leases: leases_js,
        data: jetstream::new(data),
        output,
    };
    keeper::run(parts, shutdown).await?;
    if let Some(serving) = serving {
        serving.await.context("the metrics")?;
    }
    answering.await.context("the service protocol")?
}
