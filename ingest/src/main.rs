//! `tidemap-ingest`: one worker.

use std::process::ExitCode;

use clap::Parser;
use tidemap_ingest::{IngestArgs, IngestConfig};
use tidemap_service::{cli, logging::LogArgs, nats::NatsArgs, shutdown};

/// Keeps the state of the fleet; as many workers as you like share the work.
#[derive(Parser, Debug)]
#[command(name = "tidemap-ingest", version)]
struct Cli {
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    ingest: IngestArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::exit(run(cli::parse()).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    cli.log.init()?;
    tidemap_ingest::run(IngestConfig::try_from(cli.ingest)?, &cli.nats, shutdown::on_signal()?).await
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
