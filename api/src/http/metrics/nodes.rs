//! Each node for Prometheus.

use tidemap_service::exposition::{
    Exposition, FamilyOf,
    Kind::{Counter, Gauge},
};
use tidemap_wire::{Bps, METRICS, Metric, MetricKind, MetricUnit, Status, http::NodeJson};

/// The families that have a sample for each node.
pub(super) fn families(text: &mut Exposition, nodes: &[&NodeJson]) {
    statuses(text, nodes);
    let families: [FamilyOf<NodeJson, Option<f64>>; 8] = [
        (Gauge, "tidemap_node_up", "1 while the node is online; absent while nobody can say.", |node| {
            (node.status != Status::Unknown).then(|| f64::from(u8::from(node.status == Status::Online)))
        }),
        (
            Gauge,
            "tidemap_node_last_report_timestamp_seconds",
            "When the broker stored the node's newest report, Unix seconds.",
            |node| Some(node.last_seen_timestamp),
        ),
        (Gauge, "tidemap_node_network_receive_bytes_per_second", "Traffic of an online node.", |node| {
            live(node, node.network_rx_bytes_per_sec.map(Bps::get))
        }),
        (Gauge, "tidemap_node_network_transmit_bytes_per_second", "Traffic of an online node.", |node| {
            live(node, node.network_tx_bytes_per_sec.map(Bps::get))
        }),
        (
            Gauge,
            "tidemap_node_network_receive_utilisation_ratio",
            "Traffic of an online node as a share of what its links carry, or of its declared cap.",
            |node| live(node, node.network_rx_utilisation_percent).map(|percent| percent / 100.0),
        ),
        (
            Gauge,
            "tidemap_node_network_transmit_utilisation_ratio",
            "Traffic of an online node as a share of what its links carry, or of its declared cap.",
            |node| live(node, node.network_tx_utilisation_percent).map(|percent| percent / 100.0),
        ),
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

/// A node that reports late or is silent has the value 0 in `tidemap_node_up`; this tells them apart.
fn statuses(text: &mut Exposition, nodes: &[&NodeJson]) {
    let help = "1 for the node's status, 0 for the others; unknown while nobody can say.";
    let mut family = text.family(Gauge, "tidemap_node_status", help);
    for node in nodes {
        for status in [Status::Online, Status::Warning, Status::Offline, Status::Unknown] {
            let labels = [("node", node.name.as_str()), ("status", status.as_str())];
            family.sample(&labels, f64::from(u8::from(node.status == status)));
        }
    }
}

/// A family for each host metric, in Prometheus' base units.
fn host_metric(text: &mut Exposition, metric: &Metric, nodes: &[&NodeJson]) {
    let (suffix, base_suffix, help) = match metric.unit {
        MetricUnit::Percent => ("_percent", "_ratio", ", 0 to 1"),
        MetricUnit::Megahertz => ("_mhz", "_hertz", ""),
        MetricUnit::BytesPerSecond => ("_bps", "_bytes_per_second", ""),
        MetricUnit::Seconds => ("_s", "_seconds", ""),
        MetricUnit::Milliseconds => ("_ms", "_seconds", ", in seconds"),
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
        MetricUnit::Milliseconds => value / 1_000.0,
        _ => value,
    }
}

/// A silent node's last rate is outdated, so its series ends.
fn live(node: &NodeJson, value: Option<f64>) -> Option<f64> {
    value.filter(|_| node.status == Status::Online)
}
