//! The agent as a program of its own, for hosts that run nothing else of Tidemap.

use anyhow::Context;
use clap::Parser;
use tidemap_agent::AgentCommand;
use tidemap_service::{cli, logging::LogArgs, shutdown};

/// Publishes this host's real throughput, and nothing else.
#[derive(Debug, Parser)]
#[command(name = "tidemap-agent", version = tidemap_service::version!())]
struct Cli {
    #[command(flatten)]
    command: AgentCommand,
    #[command(flatten)]
    log: LogArgs,
}

/// One thread suffices for one sample a second, and keeps the agent's memory small.
fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("cannot start") {
        // The process ends within the runtime, which would wait for its threads.
        Ok(runtime) => runtime.block_on(async { cli::exit(run(cli::parse()).await) }),
        Err(error) => cli::exit(Err(error)),
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    cli.log.init()?;
    cli.command.execute(shutdown::on_signal()?).await
}
