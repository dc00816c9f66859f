//! Judges alert rules over the fleet, and notifies people and programs.
//!
//! Any number of stations run, and one judges: the one that holds the lease (`lease`, `lease_task`). It
//! follows the fleet, feeds the engine (`judge`), writes what changes into the bucket (`ledger`,
//! `station/writing`), makes the notices that records name, and sends them (`delivery`, `notify`). The bucket
//! is the one home of the state: a station that takes over continues from it, and the API reads it.
//!
//! It says nothing about nodes that it does not hear: their status is unknown, and the engine leaves their
//! alerts as they are.
#![warn(missing_docs)]

mod config;
mod delivery;
mod judge;
mod lease;
mod lease_task;
mod ledger;
pub mod notify;
mod past;
mod plans;
mod sending;
mod station;
#[cfg(test)]
mod testing;

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream;
use tidemap_client::{AlertLease, Follower};
use tidemap_service::{
    log_reader::{Content, LogEnd, LogPosition, LogReader},
    nats::NatsArgs,
    service_manager, streams,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use self::config::{Args, Config, PlansArgs};
use self::station::{Station, StationParts};

/// Chunks of up to 128 values of the bucket that wait; the reader waits beyond them.
const EVENTS: usize = 4;
/// How long the parts may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Judges rules, or stands by, until `shutdown`. A broker without streams is waited for.
///
/// # Errors
///
/// When the connection was closed, or a part of the station failed.
pub async fn run(config: Config, nats: &NatsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = nats.connect("tidemap-alerts", None).await?;
    // Leases never wait behind anything else.
    let leases = nats.connect("tidemap-alerts-lease", None).await?;
    let me = format!("{:016x}", fastrand::u64(..));
    let stop = shutdown.child_token();
    let (status_in, status) = watch::channel(AlertLease::default());
    let (held_in, held) = watch::channel(None);
    let (events_in, events) = mpsc::channel(EVENTS);
    let reader = LogReader {
        stream: streams::bucket_stream(streams::ALERTS),
        content: Content::Bucket,
        end: LogEnd::default(),
    };
    let js = jetstream::new(client.clone());

    let mut parts = JoinSet::new();
    let keeping = lease_task::keep(jetstream::new(leases), me, status, held_in, stop.clone());
    parts.spawn(async move {
        keeping.await;
        anyhow::Ok(())
    });
    let reading = reader.read(LogPosition::default(), js.clone(), events_in, stop.clone());
    parts.spawn(async move {
        reading.await;
        Ok(())
    });
    if let Some(file) = config.file.clone() {
        let following = file.follow(stop.clone());
        parts.spawn(async move {
            following.await;
            Ok(())
        });
    }
    if let Some(file) = config.plans_file.clone() {
        let following = file.follow(stop.clone());
        parts.spawn(async move {
            following.await;
            Ok(())
        });
    }
    let follower = Follower::start(client.clone(), config.partitions).await?;
    let station = Station::new(config, StationParts { client, js, follower, held, status: status_in });
    parts.spawn(station.run(events, stop.clone()));
    service_manager::ready();

    // Each part ends at `shutdown`; one that ends earlier ends the others, too.
    let first = parts.join_next().await;
    let early = !shutdown.is_cancelled();
    stop.cancel();
    let others = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, others).await.is_err() {
        tracing::warn!("some parts of the alert station did not end in time");
    }
    match first {
        Some(ended) if early => {
            ended.context("a task of the alert station failed")??;
            anyhow::bail!("a task of the alert station ended unexpectedly")
        }
        _ => Ok(()),
    }
}
