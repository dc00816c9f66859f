//! `tidemap simulate`: synthetic nodes that publish through NATS exactly as agents do.
//!
//! [`world`] says where nodes can be, [`fleet`] what each of them does at a time; both are pure and follow from the
//! seed alone. [`publisher`] is the I/O.

mod fleet;
mod publisher;
mod world;

use std::time::Duration;

use tidemap_service::{cli::UsageError, nats::NatsArgs};
use tokio_util::sync::CancellationToken;

use fleet::Fleet;

/// Reply subjects of the simulator's user begin so (see `nats.conf`).
const INBOX: &str = "_INBOX.simulator";
/// Nodes that one connection serves by default.
const NODES_PER_CONNECTION: u32 = 5_000;

/// What is simulated.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SimulateArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) nodes: u32,
    /// Seconds between a node's samples, 0.25 to 60.
    #[arg(long, env = "REPORT_INTERVAL", default_value_t = 1.0, value_name = "SECONDS")]
    pub(crate) interval: f64,
    /// Connections to the broker; one for every 5,000 nodes unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: Option<u32>,
    /// The same seed makes the same fleet.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub(crate) seed: u64,
}

impl SimulateArgs {
    /// A fleet of `nodes` with everything else as it is by default.
    pub(crate) fn with_nodes(nodes: u32) -> Self {
        Self { nodes, interval: 1.0, connections: None, seed: 1 }
    }
}

/// Publishes until `shutdown`.
///
/// # Errors
///
/// When a value is out of range or the broker refuses us.
pub(crate) async fn run(
    args: SimulateArgs,
    broker: NatsArgs,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if !(0.25..=60.0).contains(&args.interval) {
        return Err(UsageError("--interval: not a number of seconds from 0.25 to 60".to_owned()).into());
    }
    let interval = Duration::from_secs_f64(args.interval);
    let connections =
        args.connections.unwrap_or_else(|| args.nodes.div_ceil(NODES_PER_CONNECTION)).min(args.nodes);
    tracing::info!(nodes = args.nodes, connections, "simulating");
    let mut publishers = tokio::task::JoinSet::new();
    for fleet in Fleet::new(args.nodes, interval, args.seed).split(connections) {
        let client = broker.connect("tidemap-simulate", Some(INBOX)).await?;
        publishers.spawn(publisher::run(fleet, interval, client, shutdown.clone()));
    }
    while let Some(ended) = publishers.join_next().await {
        ended??;
    }
    Ok(())
}
