//! A real fleet: a broker, a worker, an API and a simulator, each a process of its own.

use tidemap_testkit::{broker::TestBroker, process::Tidemap};

/// What runs while the page is looked at.
pub(crate) struct Services {
    pub(crate) url: String,
    _processes: [Tidemap; 3],
    _broker: TestBroker,
}

impl Services {
    /// Starts all, and returns when this many nodes are known and most are online.
    pub(crate) async fn start(nodes: u32) -> anyhow::Result<Self> {
        let broker = TestBroker::start().await?;
        let ingest = broker.ingest(&[])?;
        let (api, url) = broker.api().await?;
        let fleet = broker.known_fleet(nodes, &url).await?;
        Ok(Self { url, _processes: [ingest, api, fleet], _broker: broker })
    }
}
