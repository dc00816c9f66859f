//! A history station: keeps every node's minutes on disk, rolls them up, and answers for any range of time.
//!
//! Ingest's owners write rows of minutes to a stream ([`tidemap_wire::Minutes`]). One task reads it
//! (`tidemap_service::log_reader`), gathers what it brings (`intake`) and stores it (`keeper`) together with
//! the place in the stream; one follows the fleet for the groups of nodes (`members`), and one answers
//! requests (`rpc`, `answers`). `store` alone knows how tiles are cut, `database` alone the file; `account`,
//! `point`, `tile` and `columns` are pure.
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
mod folder;
mod intake;
mod keeper;
mod members;
mod point;
mod rpc;
mod store;
mod tile;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use async_nats::{Client, jetstream};
use tidemap_service::{
    log_reader::{Content, LogEnd, LogReader},
    service_manager, streams,
};
use tidemap_wire::history_query::HistoryStatus;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{answers::complete_until_ms, folder::Folder, intake::Intake, keeper::Keeper, rpc::Rpc};
pub use commands::HistoryCommand;
pub use config::{Args, Config};

/// Messages of the stream, in chunks of up to 128, that wait to be gathered; the reader waits beyond them.
const EVENTS: usize = 4;
/// Changes of groups that wait; the follower waits beyond them.
const CHANGES: usize = 4;
/// How long the parts may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the history until `shutdown`, and answers requests. A broker without the stream is waited for.
///
/// # Errors
///
/// When the folder cannot be used, the file is of a later version, or the connection was closed.
pub async fn run(config: Config, client: Client, shutdown: CancellationToken) -> anyhow::Result<()> {
    let Config { dir, keep, partitions } = config;
    let folder = Folder::lock(&dir)?;
    let store = folder.open()?;
    let file = folder.file();
    let intake = Intake::after(store.place());
    let known = HistoryStatus {
        budget_bytes: keep.bytes,
        sequence: intake.position().applied,
        stored_at_ms: store.at_ms(),
        complete_until_ms: complete_until_ms(store.at_ms()),
        ..HistoryStatus::default()
    };
    tracing::info!(file = %file.display(), "history is up");
    let (status_in, status) = watch::channel(known);
    let (events_in, events) = mpsc::channel(EVENTS);
    let (members_in, members) = mpsc::channel(CHANGES);
    let stop = shutdown.child_token();
    let log =
        LogReader { stream: streams::HISTORY.to_owned(), content: Content::Minutes, end: LogEnd::default() };
    let reading =
        log.read(intake.position().clone(), jetstream::new(client.clone()), events_in, stop.clone());
    let store = Arc::new(Mutex::new(store));
    let keeper = Keeper { store: Arc::clone(&store), keep, intake, status: status_in };

    let mut parts = JoinSet::new();
    parts.spawn({
        let reading = reading;
        async move {
            reading.await;
            Ok(())
        }
    });
    parts.spawn(keeper.run(events, members, stop.clone()));
    parts.spawn(members::follow(client.clone(), partitions, members_in, stop.clone()));
    parts.spawn(Rpc { client, file, status, store }.run(stop.clone()));
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
        Some(ended) if early => {
            ended.context("a task of the history failed")??;
            anyhow::bail!("a task of the history ended unexpectedly")
        }
        _ => Ok(()),
    }
}
