//! Messages of every kind, as tests pin their bytes and documents show them.

use std::collections::BTreeMap;

use tidemap_wire::{
    Alert, AlertChange, AlertNotice, AlertState, AlertTarget, Averages, Bps, Delta, Event, EventKind,
    Extremes, Hello, Host, Interface, InterfaceRate, Location, LocationSource, MinuteRow, NodeId, NodeUpdate,
    PartitionStats, Report, RunCounters, Sample, Severity, Status, TargetKind,
};

pub(crate) fn node() -> NodeId {
    NodeId::from_name("web-01.example.com").unwrap()
}

pub(crate) fn averages() -> Averages {
    Averages { s10: Bps::new(1.5), m1: Bps::new(2.0), m5: None, m15: Bps::new(0.0) }
}

pub(crate) fn host() -> Host {
    Host {
        cpu_percent: Some(12.5),
        memory_used_bytes: Some(1 << 33),
        memory_total_bytes: Some(1 << 34),
        ..Host::default()
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        hostname: "web-01".to_owned(),
        internal_ip: Some("192.0.2.7".to_owned()),
        os: Some("Debian GNU/Linux 12".to_owned()),
        agent_version: "0.1.0".to_owned(),
        interval_ms: 1_000,
        location: Some(Location {
            lat: 47.5,
            lon: 8.25,
            label: Some("Zürich".to_owned()),
            source: LocationSource::TimeZone,
        }),
        labels: BTreeMap::from([("rack".to_owned(), "7".to_owned())]),
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            counted: true,
            reason: "physical".to_owned(),
            speed_mbps: Some(10_000),
            addresses: vec!["192.0.2.7".to_owned()],
        }],
        ..Hello::default()
    }
}

pub(crate) fn sample() -> Sample {
    Sample {
        seq: 300,
        at_ms: 1_700_000_000_123,
        elapsed_ms: 1_001,
        rx_bytes: 5_000_000_000,
        tx_bytes: 70_000,
        rx_bps: Bps::new(1_234.5),
        tx_bps: Bps::new(0.0),
        interfaces: None,
        host: None,
        probes: None,
    }
}

pub(crate) fn update() -> NodeUpdate {
    NodeUpdate {
        node: node(),
        row: 0,
        boot: u64::MAX,
        status: Status::Warning,
        since_ms: 1,
        seen_ms: 2,
        at_ms: 3,
        skew_ms: -4,
        interval_ms: 1_000,
        rx_bps: Bps::new(1.0),
        tx_bps: None,
        rx_avg: averages(),
        tx_avg: Averages::default(),
        rx_bytes: 5,
        tx_bytes: 6,
        partial: false,
        refused: None,
        hello: None,
        host: Some(Box::new(host())),
        interfaces: Some(vec![InterfaceRate {
            name: "eth0".to_owned(),
            rx_bps: Bps::ZERO,
            tx_bps: Bps::ZERO,
        }]),
        probes: None,
    }
}

pub(crate) fn report() -> Report {
    Report { node: node(), boot: 7, hello: None, samples: vec![sample()] }
}

pub(crate) fn delta() -> Delta {
    Delta { partition: 3, epoch: 9, seq: 1, at_ms: 5, nodes: vec![update()], forgotten: vec![node()] }
}

pub(crate) fn stats() -> PartitionStats {
    PartitionStats {
        partition: 3,
        epoch: 9,
        seq: 1,
        at_ms: 5,
        owner: "0a".to_owned(),
        online: 2,
        rx_bps: Bps::ZERO,
        rx_avg: averages(),
        refused: BTreeMap::from([("garbage".to_owned(), 4)]),
        ..PartitionStats::default()
    }
}

pub(crate) fn event() -> Event {
    Event { kind: EventKind::Restarted, node: node(), at_ms: 5 }
}

pub(crate) fn row() -> MinuteRow {
    MinuteRow {
        minute: 29_000_000,
        samples: 60,
        covered_ms: 59_900,
        rx_bytes: 5_000_000_000,
        tx_bytes: 70_000,
        rates: Some(Extremes { rx_max: 99_900_000, tx_max: 2_000, rx_min: 0, tx_min: 1 }),
        counters: vec![RunCounters { boot: 7, since: 28_999_000, rx_bytes: 1 << 40, tx_bytes: 9 }],
        ..MinuteRow::default()
    }
}

pub(crate) fn notice() -> AlertNotice {
    let alert = Alert {
        id: "a1".to_owned(),
        rule: "busy".to_owned(),
        severity: Severity::Warning,
        target: AlertTarget {
            kind: TargetKind::Node,
            id: "web-01".to_owned(),
            name: "Web-01".to_owned(),
            labels: BTreeMap::from([("site".to_owned(), "fra".to_owned())]),
        },
        state: AlertState::Firing,
        summary: "download 941 Mbit/s".to_owned(),
        value: Some(117_625_000.0),
        peak: None,
        threshold: Some(112_500_000.0),
        unit: "bps".to_owned(),
        since_ms: 1_700_000_000_000,
        fired_ms: Some(1_700_000_300_000),
        resolved_ms: None,
        silenced_until_ms: None,
        resets_ms: None,
    };
    AlertNotice {
        id: "4f".to_owned(),
        change: AlertChange::Fired,
        at_ms: 1_700_000_300_250,
        rule: "busy".to_owned(),
        severity: Severity::Warning,
        alerts: vec![alert],
        count: 1,
    }
}
