//! The services as separate processes around one broker, as on several machines.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, ensure};
use async_nats::jetstream;
use futures_util::StreamExt;
use tempfile::TempDir;
use tidemap_broker::{
    Broker, BrokerConfig,
    keys::{self, Keys, RelaySide},
};
use tidemap_service::nats::NatsArgs;
use tidemap_wire::{NodeId, http::StatsJson};
use tokio::process::Command;

use crate::{
    eventually,
    http::get_json,
    port::free_port,
    process::{Tidemap, tidemap},
};

/// For a whole fleet to be known.
const FLEET_TIMEOUT: Duration = Duration::from_secs(60);
/// The simulator's name when it packs as a relay.
const RELAY: &str = "simulator";
/// For the broker to answer a test, also when it stands still for a while.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The broker's streams for a test, which gives up later than the services do.
pub fn jetstream(client: async_nats::Client) -> jetstream::Context {
    let mut js = jetstream::new(client);
    js.set_timeout(ANSWER_TIMEOUT);
    js
}

/// A connection with the services' rights to the broker of the `tidemap up` with this data folder.
pub async fn connect_to_up(data: &Path) -> anyhow::Result<async_nats::Client> {
    let url = std::fs::read_to_string(data.join("endpoint")).context("up has not started")?;
    NatsArgs::new(&url, Some(&Keys::open_or_create(data)?.service_seed_path())).connect("test", None).await
}

/// Returns once the broker has taken everything that this client has sent so far, subscriptions among it.
pub async fn has_taken(client: &async_nats::Client) -> anyhow::Result<()> {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await?;
    client.publish(inbox, Vec::new().into()).await?;
    echo.next().await.context("the connection was closed").map(drop)
}

/// A broker, and the keys to it.
pub struct TestBroker {
    folder: TempDir,
    /// The broker, for tests that restart or kill it.
    pub server: Broker,
    /// All keys except the agents'.
    pub keys: Keys,
    /// The broker's address.
    pub url: String,
}

impl TestBroker {
    /// Starts a broker on a port that it can have again after a restart, in a folder of its own.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?).await
    }

    /// The same in a folder where nodes may have been enrolled.
    pub async fn start_in(folder: TempDir) -> anyhow::Result<Self> {
        let binary =
            tokio::task::spawn_blocking(|| tidemap_broker::locate(&tidemap_broker::default_tools_dir()))
                .await??;
        let keys = Keys::open_or_create(folder.path())?;
        let listen = Some((Ipv4Addr::LOCALHOST, free_port()?).into());
        let config = BrokerConfig { dir: folder.path().to_owned(), listen, tls: None };
        let server = Broker::start(&binary, config).await?;
        let url = server.url();
        Ok(Self { folder, server, keys, url })
    }

    /// The broker's data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the broker, wipes its store and starts it again where it was.
    pub async fn lose_disk(&mut self) -> anyhow::Result<()> {
        self.server.kill().await?;
        std::fs::remove_dir_all(self.folder.path().join("jetstream")).context("the store")?;
        Ok(self.server.restart().await?)
    }

    /// Starts a simulated fleet, and returns when all of it is known to the API at `api_url` and most are
    /// online.
    pub async fn known_fleet(&self, nodes: u32, api_url: &str) -> anyhow::Result<Tidemap> {
        let fleet = self.simulate(nodes)?;
        eventually(FLEET_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{api_url}/api/stats")).await?;
            // A few of a simulated fleet are always away.
            let known =
                stats.total_nodes == u64::from(nodes) && stats.online_nodes * 10 > stats.total_nodes * 9;
            ensure!(known, "{} of {} nodes online", stats.online_nodes, stats.total_nodes);
            Ok(())
        })
        .await?;
        Ok(fleet)
    }

    /// Starts a simulated fleet that reports once a second through a relay's packs, and returns when all of
    /// it is known to the API at `api_url`.
    pub async fn packed_fleet(&self, nodes: u32, api_url: &str) -> anyhow::Result<Tidemap> {
        let relay = keys::enroll_relay(self.folder.path(), &NodeId::from_name(RELAY)?, RelaySide::Packs)?;
        self.server.reload()?;
        let count = nodes.to_string();
        let fleet = self.run(&["simulate", "--nodes", &count, "--relay", RELAY], &relay.seed_path)?;
        eventually(2 * FLEET_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{api_url}/api/stats")).await?;
            ensure!(stats.total_nodes >= u64::from(nodes), "{} nodes: {}", stats.total_nodes, fleet.log());
            Ok(())
        })
        .await?;
        Ok(fleet)
    }

    /// A connection with the services' rights.
    pub async fn connect(&self) -> anyhow::Result<async_nats::Client> {
        NatsArgs::new(&self.url, Some(&self.keys.service_seed_path())).connect("test", None).await
    }

    /// Starts an ingest worker.
    pub fn ingest(&self, more: &[&str]) -> anyhow::Result<Tidemap> {
        self.run(&[&["ingest"], more].concat(), &self.keys.service_seed_path())
    }

    /// Starts a history station that keeps its file in `folder`.
    pub fn history(&self, folder: &Path, more: &[&str]) -> anyhow::Result<Tidemap> {
        let folder = folder.to_str().context("a readable path")?;
        self.run(&[&["history", "--history-dir", folder], more].concat(), &self.keys.service_seed_path())
    }

    /// Starts a station that judges alert rules, or stands by.
    pub fn alerts(&self, more: &[&str]) -> anyhow::Result<Tidemap> {
        self.run(&[&["alerts"], more].concat(), &self.keys.service_seed_path())
    }

    /// The same through another command, such as one with another environment.
    pub fn alerts_by(&self, command: Command, more: &[&str]) -> anyhow::Result<Tidemap> {
        let key = self.keys.service_seed_path();
        let key = key.to_str().context("a readable path")?;
        Tidemap::start_by(command, &[&["alerts", "--nats-url", &self.url, "--creds", key], more].concat())
    }

    /// Starts an API and returns once it serves, with its address, which it can have again after a restart.
    pub async fn api(&self) -> anyhow::Result<(Tidemap, String)> {
        self.api_at(&format!("127.0.0.1:{}", free_port()?)).await
    }

    /// The same on an address of the caller's choice.
    pub async fn api_at(&self, address: &str) -> anyhow::Result<(Tidemap, String)> {
        self.api_with(&["--http", address]).await
    }

    /// The same with arguments of the caller's choice, `--http` among them.
    pub async fn api_with(&self, args: &[&str]) -> anyhow::Result<(Tidemap, String)> {
        let api = self.run(&[&["api"], args].concat(), &self.keys.service_seed_path())?;
        let url = eventually(Duration::from_secs(20), || async {
            let log = api.log();
            let url = log.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
            url.with_context(|| format!("no address: {log}"))
        })
        .await?;
        Ok((api, url))
    }

    /// Enrolls a node, starts its agent and returns once the broker knows it.
    pub fn agent(&self, node: &str, more: &[&str]) -> anyhow::Result<Tidemap> {
        self.agent_by(Command::new(tidemap()?), &self.url, node, more)
    }

    /// The same through another command, such as `ip netns exec`, and by another address of the broker, such
    /// as a proxy's.
    pub fn agent_by(
        &self,
        command: Command,
        url: &str,
        node: &str,
        more: &[&str],
    ) -> anyhow::Result<Tidemap> {
        let enrolled = keys::enroll(self.folder.path(), &NodeId::from_name(node)?)?;
        self.server.reload()?;
        let key = enrolled.seed_path.to_str().context("a readable path")?;
        let args = [&["agent", "--node", node, "--nats-url", url, "--creds", key], more].concat();
        Tidemap::start_by(command, &args)
    }

    /// Starts a simulator.
    pub fn simulate(&self, nodes: u32) -> anyhow::Result<Tidemap> {
        self.simulate_with(nodes, &[])
    }

    /// The same with more arguments.
    pub fn simulate_with(&self, nodes: u32, more: &[&str]) -> anyhow::Result<Tidemap> {
        let nodes = nodes.to_string();
        self.run(&[&["simulate", "--nodes", &nodes], more].concat(), &self.keys.simulator_seed_path())
    }

    fn run(&self, args: &[&str], key: &Path) -> anyhow::Result<Tidemap> {
        let key = key.to_str().context("a readable path")?;
        Tidemap::start(&[args, &["--nats-url", &self.url, "--creds", key]].concat())
    }
}
