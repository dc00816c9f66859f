//! Tidemap's agent: reads this host's counters and publishes throughput samples. It can do nothing else.
//!
//! `counters → uplinks → meter → ring → publisher`: [`kernel`] and [`host`] read, [`uplinks`] decides which interfaces
//! count, [`meter`] makes sums that never fall, [`outbox`] decides what to send from its ring, [`publisher`] sends it.
//! All but the first two and the last are pure: time and readings come in as arguments.
//!
//! Nobody can tell an agent to do anything. It opens no port, subscribes to nothing but the acknowledgements of its own
//! reports, and asks no third party where it is.

mod args;
mod config;

pub mod kernel;
pub mod links;
pub mod uplinks;

pub mod faults;
pub mod meter;
pub mod timeline;

pub mod host;
pub mod identity;
pub mod location;

pub mod outbox;
pub mod ring;
pub mod spool;

pub mod publisher;
pub mod sampler;
mod show;

pub use args::{AgentArgs, AgentCommand};
pub use config::AgentConfig;
pub use show::{dry_run, explain};

use tidemap_service::nats::NatsArgs;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{publisher::Publisher, sampler::Sampler};

impl AgentCommand {
    /// Does what was typed: publishes, or only shows.
    ///
    /// # Errors
    ///
    /// As [`run`], [`dry_run`] and [`explain`].
    pub async fn execute(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let config = AgentConfig::new(self.agent)?;
        if self.explain {
            explain(&config)
        } else if self.dry_run {
            dry_run(config, shutdown).await
        } else {
            run(config, self.nats, shutdown).await
        }
    }
}

/// Samples this host and publishes until `shutdown`, through any absence of the broker.
///
/// # Errors
///
/// When the interfaces cannot be read at all, or the broker's address or the credentials cannot be used.
pub async fn run(config: AgentConfig, nats: NatsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let publisher = Publisher::connect(&nats, &config).await?;
    tracing::info!(node = %config.node, interval_ms = config.interval.as_millis(), "sampling");
    let sampler = Sampler::start(&config)?;
    // The publisher waits for nothing longer than half a second; were it stuck, no sample older than the ring matters.
    let (sender, observations) = mpsc::channel(ring::CAPACITY);
    let sampling = sampler::at_a_steady_pace(sampler, shutdown, move |observation| {
        if sender.try_send(observation).is_err() {
            tracing::warn!("the publisher is stuck: a sample is lost");
        }
        Ok(())
    });
    // Whichever fails ends both; after a shutdown the sampler ends first and the publisher has its last words.
    tokio::try_join!(sampling, publisher.run(observations))?;
    Ok(())
}
