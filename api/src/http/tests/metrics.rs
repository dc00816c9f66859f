//! `/metrics`: which series there are, and in which format.

use std::collections::BTreeMap;

use tidemap_client::testing::full_node;
use tidemap_wire::{Hello, NodeUpdate, Status};
use warp::http::HeaderMap;

use super::*;

const ACCEPT_OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

/// The metrics of a fleet whose nodes have these series, and the headers.
async fn metrics(fleet: Vec<NodeUpdate>, series: NodeSeries, accept: &str) -> (String, HeaderMap) {
    let mut parts = Arc::try_unwrap(site(fleet, Readers::OnLoopback).await.0).unwrap();
    parts.node_series = series;
    let routes = routes(Site(Arc::new(parts)));
    let answer = warp::test::request().path("/metrics").header("accept", accept).reply(&routes).await;
    assert_eq!(answer.status(), 200);
    (String::from_utf8(answer.body().to_vec()).unwrap(), answer.headers().clone())
}

async fn text_of(fleet: Vec<NodeUpdate>, limit: Option<usize>) -> String {
    metrics(fleet, NodeSeries { limit, interfaces: false }, "*/*").await.0
}

fn labelled(name: &str, labels: impl IntoIterator<Item = (String, String)>) -> NodeUpdate {
    let node = full_node(name);
    let hello = node.hello.as_deref().cloned().unwrap_or_default();
    let labels = labels.into_iter().collect();
    NodeUpdate { hello: Some(Box::new(Hello { labels, ..hello })), ..node }
}

#[tokio::test]
async fn every_node_has_series_unless_there_is_a_limit() {
    let text = text_of(fleet(), None).await;
    assert!(text.contains("\ntidemap_nodes{status=\"online\"} 2\n"), "{text}");
    assert!(text.contains("\ntidemap_network_transmit_bytes_per_second 401\n"), "{text}");
    assert!(text.contains("\ntidemap_node_up{node=\"db\"} 1\ntidemap_node_up{node=\"gone\"} 0\n"), "{text}");
    assert!(text.contains("\ntidemap_nodes_omitted 0\n"), "{text}");
    for (limit, omitted) in [(2, 2), (0, 4), (4, 0)] {
        let text = text_of(fleet(), Some(limit)).await;
        assert!(text.contains(&format!("\ntidemap_nodes_omitted {omitted}\n")), "{text}");
        let listed = text.lines().filter(|line| line.starts_with("tidemap_node_up{")).count();
        assert_eq!(listed, limit);
        assert_eq!(text.lines().filter(|line| line.starts_with("tidemap_node_info{")).count(), limit);
    }
}

#[tokio::test]
async fn a_node_that_is_late_differs_from_one_that_is_silent() {
    let text = text_of(fleet(), None).await;
    let check = |sample: &str| assert!(text.contains(&format!("\n{sample}\n")), "{sample}: {text}");
    for (node, status) in [("db", "online"), ("slow", "warning"), ("gone", "offline")] {
        for other in ["online", "warning", "offline", "unknown"] {
            let value = u8::from(status == other);
            check(&format!("tidemap_node_status{{node=\"{node}\",status=\"{other}\"}} {value}"));
        }
    }
    let seen = (AT_MS - 7_200_000) as f64 / 1_000.0;
    check(&format!("tidemap_node_last_report_timestamp_seconds{{node=\"gone\"}} {seen}"));
}

#[tokio::test]
async fn what_is_known_of_a_node_is_there_for_joins() {
    let labels = [("role", "web"), ("rack.row", "a\"7")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let text = text_of(vec![labelled("db", labels)], None).await;
    let line = text.lines().find(|line| line.starts_with("tidemap_node_info{")).unwrap();
    for label in [
        "{node=\"db\",",
        ",location=\"Berlin\"",
        ",provider=\"hetzner\"",
        ",label_role=\"web\"",
        ",label_rack_row=\"a\\\"7\"",
    ] {
        assert!(line.contains(label), "{label}: {line}");
    }
    assert!(line.ends_with("} 1") && text.contains("\ntidemap_node_labels_omitted 0\n"), "{text}");
}

#[tokio::test]
async fn a_node_has_at_most_thirty_labels() {
    let many = (0..64).map(|number| (format!("label {number}"), "x".to_owned()));
    let text = text_of(vec![labelled("db", many)], None).await;
    let line = text.lines().find(|line| line.starts_with("tidemap_node_info{")).unwrap();
    assert!(line.matches("=\"").count() < 28, "room for what the scraper adds: {line}");
    assert!(text.contains("\ntidemap_node_labels_omitted 44\n"), "{text}");
}

#[tokio::test]
async fn interfaces_have_series_only_when_they_are_asked_for() {
    let series = |interfaces| NodeSeries { limit: None, interfaces };
    let (text, _) = metrics(fleet(), series(true), "").await;
    let counted = text.lines().find(|line| line.starts_with("tidemap_node_interface_counted{")).unwrap();
    assert!(counted.contains("node=\"") && counted.contains("interface=\""), "{counted}");
    let rate = "tidemap_node_interface_receive_bytes_per_second{node=\"web-01.example\"";
    assert!(text.contains(rate) && !text.contains("_second{node=\"slow\""), "{text}");
    assert!(!metrics(fleet(), series(false), "").await.0.contains("tidemap_node_interface_"));
}

#[tokio::test]
async fn the_format_is_what_the_scraper_prefers() {
    let series = NodeSeries { limit: None, interfaces: true };
    let (text, text_headers) = metrics(fleet(), series, "text/plain").await;
    let (open, open_headers) = metrics(fleet(), series, ACCEPT_OPENMETRICS).await;
    assert_eq!(text_headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(open_headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(open_headers["vary"], "accept, accept-encoding");
    assert_ne!(text_headers["etag"], open_headers["etag"]);
    assert!(open.ends_with("\n# EOF\n") && !text.contains("# EOF"));
    let names = |text: &str| {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let names = samples.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned());
        names.fold(BTreeMap::<String, usize>::new(), |mut counts, name| {
            *counts.entry(name).or_default() += 1;
            counts
        })
    };
    assert_eq!(names(&text), names(&open), "both formats have the same series");
    // Each family once, and each of its samples under its own head.
    let families: Vec<&str> = open.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let distinct: std::collections::BTreeSet<&str> =
        families.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(distinct.len(), families.len());
}

#[tokio::test]
async fn without_memory_for_all_the_fleet_is_still_there() {
    let site = site(fleet(), Readers::OnLoopback).await;
    // What slow clients hold.
    let (held, mut size) = (&mut Vec::new(), 512 << 20);
    while size >= 1 {
        match site.budget.charge(bytes_of(size)) {
            Ok(bytes) => held.push(bytes),
            Err(_) => size /= 2,
        }
    }
    let answer = warp::test::request().path("/metrics").reply(&routes(site.clone())).await;
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(text.contains("\ntidemap_nodes_omitted 4\n"), "{text}");
    assert!(
        text.contains("\ntidemap_nodes{status=\"online\"} 2\n") && !text.contains("tidemap_node_up"),
        "{text}"
    );
}

/// Zeros, which the system gives without memory for them.
fn bytes_of(len: usize) -> Bytes {
    Bytes::from(vec![0; len])
}

#[tokio::test]
async fn a_silent_fleet_has_statuses() {
    let silent = NodeUpdate { status: Status::Unknown, ..full_node("db") };
    let text = text_of(vec![silent], None).await;
    assert!(text.contains("\ntidemap_node_status{node=\"db\",status=\"unknown\"} 1\n"), "{text}");
    assert!(!text.contains("tidemap_node_up"), "{text}");
}

#[tokio::test]
async fn what_nodes_probe_is_measured_in_seconds_and_shares() {
    let text = text_of(fleet(), None).await;
    let check = |sample: &str| assert!(text.contains(&format!("\n{sample}\n")), "{sample}: {text}");
    check("tidemap_probe_possible{node=\"web-01.example\",target=\"icmp://192.0.2.1\"} 1");
    check("tidemap_probe_median_seconds{node=\"web-01.example\",target=\"icmp://192.0.2.1\"} 0.0005");
    check("tidemap_probe_max_seconds{node=\"web-01.example\",target=\"icmp://192.0.2.1\"} 0.002");
    assert!(text.contains("\ntidemap_probe_loss_ratio{node=\"web-01.example\""), "{text}");
    let silent = NodeUpdate { status: Status::Offline, ..full_node("silent") };
    assert!(!text_of(vec![silent], None).await.contains("tidemap_probe_"));
}
