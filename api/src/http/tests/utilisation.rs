//! How much of its links a node uses: in the answers, as an order, and for Prometheus.

use tidemap_client::testing::full_node;
use tidemap_wire::{Bps, Capacity, Hello, NodeUpdate, Status};

use super::*;

/// 40 MB/s in and 5 MB/s out.
fn node_with(name: &str, cap: Option<&str>, link_speed_mbps: Option<u32>) -> NodeUpdate {
    let node = full_node(name);
    let cap = cap.map(|cap| Capacity::parse(cap).unwrap());
    let hello = Hello { cap, link_speed_mbps, ..node.hello.as_deref().cloned().unwrap() };
    NodeUpdate { hello: Some(Box::new(hello)), rx_bps: Bps::new(40e6), tx_bps: Bps::new(5e6), ..node }
}

#[tokio::test]
async fn utilisation_is_a_share_of_the_cap_or_of_the_links_and_otherwise_not_known() {
    let silent = NodeUpdate { status: Status::Offline, ..node_with("silent", Some("400/40"), None) };
    let no_rate = NodeUpdate { rx_bps: None, tx_bps: None, ..node_with("no-rate", Some("400/40"), None) };
    let fleet = vec![
        node_with("capped", Some("400/50"), Some(1_000)),
        node_with("linked", None, Some(1_000)),
        node_with("unknown", None, None),
        no_rate,
        silent,
    ];
    let api = routes(site(fleet, Readers::OnLoopback).await);
    let get = async |path: &str| warp::test::request().path(path).reply(&api).await;

    let nodes: Value = json(&get("/api/nodes").await);
    let used = |name: &str| {
        let node = nodes.as_array().unwrap().iter().find(|node| node["name"] == name).unwrap();
        ["rx", "tx"].map(|way| node[format!("network_{way}_utilisation_percent")].as_f64())
    };
    assert_eq!(used("capped"), [Some(80.0), Some(80.0)]);
    assert_eq!(used("linked"), [Some(32.0), Some(4.0)]);
    assert_eq!((used("unknown"), used("no-rate")), ([None, None], [None, None]));
    assert_eq!(used("silent"), [Some(80.0), Some(100.0)]);

    let detail: Value = json(&get("/api/nodes/capped").await);
    let carried = ["rx", "tx"].map(|way| detail[format!("network_{way}_capacity_bytes_per_sec")].as_f64());
    assert_eq!(carried, [Some(50e6), Some(6.25e6)]);
    let unknown: Value = json(&get("/api/nodes/unknown").await);
    assert!(unknown["network_rx_capacity_bytes_per_sec"].is_null(), "{unknown}");

    let order = get("/api/nodes?sort=-network_tx_utilisation_percent&limit=3").await;
    assert_eq!(names(&order), ["silent", "capped", "linked"]);

    let metrics = get("/metrics").await;
    let text = str::from_utf8(metrics.body()).unwrap();
    for sample in [
        "tidemap_node_network_receive_utilisation_ratio{node=\"capped\"} 0.8",
        "tidemap_node_network_transmit_utilisation_ratio{node=\"linked\"} 0.04",
    ] {
        assert!(text.contains(&format!("\n{sample}\n")), "{sample}: {text}");
    }
    for absent in ["unknown", "no-rate", "silent"] {
        assert!(!text.contains(&format!("utilisation_ratio{{node=\"{absent}\"")), "{absent}: {text}");
    }
}
