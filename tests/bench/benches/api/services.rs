//! The services under test: a broker, one worker, one API and a fleet, each a process of its own.

use std::net::SocketAddr;

use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{broker::TestBroker, process::Tidemap};

use tidemap_testkit::client::address;

/// Everything that runs while something is measured.
pub(crate) struct Services {
    pub(crate) api: Tidemap,
    pub(crate) address: SocketAddr,
    fleet: Tidemap,
    _ingest: Tidemap,
    broker: TestBroker,
}

impl Services {
    /// Starts all, and returns when this many nodes are online.
    pub(crate) async fn start(nodes: u32) -> anyhow::Result<Self> {
        let broker = TestBroker::start().await?;
        let ingest = broker.ingest(&[])?;
        let (api, url) = broker.api().await?;
        let fleet = broker.known_fleet(nodes, &url).await?;
        Ok(Self { api, address: address(&url)?, fleet, _ingest: ingest, broker })
    }

    /// A connection that may report as any node.
    pub(crate) async fn reporter(&self) -> anyhow::Result<async_nats::Client> {
        let key = self.broker.keys.simulator_seed_path();
        NatsArgs::new(&self.broker.url, Some(&key)).connect("bench", Some("_INBOX.simulator")).await
    }

    /// Stops the fleet: its state stays, and only ages change afterwards.
    pub(crate) async fn silence_fleet(&mut self) -> anyhow::Result<()> {
        self.fleet.terminate().await.map(drop)
    }
}
