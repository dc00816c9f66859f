//! Prints who goes offline, and who comes back: a station in its smallest form.
//!
//! ```text
//! $ cargo run -p tidemap-client --example offline -- --creds ~/.local/share/tidemap/keys/service.nk
//! offline now: 2
//! web-01.example is offline (Berlin)
//! web-01.example is back
//! ```

use std::{collections::BTreeSet, io::Write};

use clap::Parser;
use tidemap_client::{Fleet, Follower, Node};
use tidemap_service::{cli, logging::LogArgs, nats::NatsArgs, shutdown};
use tidemap_wire::{NodeId, PartitionCount, Status};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Prints who goes offline, and who comes back.
#[derive(Debug, Parser)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) nats: NatsArgs,
    /// How many partitions the fleet is divided into; the same as ingest's.
    #[arg(long, env = "TIDEMAP_PARTITIONS", default_value = "8", value_name = "NUMBER")]
    pub(crate) partitions: PartitionCount,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[tokio::main]
pub(crate) async fn main() {
    let cli: Cli = cli::parse();
    let result = async {
        cli.log.init()?;
        run(&cli, std::io::stdout(), shutdown::on_signal()?).await
    };
    cli::exit(result.await)
}

/// Follows the fleet until `shutdown`.
pub(crate) async fn run(cli: &Cli, mut out: impl Write, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = cli.nats.connect("tidemap-offline", None).await?;
    let mut follower = Follower::start(client, cli.partitions).await?;
    let mut offline = None;
    while let Some(changed) = shutdown.run_until_cancelled(follower.tick()).await {
        let (changed, fleet) = (changed?, follower.fleet());
        match &mut offline {
            Some(offline) => print_changes(fleet, &changed, offline, &mut out)?,
            // Until all partitions are followed, a node that appears is not a change.
            None if fleet.is_followed(Instant::now()) => {
                let known = offline_nodes(fleet);
                writeln!(out, "offline now: {}", known.len())?;
                offline = Some(known);
            }
            None => {}
        }
    }
    Ok(())
}

fn offline_nodes(fleet: &Fleet) -> BTreeSet<NodeId> {
    fleet.nodes().filter(|node| is_offline(node)).map(|node| node.id().clone()).collect()
}

fn print_changes(
    fleet: &Fleet,
    changed: &[u32],
    offline: &mut BTreeSet<NodeId>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    // A node that was forgotten is neither offline nor back.
    offline.retain(|id| fleet.node(id).is_some());
    for node in changed.iter().filter_map(|row| fleet.at(*row)) {
        if is_offline(node) && offline.insert(node.id().clone()) {
            writeln!(out, "{} is offline{}", node.display_name(), place(node))?;
        } else if !is_offline(node) && offline.remove(node.id()) {
            writeln!(out, "{} is back", node.display_name())?;
        }
    }
    Ok(())
}

fn is_offline(node: &Node) -> bool {
    node.status() == Status::Offline
}

fn place(node: &Node) -> String {
    let location = node.hello().and_then(|hello| hello.location.as_ref());
    let label = location.and_then(|location| location.label.as_deref());
    label.map(|label| format!(" ({label})")).unwrap_or_default()
}
