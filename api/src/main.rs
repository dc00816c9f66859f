//! `tidemap-api`: the API as a process of its own.

use clap::Parser;
use tidemap_api::ApiArgs;
use tidemap_service::{cli, logging::LogArgs, nats::NatsArgs, shutdown};

/// Serves the fleet: the page, the event stream, JSON and Prometheus metrics.
#[derive(Debug, Parser)]
#[command(name = "tidemap-api", version = tidemap_service::version!())]
struct Cli {
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[tokio::main]
async fn main() {
    cli::exit(serve(cli::parse()).await)
}

async fn serve(cli: Cli) -> anyhow::Result<()> {
    cli.log.init()?;
    let config = cli.api.check()?;
    let shutdown = shutdown::on_signal()?;
    let listener = config.bind().await?;
    tracing::info!("serving http://{}", listener.local_addr()?);
    let client = cli.nats.connect("tidemap-api", None).await?;
    tidemap_api::run(config, client, listener, shutdown).await
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
