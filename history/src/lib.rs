//! A history station: keeps every node's minutes on disk, rolls them up, and answers for any range of time.
//!
//! Ingest's owners write rows of minutes to a stream ([`tidemap_wire::Minutes`]). One task reads it
//! (`tidemap_service::log_reader`), gathers what it brings (`intake`) and stores it (`keeper`) together with
//! the place in the stream; one follows the fleet for the groups of nodes (`members`), and one answers
//! requests (`rpc`, `answers`). `remote` sends minutes to another database, and reads them back. `store`
//! alone knows how tiles are cut, `database` alone the file; `account`, `point`, `tile` and `columns` are
//! pure.
//!
//! Rows join: a station that stores a message twice, or late, or beside another station, has the same
//! answers.
#![warn(missing_docs)]

mod account;
mod answers;
mod columns;
mod commands;
mod config;
mod database;
mod disk;
mod folder;
mod host_span;
mod intake;
mod keeper;
mod members;
mod metrics;
mod peers;
mod point;
mod remote;
mod rpc;
mod store;
mod tile;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use async_nats::{Client, jetstream};
use tidemap_service::{
    log_reader::{Content, LogEnd, LogReader},
    service_manager, streams,
};
use tidemap_wire::history_query::HistoryStatus;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::{
    answers::complete_until_ms,
    database::StoreError,
    folder::Folder,
    intake::Intake,
    keeper::{Ended, Keeper},
    remote::{Query, Remote, Sender},
    rpc::Rpc,
    store::Store,
};
pub use commands::{HistoryCommand, back_up};
pub use config::{Args, Config};
pub use folder::FILE;
pub use metrics::{MetricsArgs, MetricsServer};

/// Messages of the stream, in chunks of up to 128, that wait to be gathered; the reader waits beyond them.
const EVENTS: usize = 4;
/// Changes of groups that wait; the follower waits beyond them.
const CHANGES: usize = 4;
/// Reports of damage that wait; others are made again.
const DAMAGE: usize = 16;
/// A file is not rebuilt more often.
const REBUILD_PERIOD: Duration = Duration::from_secs(10);
/// Between attempts to open a file while the disk is full.
const FULL_RETRY: Duration = Duration::from_secs(2);
/// How long the parts may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the history until `shutdown`, and answers requests; one that runs alone serves its `metrics`. A
/// broker without the stream is waited for.
///
/// # Errors
///
/// When the folder cannot be used, the file is of a later version, or the connection was closed.
pub async fn run(
    config: Config,
    metrics: Option<MetricsServer>,
    client: Client,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let folder = Arc::new(Folder::lock(&config.dir)?);
    let mut found = None;
    let mut is_waiting = false;
    loop {
        let begun = Instant::now();
        let opening = Arc::clone(&folder);
        if found.is_some() {
            // Copying may take longer than a service manager waits.
            service_manager::ready();
        }
        let opened =
            spawn_blocking(move || opening.open(found)).await.context("opening the history failed")?;
        let store = match opened {
            Err(error) if is_full(&error) => {
                if !is_waiting {
                    tracing::error!("the disk of the history is full: it is opened when there is room");
                }
                is_waiting = true;
                found = None;
                if shutdown.run_until_cancelled(sleep(FULL_RETRY)).await.is_none() {
                    return Ok(());
                }
                continue;
            }
            opened => opened?,
        };
        is_waiting = false;
        let file = folder.file();
        match keep(&config, metrics.as_ref(), file, store, client.clone(), shutdown.clone()).await? {
            Ended::Stopped => return Ok(()),
            Ended::Damaged(what) => {
                tracing::error!("the history is damaged ({what})");
                found = Some(what);
            }
        }
        // A disk that damages whatever is written to it is not filled with copies.
        if shutdown.run_until_cancelled(sleep_until(begun + REBUILD_PERIOD)).await.is_none() {
            return Ok(());
        }
    }
}

fn is_full(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Full))
}

/// Keeps what is stored in one file, until `shutdown` or until it is damaged.
async fn keep(
    config: &Config,
    metrics: Option<&MetricsServer>,
    file: PathBuf,
    store: Store,
    client: Client,
    shutdown: CancellationToken,
) -> anyhow::Result<Ended> {
    let Config { keep, partitions, .. } = *config;
    let Remote { write, query, key } = config.remote.clone();
    let intake = Intake::after(store.place());
    let known = HistoryStatus {
        budget_bytes: keep.bytes,
        sequence: intake.position().applied,
        stored_at_ms: store.at_ms(),
        complete_until_ms: complete_until_ms(store.at_ms()),
        since_ms: store.since_ms(),
        whole_from_ms: store.whole_from_ms(),
        ..HistoryStatus::default()
    };
    tracing::info!(file = %file.display(), "history is up");
    let (status_in, status) = watch::channel(known);
    let (events_in, events) = mpsc::channel(EVENTS);
    let (members_in, members) = mpsc::channel(CHANGES);
    let (damage_in, damage) = mpsc::channel(DAMAGE);
    let stop = shutdown.child_token();
    let log =
        LogReader { stream: streams::HISTORY.to_owned(), content: Content::Minutes, end: LogEnd::default() };
    let reading =
        log.read(intake.position().clone(), jetstream::new(client.clone()), events_in, stop.clone());
    let settled = store.settled();
    let keeper = Keeper::new(store, config.dir.clone(), keep, intake, status_in);
    let store = keeper.store();

    let mut parts = JoinSet::new();
    parts.spawn(async move {
        reading.await;
        Ok(Ended::Stopped)
    });
    let keeping = keeper.run(events, members, damage, stop.clone());
    parts.spawn(async move { Ok(keeping.await) });
    let following = members::follow(client.clone(), partitions, members_in, stop.clone());
    parts.spawn(async move { following.await.map(|()| Ended::Stopped) });
    let (remote_in, remote) = watch::channel(None);
    if let Some(url) = write {
        let sender = Sender {
            url,
            key: key.clone(),
            file: file.clone(),
            store: Arc::clone(&store),
            damage: damage_in.clone(),
        };
        let sending = sender.run(remote_in, stop.clone());
        parts.spawn(async move {
            sending.await;
            Ok(Ended::Stopped)
        });
    }
    if let Some(metrics) = metrics {
        let serving = metrics.serve(file.clone(), status.clone(), remote.clone(), stop.clone())?;
        parts.spawn(async move {
            serving.await;
            Ok(Ended::Stopped)
        });
    }
    let query = query.map(|base| Arc::new(Query::new(&base, key)));
    let answering = Rpc { client, file, settled, status, remote, query, damage: damage_in, store };
    let answering = answering.run(stop.clone());
    parts.spawn(async move { answering.await.map(|()| Ended::Stopped) });
    service_manager::ready();

    // Each part ends at `shutdown`; one that ends earlier ends the others, too.
    let first = parts.join_next().await;
    let early = !shutdown.is_cancelled();
    stop.cancel();
    let others = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, others).await.is_err() {
        tracing::warn!("some parts of the history did not end in time");
    }
    match first {
        Some(ended) if early => match ended.context("a task of the history failed")?? {
            Ended::Damaged(what) => Ok(Ended::Damaged(what)),
            Ended::Stopped => anyhow::bail!("a task of the history ended unexpectedly"),
        },
        _ => Ok(Ended::Stopped),
    }
}
