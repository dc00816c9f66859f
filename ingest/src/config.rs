//! Worker configuration.

use std::{net::SocketAddr, time::Duration};

use tidemap_service::{cli::UsageError, listen_address::ListenAddress, streams::DiskBudget};
use tidemap_wire::PartitionCount;

use crate::{metrics::MetricsServer, partition::Limits};

/// Each part's rows are published once in this time, so the history has a minute 5 to 20 s after its end.
const MINUTES_PERIOD: Duration = Duration::from_secs(15);

/// A worker's options. The number of partitions is not among them: `tidemap up` shares it with the API.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Seconds of silence after which a node is offline.
    #[arg(long, env = "NODE_TIMEOUT_SECONDS", default_value_t = 30, value_name = "SECONDS")]
    pub offline_after: u32,
    /// Seconds of silence after which a node is forgotten.
    #[arg(long, env = "CLEANUP_GRACE_PERIOD_SECONDS", default_value_t = 86_400, value_name = "SECONDS")]
    pub forget_after: u32,
    /// Nodes that may be known at a time; reports of further ones are refused. Each takes a few kilobytes of
    /// memory here and in each API.
    #[arg(long, env = "TIDEMAP_MAX_NODES", default_value_t = 300_000, value_name = "NUMBER")]
    pub max_nodes: u32,
    /// Copies that the broker keeps of each stream: 1 on a single broker, 3 on a cluster.
    #[arg(long, env = "TIDEMAP_REPLICAS", default_value_t = 1, value_name = "N")]
    pub replicas: u8,
    /// The most that streams and buckets take of each broker's disk, such as 20GB, the same for every worker;
    /// 64GB unless given, or what the broker has.
    #[arg(long, env = "TIDEMAP_DISK_BUDGET", value_name = "SIZE")]
    pub disk_budget: Option<DiskBudget>,
    /// Serve the worker's own /metrics for Prometheus on this address; no node's metrics are there.
    #[arg(long, env = "TIDEMAP_METRICS", value_name = "HOST:PORT")]
    pub metrics: Option<ListenAddress>,
}

/// A worker's checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub partitions: PartitionCount,
    pub limits: Limits,
    /// Copies that the broker keeps of each stream.
    pub replicas: usize,
    /// The most that streams and buckets take of each broker's disk.
    pub disk_budget: Option<DiskBudget>,
    /// Within this time, each node's new minutes are published once.
    pub minutes_period: Duration,
    /// Where `/metrics` is served.
    pub metrics: Option<SocketAddr>,
}

impl Config {
    /// Binds the address of `/metrics`, so that a taken port is reported before anything is started.
    ///
    /// # Errors
    ///
    /// When the address is taken or is not one of this host's.
    pub async fn bind_metrics(&self) -> Result<Option<MetricsServer>, UsageError> {
        match self.metrics {
            Some(address) => MetricsServer::bind(address).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Args {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// When one is out of range; the error names its flag.
    pub fn check(self, partitions: PartitionCount) -> Result<Config, UsageError> {
        let Self { offline_after, forget_after, max_nodes, replicas, disk_budget, metrics } = self;
        if offline_after < 5 {
            return Err(UsageError("--offline-after: at least 5 seconds".to_owned()));
        }
        if forget_after < offline_after {
            return Err(UsageError("--forget-after: not less than --offline-after".to_owned()));
        }
        if max_nodes == 0 {
            return Err(UsageError("--max-nodes: at least 1".to_owned()));
        }
        if !matches!(replicas, 1 | 3 | 5) {
            return Err(UsageError("--replicas: 1, 3 or 5".to_owned()));
        }
        let metrics = metrics.map(|address| address.resolve("--metrics", None)).transpose()?;
        let limits = Limits {
            offline_after_ms: i64::from(offline_after) * 1_000,
            forget_after_ms: i64::from(forget_after) * 1_000,
            max_nodes: share(max_nodes, partitions),
        };
        Ok(Config {
            partitions,
            limits,
            replicas: usize::from(replicas),
            disk_budget,
            minutes_period: MINUTES_PERIOD,
            metrics,
        })
    }
}

/// The most nodes of one partition: names are spread evenly, but not exactly.
fn share(max_nodes: u32, partitions: PartitionCount) -> usize {
    let even = max_nodes.div_ceil(partitions.get().into()) as usize;
    even + even / 4 + 64
}
