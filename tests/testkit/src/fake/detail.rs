//! The details of one node of a made-up fleet.

use serde_json::{Value, json};
use tidemap_wire::{
    NodeId,
    http::{ConnectionJson, NodeDetailJson},
};

use super::FakeFleet;

/// The node that others probe.
const PROBED: &str = "db-02";
const STATUSES: [&str; 3] = ["online", "warning", "offline"];

/// The API's answer about the node with this name or id; `None` if there is none.
pub(super) fn detail(fleet: &FakeFleet, name: &str) -> anyhow::Result<Option<NodeDetailJson>> {
    let named = NodeId::from_token(name).map(|id| id.text());
    let is_asked = |known: &str| known == name || named.as_deref() == Ok(known);
    let Some(row) = fleet.nodes().iter().position(|node| is_asked(&node.name)) else { return Ok(None) };
    let mut detail = Value::Object(serde_json::Map::new());
    for part in [identity(fleet, row), rates(fleet, row), host(), latency(fleet, row)] {
        if let (Value::Object(all), Value::Object(part)) = (&mut detail, part) {
            all.extend(part);
        }
    }
    // A value that does not fit the API's own structure is an error in this module.
    Ok(Some(serde_json::from_value(detail)?))
}

fn identity(fleet: &FakeFleet, row: usize) -> Value {
    let node = &fleet.nodes()[row];
    let age_ms = fleet.age_ms(node);
    let place = node.place.as_ref();
    json!({
        "name": node.name,
        "display_name": node.name,
        "hostname": node.name,
        "internal_ip": "10.0.0.7",
        "external_ip": "203.0.113.7",
        "location": place.map(|place| &place.0),
        "lat": place.map(|place| place.1),
        "lon": place.map(|place| place.2),
        "location_source": "given",
        "provider": node.provider,
        "status": STATUSES.get(usize::from(node.status)),
        "status_for_s": 3720,
        "last_seen_timestamp": (fleet.at_ms() as f64 - age_ms as f64) / 1000.0,
        "last_seen": format!("{}s ago", age_ms / 1000),
        "age_ms": age_ms,
        "interval_ms": 1000,
        "clock_skew_ms": 3,
        "labels": { "rack": "r7" },
    })
}

fn rates(fleet: &FakeFleet, row: usize) -> Value {
    let (rx, tx) = (fleet.rx(row), fleet.tx(row));
    let interface = |name: &str, counted: bool, reason: &str, address: &str| {
        let rate = |rate: Option<u64>| rate.filter(|_| counted).unwrap_or(10);
        json!({
            "name": name, "counted": counted, "reason": reason, "speed_mbps": counted.then_some(1000),
            "addresses": [address], "rx_bytes_per_sec": rate(rx), "tx_bytes_per_sec": rate(tx),
        })
    };
    let mut rates = json!({
        "network_tx_bytes_per_sec": tx,
        "network_rx_bytes_per_sec": rx,
        "averages_partial": false,
        "network_tx_bytes_total": 7_700_000_000_u64,
        "network_rx_bytes_total": 98_000_000_000_u64,
        "interfaces": [
            interface("eth0", true, "physical", "10.0.0.7/24"),
            interface("lo", false, "loopback", "127.0.0.1/8"),
        ],
        "unlisted_interfaces": 0,
        "last_60s": series(fleet, row, 1000),
        "last_15m": series(fleet, row, 15_000),
    });
    // No node has run for fifteen minutes yet.
    for window in ["10s", "1m", "5m"] {
        for (direction, rate) in [("tx", tx), ("rx", rx)] {
            rates[format!("network_{direction}_bytes_per_sec_avg_{window}")] = json!(rate);
        }
    }
    rates
}

/// Sixty steps with a gap in the middle, as after lost reports.
fn series(fleet: &FakeFleet, row: usize, step_ms: u32) -> Value {
    let rate = fleet.nodes()[row].rate;
    let steps = |share: f64, shift: f64| -> Vec<Option<f64>> {
        let wave = |at: u32| share * (1.0 + 0.3 * (f64::from(at) / 4.0 + shift).sin());
        (0..60).map(|at| rate.filter(|_| !(30..33).contains(&at)).map(|rate| rate * wave(at))).collect()
    };
    json!({ "step_ms": step_ms, "end_ms": fleet.at_ms(), "rx_bps": steps(1.0, 0.0), "tx_bps": steps(0.45, 1.0) })
}

/// Round trips: an edge node probes two targets, one of which no longer answers.
fn latency(fleet: &FakeFleet, row: usize) -> Value {
    let name = &fleet.nodes()[row].name;
    if !name.starts_with("edge") {
        return json!({});
    }
    let probe = |target: &str, lost: u32, median_ms: Option<f64>| {
        json!({
            "target": target, "sent": 6, "lost": lost, "loss_percent": f64::from(lost) / 6.0 * 100.0,
            "min_ms": median_ms.map(|ms| 0.7 * ms), "median_ms": median_ms, "max_ms": median_ms.map(|ms| 1.6 * ms),
            "jitter_ms": median_ms.map(|ms| 0.1 * ms), "failure": null,
        })
    };
    let minute = (fleet.at_ms() / 60_000) as f64;
    json!({
        "broker_rtt_p50_ms": 0.42, "broker_rtt_p99_ms": 1.8, "broker_loss_percent": 0.0,
        "probes": [
            probe(&format!("icmp://{PROBED}"), u32::from(minute as i64 % 7 == 3), Some(11.0 + 3.0 * minute.sin())),
            probe("tcp://198.51.100.7:443", 6, None),
        ],
    })
}

/// Every edge node that has a place probes the first database.
pub(super) fn connections(fleet: &FakeFleet) -> Vec<ConnectionJson> {
    let target = fleet.nodes().iter().find(|node| node.name == PROBED);
    let target = target.and_then(|node| Some((node, node.place.as_ref()?)));
    let Some((target, to)) = target else { return Vec::new() };
    let edges = fleet.nodes().iter().filter(|node| node.name.starts_with("edge"));
    let connection = |(at, node): (usize, &super::FakeNode)| {
        let from = node.place.as_ref()?;
        let latency_ms = 11.0 + at as f64;
        Some(ConnectionJson {
            source_node: node.name.clone(),
            source_lat: from.1,
            source_lon: from.2,
            target_node: target.name.clone(),
            target_lat: to.1,
            target_lon: to.2,
            latency_ms,
            min_ms: 0.7 * latency_ms,
            max_ms: 1.6 * latency_ms,
            jitter_ms: Some(1.0),
            loss_percent: 0.0,
        })
    };
    edges.enumerate().filter_map(connection).collect()
}

fn host() -> Value {
    json!({
        "cpu_percent": 37.2, "memory_percent": 61.5, "disk_percent": 82.7, "swap_percent": 0.0,
        "memory_used_bytes": 9_800_000_000_u64, "memory_total_bytes": 16_000_000_000_u64,
        "disk_used_bytes": 82_700_000_000_u64, "disk_total_bytes": 100_000_000_000_u64,
        "disk_read_bytes_per_sec": 1_200_000.0, "disk_write_bytes_per_sec": 3_400_000.0,
        "load_1": 1.21, "load_5": 1.03, "load_15": 0.88, "uptime_s": 864_000, "processes": 214,
        "network_errors": 0, "network_drops": 12, "lost_samples": 0, "refused_reports": null, "refused_reason": null,
        "os": "Debian GNU/Linux 12", "kernel": "6.1.0-25", "arch": "x86_64", "agent_version": "0.1.0",
        "cpu_count": 8, "cpu_mhz": 3400,
    })
}
