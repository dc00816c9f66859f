//! Tidemap's agent reads this host's counters and publishes throughput samples. It has no other function.
//!
//! `kernel → uplinks → meter → outbox → publisher`: `kernel` and `host` read, `uplinks` decides which
//! interfaces count, `meter` computes sums that never fall, [`outbox`] decides what to send from its ring,
//! and `publisher` sends it; `round_trips` measures its acknowledgements, and `probes` the way to what the
//! operator names. All except `kernel`, `host`, `probes` and `publisher` are pure: time and readings come in
//! as arguments.
//!
//! [`AgentAction::Join`] is another thing, which its program does once, before: it makes the host's key and
//! has it admitted with an invite.
//!
//! An agent takes no commands. It opens no port, subscribes to nothing but the acknowledgements of its own
//! reports, and asks no third party where it is.
//!
//! Exported beside [`run`]: [`outbox`] for the simulator, whose nodes deliver as an agent does, and
//! [`host_name()`] for `tidemap up`.

mod args;
mod command;
mod config;

mod kernel;
mod links;
mod uplinks;

mod baseline;
mod error_counters;
mod meter;
mod timeline;

mod host;
mod host_name;
mod identity;
mod location;

pub mod outbox;
mod ring;
mod spool;

mod join;

mod probes;
mod publisher;
mod round_trips;
mod sampler;
mod show;

pub use args::AgentArgs;
pub use command::{AgentAction, AgentCommand};
pub use config::AgentConfig;
pub use host_name::host_name;
pub use join::JoinArgs;

/// Exported for the bench and the tests on made trees only.
#[doc(hidden)]
pub mod internals {
    pub use crate::{
        host::HostMetrics,
        identity::{Addresses, Identity},
        kernel::{ErrorCounts, Kernel},
        links::Links,
        sampler::Sampler,
        uplinks::Topology,
    };
}

use tidemap_service::{nats::NatsArgs, service_manager};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{publisher::Publisher, sampler::Sampler};

/// Samples this host and publishes until `shutdown`, also while the broker is away.
///
/// # Errors
///
/// When the interfaces cannot be read at all, or the broker's address or the credentials cannot be used.
pub async fn run(config: AgentConfig, nats: NatsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    // A mistake of the operator comes before whatever the host says.
    nats.check()?;
    let mut publisher = Publisher::connect(&nats, &config).await?;
    let mut sampler = Sampler::start_after(&config, publisher.take_earlier())?;
    if publisher.keeps_stands()
        && let Some(stand) = sampler.keep_stands()
    {
        publisher.begin(stand);
    }
    tracing::info!(node = %config.node, interval_ms = config.interval.as_millis(), "sampling");
    // Also while the broker is away: the samples of this time are sent later.
    service_manager::ready();
    // The publisher never blocks for longer than half a second. If it were stuck, samples older than the ring
    // would be lost anyway.
    let (sender, observations) = mpsc::channel(ring::CAPACITY);
    let sampling = sampler::at_a_steady_pace(sampler, shutdown, move |observation| {
        if sender.try_send(observation).is_err() {
            tracing::warn!("the publisher is stuck: a sample is lost");
        }
        Ok(())
    });
    // If one fails, both end. At a shutdown the sampler ends first, and then the publisher sends the last
    // samples.
    tokio::try_join!(sampling, publisher.run(observations))?;
    Ok(())
}
