//! `tidemap-ingest`: one worker.

use clap::Parser;
use tidemap_service::{cli, logging::LogArgs, nats::NatsArgs, shutdown};
use tidemap_wire::PartitionCount;

#[global_allocator]
static ALLOCATOR: tidemap_ingest::Allocator = tidemap_ingest::Allocator;

/// Keeps the state of the fleet; any number of workers share the work.
#[derive(Parser, Debug)]
#[command(name = "tidemap-ingest", version = tidemap_service::version!())]
struct Cli {
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    ingest: tidemap_ingest::Args,
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
    tidemap_ingest::run(cli.ingest.check(cli.partitions)?, &cli.nats, shutdown::on_signal()?).await
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
