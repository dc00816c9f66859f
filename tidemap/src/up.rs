//! `tidemap up`: everything on one machine, by one command.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use tidemap_agent::{AgentArgs, AgentConfig};
use tidemap_api::{ApiArgs, ApiConfig};
use tidemap_ingest::{IngestArgs, IngestConfig};
use tidemap_service::{
    broker::{self, Broker, BrokerConfig},
    cli::UsageError,
    data_dir::DataDir,
    keys::{self, Keys},
    nats::NatsArgs,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    simulate::{self, SimulateArgs},
    stations::{Stage, Stations},
};

/// A broker that ends so often within a minute will not stay.
const RESTARTS_A_MINUTE: usize = 5;

/// What can be told to `up`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct UpArgs {
    /// Where keys, the broker's log and its configuration are kept.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where the broker listens, such as `nats://127.0.0.1:4222`; a free port of this host unless given.
    #[arg(long, env = "TIDEMAP_NATS_URL", value_name = "URL")]
    nats_url: Option<String>,
    /// Adds this many synthetic nodes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    simulate: Option<u32>,
    /// How many ingest workers share the work.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    #[command(flatten)]
    agent: AgentArgs,
    #[command(flatten)]
    ingest: IngestArgs,
    #[command(flatten)]
    api: ApiArgs,
}

/// What was typed, checked.
struct Plan {
    data_dir: PathBuf,
    listen: Option<SocketAddr>,
    simulate: Option<u32>,
    workers: u8,
    agent: AgentConfig,
    ingest: IngestConfig,
    api: ApiConfig,
}

impl UpArgs {
    fn check(self) -> anyhow::Result<Plan> {
        let data_dir = self.data_dir.or_else(DataDir::default_path).ok_or_else(|| {
            UsageError("--data-dir: there is no home folder to choose a default in".to_owned())
        })?;
        Ok(Plan {
            data_dir,
            listen: self.nats_url.as_deref().map(address).transpose()?,
            simulate: self.simulate,
            workers: self.workers,
            agent: AgentConfig::new(self.agent)?,
            ingest: self.ingest.check(self.api.partitions)?,
            api: self.api.check()?,
        })
    }
}

/// The address in a broker's URL. Only this host's loopback: any other listener needs TLS.
fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let host = url.strip_prefix("nats://").unwrap_or(url);
    let address = host.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    match address {
        Some(address) if address.ip().is_loopback() => Ok(address),
        Some(_) => Err(UsageError(format!(
            "--nats-url {url}: `up` listens on loopback only; beyond it, run nats-server with TLS and nats.conf"
        ))
        .into()),
        None => Err(UsageError(format!("--nats-url {url}: not of the form nats://127.0.0.1:4222")).into()),
    }
}

/// Starts everything and keeps it until `shutdown`. Nothing is started before everything that can be checked was.
pub(crate) async fn run(args: UpArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let plan = args.check()?;
    let data_dir = DataDir::lock(&plan.data_dir)?;
    let listener = plan.api.bind().await?;
    let binary = tokio::task::spawn_blocking(|| broker::locate(&broker::default_tools_dir())).await??;
    let keys = Keys::open_or_create(data_dir.path())?;
    let agent_seed = keys::enroll(data_dir.path(), &plan.agent.node)?.seed_path;
    let config = BrokerConfig { dir: data_dir.path().to_owned(), listen: plan.listen };
    let mut broker = Broker::start(&binary, config).await?;

    let mut stations = Stations::default();
    let url = broker.url();
    tracing::info!(broker = url, data = %data_dir.path().display(), "broker is up");
    let http = listener.local_addr().context("the page's address")?;
    let started = start(&mut stations, plan, listener, &keys, &agent_seed, &url).await;
    let ended = match started {
        Ok(()) => {
            println!("Tidemap is up: http://{http}  (Ctrl-C stops it)");
            watch(&mut stations, &mut broker, &shutdown).await
        }
        Err(error) => Err(error),
    };
    stations.stop().await;
    broker.stop().await?;
    ended
}

async fn start(
    stations: &mut Stations,
    plan: Plan,
    listener: TcpListener,
    keys: &Keys,
    agent_seed: &std::path::Path,
    url: &str,
) -> anyhow::Result<()> {
    let services = NatsArgs::new(url, Some(&keys.service_seed_path()));
    let api_client = services.connect("tidemap-api", None).await?;
    stations.start("api", Stage::Reader, |stop| tidemap_api::run(plan.api, api_client, listener, stop));
    for _ in 0..plan.workers {
        let (config, broker) = (plan.ingest.clone(), services.clone());
        stations.start("ingest worker", Stage::Keeper, |stop| async move {
            tidemap_ingest::run(config, &broker, stop).await
        });
    }
    let broker = NatsArgs::new(url, Some(agent_seed));
    stations.start("agent", Stage::Source, |stop| tidemap_agent::run(plan.agent, broker, stop));
    if let Some(nodes) = plan.simulate {
        let broker = NatsArgs::new(url, Some(&keys.simulator_seed_path()));
        stations.start("simulator", Stage::Source, |stop| {
            simulate::run(SimulateArgs::with_nodes(nodes), broker, stop)
        });
    }
    Ok(())
}

/// Waits for the wish to stop, and starts a broker again that has died.
async fn watch(
    stations: &mut Stations,
    broker: &mut Broker,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut deaths: Vec<Instant> = Vec::new();
    loop {
        tokio::select! {
            // Ctrl-C or a service manager.
            () = shutdown.cancelled() => {
                tracing::info!("stopping");
                return Ok(());
            }
            // A part cannot go on.
            error = stations.broken() => return Err(error),
            // The broker has died; its log is on disk, and everybody else waits for it.
            status = broker.wait_exit() => {
                deaths.retain(|death| death.elapsed() < Duration::from_secs(60));
                deaths.push(Instant::now());
                anyhow::ensure!(deaths.len() <= RESTARTS_A_MINUTE, "nats-server does not stay up: it ended with {}", status?);
                tracing::error!("nats-server ended with {}; starting it again", status?);
                broker.restart().await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_broker_of_up_stays_on_this_host() {
        assert_eq!(address("nats://127.0.0.1:4333").unwrap().port(), 4333);
        assert_eq!(address("localhost:4222").unwrap().port(), 4222);
        for bad in ["nats://0.0.0.0:4222", "nats://127.0.0.1", "tls://127.0.0.1:1", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
