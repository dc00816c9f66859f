//! HTTP and the event stream: the fleet's view in memory, and the page.
//!
//! `feed` takes what ingest says from the broker, one `owner` keeps the view of the fleet from it, and `http` answers
//! from what the owner has built. Below them is pure state: `view` (what is known), `sheet` and `frames` (what the
//! event stream has said), `answers` (what requests get).

mod answers;
mod config;
mod feed;
mod frames;
mod gzip;
mod http;
mod json;
mod owner;
mod rpc;
mod sheet;
#[cfg(test)]
mod testing;
mod tiles;
mod view;

use std::time::Duration;

use anyhow::Context;
use async_nats::Client;
use futures_util::FutureExt;
use tidemap_service::{clock, open_files};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

pub use crate::config::{ApiArgs, ApiConfig, ApiToken, Limits};
pub use crate::tiles::{TilesAttribution, TilesUrl};
use crate::{
    http::Site,
    owner::{FleetHandle, Owner},
};

/// Messages between the feed and the owner; when it is full, the broker's subscription holds the rest.
const INCOMING_LIMIT: usize = 1024;
/// Requests that may wait for the owner; when it is full, the others wait to be put there.
const ASKS_LIMIT: usize = 1024;
/// Connections that have not ended this long after the wish to stop are cut.
const GRACE: Duration = Duration::from_millis(1500);

/// Serves the fleet on `listener` until `shutdown`.
///
/// # Errors
///
/// When a part of the service ends before that.
pub async fn run(
    config: ApiConfig,
    client: Client,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    open_files::raise_limit();
    let stop = shutdown.child_token();
    let (incoming_in, incoming) = mpsc::channel(INCOMING_LIMIT);
    let (asks_in, asks) = mpsc::channel(ASKS_LIMIT);
    let (wanted_in, wanted) = mpsc::channel(usize::from(config.partitions.get()));
    let owner = Owner::new(config.partitions, config.redacted, Instant::now(), clock::unix_ms());
    let fleet = FleetHandle::new(asks_in, owner.answers());
    let site = Site::new(fleet, client.clone(), &config, stop.clone());

    let mut parts = JoinSet::new();
    parts.spawn(http::serve(site, config.limits, listener, stop.clone()).map(Ok));
    parts.spawn(feed::run(client, config.partitions, incoming_in, wanted, stop.clone()));
    parts.spawn(owner::run(owner, incoming, asks, wanted_in, stop.clone()).map(Ok));

    // Every part ends when it is time to stop; one that ends before takes the others with it.
    let first = parts.join_next().await;
    let early = !shutdown.is_cancelled();
    stop.cancel();
    let others = async { while parts.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, others).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
    match first {
        Some(ended) if early => {
            ended.context("a part of the API broke down")??;
            anyhow::bail!("a part of the API ended before its time")
        }
        _ => Ok(()),
    }
}
