//! The agent as a program of its own, for hosts that run nothing else of Tidemap.

use anyhow::Context;
use clap::Parser;
use tidemap_agent::AgentCommand;
use tidemap_service::{cli, logging::LogArgs, shutdown};

/// Publishes this host's real throughput, and nothing else.
#[derive(Debug, Parser)]
#[command(name = "tidemap-agent", version)]
struct Cli {
    #[command(flatten)]
    command: AgentCommand,
    #[command(flatten)]
    log: LogArgs,
}

fn main() {
    cli::exit(start(cli::parse()))
}

/// One thread suffices for one sample a second, and keeps the agent's memory small.
fn start(cli: Cli) -> anyhow::Result<()> {
    cli.log.init()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // The process ends within the runtime, which would wait for its threads.
    runtime.context("cannot start")?.block_on(async {
        let ended = async { cli.command.execute(shutdown::on_signal()?).await };
        cli::exit(ended.await)
    })
}
