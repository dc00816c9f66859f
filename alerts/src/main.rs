//! `tidemap-alerts`: one station.

use clap::Parser;
use tidemap_service::{cli, logging::LogArgs, nats::NatsArgs, shutdown};
use tidemap_wire::PartitionCount;

/// Judges alert rules and notifies people; of several stations one judges, and the others stand by.
#[derive(Parser, Debug)]
#[command(name = "tidemap-alerts", version = tidemap_service::version!())]
struct Cli {
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    alerts: tidemap_alerts::Args,
    #[command(flatten)]
    plans: tidemap_alerts::PlansArgs,
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
    let config = cli.alerts.check(cli.partitions)?.following(cli.plans.open()?);
    tidemap_alerts::run(config, &cli.nats, shutdown::on_signal()?).await
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
