use std::net::IpAddr;

use tidemap_wire::{Bps, Host, InterfaceRate, Location, LocationSource, NodeId, Pack, Probe, Report, Sample};

use super::*;
use crate::uplinks::{Choice, Device, Routes};

fn link(name: &str, device: bool) -> Link {
    Link { name: name.into(), up: true, device: device.then(Device::default), ..Link::default() }
}

fn identity() -> Identity {
    Identity { fixed: Hello { hostname: "web".into(), ..Hello::default() }, is_named: false }
}

#[test]
fn a_hello_names_the_addresses_of_what_counts() {
    let topology = Topology {
        links: vec![link("docker0", false), link("eth0", true)],
        routes: Routes { defaults: vec!["eth0".into()], ..Routes::default() },
        ..Topology::default()
    };
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let addresses = Addresses::from_iter([
        ("docker0".to_owned(), vec![address("172.17.0.1")]),
        ("eth0".to_owned(), vec![address("2a00::5"), address("10.0.0.5")]),
    ]);
    let hello = identity().hello(&topology, &topology.judge(&Choice::default(), &[]), &addresses);
    assert_eq!(hello.internal_ip.as_deref(), Some("10.0.0.5"));
    assert_eq!(hello.external_ip.as_deref(), Some("2a00::5"));
    assert_eq!(hello.addresses, ["10.0.0.5", "2a00::5"]);
    let listed: Vec<_> = hello.interfaces.iter().map(|one| (one.name.as_str(), one.counted)).collect();
    assert_eq!(listed, [("eth0", true), ("docker0", false)]);
    assert_eq!(hello.interfaces[1].addresses, ["172.17.0.1"]);
}

#[test]
fn a_renamed_host_is_called_by_its_new_name_unless_the_operator_named_the_node() {
    let names = |identity: &Identity| (identity.fixed.hostname.clone(), identity.fixed.display_name.clone());
    let mut unnamed = identity();
    assert!(unnamed.call("DB-2") && !unnamed.call("DB-2"));
    assert_eq!(names(&unnamed), ("DB-2".to_owned(), Some("DB-2".to_owned())));
    assert!(unnamed.call("Zu\u{308}rich") && !unnamed.call("Zu\u{308}rich"));
    assert_eq!(unnamed.fixed.display_name.as_deref(), Some("Zürich"));
    let display_name = Some("Front".to_owned());
    let mut named = Identity { fixed: Hello { display_name, ..Hello::default() }, is_named: true };
    assert!(named.call("db-2"));
    assert_eq!(names(&named), ("db-2".to_owned(), Some("Front".to_owned())));
}

#[test]
fn a_host_with_a_thousand_interfaces_still_fits_its_hello_into_a_message() {
    let mut links: Vec<_> = (0..1000).map(|number| link(&format!("veth{number:010}"), false)).collect();
    links.push(link("zuplink", true));
    let topology = Topology { links, ..Topology::default() };
    let many =
        (0..100).map(|number| IpAddr::from([0xfd00, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, number]));
    let addresses: Addresses =
        topology.links.iter().map(|link| (link.name.clone(), many.clone().collect())).collect();
    let text = || Some("x".repeat(bounds::TEXT_BYTES));
    let label = |number| (format!("{number:0255}"), "x".repeat(bounds::TEXT_BYTES));
    let fixed = Hello {
        hostname: text().unwrap(),
        os: text(),
        kernel: text(),
        provider: text(),
        display_name: text(),
        location: Some(Location { lat: 0.0, lon: 0.0, label: text(), source: LocationSource::Given }),
        labels: (0..bounds::LABELS).map(label).collect(),
        ..Hello::default()
    };
    let identity = Identity { fixed, is_named: true };
    let hello = identity.hello(&topology, &topology.judge(&Choice::default(), &[]), &addresses);
    assert_eq!(hello.unlisted_interfaces, 1_001 - 64);
    assert!(hello.interfaces[0].counted && hello.interfaces[0].addresses.len() == 8);
    // Beside the largest sample.
    let rate = |interface: &Interface| InterfaceRate {
        name: interface.name.clone(),
        rx_bps: Bps::ZERO,
        tx_bps: Bps::ZERO,
    };
    let sample = Sample {
        interfaces: Some(hello.interfaces.iter().map(rate).collect()),
        host: Some(Box::new(Host { memory_used_bytes: Some(u64::MAX), ..Host::default() })),
        probes: Some(vec![largest_probe(); bounds::PROBES]),
        ..Sample::default()
    };
    let node = NodeId::from_name(&"n".repeat(128)).unwrap();
    let report = Report { node, boot: u64::MAX, hello: Some(Box::new(hello)), samples: vec![sample] };
    let size = tidemap_wire::encode(&report).len();
    assert!(size + 2_048 < Pack::MAX_REPORT_BYTES, "{size}");
}

fn largest_probe() -> Probe {
    Probe {
        target: "x".repeat(bounds::PROBE_TARGET_BYTES),
        sent: u32::MAX,
        lost: u32::MAX,
        min_ms: Some(0.1),
        median_ms: Some(0.1),
        max_ms: Some(0.1),
        jitter_ms: Some(0.1),
        failure: Some("x".repeat(bounds::PROBE_FAILURE_BYTES)),
    }
}
