//! The `agent` command.

use tidemap_service::nats::NatsArgs;
use tokio_util::sync::CancellationToken;

use crate::{
    args::AgentArgs,
    config::AgentConfig,
    join::{self, JoinArgs},
    run, show,
};

/// Arguments of the `agent` command.
#[derive(clap::Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentCommand {
    #[command(subcommand)]
    pub action: Option<AgentAction>,
    #[command(flatten)]
    pub agent: AgentArgs,
    #[command(flatten)]
    pub nats: NatsArgs,
    /// Print each report as a JSON line instead of publishing it; needs no broker.
    #[arg(long, conflicts_with = "explain")]
    pub dry_run: bool,
    /// Print every network interface, whether it counts and why, and exit.
    #[arg(long)]
    pub explain: bool,
}

/// What else an agent's program does, once.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum AgentAction {
    /// Makes a key for this host, has it admitted with an invite, and writes the agent's settings.
    Join(Box<JoinArgs>),
}

impl AgentCommand {
    /// Runs the command: publishes, or joins, or prints what would be published.
    ///
    /// # Errors
    ///
    /// As [`run`]; and when the output cannot be written, or this host may not join.
    pub async fn execute(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        if let Some(AgentAction::Join(args)) = self.action {
            return join::run(*args, shutdown).await;
        }
        let config = AgentConfig::new(self.agent)?;
        if self.explain {
            show::explain(&config)
        } else if self.dry_run {
            show::dry_run(config, shutdown).await
        } else {
            run(config, self.nats, shutdown).await
        }
    }
}
