//! A real fleet: a broker, a worker, an API and a simulator, each a process of its own.

use tidemap_e2e::{cluster::Cluster, process::Tidemap};

/// What runs while the page is looked at.
pub(crate) struct Stage {
    pub(crate) url: String,
    _processes: [Tidemap; 3],
    _cluster: Cluster,
}

impl Stage {
    /// Starts all, and returns when so many nodes are known and most are online.
    pub(crate) async fn start(nodes: u32) -> anyhow::Result<Self> {
        let cluster = Cluster::start().await?;
        let ingest = cluster.ingest(&[])?;
        let (api, url) = cluster.api().await?;
        let fleet = cluster.known_fleet(nodes, &url).await?;
        Ok(Self { url, _processes: [ingest, api, fleet], _cluster: cluster })
    }
}
