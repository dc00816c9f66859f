//! A relay takes the reports of many agents from a server near them, has the broker store many in one
//! message, and then acknowledges each report. Agents cannot tell it from the broker.
//!
//! A broker's limit is the number of messages that it acknowledges, not of samples in them. [`packer`]
//! gathers reports by slot, `in_flight` knows which packs wait for the broker, `rate_limit` bounds each node,
//! `replay_buffer` keeps what a broker may lose in a crash: all of it pure. `local_server` and `upstream` are
//! the two connections, and [`Forwarder`] joins them.
//!
//! Nothing is acknowledged before the broker has it, and nothing is kept on disk: when a relay dies nothing
//! is lost, because its agents send again what was not acknowledged. Any number of relays can share one
//! server's reports.
//!
//! Exported beside [`run`]: [`packer`] for the simulator, which packs as a relay does, and [`Forwarder`] for
//! the bench.

mod config;
mod forwarder;
mod in_flight;
mod local_server;
pub mod packer;
mod rate_limit;
mod replay_buffer;
mod upstream;

use anyhow::Context;
use tidemap_service::nats::NatsArgs;
use tidemap_wire::subject;
use tokio_util::sync::CancellationToken;

pub use config::{RelayArgs, RelayConfig};
pub use forwarder::Forwarder;

/// Relays from the server that `config` names to `broker` until `shutdown`, and then completes what it has
/// taken.
///
/// # Errors
///
/// When an address or a key cannot be used.
pub async fn run(config: RelayConfig, broker: &NatsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let name = format!("tidemap-relay {}", config.relay);
    let inbox = subject::relay_inbox(&config.relay);
    let local = config.local.connect(&name, None).await.context("the local server (--local-…)")?;
    let broker = broker.connect(&name, Some(&inbox)).await?;
    tracing::info!(relay = %config.relay, "relay is up");
    Forwarder::new(&config.relay, local, broker).await?.run(shutdown).await
}
