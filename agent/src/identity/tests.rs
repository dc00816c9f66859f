use std::net::IpAddr;

use super::*;
use crate::uplinks::{Choice, Device};

fn link(name: &str, device: bool) -> Link {
    Link { name: name.into(), up: true, device: device.then(Device::default), ..Link::default() }
}

fn identity() -> Identity {
    Identity { fixed: Hello { hostname: "web".into(), ..Hello::default() } }
}

#[test]
fn a_hello_names_the_addresses_of_what_counts() {
    let topology = Topology {
        links: vec![link("docker0", false), link("eth0", true)],
        default_route: Some("eth0".into()),
    };
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let addresses = Addresses::from_iter([
        ("docker0".to_owned(), vec![address("172.17.0.1")]),
        ("eth0".to_owned(), vec![address("2a00::5"), address("10.0.0.5")]),
    ]);
    let hello = identity().hello(&topology, &topology.judge(&Choice::default()), &addresses);
    assert_eq!(hello.internal_ip.as_deref(), Some("10.0.0.5"));
    assert_eq!(hello.external_ip.as_deref(), Some("2a00::5"));
    assert_eq!(hello.addresses, ["10.0.0.5", "2a00::5"]);
    let listed: Vec<_> = hello.interfaces.iter().map(|one| (one.name.as_str(), one.counted)).collect();
    assert_eq!(listed, [("eth0", true), ("docker0", false)]);
    assert_eq!(hello.interfaces[1].addresses, ["172.17.0.1"]);
}

#[test]
fn a_host_with_a_thousand_interfaces_still_fits_its_hello_into_a_message() {
    let mut links: Vec<_> = (0..1000).map(|number| link(&format!("veth{number:010}"), false)).collect();
    links.push(link("zuplink", true));
    let topology = Topology { links, default_route: None };
    let many =
        (0..100).map(|number| IpAddr::from([0xfd00, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, number]));
    let addresses: Addresses =
        topology.links.iter().map(|link| (link.name.clone(), many.clone().collect())).collect();
    let hello = identity().hello(&topology, &topology.judge(&Choice::default()), &addresses);
    assert!(hello.interfaces[0].counted);
    let size = tidemap_wire::encode(&hello).len();
    assert!(size < 40 * 1024, "{size}");
}
