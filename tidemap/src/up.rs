//! `tidemap up`: everything on one machine, by one command.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use async_nats::jetstream;
use tidemap_agent::{AgentArgs, AgentConfig};
use tidemap_api::{ApiArgs, ApiConfig};
use tidemap_broker::{
    Broker, BrokerConfig, DiskNews, DiskWatch,
    data_dir::DataDir,
    keys::{self, Keys, KeysError},
};
use tidemap_ingest::{MetricsServer, WorkerStatus, repartition};
use tidemap_service::{
    causes::causes,
    cli::{self, UsageError},
    nats::{Connections, NatsArgs},
};
use tidemap_simulate::SimulateArgs;
use tokio::{
    net::TcpListener,
    time::{Instant, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    HISTORY_FOLDER, api_endpoint,
    backup::{self, buckets},
    data_folder::data_folder,
    enroller::{self, Registry},
    listen::{ListenArgs, Listener},
    page_address,
    stations::{Stage, Stations},
};

/// A broker that ends more often than this within a minute is not started again.
const RESTARTS_PER_MINUTE: usize = 5;
/// Between looks at the broker's disk and at its certificate.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// Between attempts to measure this host.
const MEASURE_RETRY: Duration = Duration::from_secs(60);
/// How long the stations' connections may take to close before the broker is stopped.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The options of `up`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct UpArgs {
    /// Where keys, the broker's log and its configuration are kept.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where the broker listens, such as `nats://127.0.0.1:4222`; the port of the start before unless given,
    /// and at first a free one of this host.
    #[arg(long, env = "TIDEMAP_NATS_URL", value_name = "URL")]
    nats_url: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
    /// Adds this many synthetic nodes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    simulate: Option<u32>,
    /// Number of ingest workers.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    workers: u8,
    #[command(flatten)]
    agent: AgentArgs,
    #[command(flatten)]
    ingest: tidemap_ingest::Args,
    #[command(flatten)]
    history: tidemap_history::Args,
    #[command(flatten)]
    alerts: tidemap_alerts::Args,
    #[command(flatten)]
    api: ApiArgs,
}

/// The options, checked.
struct Plan {
    data_dir: PathBuf,
    listener: Listener,
    simulate: Option<u32>,
    workers: u8,
    agent: AgentConfig,
    ingest: tidemap_ingest::Config,
    history: tidemap_history::Config,
    alerts: tidemap_alerts::Config,
    api: ApiConfig,
}

impl UpArgs {
    fn check(self) -> anyhow::Result<Plan> {
        let data_dir = data_folder(self.data_dir)?;
        if self.ingest.replicas != 1 {
            let alone = "--replicas: the broker of `up` is a single one, which keeps 1 copy; a cluster is started by hand";
            return Err(UsageError(alone.to_owned()).into());
        }
        let api = self.api.check()?;
        Ok(Plan {
            history: self.history.check(Some(data_dir.join(HISTORY_FOLDER)), api.partitions())?,
            listener: self.listen.check(self.nats_url.as_deref(), &data_dir)?,
            data_dir,
            simulate: self.simulate,
            workers: self.workers,
            agent: AgentConfig::new(self.agent)?,
            ingest: self.ingest.check(api.partitions())?,
            alerts: self.alerts.check(api.partitions())?.sharing(api.plans()),
            api,
        })
    }
}

/// Starts everything and runs it until `shutdown`. Checks all that can be checked before it starts anything.
pub(crate) async fn run(args: UpArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut token_file = args.api.tokens.api_token_file.clone();
    let mut plan = args.check()?;
    let data_dir = DataDir::lock(&plan.data_dir)?;
    let listeners = Listeners { http: plan.api.bind().await?, metrics: plan.ingest.bind_metrics().await? };
    let binary = tokio::task::spawn_blocking(|| tidemap_broker::locate(&tidemap_broker::default_tools_dir()))
        .await??;
    let keys = Keys::open_or_create(data_dir.path())?;
    if plan.api.lacks_token() {
        let path = keys.api_token_path()?;
        plan.api.read_token(&path)?;
        tracing::info!(file = %path.display(), "the token of admin calls");
        token_file = Some(path);
    }
    let agent_seed = match keys::enroll(data_dir.path(), &plan.agent.node) {
        Ok(enrolled) => Some(enrolled.seed_path),
        // It runs by itself, as a service of its own.
        Err(error @ KeysError::Joined { .. }) => {
            tracing::info!("this host is not measured here: {error}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let (listen, tls) = plan.listener.prepare(data_dir.path())?;
    let trusted = tls.as_ref().and_then(|tls| tls.authority.clone());
    let config = BrokerConfig { dir: data_dir.path().to_owned(), listen, tls };
    let mut broker = Broker::start(&binary, config).await?;
    plan.listener.publish(data_dir.path(), &broker, trusted.as_deref())?;

    let mut stations = Stations::default();
    let url = plan.listener.url_here(&broker);
    let connections = Connections::default();
    let broker_args = |seed: &Path| NatsArgs {
        nats_ca: trusted.clone(),
        connections: Some(connections.clone()),
        ..NatsArgs::new(&url, Some(seed))
    };
    let access = Access {
        services: broker_args(&keys.service_seed_path()),
        agent: agent_seed.as_deref().map(broker_args),
        simulator: broker_args(&keys.simulator_seed_path()),
    };
    tracing::info!(broker = broker.url(), data = %data_dir.path().display(), "broker is up");
    let http = listeners.http.local_addr().context("the page's address")?;
    api_endpoint::publish(data_dir.path(), http, &plan.listener, token_file.as_deref())?;
    backup::publish_history_folder(data_dir.path(), plan.history.folder())?;
    let report = page_address::report(http, |name| plan.api.answers(name));
    let started = start(&mut stations, plan, data_dir.path(), listeners, access).await;
    let ended = match started {
        Ok(()) => {
            // The page is there, whether or not somebody reads where.
            if let Err(error) = cli::print(&report) {
                tracing::warn!("{error}; the page is at {}", page_address::here(http));
            }
            watch(&mut stations, &mut broker, data_dir.path(), &shutdown).await
        }
        Err(error) => Err(error),
    };
    stations.stop().await;
    connections.close(CLOSE_TIMEOUT).await;
    broker.stop().await?;
    ended
}

/// How each station reaches the broker.
struct Access {
    services: NatsArgs,
    agent: Option<NatsArgs>,
    simulator: NatsArgs,
}

/// The bound addresses of the stations.
struct Listeners {
    http: TcpListener,
    metrics: Option<MetricsServer>,
}

async fn start(
    stations: &mut Stations,
    plan: Plan,
    data_dir: &Path,
    listeners: Listeners,
    access: Access,
) -> anyhow::Result<()> {
    // No other process uses this data folder's streams, except workers on other hosts, if there are any. Then
    // a change of the number of partitions fails and says so.
    let services = access.services.connect("tidemap-up", None).await?;
    let (partitions, replicas) = (plan.ingest.partitions, plan.ingest.replicas);
    if let Some(recut) = repartition::run(&jetstream::new(services.clone()), partitions, replicas).await? {
        tracing::info!("{recut}");
    }
    let restored =
        buckets::put_back(&jetstream::new(services.clone()), data_dir, partitions, replicas).await?;
    if restored > 0 {
        tracing::info!("{restored} values of a backup are with the broker again");
    }
    services.drain().await?;
    let api_client = access.services.connect("tidemap-api", None).await?;
    stations.start("api", Stage::Reader, |stop| tidemap_api::run(plan.api, api_client, listeners.http, stop));
    let (history, broker) = (plan.history, access.services.clone());
    stations.start("history", Stage::Reader, |stop| keep_history(history, broker, stop));
    let (alerts, broker) = (plan.alerts, access.services.clone());
    stations.start("alerts", Stage::Reader, |stop| async move {
        tidemap_alerts::run(alerts, &broker, stop).await
    });
    let workers: Vec<WorkerStatus> = (0..plan.workers).map(|_| WorkerStatus::default()).collect();
    for status in workers.clone() {
        let (config, broker) = (plan.ingest.clone(), access.services.clone());
        stations.start("ingest worker", Stage::Worker, |stop| async move {
            tidemap_ingest::work(config, &broker, status, stop).await
        });
    }
    if let Some(metrics) = listeners.metrics {
        let serve = |stop| async move {
            metrics.serve(workers, stop).await;
            Ok(())
        };
        stations.start("metrics", Stage::Reader, serve);
    }
    let registry = Registry::of_data_dir(data_dir);
    let enroller = access.services.connect("tidemap-enroller", None).await?;
    stations.start("enroller", Stage::Reader, |stop| enroller::serve(registry, enroller, stop));
    if let Some(broker) = access.agent {
        stations.start("agent", Stage::Source, |stop| measure_this_host(plan.agent, broker, stop));
    }
    if let Some(nodes) = plan.simulate {
        stations.start("simulator", Stage::Source, |stop| {
            tidemap_simulate::run(SimulateArgs::with_nodes(nodes), access.simulator, stop)
        });
    }
    Ok(())
}

/// Keeps the history. Everything else goes on where it cannot be kept, such as beside a file of a later
/// version.
async fn keep_history(
    config: tidemap_history::Config,
    broker: NatsArgs,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let client = broker.connect("tidemap-history", None).await?;
    match tidemap_history::run(config, None, client, stop.clone()).await {
        Err(error) if !error.is::<UsageError>() => {
            tracing::error!("no history is kept: {}", causes(error.as_ref()));
            stop.cancelled().await;
            Ok(())
        }
        ended => ended,
    }
}

/// Runs this host's own agent. Everything else goes on where the host cannot be measured, such as in a
/// sandbox without `/sys`.
async fn measure_this_host(
    config: AgentConfig,
    broker: NatsArgs,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match tidemap_agent::run(config.clone(), broker.clone(), stop.clone()).await {
            Err(error) if !error.is::<UsageError>() => {
                tracing::error!(
                    "this host is not measured: {}; trying again in a minute",
                    causes(error.as_ref())
                );
            }
            ended => return ended,
        }
        if stop.run_until_cancelled(sleep(MEASURE_RETRY)).await.is_none() {
            return Ok(());
        }
    }
}

/// Waits for `shutdown`, and starts the broker again when it dies, or when its disk was full and has room.
async fn watch(
    stations: &mut Stations,
    broker: &mut Broker,
    data_dir: &Path,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut deaths: Vec<Instant> = Vec::new();
    let mut disk = DiskWatch::new(data_dir);
    let mut check = interval(CHECK_PERIOD);
    let mut certificate = broker.certificate_changed();
    loop {
        tokio::select! {
            // Ctrl-C or a service manager.
            () = shutdown.cancelled() => {
                tracing::info!("stopping");
                return Ok(());
            }
            // A station has failed.
            error = stations.failed() => return Err(error),
            // Time to look at the disk and at the certificate.
            _ = check.tick() => {
                match disk.look() {
                    Some(DiskNews::Full) => tracing::error!(
                        folder = %data_dir.display(),
                        "the broker's disk is full: agents keep their samples until there is room"
                    ),
                    Some(DiskNews::Room) => {
                        tracing::info!("the broker's disk has room again; starting the broker again");
                        broker.restart().await?;
                        disk = DiskWatch::new(data_dir);
                    }
                    None => {}
                }
                let now = broker.certificate_changed();
                if now != certificate && broker.reload().is_ok() {
                    tracing::info!("the broker's certificate has been replaced; it loads the new one");
                    certificate = now;
                }
            }
            // The broker has died; its log is on disk, and all stations wait for it.
            status = broker.wait_exit() => {
                deaths.retain(|death| death.elapsed() < Duration::from_secs(60));
                deaths.push(Instant::now());
                anyhow::ensure!(deaths.len() <= RESTARTS_PER_MINUTE, "nats-server does not stay up: it ended with {}", status?);
                tracing::error!("nats-server ended with {}; starting it again", status?);
                broker.restart().await?;
            }
        }
    }
}
