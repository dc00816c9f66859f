//! `tidemap`: the command with all stations and administration.

mod alerts;
mod api_answer;
mod api_endpoint;
mod backup;
mod data_folder;
mod describe;
mod doctor;
mod enroll;
mod enroller;
mod forget;
mod health;
mod init;
mod invite;
mod listen;
mod nodes;
mod notify;
mod operator;
mod page_address;
#[cfg(test)]
mod reference;
mod stations;
mod traffic;
mod up;

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream;
use clap::{Parser, Subcommand};
use tidemap_agent::AgentCommand;
use tidemap_api::ApiArgs;
use tidemap_broker::data_dir::DataDir;
use tidemap_history::HistoryCommand;
use tidemap_ingest::repartition;
use tidemap_relay::RelayArgs;
use tidemap_service::{cli, logging::LogArgs, nats, nats::NatsArgs, shutdown};
use tidemap_wire::PartitionCount;

/// How long a command that runs once waits for the broker.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the history is in a data folder.
const HISTORY_FOLDER: &str = "history";

#[global_allocator]
static ALLOCATOR: tidemap_ingest::Allocator = tidemap_ingest::Allocator;

/// The live upload and download speed of every node, in a browser, without logging in anywhere.
#[derive(Parser, Debug)]
#[command(name = "tidemap", version = tidemap_service::version!(), propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Starts everything on this machine: broker, agent, two ingest workers, history, API and page.
    Up(Box<up::UpArgs>),
    /// Makes a broker's data folder with its keys and its nats.conf, and starts nothing.
    Init(init::InitArgs),
    /// Publishes this host's throughput, and does nothing else.
    Agent(AgentCommand),
    /// Keeps the fleet's state; as many workers as you like share the work.
    Ingest {
        #[command(flatten)]
        nats: NatsArgs,
        #[command(flatten)]
        ingest: tidemap_ingest::Args,
        /// The number of partitions; must divide 256, and be the same for every worker and api.
        #[arg(long, env = "TIDEMAP_PARTITIONS", default_value = "8", value_name = "P")]
        partitions: PartitionCount,
    },
    /// Divides the fleet into another number of partitions; all workers must have ended before.
    Repartition {
        #[command(flatten)]
        nats: NatsArgs,
        /// The new number of partitions; must divide 256.
        #[arg(long, env = "TIDEMAP_PARTITIONS", value_name = "P")]
        partitions: PartitionCount,
        /// Copies that the broker keeps of each stream: 1 on a single broker, 3 on a cluster.
        #[arg(long, env = "TIDEMAP_REPLICAS", default_value_t = 1, value_name = "N")]
        replicas: u8,
    },
    /// Packs the reports of nearby agents into few messages to the broker, and acknowledges each report.
    Relay {
        #[command(flatten)]
        nats: NatsArgs,
        #[command(flatten)]
        relay: RelayArgs,
    },
    /// Keeps the fleet's history on disk; several stations each keep the whole of it.
    #[command(args_conflicts_with_subcommands = true)]
    History {
        #[command(subcommand)]
        command: Option<HistoryCommand>,
        #[command(flatten)]
        nats: NatsArgs,
        #[command(flatten)]
        history: tidemap_history::Args,
        #[command(flatten)]
        metrics: tidemap_history::MetricsArgs,
        /// The number of partitions; must divide 256, and be the same for every worker and api.
        #[arg(long, env = "TIDEMAP_PARTITIONS", default_value = "8", value_name = "P")]
        partitions: PartitionCount,
    },
    /// Serves the page and the API.
    Api {
        #[command(flatten)]
        nats: NatsArgs,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Asks this host's API whether it is ready, for a container's health check: exit code 0 if it is.
    Health(health::HealthArgs),
    /// Lists the fleet's nodes with their status, rates and versions, as the API knows them.
    Nodes(nodes::NodesArgs),
    /// Prints what traffic came to in hours, days, months or billing cycles, as the API of a fleet knows it.
    Traffic(traffic::TrafficArgs),
    /// Judges alert rules and notifies people; of several stations one judges, and the others stand by.
    #[command(args_conflicts_with_subcommands = true)]
    Alerts {
        #[command(subcommand)]
        command: Option<alerts::AlertsCommand>,
        #[command(flatten)]
        nats: NatsArgs,
        #[command(flatten)]
        alerts: tidemap_alerts::Args,
        #[command(flatten)]
        plans: tidemap_alerts::PlansArgs,
        /// The number of partitions; must divide 256, and be the same for every worker and api.
        #[arg(long, env = "TIDEMAP_PARTITIONS", default_value = "8", value_name = "P")]
        partitions: PartitionCount,
    },
    /// Tries the channels by which alerts notify people and programs.
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Publishes synthetic nodes, for trying things out.
    Simulate {
        #[command(flatten)]
        nats: NatsArgs,
        #[command(flatten)]
        simulate: tidemap_simulate::SimulateArgs,
    },
    /// Makes a word by which hosts join, each with a key of its own, and prints the line to run there.
    Invite(Box<invite::InviteArgs>),
    /// Lists the invites: how often they may still be used, until when, and who has joined.
    #[command(args_conflicts_with_subcommands = true)]
    Invites(invite::InvitesArgs),
    /// Admits nodes that have an invite; `tidemap up` does so itself.
    Enroller(enroller::EnrollerArgs),
    /// Creates another host's key, and prints the line that starts an agent there.
    Enroll(enroll::EnrollArgs),
    /// Looks for what is wrong with this host, its broker, the API and the fleet, and says what to do.
    Doctor(doctor::DoctorArgs),
    /// Saves keys, users, certificates, history and what fires in one file, while `tidemap up` runs or not.
    Backup(backup::BackupArgs),
    /// Makes a data folder from a backup.
    Restore(backup::RestoreArgs),
    /// Revokes the key of a host's agent, or of a relay.
    Revoke(enroll::RevokeArgs),
    /// Removes a node from the list, and with --history from the history.
    Forget(forget::ForgetArgs),
    /// Manages signed keys, for fleets of more than a few thousand nodes.
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// Prints completions for a shell, such as `tidemap completions bash`.
    Completions(describe::CompletionsArgs),
    /// Writes manual pages, as packages have them.
    #[command(hide = true)]
    Manual(describe::ManualArgs),
}

#[tokio::main]
async fn main() {
    cli::exit(run(cli::parse()).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    cli.log.init()?;
    let shutdown = shutdown::on_signal()?;
    match cli.command {
        Command::Up(args) => up::run(*args, shutdown).await,
        Command::Init(args) => init::run(args),
        Command::Agent(command) => command.execute(shutdown).await,
        Command::Ingest { nats, ingest, partitions } => {
            tidemap_ingest::run(ingest.check(partitions)?, &nats, shutdown).await
        }
        Command::Repartition { nats, partitions, replicas } => {
            let client = nats.connect("tidemap-repartition", None).await?;
            nats::reached(&client, BROKER_TIMEOUT).await?;
            match repartition::run(&jetstream::new(client), partitions, usize::from(replicas)).await? {
                Some(recut) => cli::print(recut)?,
                None => cli::print(format_args!(
                    "the broker's streams were created for {partitions} partitions, or there are none yet"
                ))?,
            }
            Ok(())
        }
        Command::Relay { nats, relay } => tidemap_relay::run(relay.check(), &nats, shutdown).await,
        Command::History { command: Some(command), .. } => {
            command.run(DataDir::default_path().map(|folder| folder.join(HISTORY_FOLDER)), shutdown).await
        }
        Command::History { command: None, nats, history, metrics, partitions } => {
            let default = DataDir::default_path().map(|folder| folder.join(HISTORY_FOLDER));
            let config = history.check(default, partitions)?;
            let metrics = metrics.bind().await?;
            let client = nats.connect("tidemap-history", None).await?;
            tidemap_history::run(config, metrics, client, shutdown).await
        }
        Command::Api { nats, api } => {
            let config = api.check()?;
            let listener = config.bind().await?;
            let address = listener.local_addr().context("the api's address")?;
            let client = nats.connect("tidemap-api", None).await?;
            tracing::info!("serving {}", page_address::here(address));
            tidemap_api::run(config, client, listener, shutdown).await
        }
        Command::Health(args) => health::run(args).await,
        Command::Nodes(args) => nodes::run(args).await,
        Command::Traffic(args) => traffic::run(args).await,
        Command::Alerts { command: Some(command), .. } => alerts::run(command).await,
        Command::Alerts { command: None, nats, alerts, plans, partitions } => {
            let config = alerts.check(partitions)?.following(plans.open()?);
            tidemap_alerts::run(config, &nats, shutdown).await
        }
        Command::Notify(command) => notify::run(command).await,
        Command::Simulate { nats, simulate } => tidemap_simulate::run(simulate, nats, shutdown).await,
        Command::Invite(args) => invite::invite(&args),
        Command::Invites(args) => invite::invites(args),
        Command::Enroller(args) => enroller::run(args, shutdown).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Backup(args) => backup::back_up(args, shutdown).await,
        Command::Restore(args) => backup::restore(args),
        Command::Enroll(args) => enroll::enroll(&args).await,
        Command::Revoke(args) => enroll::revoke(&args).await,
        Command::Forget(args) => forget::run(args).await,
        Command::Operator(command) => operator::run(command).await,
        Command::Completions(args) => describe::completions(&args),
        Command::Manual(args) => describe::manual(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
