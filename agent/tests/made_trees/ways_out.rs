//! Hosts whose way out is no device, more than one, or not what it looks like.

use std::fs;

use crate::tree::{Tree, counted};

const HALVES: [(&str, &str); 2] = [("00000000", "00000080"), ("00000080", "00000080")];

/// `/proc/net/route` with these routes: interface, destination, mask, flags and metric.
pub(crate) fn routes(tree: &Tree, routes: &[(&str, &str, &str, &str, u32)]) {
    let mut table =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n".to_owned();
    for (name, destination, mask, flags, metric) in routes {
        table.push_str(&format!(
            "{name}\t{destination}\t010200C0\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"
        ));
    }
    fs::write(tree.root.path().join("proc/net/route"), table).unwrap();
}

/// One end of a pair whose other end is in another namespace.
pub(crate) fn attached(tree: &mut Tree, name: &str, peer: &str) {
    tree.link(name).put(name, "iflink", peer);
}

fn reason(tree: &Tree, name: &str) -> String {
    let table = tree.explained(&[]);
    table.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap().to_owned()
}

#[test]
fn a_container_counts_every_network_that_it_is_attached_to() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    attached(&mut tree, "eth1", "43");
    attached(&mut tree, "eth2", "45");
    // A pair within the container, and a tunnel.
    tree.link("a0").put("a0", "iflink", "6").link("a1").put("a1", "iflink", "5");
    tree.link("tun0").put("tun0", "tun_flags", "0x1001");
    let net = |name| (name, "0002000A", "00FFFFFF", "0001", 0);
    routes(
        &tree,
        &[("eth0", "00000000", "00000000", "0003", 0), net("eth0"), net("eth1"), net("tun0"), net("a0")],
    );
    assert_eq!(tree.counted(), ["eth0", "eth1"]);
    assert!(reason(&tree, "eth1").contains("leads to a network; there is no physical device"));
}

#[test]
fn routes_to_single_containers_are_no_networks() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    attached(&mut tree, "veth1", "43");
    let (whole, host) = ("00000000", "FFFFFFFF");
    routes(&tree, &[("eth0", whole, whole, "0003", 0), ("veth1", "0202000A", host, "0005", 0)]);
    assert_eq!(tree.counted(), ["eth0"]);
}

#[test]
fn every_default_route_of_a_container_counts_but_what_rides_on_another() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    attached(&mut tree, "eth1", "43");
    tree.link("eth0.5").kind("eth0.5", "vlan").rides("eth0.5", "eth0");
    let default = |name, metric| (name, "00000000", "00000000", "0003", metric);
    routes(&tree, &[default("eth0", 0), default("eth0.5", 50), default("eth1", 100)]);
    assert_eq!(tree.counted(), ["eth0", "eth1"]);
}

#[test]
fn two_halves_are_a_default_route() {
    let mut tree = Tree::new();
    tree.link("eth1").put("eth1", "iflink", "0");
    let half = |(destination, mask)| ("eth1", destination, mask, "0003", 0);
    routes(&tree, &HALVES.map(half));
    assert_eq!(tree.counted(), ["eth1"]);
}

#[test]
fn a_vpn_does_not_hide_the_network_that_carries_it() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    tree.link("tun0").put("tun0", "tun_flags", "0x1001").put("tun0", "type", "65534");
    let [first, second] = HALVES.map(|(destination, mask)| ("tun0", destination, mask, "0003", 0));
    routes(&tree, &[("eth0", "00000000", "00000000", "0003", 0), first, second]);
    assert_eq!(tree.counted(), ["eth0"]);
}

#[test]
fn a_modem_on_a_serial_line_counts_beside_an_idle_port() {
    let mut tree = Tree::new();
    tree.device("eth0").link("ppp0").put("ppp0", "type", "512").kind("ppp0", "ppp");
    let default = ("ppp0", "00000000", "00000000", "0001", 0);
    routes(&tree, &[default]);
    assert_eq!(tree.counted(), ["eth0", "ppp0"]);
    assert!(reason(&tree, "ppp0").contains("a modem that carries a default route"));
    // The same interface as a session over the port, in each of its forms.
    let pppoe = tree.root.path().join("proc/net/pppoe");
    fs::write(&pppoe, "Id Address Device\n0000002A 00:11:22:33:44:55     eth0\n").unwrap();
    assert_eq!(tree.counted(), ["eth0"]);
    assert!(reason(&tree, "ppp0").contains("PPPoE on eth0, which counts its bytes"));
    fs::write(&pppoe, "Id Address Device\n").unwrap();
    assert_eq!(tree.counted(), ["eth0", "ppp0"]);
    routes(&tree, &[default, ("eth0", "0202000A", "FFFFFFFF", "0007", 0)]);
    assert_eq!(tree.counted(), ["eth0"], "a tunnel whose far end is reached by the port");
}

#[test]
fn a_mobile_modem_counts_and_its_channels_do_not() {
    let mut tree = Tree::new();
    tree.link("wwan0")
        .kind("wwan0", "wwan")
        .put("wwan0", "type", "65534")
        .device_on("wwan1", "usb", "qmi_wwan");
    tree.link("qmimux0").rides("qmimux0", "wwan1");
    assert_eq!(tree.counted(), ["wwan0", "wwan1"]);
}

#[test]
fn a_router_counts_both_sides_and_says_so_or_its_way_out_alone() {
    let mut tree = Tree::new();
    tree.device("lan1")
        .device("lan2")
        .link("br0")
        .kind("br0", "bridge")
        .port("lan1", "br0")
        .port("lan2", "br0");
    tree.device("wan0").link("wan0.7").kind("wan0.7", "vlan").rides("wan0.7", "wan0").link("ppp0");
    tree.put("ppp0", "type", "512");
    routes(&tree, &[("ppp0", "00000000", "00000000", "0001", 0)]);
    fs::write(tree.root.path().join("proc/net/pppoe"), "Id Address Device\n1 00:11:22:33:44:55 wan0.7\n")
        .unwrap();
    assert!(!tree.explained(&[]).contains("forwards"));
    let forward = tree.root.path().join("proc/sys/net/ipv4");
    fs::create_dir_all(&forward).unwrap();
    fs::write(forward.join("ip_forward"), "1\n").unwrap();
    assert_eq!(tree.counted(), ["lan1", "lan2", "wan0"]);
    assert!(reason(&tree, "wan0").contains("this host forwards: --count wan leaves the way out alone"));
    assert_eq!(tree.counted_with(&["--count", "wan"]), ["wan0"]);
    assert!(tree.explained(&["--count", "wan"]).contains("carries no default route, --count wan"));
    routes(&tree, &[("br0", "00000000", "00000000", "0003", 0)]);
    assert_eq!(tree.counted_with(&["--count", "wan"]), ["lan1", "lan2"]);
    routes(&tree, &[]);
    assert_eq!(tree.counted_with(&["--count", "wan"]), ["lan1", "lan2", "wan0"]);
    assert_eq!(tree.counted_with(&["--count", "wan", "--exclude", "lan*"]), ["wan0"]);
}

#[test]
fn a_bond_is_one_device_of_a_host_that_forwards() {
    let mut tree = Tree::new();
    tree.device("eno1").device("eno2").link("bond0").kind("bond0", "bond");
    tree.port("eno1", "bond0").port("eno2", "bond0");
    let forward = tree.root.path().join("proc/sys/net/ipv4");
    fs::create_dir_all(&forward).unwrap();
    fs::write(forward.join("ip_forward"), "1\n").unwrap();
    assert!(!tree.explained(&[]).contains("forwards"));
}

#[test]
fn a_device_that_is_played_by_software_does_not_count() {
    let mut tree = Tree::new();
    tree.device_on("loopback0", "pci", "hv_netvsc")
        .device_on("eni1", "netdevsim", "netdevsim")
        .device("eth0");
    tree.link("wlan0").kind("wlan0", "wlan");
    let radio = tree.root.path().join("sys/devices/virtual/mac80211_hwsim/hwsim0");
    fs::create_dir_all(&radio).unwrap();
    std::os::unix::fs::symlink(&radio, tree.net("wlan0").join("device")).unwrap();
    assert_eq!(tree.counted(), ["eth0"]);
}

#[test]
fn sysfs_of_another_namespace_is_noticed() {
    let mut tree = Tree::new();
    tree.device("eno1").count("eno1", 9_000_000, 8_000_000);
    let line = |name: &str, rx: u64| format!("{name}: {rx} 1 0 0 0 0 0 0 700 1 0 0 0 0 0 0\n");
    let dev = |lines: &[(&str, u64)]| {
        let lines: String = lines.iter().map(|(name, rx)| line(name, *rx)).collect();
        fs::write(tree.root.path().join("proc/net/dev"), format!("Inter-|\n face |\n{lines}")).unwrap();
    };
    dev(&[("lo", 0), ("eth0", 500)]);
    routes(&tree, &[("eth0", "00000000", "00000000", "0003", 0)]);
    assert_eq!(tree.counted(), ["eth0"]);
    let output = tree.command(&["--explain"]).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(log.matches("another network namespace").count(), 1, "{log}");
    let mut agent = tree.agent();
    let report = agent.report();
    assert_eq!((counted(&report), report.samples[0].rx_bytes), (vec!["eth0"], 0));
    dev(&[("lo", 0), ("eth0", 1_500)]);
    agent.until(|report| report.samples[0].rx_bytes == 1_000);
    // The same names, and the counters of another device.
    dev(&[("lo", 0), ("eno1", 500)]);
    assert_eq!(tree.counted(), Vec::<String>::new());
}

#[test]
fn a_sysfs_of_the_same_namespace_is_believed() {
    let mut tree = Tree::new();
    tree.device("eno1").count("eno1", 9_000_000, 700);
    let line = |name: &str, rx: u64, tx: u64| format!("{name}: {rx} 1 0 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n");
    let dev = format!("Inter-|\n face |\n{}{}", line("lo", 0, 0), line("eno1", 9_000_000, 700));
    fs::write(tree.root.path().join("proc/net/dev"), dev).unwrap();
    assert_eq!(tree.counted(), ["eno1"]);
    let log = tree.command(&["--explain"]).output().unwrap().stderr;
    assert_eq!(String::from_utf8(log).unwrap(), "");
}

#[test]
fn a_hosts_sysfs_that_is_mounted_for_a_container_is_what_is_measured() {
    let mut tree = Tree::new();
    tree.device("eno1").count("eno1", 9_000_000, 700);
    let line = |name: &str, rx: u64, tx: u64| format!("{name}: {rx} 1 0 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n");
    let header = "Inter-|\n face |\n";
    let proc = tree.root.path().join("proc");
    fs::create_dir_all(proc.join("1/net")).unwrap();
    fs::write(proc.join("net/dev"), format!("{header}{}", line("eth0", 1, 1))).unwrap();
    let of_init = format!("{header}{}{}", line("lo", 0, 0), line("eno1", 9_000_000, 700));
    fs::write(proc.join("1/net/dev"), of_init).unwrap();
    assert_eq!(tree.counted(), ["eno1"]);
}

#[test]
fn without_sysfs_the_default_route_counts() {
    let tree = Tree::new();
    fs::remove_dir_all(tree.root.path().join("sys")).unwrap();
    let dev =
        "Inter-|\n face |\n lo: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\neth0: 5 0 0 0 0 0 0 0 7 0 0 0 0 0 0 0\n";
    fs::write(tree.root.path().join("proc/net/dev"), dev).unwrap();
    routes(&tree, &[("eth0", "00000000", "00000000", "0003", 0)]);
    assert_eq!(tree.counted(), ["eth0"]);
    assert!(tree.agent().report().samples[0].rx_bps.is_some());
}

#[test]
fn a_name_that_is_no_text_counts_as_any_other() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let mut tree = Tree::new();
    tree.device("eth0");
    fs::rename(tree.net("eth0"), tree.root.path().join("sys/class/net").join(OsStr::from_bytes(b"wan\xff")))
        .unwrap();
    assert_eq!(tree.counted(), [r"wan\xff"]);
    assert_eq!(tree.counted_with(&["--exclude", "wan*"]), Vec::<String>::new());
}
