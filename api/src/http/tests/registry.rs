//! Every host metric is present wherever the API shows host metrics.

use tidemap_wire::{Host, METRICS, MetricKind, MetricValue};

use super::*;

/// Fields of host metrics that clients rely on.
const KNOWN_FIELDS: [&str; 21] = [
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "cpu_count",
    "cpu_mhz",
    "memory_used_bytes",
    "memory_total_bytes",
    "swap_percent",
    "disk_used_bytes",
    "disk_total_bytes",
    "disk_read_bytes_per_sec",
    "disk_write_bytes_per_sec",
    "load_1",
    "load_5",
    "load_15",
    "uptime_s",
    "temperature_c",
    "fan_rpm",
    "processes",
    "network_errors",
    "network_drops",
];

/// A node whose metrics all have this value.
fn node_of(name: &str, value: u64) -> NodeUpdate {
    let mut host = Host::default();
    assert!(METRICS.iter().all(|metric| host.set(metric.id, MetricValue::Whole(value))));
    NodeUpdate { host: Some(Box::new(host)), ..node(name) }
}

/// Answers about two nodes, one of which has higher values for every metric.
async fn answers(paths: &[String]) -> Vec<Answer> {
    let fleet = vec![node_of("a-high", 50), node_of("low", 2)];
    let api = routes(site(fleet, Readers::OnLoopback).await);
    let mut answers = Vec::new();
    for path in paths {
        answers.push(warp::test::request().path(path).reply(&api).await);
    }
    answers
}

#[tokio::test]
async fn every_metric_is_in_the_answers_about_nodes_and_in_their_description() {
    let paths = ["/api/nodes", "/api/nodes/low", "/api/openapi.json"].map(str::to_owned);
    let answers: Vec<Value> = answers(&paths).await.iter().map(json).collect();
    let [nodes, low, description] = answers.as_slice() else { panic!("three answers") };
    let schema = &description["components"]["schemas"]["Node"];
    let required = schema["required"].as_array().unwrap();
    for metric in METRICS {
        let field = metric.json_name;
        assert_eq!(nodes[0][field].as_f64(), Some(50.0), "{field}");
        assert_eq!(low[field].as_f64(), Some(2.0), "{field}");
        let described = schema["properties"][field]["description"].as_str().unwrap();
        assert!(described.starts_with(metric.help), "{described}");
        assert!(required.iter().any(|name| name == field), "{field}");
    }
    for field in KNOWN_FIELDS {
        assert!(low[field].is_number(), "{field}");
    }
    assert_eq!(low["memory_percent"], 100.0);
}

#[tokio::test]
async fn nodes_can_be_sorted_by_every_metric() {
    let paths = METRICS.map(|metric| {
        let path = format!("/api/nodes?sort={}", metric.json_name);
        [path.clone(), path.replace('=', "=-")]
    });
    for pair in answers(paths.as_flattened()).await.chunks(2) {
        assert_eq!(names(&pair[0]), ["low", "a-high"]);
        assert_eq!(names(&pair[1]), ["a-high", "low"]);
    }
    let description: Value = json(&get("/api/openapi.json").await);
    let sort = &description["paths"]["/api/nodes"]["get"]["parameters"][2]["schema"]["enum"];
    let described: Vec<&str> = sort.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for metric in METRICS {
        assert!(described.contains(&metric.json_name), "{described:?}");
    }
}

#[tokio::test]
async fn every_metric_is_a_family_for_prometheus_in_its_base_unit() {
    let answers = answers(&["/metrics".to_owned()]).await;
    let text = str::from_utf8(answers[0].body()).unwrap();
    for metric in METRICS {
        let help =
            text.lines().find(|line| line.contains("# HELP tidemap_node_") && line.contains(metric.help));
        let name = help.unwrap().split(' ').nth(2).unwrap();
        assert!(text.contains(&format!("\n{name}{{node=\"low\"}} ")), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind == MetricKind::Counter, "{name}");
        assert!(["_count", "_sum", "_bucket"].iter().all(|reserved| !name.ends_with(reserved)), "{name}");
    }
    for sample in [
        "tidemap_node_cpu_ratio{node=\"a-high\"} 0.5",
        "tidemap_node_cpus{node=\"low\"} 2",
        "tidemap_node_cpu_hertz{node=\"low\"} 2000000",
        "tidemap_node_memory_used_bytes{node=\"low\"} 2",
        "tidemap_node_disk_read_bytes_per_second{node=\"low\"} 2",
        "tidemap_node_load_15{node=\"low\"} 2",
        "tidemap_node_uptime_seconds{node=\"low\"} 2",
        "tidemap_node_temperature_celsius{node=\"low\"} 2",
        "tidemap_node_fan_rpm{node=\"low\"} 2",
        "tidemap_node_network_errors_total{node=\"low\"} 2",
        "tidemap_node_network_rx_errors_total{node=\"low\"} 2",
    ] {
        assert!(text.contains(&format!("\n{sample}\n")), "{sample}: {text}");
    }
}

#[tokio::test]
async fn a_silent_node_keeps_its_counters_and_has_no_gauges_for_prometheus() {
    let silent = NodeUpdate { status: Status::Offline, ..node_of("low", 2) };
    let api = routes(site(vec![silent], Readers::OnLoopback).await);
    let answer = warp::test::request().path("/metrics").reply(&api).await;
    let text = str::from_utf8(answer.body()).unwrap();
    assert!(text.contains("\ntidemap_node_network_errors_total{node=\"low\"} 2\n"), "{text}");
    assert!(!text.contains("tidemap_node_cpu_ratio"), "{text}");
}
