//! HTTP and the event stream: the fleet's view in memory, and the page.
//!
//! One task (`fleet_task`) follows the fleet through `tidemap-client`, and `http` answers from what that task
//! has built. Below them is pure state: `stream_rows` and `stream_log` for the event stream, `answers` for
//! other requests.

mod alerts;
mod answers;
mod config;
mod fleet_task;
mod gzip;
mod http;
mod json;
mod memory_budget;
mod names;
mod stream_log;
mod stream_rows;
mod tiles;
mod token;

use std::time::Duration;

use anyhow::Context;
use async_nats::Client;
use futures_util::FutureExt;
use tidemap_client::Feed;
use tidemap_service::{clock, open_files, service_manager};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use crate::config::{ApiArgs, ApiConfig, Limits};
pub use crate::names::NameArgs;
pub use crate::tiles::{TilesAttribution, TilesUrl};
pub use crate::token::{ApiToken, TokenArgs};
use crate::{
    alerts::Silencer,
    fleet_task::{FleetHandle, FleetTask},
    http::Site,
};

/// Requests that may wait for the task that owns the view. When the queue is full, senders wait.
const REQUESTS_LIMIT: usize = 1024;
/// Connections that are still open this long after the service was asked to stop are closed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(1500);

/// Serves the fleet on `listener` until `shutdown`.
///
/// # Errors
///
/// When a part of the service ends too early.
pub async fn run(
    config: ApiConfig,
    client: Client,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let open_files = open_files::raise_limit();
    let stop = shutdown.child_token();
    let (requests_in, requests) = mpsc::channel(REQUESTS_LIMIT);
    let (shown, alerts) = watch::channel(None);
    let (silencer, silences) = Silencer::new();
    let task = FleetTask::new(config.partitions, config.redacted, Instant::now(), clock::unix_ms())
        .with_alerts(alerts.clone());
    let fleet = FleetHandle::new(requests_in, task.answers());
    let site = Site::new(fleet, client.clone(), &config, task.budget(), alerts, silencer, stop.clone());
    let following = alerts::follow(client.clone(), shown, silences, stop.clone());
    let feed = Feed::subscribe(client, config.partitions).await?;

    let mut parts = JoinSet::new();
    if let Some(file) = config.plans {
        let plans = file.subscribe();
        parts.spawn(http::traffic::follow(site.clone(), plans, stop.clone()).map(Ok));
        parts.spawn(file.follow(stop.clone()).map(Ok));
    }
    parts.spawn(http::serve(site, config.limits, listener, open_files, stop.clone()).map(Ok));
    parts.spawn(following.map(Ok));
    parts.spawn(fleet_task::run(task, feed, requests, stop.clone()));
    service_manager::ready();

    // Each part ends at `shutdown`; one that ends earlier ends the others, too.
    let first = parts.join_next().await;
    let early = !shutdown.is_cancelled();
    stop.cancel();
    let others = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, others).await.is_err() {
        tracing::warn!("some connections did not end in time and were closed");
    }
    match first {
        Some(ended) if early => {
            ended.context("a task of the API failed")??;
            anyhow::bail!("a task of the API ended unexpectedly")
        }
        _ => Ok(()),
    }
}
