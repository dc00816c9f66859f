//! Checkpoints of other versions: this version reads all that an earlier worker wrote, and an earlier worker
//! reads what it knows in checkpoints of this version.

use tidemap_wire::{
    Bps, Hello, Host, Interface, InterfaceRate, Location, LocationSource, METRICS, MetricValue, NodeUpdate,
    Report, Sample, subject,
};

use super::*;
use crate::partition::{Limits, Message, PartitionState};

/// A checkpoint as commit f9b6428 wrote it of [`fleet`]. Its bytes never change.
const PINNED: &str = include_str!("pinned.hex");
const LIMITS: Limits =
    Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000, max_nodes: usize::MAX };
const AT_MS: i64 = 1_700_000_000_000;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn small_host() -> Host {
    Host {
        cpu_percent: Some(12.5),
        cpu_count: Some(4),
        memory_used_bytes: Some(3 << 30),
        memory_total_bytes: Some(1 << 34),
        load_1: Some(0.25),
        uptime_s: Some(86_400),
        ..Host::default()
    }
}

fn large_host() -> Host {
    Host {
        cpu_mhz: Some(3_400),
        swap_used_bytes: Some(0),
        swap_total_bytes: Some(1 << 32),
        disk_used_bytes: Some(77_000_000_000),
        disk_total_bytes: Some(1 << 42),
        disk_read_bps: Bps::new(1_234_567.5),
        disk_write_bps: Bps::new(0.0),
        load_5: Some(0.5),
        load_15: Some(128.75),
        temperature_c: Some(-1.5),
        fan_rpm: Some(900),
        processes: Some(70_000),
        network_errors: Some(1),
        network_drops: Some(u64::MAX),
        ..small_host()
    }
}

fn interface(name: &str, speed_mbps: Option<u32>) -> Interface {
    Interface {
        name: name.to_owned(),
        counted: speed_mbps.is_some(),
        reason: "physical device (pci, e1000e)".to_owned(),
        speed_mbps,
        addresses: vec!["192.0.2.7".to_owned(), "2001:db8::7".to_owned()],
    }
}

fn full_hello() -> Hello {
    Hello {
        hostname: "web-1.example.com".to_owned(),
        internal_ip: text("192.0.2.7"),
        external_ip: text("203.0.113.7"),
        addresses: vec!["192.0.2.7".to_owned(), "2001:db8::7".to_owned()],
        os: text("Debian GNU/Linux 12"),
        kernel: text("6.1.0-25-amd64"),
        arch: text("x86_64"),
        agent_version: "0.1.0".to_owned(),
        interval_ms: 2_000,
        location: Some(Location {
            lat: 47.5,
            lon: 8.25,
            label: text("Zürich"),
            source: LocationSource::TimeZone,
        }),
        provider: text("hetzner"),
        labels: [("rack", "7"), ("role", "web")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        interfaces: vec![interface("eth0", Some(10_000)), interface("lo", None)],
        lost_samples: Some(3),
        ..Hello::default()
    }
}

fn plain_hello() -> Hello {
    Hello {
        hostname: "db-1".to_owned(),
        agent_version: "0.1.0".to_owned(),
        interval_ms: 1_000,
        location: Some(Location { lat: -33.9, lon: 151.2, label: None, source: LocationSource::Given }),
        labels: [("role".to_owned(), "db".to_owned())].into(),
        interfaces: vec![interface("enp3s0", Some(1_000))],
        ..Hello::default()
    }
}

/// Reports of four nodes of one slot: one with all fields, one with few, one that restarts, and one with
/// required fields only.
fn reports() -> Vec<Report> {
    let ids = ["node-0", "node-62", "node-181", "node-215"].map(|name| NodeId::from_name(name).unwrap());
    let [full, plain, restarted, bare] = ids;
    let rate = |name: &str| InterfaceRate {
        name: name.to_owned(),
        rx_bps: Bps::new(1_234.5).unwrap(),
        tx_bps: Bps::ZERO,
    };
    let sample = |seq: u64, host: Option<Host>, interfaces: Option<Vec<InterfaceRate>>| Sample {
        seq,
        at_ms: AT_MS + seq as i64 * 1_000,
        elapsed_ms: 1_000,
        rx_bytes: seq * 1_000_003,
        tx_bytes: seq * 70,
        rx_bps: Bps::new(1_000_003.0),
        tx_bps: Bps::new(70.0),
        interfaces,
        host: host.map(Box::new),
        probes: None,
    };
    let report = |node: &NodeId, boot: u64, hello: Option<Hello>, samples: Vec<Sample>| Report {
        node: node.clone(),
        boot,
        hello: hello.map(Box::new),
        samples,
    };
    let rates = vec![rate("eth0"), rate("lo")];
    vec![
        report(
            &full,
            u64::MAX,
            Some(full_hello()),
            vec![sample(1, Some(large_host()), Some(rates)), sample(2, None, None), sample(5, None, None)],
        ),
        report(&plain, 7, Some(plain_hello()), vec![sample(1, Some(small_host()), None)]),
        report(&restarted, 8, Some(plain_hello()), vec![sample(1, None, None), sample(2, None, None)]),
        report(&restarted, 9, None, vec![sample(40, Some(small_host()), Some(vec![rate("enp3s0")]))]),
        report(&bare, 10, None, vec![sample(1, None, None)]),
    ]
}

/// What a worker knows when it has read the reports.
fn fleet() -> PartitionState {
    let mut state = PartitionState::new(LIMITS);
    reports().iter().for_each(|report| apply(&mut state, report));
    state.lose();
    state
}

fn apply(state: &mut PartitionState, report: &Report) {
    let (subject, payload) = (subject::sample(&report.node), encode(report));
    state.observe(Message { subject: &subject, payload: &payload, published_ms: AT_MS + 2_000 }).unwrap();
}

/// The nodes' checkpoint, in the order of their names.
fn checkpoint(state: &PartitionState) -> Vec<u8> {
    let slot = Slot::of(&reports()[0].node);
    let mut nodes: Vec<_> = Part::all(slot, 4).flat_map(|part| state.part(part)).collect();
    nodes.sort_by_key(|(id, _)| *id);
    assert_eq!(nodes.len(), 4, "they are in one slot");
    let nodes: Vec<_> = nodes.into_iter().map(|(id, node)| (id, node.without_minutes())).collect();
    let mut place = LogPosition { created_ns: 7, ..LogPosition::default() };
    place.pass(5, 1_700_000_002_000_000_000);
    Checkpoint::encode(3, place, nodes.iter().map(|(id, node)| (*id, node)))
}

fn pinned() -> Vec<u8> {
    let hex: String = PINNED.split_whitespace().collect();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn a_checkpoint_of_an_earlier_version_restores_every_node_in_full() {
    let kept = Checkpoint::decode(&pinned()).unwrap();
    assert_eq!((kept.epoch, kept.place.applied, kept.place.marks.len()), (3, 5, 1));
    let nodes: Vec<NodeUpdate> = kept.nodes.iter().map(|(id, node)| node.full_update(id)).collect();
    let [full, restarted, plain, bare] = ["node-0", "node-181", "node-62", "node-215"]
        .map(|name| nodes.iter().find(|node| node.node.as_str() == name).unwrap());
    assert_eq!(full.hello.as_deref(), Some(&full_hello()));
    assert_eq!(full.host.as_deref(), Some(&large_host()));
    assert_eq!(full.interfaces.as_ref().map(Vec::len), Some(2));
    for node in [restarted, plain] {
        assert_eq!(node.host.as_deref(), Some(&small_host()), "{}", node.node);
    }
    assert_eq!((&bare.hello, &bare.host, &bare.interfaces), (&None, &None, &None));
    // What else there is of a node is as this version would know it from the same reports.
    let mut state = PartitionState::new(LIMITS);
    state.restore(kept.nodes);
    let known = |state: &PartitionState| {
        let mut known = state.snapshot();
        known.sort_by(|one, other| one.node.cmp(&other.node));
        known.into_iter().map(|node| NodeUpdate { row: 0, ..node }).collect::<Vec<_>>()
    };
    assert_eq!(known(&state), known(&fleet()));
}

#[test]
fn a_checkpoint_without_new_fields_has_an_earlier_versions_bytes() {
    assert_eq!(Checkpoint::decode(&checkpoint(&fleet())).unwrap().nodes.len(), 4);
    // Rows depend on nothing but the order of arrival, so the bytes are equal, too.
    assert_eq!(checkpoint(&fleet()), pinned());
}

#[test]
fn an_earlier_version_reads_every_field_that_it_knows() {
    let mut full = reports().remove(0);
    full.boot = 1;
    let mut host = large_host();
    for metric in METRICS {
        // What it does not know is there, too.
        if host.get(metric.id).is_none() {
            assert!(host.set(metric.id, MetricValue::Whole(7)));
        }
    }
    full.samples[0].host = Some(Box::new(host));
    let mut state = PartitionState::new(LIMITS);
    apply(&mut state, &full);
    let part = Part::all(Slot::of(&full.node), 1).next().unwrap();
    let bytes = Checkpoint::encode(1, LogPosition::default(), state.part(part));

    let kept: earlier::Checkpoint = decode(&bytes).unwrap();
    let [(id, node)] = kept.nodes.as_slice() else { panic!("one node") };
    assert_eq!(*id, full.node);
    let json = |value: serde_json::Result<serde_json::Value>| value.unwrap();
    let host = json(serde_json::to_value(earlier::unpack::<earlier::Host>(&node.host)));
    let expected = json(serde_json::to_value(large_host()));
    assert_eq!(host, expected);

    let hello: earlier::Hello = earlier::unpack(&node.hello);
    assert_eq!(hello.location, Some((47.5, 8.25, text("Zürich"), LocationSource::TimeZone)));
    let names: Vec<(&str, Option<u32>)> = hello.interfaces.iter().map(|one| (&*one.0, one.3)).collect();
    assert_eq!(names, [("eth0", Some(10_000)), ("lo", None)]);
    let (mut hello, mut expected) =
        (json(serde_json::to_value(hello)), json(serde_json::to_value(full_hello())));
    for structure in ["location", "interfaces"] {
        hello.as_object_mut().unwrap().remove(structure);
        expected.as_object_mut().unwrap().remove(structure);
    }
    assert_eq!(hello, expected);
    let rates: Vec<InterfaceRate> = earlier::unpack(&node.interfaces);
    assert_eq!(Some(&rates), full.samples[0].interfaces.as_ref());
}

/// How commit f9b6428 read a checkpoint: a frozen copy of what it expected.
mod earlier {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};
    use serde_bytes::ByteBuf;
    use tidemap_wire::{Bps, LocationSource, NodeId};

    #[derive(Deserialize)]
    pub(super) struct Checkpoint {
        pub(super) nodes: Vec<(NodeId, Node)>,
    }

    #[derive(Deserialize)]
    pub(super) struct Node {
        pub(super) hello: ByteBuf,
        pub(super) host: ByteBuf,
        pub(super) interfaces: ByteBuf,
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Host {
        cpu_percent: Option<f64>,
        cpu_count: Option<u32>,
        cpu_mhz: Option<u32>,
        memory_used_bytes: Option<u64>,
        memory_total_bytes: Option<u64>,
        swap_used_bytes: Option<u64>,
        swap_total_bytes: Option<u64>,
        disk_used_bytes: Option<u64>,
        disk_total_bytes: Option<u64>,
        disk_read_bps: Option<Bps>,
        disk_write_bps: Option<Bps>,
        load_1: Option<f64>,
        load_5: Option<f64>,
        load_15: Option<f64>,
        uptime_s: Option<u64>,
        temperature_c: Option<f64>,
        fan_rpm: Option<u32>,
        processes: Option<u32>,
        network_errors: Option<u64>,
        network_drops: Option<u64>,
    }

    type Location = (f64, f64, Option<String>, LocationSource);
    type Interface = (String, bool, String, Option<u32>, Vec<String>);

    #[derive(Serialize, Deserialize)]
    pub(super) struct Hello {
        hostname: String,
        internal_ip: Option<String>,
        external_ip: Option<String>,
        addresses: Vec<String>,
        os: Option<String>,
        kernel: Option<String>,
        arch: Option<String>,
        agent_version: String,
        interval_ms: u32,
        pub(super) location: Option<Location>,
        provider: Option<String>,
        labels: BTreeMap<String, String>,
        pub(super) interfaces: Vec<Interface>,
        lost_samples: Option<u64>,
    }

    pub(super) fn unpack<'a, T: Deserialize<'a>>(bytes: &'a ByteBuf) -> T {
        T::deserialize(&mut rmp_serde::Deserializer::from_read_ref(&**bytes)).unwrap()
    }
}
