use super::*;

fn link(name: &str) -> Link {
    Link { name: name.to_owned(), index: 1, lower_index: 1, hardware_type: 1, up: true, ..Link::default() }
}

fn device(name: &str) -> Link {
    let device = Device { bus: Some("pci".into()), driver: Some("e1000e".into()), port: None };
    Link { device: Some(device), ..link(name) }
}

fn host(links: &[Link], default_route: Option<&str>) -> Topology {
    let routes =
        Routes { defaults: default_route.map(str::to_owned).into_iter().collect(), ..Routes::default() };
    Topology { links: links.to_vec(), routes, is_known: true, ..Topology::default() }
}

/// Judges a topology; asserts that exactly these interfaces count, and returns the reasons.
fn check(links: &[Link], default_route: Option<&str>, counted: &[&str]) -> Vec<String> {
    let topology = host(links, default_route);
    let verdicts = topology.judge(&Choice::default(), &[]);
    let names: Vec<_> =
        links.iter().zip(&verdicts).filter(|(_, it)| it.counted).map(|(link, _)| &link.name).collect();
    assert_eq!(names, counted, "{verdicts:#?}");
    verdicts.into_iter().map(|verdict| verdict.reason).collect()
}

#[test]
fn the_device_counts_and_what_rides_on_it_does_not() {
    let lo = Link { hardware_type: LOOPBACK, ..link("lo") };
    let vlan = Link { kind: Some("vlan".into()), lowers: vec!["eth0".into()], ..link("eth0.5") };
    let macvlan = Link { lower_index: 2, lowers: vec!["eth0".into()], ..link("mac0") };
    let veth = Link { lower_index: 9, ..link("veth1") };
    let tun = Link { tunnel: true, ..link("tun0") };
    let wireguard = Link { kind: Some("wireguard".into()), ..link("wg0") };
    let reasons = check(&[lo, device("eth0"), vlan, macvlan, veth, tun, wireguard], Some("tun0"), &["eth0"]);
    assert_eq!(
        reasons,
        [
            "loopback",
            "physical device (pci, e1000e)",
            "VLAN on eth0",
            "virtual, rides on eth0",
            "virtual (one end of a pair)",
            "virtual (tunnel)",
            "virtual (wireguard)",
        ]
    );
}

#[test]
fn the_members_of_a_bond_or_bridge_count_and_not_the_master() {
    let member = |name, master: &str| Link { master: Some(master.into()), ..device(name) };
    let bond = Link {
        kind: Some("bond".into()),
        lowers: vec!["eno1".into(), "eno2".into()],
        master: Some("vmbr0".into()),
        ..link("bond0")
    };
    let bridge =
        Link { kind: Some("bridge".into()), lowers: vec!["bond0".into(), "tap1".into()], ..link("vmbr0") };
    let tap = Link { tunnel: true, master: Some("vmbr0".into()), ..link("tap1") };
    let reasons = check(
        &[member("eno1", "bond0"), member("eno2", "bond0"), bond, bridge, tap],
        Some("vmbr0"),
        &["eno1", "eno2"],
    );
    assert_eq!(reasons[2..4], ["bond of eno1, eno2", "bridge of bond0, tap1"]);
}

#[test]
fn names_do_not_matter() {
    check(
        &[device("lo1"), device("docker0"), device("tun0"), link("eth0"), link("enp3s0")],
        None,
        &["lo1", "docker0", "tun0"],
    );
}

#[test]
fn a_master_that_is_a_device_itself_counts_for_its_port() {
    let port = Link { master: Some("eth0".into()), ..device("enP1s1") };
    let master = Link { lowers: vec!["enP1s1".into()], ..device("eth0") };
    let reasons = check(&[port, master], Some("eth0"), &["eth0"]);
    assert_eq!(reasons[0], "port of eth0, which counts its bytes");
}

#[test]
fn devices_whose_bytes_another_device_counts_do_not() {
    let with = |name, bus: &str, port: Option<&str>| Link {
        device: Some(Device { bus: Some(bus.into()), port: port.map(str::to_owned), driver: None }),
        ..link(name)
    };
    let switch_port = Link { lowers: vec!["eth0".into()], ..with("lan1", "mdio_bus", Some("p1")) };
    let monitor = Link { hardware_type: 803, ..with("mon0", "pci", None) };
    let links = [
        device("eth0"),
        switch_port,
        monitor,
        with("vif1.0", "xen-backend", None),
        with("rep0", "pci", Some("pf0vf1")),
        with("rep1", "pci", Some("c1pf0sf12")),
        with("uplink", "pci", Some("p0")),
        with("odd", "pci", Some("pf0vfx")),
    ];
    check(&links, None, &["eth0", "uplink", "odd"]);
}

#[test]
fn without_a_device_the_default_route_counts() {
    let eth0 = Link { lower_index: 7, ..link("eth0") };
    let tun = Link { tunnel: true, ..link("tun0") };
    let reasons = check(&[eth0.clone(), tun.clone()], Some("eth0"), &["eth0"]);
    assert_eq!(reasons[0], "carries the default route; there is no physical device");
    check(&[eth0.clone(), tun.clone()], None, &[]);
    check(&[eth0, tun], Some("gone0"), &[]);
}

#[test]
fn a_modem_counts_while_every_device_is_unplugged() {
    let unplugged = Link { up: false, ..device("eth0") };
    let modem = link("ppp0");
    let reasons = check(&[unplugged, modem.clone()], Some("ppp0"), &["eth0", "ppp0"]);
    assert_eq!(reasons[1], "carries the default route; no physical device is up");
    check(&[device("eth0"), modem], Some("ppp0"), &["eth0"]);
}

#[test]
fn the_operators_choice_wins_and_excluding_a_device_promotes_no_other() {
    let topology = host(&[device("eth0"), device("eth1"), link("br0")], Some("br0"));
    let pattern = |text: &str| vec![text.parse().unwrap()];
    let counted = |choice: &Choice| -> Vec<bool> {
        topology.judge(choice, &[]).iter().map(|verdict| verdict.counted).collect()
    };
    assert_eq!(counted(&Choice { exclude: pattern("eth*"), ..Choice::default() }), [false, false, false]);
    assert_eq!(
        counted(&Choice { include: pattern("br0"), exclude: pattern("*"), ..Choice::default() }),
        [false, false, true]
    );
    let reasons = topology.judge(&Choice { exclude: pattern("eth1"), ..Choice::default() }, &[]);
    assert_eq!(reasons[1].reason, "--exclude (physical device (pci, e1000e))");
}

#[test]
fn only_a_device_states_a_speed() {
    let fast = |link: Link| Link { speed_mbps: Some(1000), ..link }.stated_bps();
    assert_eq!(fast(device("eth0")), Some(125_000_000));
    assert_eq!(fast(link("veth0")), None, "a pair states 10 Gbit/s and copies in memory");
    assert_eq!(device("eth0").stated_bps(), None);
}
