//! Whether a connection's server still leads anywhere.
//!
//! A server that is cut off from the others of its cluster answers pings as ever, and a client would stay with it for
//! good: a worker could keep its leases by one connection and read nothing by the other. So each connection asks for
//! the same thing now and then. What is answered through the one and not through the other lies with the other's
//! server, and that connection is made anew. A leader's election or a slow broker is felt by both and moves nothing.

use std::time::Duration;

use async_nats::{Client, connection::State, jetstream};
use tidemap_service::streams;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between questions.
const PERIOD: Duration = Duration::from_secs(1);
/// For an answer. A renewal of the leases falls into this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many questions without an answer, and there will be none.
const MOST_MISSES: u32 = 3;
/// Leases that were not renewed for so many periods have gone to others, and there is nothing to lose.
const MOST_MISSED_RENEWALS: u32 = 8;

/// Watches a connection beside the leases', until `stop`. `renewed` is when those were renewed last.
pub async fn watch(client: Client, renewed: watch::Receiver<Instant>, stop: CancellationToken) {
    let js = jetstream::new(client.clone());
    let bucket = format!("KV_{}", streams::LEASES);
    let mut misses = 0;
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        if client.connection_state() != State::Connected {
            misses = 0;
            continue;
        }
        let asked_at = Instant::now();
        let Some(answer) = stop.run_until_cancelled(timeout(PATIENCE, js.get_stream(&bucket))).await else {
            return;
        };
        if matches!(answer, Ok(Ok(_))) {
            misses = 0;
        } else if *renewed.borrow() >= asked_at {
            misses += 1;
        }
        if misses == MOST_MISSES {
            misses = 0;
            renew(&client).await;
        }
    }
}

/// Watches the leases' connection, until `stop`.
pub async fn watch_leases(client: Client, mut renewed: watch::Receiver<Instant>, stop: CancellationToken) {
    let mut misses = 0;
    let mut period = interval(PERIOD);
    // Periods count, and not time: a process that stood still has missed nothing.
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        let is_renewed = renewed.has_changed().unwrap_or(true);
        renewed.mark_unchanged();
        misses = if is_renewed || client.connection_state() != State::Connected { 0 } else { misses + 1 };
        if misses == MOST_MISSED_RENEWALS {
            misses = 0;
            renew(&client).await;
        }
    }
}

async fn renew(client: &Client) {
    let server = client.server_info();
    tracing::warn!(server.server_name, "this server of the broker does not answer; connecting anew");
    if let Err(error) = client.force_reconnect().await {
        tracing::debug!("cannot connect anew: {error}");
    }
}
