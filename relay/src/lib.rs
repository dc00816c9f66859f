//! A relay: takes the reports of many agents from a server near them, has the broker store many in one message, and
//! acknowledges each report when that is done. Agents cannot tell it from the broker.
//!
//! What limits a broker is how many messages it acknowledges, not how many samples they contain. [`packer`] gathers
//! reports by slot, [`flights`] knows what waits for the broker's answer, [`allowance`] bounds what one node may send,
//! [`tail`] keeps what a broker may lose in a crash: all of it pure. [`courier`] is the I/O.
//!
//! Nothing is acknowledged before the broker has it, and nothing is kept on disk: a relay that dies loses nothing, its
//! agents send again what was not acknowledged. As many relays as you like share one server's reports.

pub mod allowance;
pub mod config;
pub mod courier;
pub mod flights;
pub mod packer;
pub mod tail;

use anyhow::Context;
use tidemap_service::nats::NatsArgs;
use tidemap_wire::subject;
use tokio_util::sync::CancellationToken;

pub use config::{RelayArgs, RelayConfig};
use courier::Courier;

/// Relays from the server that `config` names to `broker` until `shutdown`; then what was taken is brought to its end.
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
    Courier::new(config.relay, local, broker).await?.run(shutdown).await
}
