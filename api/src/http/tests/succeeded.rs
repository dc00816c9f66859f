//! The requests of homelab-map's page, which this system succeeds: it shows made-up nodes unless all three
//! are answered.

use tidemap_client::testing::full_node;
use tidemap_wire::{Hello, NodeUpdate, Probe, SECOND_NAMES, Status, http::NodeJson};

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

/// A node in Berlin that probes `targets`, which are all answered.
fn probing(name: &str, targets: &[&str]) -> NodeUpdate {
    let node = full_node(name);
    let [probe] = node.probes.as_deref().unwrap() else { panic!("one probe") };
    let probes =
        targets.iter().map(|target| Probe { target: (*target).to_owned(), ..probe.clone() }).collect();
    let hello = Hello {
        hostname: format!("{name}.example.com"),
        internal_ip: Some(format!("10.0.0.{}", name.len())),
        external_ip: None,
        addresses: Vec::new(),
        ..node.hello.as_deref().cloned().unwrap()
    };
    NodeUpdate { probes: Some(probes), hello: Some(Box::new(hello)), ..node }
}

/// The fields of a connection that its page reads: without one of them it fails.
const CONNECTION_FIELDS: [&str; 9] = [
    "source_node",
    "source_lat",
    "source_lon",
    "target_node",
    "target_lat",
    "target_lon",
    "latency_ms",
    "min_ms",
    "max_ms",
];

#[tokio::test]
async fn nodes_that_probe_each_other_are_its_connections() {
    let lost = {
        let node = probing("lost", &["icmp://fra"]);
        let silent = Probe { target: "icmp://fra".to_owned(), sent: 6, lost: 6, ..Probe::default() };
        NodeUpdate { probes: Some(vec![silent]), ..node }
    };
    let nowhere = {
        let node = probing("nowhere", &["icmp://fra"]);
        let hello = Hello { location: None, ..node.hello.as_deref().cloned().unwrap() };
        NodeUpdate { hello: Some(Box::new(hello)), ..node }
    };
    let gone = NodeUpdate { status: Status::Offline, ..probing("offline", &["icmp://fra"]) };
    let fleet = vec![
        // Its own name, a stranger, two ways to one node, a node without a place.
        probing("fra", &["icmp://fra", "icmp://192.0.2.1", "tcp://AMS-01:443", "icmp://nowhere"]),
        // By its host's name, by its address, by how it is called.
        probing("ams-01", &["icmp://FRA.example.com", "tcp://10.0.0.3:22"]),
        probing("vienna-1", &["icmp://10.0.0.6"]),
        lost,
        nowhere,
        gone,
    ];
    let api = routes(site(fleet, Readers::OnLoopback).await);
    let get = async |path: &str| -> Value { json(&warp::test::request().path(path).reply(&api).await) };
    let connections = get("/api/connections").await;
    let connections = connections.as_array().unwrap();
    let mut pairs: Vec<(&str, &str)> = connections
        .iter()
        .map(|one| (one["source_node"].as_str().unwrap(), one["target_node"].as_str().unwrap()))
        .collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [("ams-01", "fra"), ("fra", "ams-01"), ("vienna-1", "ams-01")]);
    for connection in connections {
        for field in CONNECTION_FIELDS {
            let value = &connection[field];
            assert!(value.is_number() || field.ends_with("_node") && value.is_string(), "{field}: {value}");
        }
        assert_eq!((&connection["latency_ms"], &connection["min_ms"]), (&0.5.into(), &0.25.into()));
    }
    assert_eq!(get("/api/stats").await["total_connections"], 3);
    // Those of one node, by its name, however it is written, and by its id.
    for (node, name) in
        [("fra", "fra"), ("FRA", "fra"), ("vienna%2D1", "vienna-1"), ("lost", ""), ("gone", "")]
    {
        let is_its = |one: &&Value| one["source_node"] == name || one["target_node"] == name;
        let expected = connections.iter().filter(is_its).cloned().collect();
        assert_eq!(get(&format!("/api/connections?node={node}")).await, Value::Array(expected), "{node}");
    }
    for refused in ["nodes=fra", "node=fra&node=fra"] {
        let answer = warp::test::request().path(&format!("/api/connections?{refused}")).reply(&api).await;
        assert_eq!(answer.status(), 422, "{refused}");
    }
}

#[tokio::test]
async fn a_nodes_connections_are_chosen_before_the_list_is_cut() {
    let hub = |number: usize| probing(&format!("edge-{number:03}"), &["icmp://hub"]);
    let mut fleet: Vec<NodeUpdate> = (0..501).map(hub).collect();
    fleet.extend([probing("hub", &[]), probing("zoo", &["icmp://edge-000"])]);
    let api = routes(site(fleet, Readers::OnLoopback).await);
    let get = async |path: &str| -> Value { json(&warp::test::request().path(path).reply(&api).await) };
    let all = get("/api/connections").await;
    assert_eq!(all.as_array().unwrap().len(), 500);
    assert!(!all.as_array().unwrap().iter().any(|one| one["source_node"] == "zoo"));
    let of = get("/api/connections?node=zoo").await;
    assert_eq!((of.as_array().unwrap().len(), &of[0]["target_node"]), (1, &"edge-000".into()));
}

#[tokio::test]
async fn an_address_of_two_nodes_is_none_of_theirs() {
    // Names of equal length have equal addresses here.
    let fleet = vec![probing("one", &[]), probing("two", &[]), probing("source", &["icmp://10.0.0.3"])];
    let api = routes(site(fleet, Readers::OnLoopback).await);
    let answer = warp::test::request().path("/api/connections").reply(&api).await;
    assert_eq!(json::<Value>(&answer), Value::Array(Vec::new()));
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
