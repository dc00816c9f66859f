//! A synthetic fleet: nodes that publish through NATS exactly as agents do.
//!
//! `world` lists the places where nodes can be, and `fleet` decides what each node reports at a time; both
//! are pure and depend on the seed alone. `publisher` is the I/O for large fleets and does as little as
//! possible; `sender` publishes reports one by one or in packs, with or without acknowledgements. With an ack
//! log, each node has an `agent` that keeps and resends its samples, `recorded` is the I/O, and `ack_log`
//! lists what the broker has acknowledged.
//!
//! The nodes use a real agent's outbox and a real relay's packer, so they deliver in the same way.

mod ack_log;
mod agent;
mod fleet;
mod plan;
mod publisher;
mod recorded;
mod sender;
mod world;

use std::{sync::Arc, time::Duration};

use tidemap_service::{
    cli::UsageError,
    clock::{self, whole_ms},
    nats::NatsArgs,
};
use tidemap_wire::{NodeId, subject};
use tokio_util::sync::CancellationToken;

use ack_log::AckLog;
use agent::SimulatedAgent;
use fleet::Fleet;
use plan::{Plan, PlanArgs};
use publisher::FleetPublisher;
use sender::Mode;

/// The prefix of reply subjects that the simulator's user may use (see `nats.conf`).
const INBOX: &str = "_INBOX.simulator";
/// Nodes that one connection serves by default.
const NODES_PER_CONNECTION: u32 = 5_000;

/// Arguments of the `simulate` command.
#[derive(clap::Args, Clone, Debug)]
pub struct SimulateArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub nodes: u32,
    /// Seconds between a node's samples, 0.25 to 60.
    #[arg(long, env = "REPORT_INTERVAL", default_value_t = 1.0, value_name = "SECONDS")]
    pub interval: f64,
    /// Connections to the broker; one for every 5,000 nodes unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: Option<u32>,
    /// The same seed makes the same fleet.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub seed: u64,
    /// Publish each report once, without acknowledgements, which are the broker's largest cost. A report that
    /// the broker does not store is lost.
    #[arg(long, conflicts_with_all = ["relay", "ack_log"])]
    no_acks: bool,
    /// Publish many reports in one message, as the relay with this name would; needs that relay's key.
    #[arg(long, value_name = "NAME", value_parser = NodeId::from_name, conflicts_with = "ack_log")]
    relay: Option<NodeId>,
    #[command(flatten)]
    plan: PlanArgs,
}

impl SimulateArgs {
    /// The defaults with this number of nodes.
    pub fn with_nodes(nodes: u32) -> Self {
        let plan = PlanArgs::default();
        Self { nodes, interval: 1.0, connections: None, seed: 1, no_acks: false, relay: None, plan }
    }

    fn mode(&self) -> Mode {
        match &self.relay {
            Some(relay) => Mode::Packed(relay.clone()),
            None if self.no_acks => Mode::Unacked,
            None => Mode::Acked,
        }
    }

    /// A relay packs what arrives on all of its connections, so it has one here.
    fn connections(&self) -> u32 {
        let usual = if self.relay.is_some() { 1 } else { self.nodes.div_ceil(NODES_PER_CONNECTION) };
        self.connections.unwrap_or(usual).min(self.nodes)
    }
}

/// Publishes until `shutdown`, or until the plan's limit is reached.
///
/// # Errors
///
/// When a value is out of range, the broker refuses the credentials, or the ack log would be incomplete.
pub async fn run(args: SimulateArgs, broker: NatsArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    if !(0.25..=60.0).contains(&args.interval) {
        return Err(UsageError("--interval: not a number of seconds from 0.25 to 60".to_owned()).into());
    }
    let interval = Duration::from_secs_f64(args.interval);
    let (mode, connections) = (args.mode(), args.connections());
    let plan = args.plan.check(interval)?;
    let inbox = args.relay.as_ref().map_or_else(|| INBOX.to_owned(), subject::relay_inbox);
    let log = plan.ack_log.as_deref().map(AckLog::create).transpose()?.map(Arc::new);
    tracing::info!(nodes = args.nodes, connections, "simulating");
    let mut publishers = tokio::task::JoinSet::new();
    let fleet = Fleet::new(args.nodes, interval, args.seed).begin(clock::unix_ms().unsigned_abs());
    for (number, fleet) in fleet.split(connections).into_iter().enumerate() {
        let client = broker.connect("tidemap-simulate", Some(&inbox)).await?;
        match &log {
            Some(log) => {
                let seed = args.seed.wrapping_add(number as u64);
                let parts = recorded_parts(fleet, interval, client, Arc::clone(log), &plan, seed);
                publishers.spawn(recorded::run(parts, shutdown.clone()));
            }
            None => {
                let publisher = FleetPublisher::new(fleet, interval, plan.limit, &mode, client).await?;
                publishers.spawn(publisher.run(shutdown.clone()));
            }
        }
    }
    let mut reports = 0;
    while let Some(ended) = publishers.join_next().await {
        reports += ended??;
    }
    tracing::info!(reports, "simulated");
    Ok(())
}

fn recorded_parts(
    fleet: Fleet,
    interval: Duration,
    client: async_nats::Client,
    log: Arc<AckLog>,
    plan: &Plan,
    seed: u64,
) -> recorded::Parts {
    let agent = |node| SimulatedAgent::new(node, whole_ms(interval), plan.faults);
    let agents = fleet.nodes.into_iter().map(agent).collect();
    recorded::Parts { agents, client, log, limit: plan.limit, way: plan.way, seed }
}
