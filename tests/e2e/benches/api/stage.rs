//! The stage: a broker, one worker, one API and a fleet, each a process of its own.

use std::net::SocketAddr;

use tidemap_e2e::{cluster::Cluster, process::Tidemap};
use tidemap_service::nats::NatsArgs;

use crate::client::address;

/// Everything that runs while something is measured.
pub(crate) struct Stage {
    pub(crate) api: Tidemap,
    pub(crate) address: SocketAddr,
    fleet: Tidemap,
    _ingest: Tidemap,
    cluster: Cluster,
}

impl Stage {
    /// Starts all, and returns when so many nodes are online.
    pub(crate) async fn start(nodes: u32) -> anyhow::Result<Self> {
        let cluster = Cluster::start().await?;
        let ingest = cluster.ingest(&[])?;
        let (api, url) = cluster.api().await?;
        let fleet = cluster.known_fleet(nodes, &url).await?;
        Ok(Self { api, address: address(&url)?, fleet, _ingest: ingest, cluster })
    }

    /// A connection that may report as any node.
    pub(crate) async fn reporter(&self) -> anyhow::Result<async_nats::Client> {
        let key = self.cluster.keys.simulator_seed_path();
        NatsArgs::new(&self.cluster.url, Some(&key)).connect("bench", Some("_INBOX.simulator")).await
    }

    /// Ends the fleet: what it has said stays, and nothing changes any more but ages.
    pub(crate) async fn silence_fleet(&mut self) -> anyhow::Result<()> {
        self.fleet.terminate().await.map(drop)
    }
}
