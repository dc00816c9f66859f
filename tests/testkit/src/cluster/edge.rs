//! A site at the edge: a server for its agents, which carries relays' packs to the broker and nothing else.

use std::{fs, path::PathBuf};

use anyhow::Context;
use rustix::process::Signal;
use tempfile::TempDir;
use tidemap_broker::keys::{self, Keys, RelaySide};
use tidemap_wire::NodeId;

use super::{
    TestCluster,
    server::{Server, quoted},
};
use crate::{port::free_port, process::Tidemap};

/// The name of the site's relays.
pub(super) const RELAY: &str = "edge";

/// The site's server, ended on drop.
pub struct Edge {
    server: Server,
    /// The keys of the site's agents.
    pub keys: Keys,
    /// Where agents connect.
    pub url: String,
    relay_keys: [PathBuf; 2],
    _folder: TempDir,
}

impl Edge {
    /// Starts a site's server, which connects to the broker's servers.
    pub fn start(cluster: &TestCluster) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = Keys::open_or_create(folder.path())?;
        let relay = NodeId::from_name(RELAY)?;
        let [local, packs] = [RelaySide::Reports, RelaySide::Packs]
            .map(|side| keys::enroll_relay(folder.path(), &relay, side).map(|enrolled| enrolled.seed_path));
        let configuration = folder.path().join("edge.conf");
        fs::write(&configuration, include_str!("../../../../deploy/cluster/edge.conf"))?;
        let key = fs::read_to_string(&cluster.relay_key)?;
        let seed = key.lines().find(|line| line.starts_with("SU")).context("the relay's seed")?;
        fs::write(folder.path().join("hub-key.conf"), format!("nkey: {seed}\n"))?;
        let port = free_port()?;
        let environment = vec![
            ("TIDEMAP_LISTEN", quoted(format!("127.0.0.1:{port}"))),
            ("TIDEMAP_HUB", cluster.leaf_urls()),
        ];
        let server = Server::start(&cluster.binary, configuration, "edge", environment)?;
        let url = format!("nats://127.0.0.1:{port}");
        Ok(Self { server, keys, url, relay_keys: [local?, packs?], _folder: folder })
    }

    /// Starts a relay between the site's agents and the broker.
    pub fn relay(&self) -> anyhow::Result<Tidemap> {
        let [local, packs] = self.relay_keys.each_ref().map(|path| path.to_str().unwrap_or_default());
        let near = ["--local-url", &self.url, "--local-creds", local];
        let far = ["--nats-url", &self.url, "--creds", packs];
        Tidemap::start(&[&["relay", "--name", RELAY], &near[..], &far[..]].concat())
    }

    /// The number of the broker's server that this one has connected to last.
    pub fn connected_to(&self, cluster: &TestCluster) -> anyhow::Result<usize> {
        let log = self.server.log();
        let connected = log.lines().rev().find(|line| line.contains("Leafnode connection created"));
        let connected = connected.context("it never connected")?;
        let mut ports = cluster.leaf_ports.iter();
        ports
            .position(|port| connected.contains(&format!(":{port} ")))
            .with_context(|| format!("no server of the broker: {connected}"))
    }

    /// Stops the server and starts it again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.server.end(Signal::TERM).await?;
        self.server.restart()
    }

    /// Kills the server without warning and starts it again.
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.server.kill().await?;
        self.server.restart()
    }
}
