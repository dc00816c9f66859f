//! The API's answers as JSON. Optional fields are null when unknown; rates are bytes per second.

mod alerts;
mod csv_text;
mod history;
mod traffic;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::alerts::{AlertCountsJson, AlertsJson, EvaluatorJson, SilenceJson, SilencesJson};
pub use self::csv_text::csv_text;
pub use self::history::{HistoryJson, HistoryStatusJson, TRAFFIC_COLUMNS, TierJson, TopJson, TopNodeJson};
pub use self::traffic::{
    P95Json, PlanJson, PlansJson, QuotaJson, SlotRatesJson, TrafficJson, TrafficPeriodJson,
};
use crate::{Averages, Bps, Host, InterfaceRate, LocationSource, Probe, Series, Status};

/// One element of `GET /api/nodes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeJson {
    /// The node's name in lower case, or a short form of a long one: the key of `/api/nodes/{name}`. It
    /// stays the same as long as the node exists.
    pub name: String,
    /// How the node is called, as somebody typed it: the name to show.
    #[serde(default)]
    pub display_name: String,
    /// The host's own name.
    pub hostname: Option<String>,
    /// The address of the default route's interface.
    pub internal_ip: Option<String>,
    /// A globally routable address of an interface.
    pub external_ip: Option<String>,
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
    /// The place's name.
    pub location: Option<String>,
    /// How the place is known; `time-zone` is approximate.
    pub location_source: Option<LocationSource>,
    /// Who runs the host.
    pub provider: Option<String>,
    /// Whether it still reports.
    pub status: Status,
    /// Seconds since the status last changed.
    pub status_for_s: u64,
    /// Upload now: the newest sample's rate, also of a node that is not online (see `age_ms`).
    pub network_tx_bytes_per_sec: Option<Bps>,
    /// Download now; as for upload, also of a node that is not online.
    pub network_rx_bytes_per_sec: Option<Bps>,
    /// Upload, mean over 10 seconds.
    pub network_tx_bytes_per_sec_avg_10s: Option<Bps>,
    /// Upload, mean over 1 minute.
    pub network_tx_bytes_per_sec_avg_1m: Option<Bps>,
    /// Upload, mean over 5 minutes.
    pub network_tx_bytes_per_sec_avg_5m: Option<Bps>,
    /// Upload, mean over 15 minutes.
    pub network_tx_bytes_per_sec_avg_15m: Option<Bps>,
    /// Download, mean over 10 seconds.
    pub network_rx_bytes_per_sec_avg_10s: Option<Bps>,
    /// Download, mean over 1 minute.
    pub network_rx_bytes_per_sec_avg_1m: Option<Bps>,
    /// Download, mean over 5 minutes.
    pub network_rx_bytes_per_sec_avg_5m: Option<Bps>,
    /// Download, mean over 15 minutes.
    pub network_rx_bytes_per_sec_avg_15m: Option<Bps>,
    /// Upload now in hundredths of what the links carry, or of the cap that the operator declared; over 100
    /// where more is moved than is stated. Null while neither is known.
    #[serde(default)]
    pub network_tx_utilisation_percent: Option<f64>,
    /// Download now, in the same way.
    #[serde(default)]
    pub network_rx_utilisation_percent: Option<f64>,
    /// Whether reports were lost that the averages of 15 minutes, or shorter ones, should contain.
    pub averages_partial: bool,
    /// Bytes sent, over all runs of the agent that ingest remembers.
    pub network_tx_bytes_total: u64,
    /// Bytes received, over all runs of the agent that ingest remembers.
    pub network_rx_bytes_total: u64,
    /// Broker time of the newest report, Unix seconds.
    pub last_seen_timestamp: f64,
    /// The age of the newest report in words: `7s ago`, `3m ago`, `2h ago`.
    pub last_seen: String,
    /// The age of the newest report in milliseconds.
    pub age_ms: u64,
    /// Milliseconds between the node's samples.
    pub interval_ms: u32,
    /// How far the host's clock is ahead of the broker's, in milliseconds.
    pub clock_skew_ms: i64,
    /// The operator's labels.
    pub labels: BTreeMap<String, String>,
    /// Operating system and version.
    pub os: Option<String>,
    /// Kernel version.
    pub kernel: Option<String>,
    /// Processor architecture.
    pub arch: Option<String>,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// Memory in use, 0 to 100.
    pub memory_percent: Option<f64>,
    /// Swap in use, 0 to 100.
    pub swap_percent: Option<f64>,
    /// Space in use on the root file system or on `disk_path`, 0 to 100.
    pub disk_percent: Option<f64>,
    /// Every metric of [`METRICS`](crate::METRICS), as a field of its own.
    #[serde(flatten, with = "crate::metrics::json")]
    pub host: Host,
    /// Samples that the agent's current run dropped before the broker stored them, as of its newest hello.
    pub lost_samples: Option<u64>,
    /// Where the file system is mounted whose space is reported; null for the root.
    #[serde(default)]
    pub disk_path: Option<String>,
    /// Reports that were refused, or of which a part was, since the node is known; null when none was.
    pub refused_reports: Option<u64>,
    /// Why the last one was, as a word of `tidemap_api_refused_total`; null on a public page.
    pub refused_reason: Option<String>,
}

/// `GET /api/nodes/{name}`: the node, its interfaces and its recent past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeDetailJson {
    /// The node as `/api/nodes` shows it.
    #[serde(flatten)]
    pub node: NodeJson,
    /// Every interface with the reason why it counts or not.
    pub interfaces: Vec<InterfaceJson>,
    /// How many interfaces the node has besides, which are not listed.
    pub unlisted_interfaces: u32,
    /// What the links carry at most of upload: the cap that the operator declared, otherwise their speed;
    /// null while neither is known.
    #[serde(default)]
    pub network_tx_capacity_bytes_per_sec: Option<Bps>,
    /// What the links carry at most of download, in the same way.
    #[serde(default)]
    pub network_rx_capacity_bytes_per_sec: Option<Bps>,
    /// What the node's probes found in the last minute; empty of a node that does not probe.
    #[serde(default)]
    pub probes: Vec<ProbeJson>,
    /// The last minute by the second; null when the partition has no owner to ask.
    pub last_60s: Option<Series>,
    /// The last 15 minutes by quarters of a minute; null when the partition has no owner to ask.
    pub last_15m: Option<Series>,
}

/// What the probes of one target came to in a minute. Times are in milliseconds, of the probes that were
/// answered; null when none was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeJson {
    /// What is probed: `icmp://host` or `tcp://host:port`.
    pub target: String,
    /// Probes whose end is known.
    pub sent: u32,
    /// Those of them that were not answered.
    pub lost: u32,
    /// Lost probes in hundredths of those sent; null when none was sent.
    pub loss_percent: Option<f64>,
    /// The shortest round trip.
    pub min_ms: Option<f64>,
    /// The median round trip.
    pub median_ms: Option<f64>,
    /// The longest round trip.
    pub max_ms: Option<f64>,
    /// The mean difference between one round trip and the next.
    pub jitter_ms: Option<f64>,
    /// Why nothing could be sent lately.
    pub failure: Option<String>,
}

impl From<&Probe> for ProbeJson {
    fn from(probe: &Probe) -> Self {
        Self {
            target: probe.target.clone(),
            sent: probe.sent,
            lost: probe.lost,
            loss_percent: probe.loss_percent(),
            min_ms: probe.min_ms,
            median_ms: probe.median_ms,
            max_ms: probe.max_ms,
            jitter_ms: probe.jitter_ms,
            failure: probe.failure.clone(),
        }
    }
}

/// One element of `GET /api/connections`: a node that another one probes, with names as homelab-map's page
/// reads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionJson {
    /// The name of the node that probes.
    pub source_node: String,
    /// Its place, degrees north.
    pub source_lat: f64,
    /// Its place, degrees east.
    pub source_lon: f64,
    /// The name of the node that is probed.
    pub target_node: String,
    /// Its place, degrees north.
    pub target_lat: f64,
    /// Its place, degrees east.
    pub target_lon: f64,
    /// The median round trip of the last minute.
    pub latency_ms: f64,
    /// The shortest round trip.
    pub min_ms: f64,
    /// The longest round trip.
    pub max_ms: f64,
    /// The mean difference between one round trip and the next; null while only one is known.
    pub jitter_ms: Option<f64>,
    /// Lost probes in hundredths of those sent.
    pub loss_percent: f64,
}

/// An interface of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceJson {
    /// The kernel's name.
    pub name: String,
    /// Whether its bytes are part of the node's sums.
    pub counted: bool,
    /// The reason why its bytes are counted or not.
    pub reason: String,
    /// Link speed in megabits per second.
    pub speed_mbps: Option<u32>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Bytes per second received.
    pub rx_bytes_per_sec: Option<Bps>,
    /// Bytes per second sent.
    pub tx_bytes_per_sec: Option<Bps>,
}

impl InterfaceJson {
    /// Joins an interface of the inventory with its newest rate.
    pub fn new(interface: &crate::Interface, rates: &[InterfaceRate]) -> Self {
        let rate = rates.iter().find(|rate| rate.name == interface.name);
        Self {
            name: interface.name.clone(),
            counted: interface.counted,
            reason: interface.reason.clone(),
            speed_mbps: interface.speed_mbps,
            addresses: interface.addresses.clone(),
            rx_bytes_per_sec: rate.map(|rate| rate.rx_bps),
            tx_bytes_per_sec: rate.map(|rate| rate.tx_bps),
        }
    }
}

/// `GET /api/stats`, and the event stream's `stats`. Averages and totals are over online nodes, 0 when there
/// is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatsJson {
    /// All nodes that are known.
    pub total_nodes: u64,
    /// Nodes online.
    pub online_nodes: u64,
    /// Nodes that have missed a few reports.
    pub warning_nodes: u64,
    /// Nodes that have not reported for the offline limit.
    pub offline_nodes: u64,
    /// Nodes whose worker is not heard, so that nobody knows their status. They are in no sum.
    #[serde(default)]
    pub unknown_nodes: u64,
    /// Mean processor use over the online nodes that report it, 0 to 100, rounded to 2 decimals.
    pub avg_cpu_percent: f64,
    /// Mean memory use, computed in the same way.
    pub avg_memory_percent: f64,
    /// Mean disk use, computed in the same way.
    pub avg_disk_percent: f64,
    /// Mean upload over the online nodes whose rate is known, rounded to 2 decimals.
    pub avg_network_tx_bytes_per_sec: f64,
    /// Mean download, computed in the same way.
    pub avg_network_rx_bytes_per_sec: f64,
    /// Upload of all online nodes.
    pub total_network_tx_bytes_per_sec: f64,
    /// Download of all online nodes.
    pub total_network_rx_bytes_per_sec: f64,
    /// Rolling averages of the total upload.
    pub total_network_tx_bytes_per_sec_avg: Averages,
    /// Rolling averages of the total download.
    pub total_network_rx_bytes_per_sec_avg: Averages,
    /// Number of nodes by provider; nodes without a provider count as `unknown`.
    pub providers: BTreeMap<String, u64>,
    /// The online nodes that upload most, at most ten, highest first.
    pub top_tx: Vec<TalkerJson>,
    /// The online nodes that download most, at most ten, highest first.
    pub top_rx: Vec<TalkerJson>,
    /// Measured connections between nodes: as many as `/api/connections` lists.
    #[serde(default)]
    pub total_connections: u64,
    /// How many partitions the fleet is divided into.
    pub partitions: u16,
    /// How many partitions have an owner that publishes. Values of nodes in the other partitions do not
    /// change.
    pub partitions_fresh: u16,
    /// Reports that the broker has stored and the owners have not applied, as of the owners' newest
    /// statistics; null until every owner has published statistics once.
    pub lag_messages: Option<u64>,
    /// The age of the newest message that is applied where others are not yet, in milliseconds; 0 where all
    /// are, null until all workers have published.
    #[serde(default)]
    pub lag_ms: Option<u64>,
    /// How long ago the owner that has been silent for longest published; null until every owner has
    /// published once.
    pub view_age_ms: Option<u64>,
    /// Broker time, Unix seconds.
    pub timestamp: f64,
}

/// `GET /api/stats?by=…`: the totals, and those of each group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupedStatsJson {
    /// The totals of the fleet.
    #[serde(flatten)]
    pub stats: StatsJson,
    /// The groups, ordered by key; the group of nodes without a key comes last.
    pub groups: Vec<GroupJson>,
}

/// The nodes that share a location, a provider or the value of a label. Sums are over online nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupJson {
    /// The shared value; null for the nodes that have none.
    pub key: Option<String>,
    /// Its nodes.
    pub total_nodes: u64,
    /// Nodes online.
    pub online_nodes: u64,
    /// Nodes that have missed a few reports.
    pub warning_nodes: u64,
    /// Nodes that have not reported for the offline limit.
    pub offline_nodes: u64,
    /// Nodes whose worker is not heard, so that nobody knows their status. They are in no sum.
    #[serde(default)]
    pub unknown_nodes: u64,
    /// Upload of its online nodes.
    pub network_tx_bytes_per_sec: f64,
    /// Download of its online nodes.
    pub network_rx_bytes_per_sec: f64,
}

/// A top talker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TalkerJson {
    /// The node's name, as in `/api/nodes`.
    pub name: String,
    /// How the node is called.
    #[serde(default)]
    pub display_name: String,
    /// Its rate.
    pub bytes_per_sec: Bps,
}

/// Every error's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorJson {
    /// What was wrong, in one sentence.
    pub detail: String,
}
