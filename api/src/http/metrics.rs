//! The fleet, the pipeline and the history for Prometheus.

mod history;

use std::time::Duration;

use tidemap_service::exposition::{
    Exposition, FamilyOf,
    Kind::{Counter, Gauge},
    TEXT,
};
use tidemap_wire::{
    Averages, Bps, METRICS, Metric, MetricKind, MetricUnit, Status, history_query::HistoryStatus,
    http::NodeJson,
};
use tokio::time::timeout;
use warp::reply::Response;

use crate::{
    answers::Stats,
    http::{Asked, Site, bodies, errors::ApiError},
};

/// How long a scrape waits for a history station.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(1);

/// `GET /metrics`
pub(super) async fn read(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let (nodes, stats) = site.fleet.both().await?;
    let limit = site.metrics_nodes;
    let write = async || {
        let history = timeout(HISTORY_TIMEOUT, site.history.status()).await.ok().and_then(Result::ok);
        let write = move |list: &[NodeJson]| text(list, &stats, history.as_ref(), limit).into_bytes();
        nodes.body(write).await
    };
    let body = nodes.metrics.get_or_try_init(write).await?;
    bodies::shared(&asked.headers, nodes.version, TEXT, body).await
}

fn text(nodes: &[NodeJson], stats: &Stats, history: Option<&HistoryStatus>, limit: usize) -> String {
    let mut text = Exposition::default();
    fleet(&mut text, stats);
    partitions(&mut text, stats);
    service(&mut text, stats);
    history::families(&mut text, history);
    let named = &nodes[..nodes.len().min(limit)];
    text.family(Gauge, "tidemap_nodes_omitted", "Nodes beyond the limit that have no series of their own.")
        .sample(&[], (nodes.len() - named.len()) as f64);
    each_node(&mut text, named);
    text.finish()
}

fn fleet(text: &mut Exposition, stats: &Stats) {
    let values = &stats.values;
    let mut nodes = text.family(Gauge, "tidemap_nodes", "Nodes by status.");
    for (status, count) in [
        (Status::Online, values.online_nodes),
        (Status::Warning, values.warning_nodes),
        (Status::Offline, values.offline_nodes),
        (Status::Unknown, values.unknown_nodes),
    ] {
        nodes.sample(&[("status", status.as_str())], count as f64);
    }
    let directions = [
        ("receive", values.total_network_rx_bytes_per_sec, &values.total_network_rx_bytes_per_sec_avg),
        ("transmit", values.total_network_tx_bytes_per_sec, &values.total_network_tx_bytes_per_sec_avg),
    ];
    for (direction, now, averages) in directions {
        let name = format!("tidemap_network_{direction}_bytes_per_second");
        text.family(Gauge, &name, "Traffic of all online nodes.").sample(&[], now);
        let mut family = text.family(Gauge, &format!("{name}_average"), "The same, averaged over a window.");
        for (window, rate) in windows(averages) {
            family.sample(&[("window", window)], rate.get());
        }
    }
    for (name, help, percent) in [
        ("tidemap_cpu_usage_ratio", "Mean processor use of online nodes.", values.avg_cpu_percent),
        ("tidemap_memory_usage_ratio", "Mean memory use of online nodes.", values.avg_memory_percent),
        ("tidemap_disk_usage_ratio", "Mean disk use of online nodes.", values.avg_disk_percent),
    ] {
        text.family(Gauge, name, help).sample(&[], percent / 100.0);
    }
}

fn windows(averages: &Averages) -> impl Iterator<Item = (&'static str, Bps)> {
    [("10s", averages.s10), ("1m", averages.m1), ("5m", averages.m5), ("15m", averages.m15)]
        .into_iter()
        .filter_map(|(window, rate)| Some((window, rate?)))
}

fn partitions(text: &mut Exposition, stats: &Stats) {
    let partitions = &stats.health.partitions;
    let mut family =
        text.family(Gauge, "tidemap_partition_fresh", "1 while the API follows the partition's owner.");
    for partition in partitions {
        family.sample(&[("partition", &partition.number.to_string())], f64::from(u8::from(partition.fresh)));
    }
    // The last totals of an owner that is not heard say nothing of now.
    let heard = partitions.iter().filter(|partition| partition.fresh);
    text.owners(heard.filter_map(|partition| partition.owner.as_ref()));
}

fn service(text: &mut Exposition, stats: &Stats) {
    let counters = &stats.health.counters;
    text.family(Gauge, "tidemap_api_stream_clients", "Event streams that are open.")
        .sample(&[], stats.health.listeners as f64);
    for (name, help, count) in [
        ("tidemap_api_ticks_total", "Ticks of the view.", counters.ticks),
        ("tidemap_api_deltas_applied_total", "Deltas applied to the view.", counters.fleet.deltas_applied),
        ("tidemap_api_deltas_stale_total", "Deltas older than the view.", counters.fleet.deltas_stale),
        (
            "tidemap_api_deltas_ahead_total",
            "Deltas that had to wait for a snapshot.",
            counters.fleet.deltas_ahead,
        ),
        ("tidemap_api_snapshots_total", "Snapshots taken from owners.", counters.fleet.snapshots_applied),
        (
            "tidemap_api_snapshot_failures_total",
            "Requests for snapshots without an answer.",
            counters.fleet.snapshots_failed,
        ),
        (
            "tidemap_api_streams_opened_total",
            "Event streams opened with a snapshot.",
            counters.streams_opened,
        ),
        (
            "tidemap_api_streams_resumed_total",
            "Event streams resumed where they were left.",
            counters.streams_resumed,
        ),
    ] {
        text.family(Counter, name, help).sample(&[], count as f64);
    }
    let mut refused = text.family(Counter, "tidemap_api_refused_total", "Messages refused, by reason.");
    for (reason, count) in &counters.fleet.refused {
        refused.sample(&[("reason", reason)], *count as f64);
    }
}

fn each_node(text: &mut Exposition, nodes: &[NodeJson]) {
    let families: [FamilyOf<NodeJson, Option<f64>>; 5] = [
        (Gauge, "tidemap_node_up", "1 while the node is online; absent while nobody can say.", |node| {
            (node.status != Status::Unknown).then(|| f64::from(u8::from(node.status == Status::Online)))
        }),
        (Gauge, "tidemap_node_network_receive_bytes_per_second", "Traffic of an online node.", |node| {
            live(node, node.network_rx_bytes_per_sec)
        }),
        (Gauge, "tidemap_node_network_transmit_bytes_per_second", "Traffic of an online node.", |node| {
            live(node, node.network_tx_bytes_per_sec)
        }),
        (Counter, "tidemap_node_network_receive_bytes_total", "Bytes received.", |node| {
            Some(node.network_rx_bytes_total as f64)
        }),
        (Counter, "tidemap_node_network_transmit_bytes_total", "Bytes sent.", |node| {
            Some(node.network_tx_bytes_total as f64)
        }),
    ];
    for (kind, name, help, value) in families {
        let mut family = text.family(kind, name, help);
        for node in nodes {
            if let Some(value) = value(node) {
                family.sample(&[("node", &node.name)], value);
            }
        }
    }
    for metric in METRICS {
        host_metric(text, &metric, nodes);
    }
}

/// A family for each host metric, in Prometheus' base units.
fn host_metric(text: &mut Exposition, metric: &Metric, nodes: &[NodeJson]) {
    let (suffix, base_suffix, help) = match metric.unit {
        MetricUnit::Percent => ("_percent", "_ratio", ", 0 to 1"),
        MetricUnit::Megahertz => ("_mhz", "_hertz", ""),
        MetricUnit::BytesPerSecond => ("_bps", "_bytes_per_second", ""),
        MetricUnit::Seconds => ("_s", "_seconds", ""),
        MetricUnit::Celsius => ("_c", "_celsius", ""),
        // `_count` is reserved for histograms.
        MetricUnit::Count => ("_count", "s", ""),
        MetricUnit::Bytes | MetricUnit::TurnsPerMinute | MetricUnit::Load => ("", "", ""),
    };
    let in_base_units = metric.name.strip_suffix(suffix).map(|stem| [stem, base_suffix].concat());
    let name = in_base_units.unwrap_or_else(|| metric.name.to_owned());
    let (kind, total) = match metric.kind {
        MetricKind::Gauge => (Gauge, ""),
        MetricKind::Counter => (Counter, "_total"),
    };
    let name = ["tidemap_node_", &name, total].concat();
    let mut family = text.family(kind, &name, &[metric.help, help, "."].concat());
    for node in nodes {
        // A silent node's last values are outdated, so the series of its gauges end.
        let is_live = metric.kind == MetricKind::Counter || node.status == Status::Online;
        if let Some(value) = node.host.get(metric.id).filter(|_| is_live) {
            family.sample(&[("node", &node.name)], in_base_unit(metric.unit, value.as_f64()));
        }
    }
}

fn in_base_unit(unit: MetricUnit, value: f64) -> f64 {
    match unit {
        MetricUnit::Percent => value / 100.0,
        MetricUnit::Megahertz => value * 1e6,
        _ => value,
    }
}

/// A silent node's last rate is outdated, so its series ends.
fn live(node: &NodeJson, rate: Option<Bps>) -> Option<f64> {
    rate.filter(|_| node.status == Status::Online).map(Bps::get)
}
