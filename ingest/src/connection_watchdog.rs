//! Reconnects a connection whose server is cut off from its cluster.
//!
//! Such a server still answers pings, and a client would stay connected to it: a worker could renew its
//! leases on one connection and read nothing on another. So each connection sends the same request
//! periodically. When it is answered on one connection and not on another, the other's server is at fault,
//! and that connection reconnects. The election of a leader or a slow broker affects both and changes
//! nothing.

use std::time::Duration;

use async_nats::{Client, connection::State, jetstream};
use tidemap_service::streams;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between requests.
const PERIOD: Duration = Duration::from_secs(1);
/// For an answer. The leases are renewed at least once in this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Unanswered requests in a row until the connection reconnects.
const MAX_MISSES: u32 = 3;
/// Periods without renewed leases until their connection reconnects. Other workers have taken the leases by
/// then, so nothing is lost.
const MAX_MISSED_RENEWALS: u32 = 8;

/// Watches a connection other than that of the leases, until `stop`. `renewed` is when the leases were last
/// renewed.
pub(crate) async fn watch(client: Client, renewed: watch::Receiver<Instant>, stop: CancellationToken) {
    let js = jetstream::new(client.clone());
    let bucket = streams::bucket_stream(streams::LEASES);
    let mut misses = 0;
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        if client.connection_state() != State::Connected {
            misses = 0;
            continue;
        }
        let sent_at = Instant::now();
        let Some(answer) = stop.run_until_cancelled(timeout(ANSWER_TIMEOUT, js.get_stream(&bucket))).await
        else {
            return;
        };
        if matches!(answer, Ok(Ok(_))) {
            misses = 0;
        } else if *renewed.borrow() >= sent_at {
            misses += 1;
        }
        if misses == MAX_MISSES {
            misses = 0;
            reconnect(&client).await;
        }
    }
}

/// Watches the connection of the leases, until `stop`.
pub(crate) async fn watch_leases(
    client: Client,
    mut renewed: watch::Receiver<Instant>,
    stop: CancellationToken,
) {
    let mut misses = 0;
    let mut period = interval(PERIOD);
    // Counts periods instead of time: a process that was suspended has missed nothing.
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        let is_renewed = renewed.has_changed().unwrap_or(true);
        renewed.mark_unchanged();
        misses = if is_renewed || client.connection_state() != State::Connected { 0 } else { misses + 1 };
        if misses == MAX_MISSED_RENEWALS {
            misses = 0;
            reconnect(&client).await;
        }
    }
}

async fn reconnect(client: &Client) {
    let server = client.server_info();
    tracing::warn!(server.server_name, "this server of the broker does not answer; reconnecting");
    if let Err(error) = client.force_reconnect().await {
        tracing::debug!("cannot reconnect: {error}");
    }
}
