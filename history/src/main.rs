//! `tidemap-history`: one station.

use clap::Parser;
use tidemap_history::HistoryCommand;
use tidemap_service::{cli, logging::LogArgs, nats::NatsArgs, shutdown};
use tidemap_wire::PartitionCount;

/// Keeps the fleet's history on disk; several stations each keep the whole of it.
#[derive(Parser, Debug)]
#[command(name = "tidemap-history", version = tidemap_service::version!())]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    history: tidemap_history::Args,
    #[command(flatten)]
    metrics: tidemap_history::MetricsArgs,
    /// The number of partitions of the fleet: a divisor of 256, the same for every worker and api.
    #[arg(long, env = "TIDEMAP_PARTITIONS", default_value = "8", value_name = "P")]
    partitions: PartitionCount,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() {
    cli::exit(run(cli::parse()).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    cli.log.init()?;
    if let Some(command) = cli.command {
        return command.run(None, shutdown::on_signal()?).await;
    }
    let config = cli.history.check(None, cli.partitions)?;
    let metrics = cli.metrics.bind().await?;
    let client = cli.nats.connect("tidemap-history", None).await?;
    tidemap_history::run(config, metrics, client, shutdown::on_signal()?).await
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
