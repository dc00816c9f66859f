//! The requests of homelab-map's page, which this system succeeds: it shows made-up nodes unless all three
//! are answered.

use tidemap_wire::{SECOND_NAMES, http::NodeJson};

use super::*;

/// What that page reads of a node and this system measures.
const NODE_FIELDS: [&str; 36] = [
    "name",
    "hostname",
    "internal_ip",
    "external_ip",
    "lat",
    "lon",
    "location",
    "provider",
    "status",
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "network_tx_bytes_per_sec",
    "network_rx_bytes_per_sec",
    "last_seen_timestamp",
    "last_seen",
    "cpu_temp_celsius",
    "fan_rpm",
    "cpu_freq_mhz",
    "uptime_seconds",
    "load_avg_1m",
    "load_avg_5m",
    "load_avg_15m",
    "swap_percent",
    "memory_total_bytes",
    "disk_read_bytes_per_sec",
    "disk_write_bytes_per_sec",
    "process_count",
    "network_errin",
    "network_errout",
    "network_dropin",
    "network_dropout",
    // These also have names of their own.
    "processes",
    "uptime_s",
    "load_1",
    "temperature_c",
];

/// What it reads of the totals.
const STATS_FIELDS: [&str; 11] = [
    "total_nodes",
    "online_nodes",
    "offline_nodes",
    "avg_cpu_percent",
    "avg_memory_percent",
    "avg_disk_percent",
    "avg_network_tx_bytes_per_sec",
    "avg_network_rx_bytes_per_sec",
    "providers",
    "total_connections",
    "timestamp",
];

/// As its page asks.
async fn asked(path: &str) -> Value {
    let request = warp::test::request().path(path).header("accept", "application/json, text/plain, */*");
    let answer = request.reply(&api(Readers::OnLoopback).await).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    json(&answer)
}

#[tokio::test]
async fn its_three_requests_are_answered_with_the_fields_that_it_reads() {
    let nodes = asked("/api/nodes").await;
    for node in nodes.as_array().unwrap() {
        for field in NODE_FIELDS {
            assert!(node.get(field).is_some(), "{field}");
        }
    }
    let stats = asked("/api/stats").await;
    for field in STATS_FIELDS {
        assert!(!stats[field].is_null(), "{field}");
    }
    assert_eq!((&stats["total_nodes"], &stats["total_connections"]), (&4.into(), &0.into()));
    assert_eq!(asked("/api/connections").await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_second_name_has_the_value_of_the_first() {
    let nodes = asked("/api/nodes").await;
    let measured = nodes.as_array().unwrap().iter().find(|node| node["name"] == "web-01.example").unwrap();
    for (second, first) in SECOND_NAMES {
        assert_eq!(measured[second], measured[first], "{second}");
    }
    let known = SECOND_NAMES.iter().filter(|(second, _)| !measured[second].is_null()).count();
    assert_eq!(known, SECOND_NAMES.len(), "{measured}");
    // What has both names is still read as one node.
    let _read: NodeJson = serde_json::from_value(measured.clone()).unwrap();
}
