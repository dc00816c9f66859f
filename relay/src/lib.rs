//! A relay takes the reports of many agents from a nearby server, publishes many of them to the broker in one
//! message, and then acknowledges each report. To agents it behaves like the broker.
//!
//! A broker's capacity is limited by the number of messages that it acknowledges, not by the samples in them.
//! [`packer`] gathers reports by slot, `in_flight` holds the packs that wait for the broker, `rate_limit`
//! limits each node, and `replay_buffer` keeps what a broker may lose in a crash; all four are pure.
//! `local_server` and `upstream` are the two connections, and [`Forwarder`] joins them.
//!
//! A report is acknowledged only after the broker has acknowledged it, and nothing is kept on disk. So
//! nothing is lost when a relay dies: its agents send again what was not acknowledged. Any number of relays
//! can share one server's reports.
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
use tidemap_service::{nats::NatsArgs, service_manager};
use tidemap_wire::subject;
use tokio_util::sync::CancellationToken;

pub use config::{RelayArgs, RelayConfig};
pub use forwarder::Forwarder;

/// Relays from the server that `config` names to `broker` until `shutdown`, and then completes what it has
/// accepted.
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
    let forwarder = Forwarder::new(&config.relay, local, broker).await?;
    service_manager::ready();
    forwarder.run(shutdown).await
}
