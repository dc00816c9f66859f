//! A broker of three servers, as a fleet that must not stop would have: with the configuration of
//! `deploy/cluster`.

mod edge;
mod server;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use tidemap_broker::keys::{self, Keys, RelaySide};
use tidemap_service::{nats::NatsArgs, streams};
use tidemap_wire::{NodeId, PartitionCount};

use crate::{eventually, port::free_ports};
pub use edge::Edge;
use server::{Server, quoted};

/// For three servers to find each other and elect a leader.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(60);
/// Three is the smallest number that tolerates the loss of one.
const SERVERS: usize = 3;

/// Three nats-servers that replicate each other, killed on drop.
pub struct TestCluster {
    _folder: TempDir,
    binary: PathBuf,
    client_ports: Vec<u16>,
    leaf_ports: Vec<u16>,
    servers: Vec<Server>,
    /// All keys except the agents'.
    pub keys: Keys,
    /// The key by which a site's relays publish their packs.
    relay_key: PathBuf,
}

impl TestCluster {
    /// Starts three servers on free ports, and waits until they have a leader.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary =
            tokio::task::spawn_blocking(|| tidemap_broker::locate(&tidemap_broker::default_tools_dir()))
                .await??;
        let keys = tidemap_broker::prepare(folder.path())?;
        let relay = keys::enroll_relay(folder.path(), &NodeId::from_name(edge::RELAY)?, RelaySide::Packs)?;
        let configuration = folder.path().join("server.conf");
        std::fs::write(&configuration, include_str!("../../../deploy/cluster/server.conf"))?;
        let ports = free_ports(3 * SERVERS)?;
        let [clients, routes, leaves] = [0, 1, 2].map(|kind| &ports[kind * SERVERS..][..SERVERS]);
        let mut servers = Vec::new();
        for number in 0..SERVERS {
            let at = |port: u16| quoted(format!("127.0.0.1:{port}"));
            let environment = vec![
                ("TIDEMAP_LISTEN", at(clients[number])),
                ("TIDEMAP_STORE", quoted(folder.path().join(format!("store-{number}")).display())),
                ("TIDEMAP_ROUTE_LISTEN", at(routes[number])),
                ("TIDEMAP_ROUTES", addresses("nats-route", routes)),
                ("TIDEMAP_LEAF_LISTEN", at(leaves[number])),
            ];
            let name = format!("server-{number}");
            servers.push(Server::start(&binary, configuration.clone(), &name, environment)?);
        }
        let (client_ports, leaf_ports) = (clients.to_vec(), leaves.to_vec());
        let relay_key = relay.seed_path;
        let cluster = Self { _folder: folder, binary, client_ports, leaf_ports, servers, keys, relay_key };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        let urls = self.client_ports.iter().map(|port| format!("nats://127.0.0.1:{port}"));
        urls.collect::<Vec<_>>().join(",")
    }

    /// The number of the server that leads a stream.
    pub async fn leader_of(&self, stream: &str) -> anyhow::Result<usize> {
        let js = crate::broker::jetstream(self.connect().await?);
        eventually(CLUSTER_TIMEOUT, || async {
            let stream = js.get_stream(stream).await?;
            let cluster = stream.cached_info().cluster.as_ref().context("it is not replicated")?;
            let leader = cluster.leader.as_ref().context("it has no leader")?;
            leader.strip_prefix("server-").context("a strange leader")?.parse().map_err(Into::into)
        })
        .await
    }

    /// Kills a server without warning.
    pub async fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        self.servers[number].kill().await
    }

    /// Makes a server hand over leaderships and clients (lame duck mode), and waits until it has ended.
    pub async fn retire(&mut self, number: usize) -> anyhow::Result<()> {
        self.servers[number].retire().await
    }

    /// Starts a server again that has ended.
    pub fn restart(&mut self, number: usize) -> anyhow::Result<()> {
        self.servers[number].restart()
    }

    /// Freezes a server: others cannot reach it, and its own clients receive nothing.
    pub fn freeze(&self, number: usize) -> anyhow::Result<()> {
        self.servers[number].signal(Signal::STOP)
    }

    /// Lets a frozen server continue.
    pub fn thaw(&self, number: usize) -> anyhow::Result<()> {
        self.servers[number].signal(Signal::CONT)
    }

    /// Waits until every stream has a leader, and each of its replicas everything.
    pub async fn healed(&self) -> anyhow::Result<()> {
        let js = crate::broker::jetstream(self.connect().await?);
        let logs = PartitionCount::default().all().map(streams::name);
        // By name and not from the broker's list, which lacks streams without a leader.
        let names = logs.chain([streams::LEASES, streams::CHECKPOINTS].map(streams::bucket_stream));
        for name in names {
            eventually(CLUSTER_TIMEOUT, || async {
                let stream = js.get_stream(&name).await?;
                let cluster = stream.cached_info().cluster.as_ref().context("it is not replicated")?;
                let current = cluster.replicas.iter().filter(|peer| peer.current && !peer.offline).count();
                ensure!(cluster.leader.is_some() && current == SERVERS - 1, "{cluster:?}");
                Ok(())
            })
            .await
            .with_context(|| format!("{name} is not whole"))?;
        }
        Ok(())
    }

    /// Where servers at the edge connect, as in a configuration.
    fn leaf_urls(&self) -> String {
        addresses("nats-leaf", &self.leaf_ports)
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let js = crate::broker::jetstream(self.connect().await?);
        eventually(CLUSTER_TIMEOUT, || async {
            let logs = self.servers.iter().map(Server::end_of_log);
            js.query_account().await.with_context(|| logs.collect::<Vec<_>>().join("\n"))?;
            Ok(())
        })
        .await
    }

    async fn connect(&self) -> anyhow::Result<async_nats::Client> {
        NatsArgs::new(&self.url(), Some(&self.keys.service_seed_path())).connect("test", None).await
    }
}

/// A list of addresses as in a configuration.
fn addresses(scheme: &str, ports: &[u16]) -> String {
    let addresses = ports.iter().map(|port| quoted(format!("{scheme}://127.0.0.1:{port}")));
    format!("[{}]", addresses.collect::<Vec<_>>().join(", "))
}
