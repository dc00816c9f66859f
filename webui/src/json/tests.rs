use serde::Serialize;
use tidemap_wire::http::{NodeDetailJson, TalkerJson};
use tidemap_wire::stream::{HostRows, PutRows, RateRows, StatusRows, VERSION};
use tidemap_wire::{Averages, Bps, LocationSource, Status};

use super::*;
use crate::store::tests::columns;

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn events_are_read_as_the_api_writes_them() {
    let mut nodes = columns(&["a", "<b>\n\"ø😀", "c"]);
    nodes.name[2] = None;
    nodes.location = vec![None; 3];
    let event = SnapshotEvent { v: VERSION, at_ms: 1_700_000_000_123, nodes: nodes.clone() };
    assert_eq!(snapshot(&text(&event)), Ok(event));

    let event = DeltaEvent {
        at_ms: 7,
        put: Some(PutRows { i: vec![3, 1, 1], nodes }),
        gone: vec![9],
        status: Some(StatusRows { i: vec![0], status: vec![2], age_ms: vec![31_000] }),
        rates: Some(RateRows { i: vec![1, 2], rx: vec![None, Some(99_900_000_000)], tx: vec![None, None] }),
        host: Some(HostRows { i: vec![4], cpu: vec![Some(100)], mem: vec![None], disk: vec![Some(0)] }),
    };
    assert_eq!(delta(&text(&event)), Ok(event));
    assert_eq!(delta(r#"{"at_ms": 1, "news": [{}]}"#), Ok(DeltaEvent { at_ms: 1, ..DeltaEvent::default() }));
}

#[test]
fn totals_are_read_as_the_api_writes_them() {
    let averages = Averages { s10: Bps::new(0.1), m1: Bps::new(2e9), m5: None, m15: Bps::new(12.34) };
    let event = StatsJson {
        total_nodes: 10_000,
        online_nodes: 9_811,
        avg_cpu_percent: 12.34,
        total_network_rx_bytes_per_sec: 123_456_789_012.0,
        total_network_rx_bytes_per_sec_avg: averages,
        providers: [("aws".to_owned(), 7)].into(),
        top_tx: vec![TalkerJson { name: "a".into(), display_name: "A".into(), bytes_per_sec: Bps::ZERO }],
        partitions: 8,
        partitions_fresh: 7,
        lag_messages: Some(1 << 40),
        view_age_ms: None,
        timestamp: 1_700_000_000.123,
        ..StatsJson::default()
    };
    assert_eq!(stats(&text(&event)), Ok(event));
    assert!(stats("{}").is_err());
}

#[test]
fn a_node_is_read_as_the_api_writes_it() {
    const ANSWER: &str = include_str!("../detail/answer.json");
    let mut meant: NodeDetailJson = serde_json::from_str(ANSWER).unwrap();
    let check = |meant: &NodeDetailJson| {
        let answer = node(&text(meant)).unwrap();
        assert_eq!((&answer.node, &answer.interfaces), (&meant.node, &meant.interfaces));
        assert_eq!(answer.unlisted_interfaces, meant.unlisted_interfaces);
        let capacity = [meant.network_rx_capacity_bytes_per_sec, meant.network_tx_capacity_bytes_per_sec];
        assert_eq!(answer.capacity, capacity);
        assert_eq!((&answer.last_60s, &answer.last_15m), (&meant.last_60s, &meant.last_15m));
    };
    check(&meant);
    meant.last_15m = meant.last_60s.take();
    meant.node.status = Status::Warning;
    meant.node.location_source = Some(LocationSource::Region);
    meant.node.clock_skew_ms = -3_600_000;
    meant.node.network_rx_utilisation_percent = Some(80.25);
    meant.node.network_tx_utilisation_percent = Some(0.0);
    meant.network_rx_capacity_bytes_per_sec = Bps::new(62_500_000.0);
    meant.network_tx_capacity_bytes_per_sec = Bps::new(6_250_000.0);
    meant.node.host.network_errors = Some(1 << 50);
    meant.node.host.temperature_c = Some(-1.5);
    check(&meant);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |delta_text: &str| assert!(delta(delta_text).is_err(), "{delta_text}");
    refused(r#"{"at_ms": 1.5}"#);
    refused(r#"{"at_ms": 1, "gone": [-1]}"#);
    refused(r#"{"at_ms": 1, "gone": [1.5]}"#);
    refused(r#"{"at_ms": 1, "gone": [null]}"#);
    refused(r#"{"at_ms": 1, "gone": ["1"]}"#);
    refused(r#"{"at_ms": 1, "status": {"i": [0], "status": [256], "age_ms": [1]}}"#);
    refused(r#"{"at_ms": 1, "rates": {"i": [0], "rx": [1], "tx": "001"}}"#);
    refused(r#"{"at_ms": 1, "host": {"i": [0], "cpu": "2t", "mem": "__", "disk": "__"}}"#);
    refused(r#"{"at_ms": 1} 2"#);
}
