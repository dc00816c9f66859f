//! The agent's program on made sysfs and procfs trees: which interfaces count, and how their counters are
//! summed.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod containers;
mod counters;
mod sessions;
mod tree;
mod tunnels;
mod ways_out;

use std::{fs, process::Command};

use tidemap_service::clock::unix_ms;
use tree::{Tree, counted};

#[test]
fn a_plain_host_counts_its_devices() {
    let mut tree = Tree::new();
    tree.device("eno1").device("wlp2s0").link("docker0").kind("docker0", "bridge").link("tun0");
    tree.put("tun0", "tun_flags", "0x1001").default_route("tun0");
    fs::write(tree.root.path().join("sys/class/net/bonding_masters"), "bond0\n").unwrap();
    assert_eq!(tree.counted(), ["eno1", "wlp2s0"]);
}

#[test]
fn a_bond_under_a_bridge_with_a_vlan_counts_its_members() {
    let mut tree = Tree::new();
    tree.device("eno1").device("eno2").link("bond0").link("bond0.7").link("vmbr0").link("tap100i0");
    tree.port("eno1", "bond0").port("eno2", "bond0").port("bond0.7", "vmbr0").port("tap100i0", "vmbr0");
    tree.rides("bond0.7", "bond0").kind("bond0.7", "vlan").kind("vmbr0", "bridge").default_route("vmbr0");
    // An old kernel: only the folder shows that this is a bond.
    fs::create_dir(tree.net("bond0").join("bonding")).unwrap();
    assert_eq!(tree.counted(), ["eno1", "eno2"]);
}

#[test]
fn macvlans_and_vpns_and_containers_ride_on_the_device() {
    let mut tree = Tree::new();
    tree.device("eth0").link("macvlan0").link("wg0").link("veth12ab").link("cni0");
    tree.rides("macvlan0", "eth0").put("macvlan0", "iflink", "2").kind("wg0", "wireguard");
    tree.kind("cni0", "bridge").port("veth12ab", "cni0").put("veth12ab", "iflink", "99").default_route("wg0");
    assert_eq!(tree.counted(), ["eth0"]);
}

#[test]
fn a_container_counts_its_default_route() {
    let mut tree = Tree::new();
    tree.link("eth0").put("eth0", "iflink", "42").link("tun0").put("tun0", "tun_flags", "0x1001");
    assert_eq!(tree.counted(), Vec::<String>::new());
    tree.default_route("eth0");
    assert_eq!(tree.counted(), ["eth0"]);
}

#[test]
fn a_container_without_ipv4_counts_its_ipv6_default_route() {
    let mut tree = Tree::new();
    tree.link("eth0").put("eth0", "iflink", "42").link("eth1").put("eth1", "iflink", "43");
    tree.ipv6_default_route("eth1");
    assert_eq!(tree.counted(), ["eth1"]);
    tree.default_route("eth0");
    assert_eq!(tree.counted(), ["eth0", "eth1"], "IPv4 may leave by another interface than IPv6");
}

#[test]
fn devices_count_on_whatever_bus_they_are() {
    let mut tree = Tree::new();
    tree.device_on("enx0050b6", "usb", "r8152").device_on("ens3", "virtio", "virtio_net");
    tree.device_on("mlan0", "sdio", "mwifiex_sdio").device_on("eth0", "platform", "macb");
    tree.link("dummy0").kind("dummy0", "dummy").link("ipvl0").rides("ipvl0", "ens3");
    assert_eq!(tree.counted(), ["ens3", "enx0050b6", "eth0", "mlan0"]);
}

#[test]
fn stacked_masters_count_their_devices_once() {
    let mut tree = Tree::new();
    // Two bonds in a team, a VLAN on the team, a bridge on the VLAN, a macvlan on the bridge, and a tunnel as
    // the default route.
    for (bond, devices) in [("bond0", ["eno1", "eno2"]), ("bond1", ["eno3", "enx1"])] {
        tree.link(bond).kind(bond, "bond");
        for device in devices {
            tree.device(device).port(device, bond);
        }
    }
    tree.link("team0").kind("team0", "team").port("bond0", "team0").port("bond1", "team0");
    tree.link("team0.5").kind("team0.5", "vlan").rides("team0.5", "team0");
    tree.link("br0").kind("br0", "bridge").port("team0.5", "br0").link("mac0").rides("mac0", "br0");
    tree.link("wg0").kind("wg0", "wireguard").default_route("wg0");
    assert_eq!(tree.counted(), ["eno1", "eno2", "eno3", "enx1"]);
    let table = tree.explained(&[]);
    for reason in ["bond of eno1, eno2", "team of bond0, bond1", "VLAN on team0", "bridge of team0.5"] {
        assert!(table.contains(reason), "{reason}: {table}");
    }
}

#[test]
fn the_operator_includes_and_excludes_by_name() {
    let mut tree = Tree::new();
    tree.device("eth0").device("eth1").link("wg0").kind("wg0", "wireguard");
    assert_eq!(tree.counted_with(&["--exclude", "eth1"]), ["eth0"]);
    assert_eq!(tree.counted_with(&["--include", "wg*"]), ["eth0", "eth1", "wg0"]);
    assert_eq!(tree.counted_with(&["--exclude", "*", "--include", "eth1,wg0"]), ["eth1", "wg0"]);
    let table = tree.explained(&["--exclude", "eth1"]);
    assert!(table.contains("--exclude (physical device (pci, e1000e))"), "{table}");
}

#[test]
fn a_container_that_gets_its_default_route_late_counts_it_from_the_next_sample_on() {
    let mut tree = Tree::new();
    tree.link("eth0").put("eth0", "iflink", "42").count("eth0", 7_000, 7_000);
    let mut agent = tree.agent();
    assert_eq!(agent.report().samples[0].rx_bps, None);
    tree.default_route("eth0");
    agent.at_once(unix_ms(), |report| report.hello.is_some());
    // The one after it has a rate.
    let sample = agent.report().samples.remove(0);
    assert_eq!((sample.rx_bytes, sample.rx_bps.map(|rate| rate.get())), (0, Some(0.0)));
}

#[test]
fn a_device_that_comes_up_counts_alone_from_the_next_sample_on() {
    let mut tree = Tree::new();
    tree.device("eth0").put("eth0", "operstate", "down").link("tun0").put("tun0", "tun_flags", "0x1001");
    tree.default_route("tun0");
    let mut agent = tree.agent();
    assert_eq!(counted(&agent.report()), ["eth0", "tun0"]);
    tree.put("eth0", "operstate", "up");
    let report = agent.at_once(unix_ms(), |report| report.hello.is_some());
    assert_eq!(counted(&report), ["eth0"]);
}

#[test]
fn bytes_are_counted_from_the_start_of_the_run_and_rates_are_their_change() {
    let mut tree = Tree::new();
    tree.device("eth0").count("eth0", 5_000_000_000, 7).default_route("eth0");
    let mut agent = tree.agent();
    let first = agent.report();
    let hello = first.hello.unwrap();
    assert_eq!((hello.hostname.is_empty(), hello.interfaces.len()), (false, 2));
    let sample = &first.samples[0];
    // An agent that stood still at its start has waited for longer.
    assert!(sample.elapsed_ms >= 240, "{}", sample.elapsed_ms);
    assert_eq!((sample.seq, sample.rx_bytes, sample.rx_bps.map(|rate| rate.get())), (1, 0, Some(0.0)));
    assert!(sample.host.as_ref().unwrap().memory_total_bytes.is_none(), "the made procfs has no memory");

    tree.count("eth0", 5_001_000_000, 1_007);
    let report = agent.until(|report| report.samples[0].tx_bytes > 0);
    let sample = &report.samples[0];
    assert_eq!(sample.tx_bytes, 1_000);
    assert_eq!(sample.tx_bps.unwrap().bytes_in(sample.elapsed_ms), 1_000);
    let report = if sample.rx_bytes == 0 { agent.report() } else { report };
    assert_eq!(report.samples[0].rx_bytes, 1_000_000);
    assert!(report.hello.is_none() && report.samples[0].host.is_none());
}

#[test]
fn an_interface_that_is_plugged_in_is_reported_at_once_and_makes_no_spike() {
    let mut tree = Tree::new();
    tree.device("eth0");
    let mut agent = tree.agent();
    agent.report();
    // Prepared elsewhere and moved here as a whole, as an interface appears in the kernel.
    let mut other = Tree::new();
    other.device("usb0").count("usb0", 1 << 40, 1 << 40).put("usb0", "ifindex", "77");
    fs::rename(other.net("usb0"), tree.net("usb0")).unwrap();
    let report = agent.until(|report| report.hello.is_some());
    let usb0 = report.hello.as_ref().unwrap().interfaces.iter().find(|one| one.name == "usb0").unwrap();
    assert!(usb0.counted);
    assert_eq!((report.samples[0].rx_bytes, report.samples[0].rx_bps.map(|rate| rate.get())), (0, Some(0.0)));
    tree.count("usb0", (1 << 40) + 500, 1 << 40);
    assert_eq!(agent.until(|report| report.samples[0].rx_bytes > 0).samples[0].rx_bytes, 500);

    // It is unplugged while the other continues: no bytes of the other are lost, and its rate stays known.
    fs::rename(tree.net("usb0"), other.net("usb0")).unwrap();
    tree.count("eth0", 70, 0);
    let mut reported = 0;
    while reported < 570 {
        let sample = agent.report().samples.remove(0);
        let rose = sample.rx_bytes - std::mem::replace(&mut reported, sample.rx_bytes);
        if reported > 500 {
            assert_eq!(sample.rx_bps.unwrap().bytes_in(sample.elapsed_ms), rose.min(70));
        }
    }
    assert_eq!(reported, 570);
}

#[test]
fn a_renamed_interface_continues_under_its_new_name() {
    let mut tree = Tree::new();
    tree.device("eth0").count("eth0", 1 << 40, 0);
    let mut agent = tree.agent();
    agent.report();
    fs::rename(tree.net("eth0"), tree.net("enp3s0")).unwrap();
    tree.count("enp3s0", (1 << 40) + 900, 0);
    let renamed = agent.until(|report| report.hello.is_some()).hello.unwrap();
    assert_eq!(renamed.interfaces[0].name, "enp3s0");
    tree.count("enp3s0", (1 << 40) + 1_000, 0);
    assert_eq!(agent.until(|report| report.samples[0].rx_bytes == 1_000).samples[0].rx_bytes, 1_000);
}

#[test]
fn a_counter_that_cannot_be_read_makes_the_rate_unknown_and_not_zero() {
    let mut tree = Tree::new();
    tree.device("eth0").count("eth0", 1_000, 1_000);
    let mut agent = tree.agent();
    assert!(agent.report().samples[0].rx_bps.is_some());
    fs::remove_file(tree.net("eth0").join("statistics/rx_bytes")).unwrap();
    let report = agent.until(|report| report.samples[0].rx_bps.is_none());
    assert_eq!((report.samples[0].rx_bytes, report.samples[0].tx_bps), (0, None));
    tree.count("eth0", 1_900, 1_000);
    let late = agent.until(|report| report.samples[0].rx_bytes > 0);
    assert_eq!((late.samples[0].rx_bytes, late.samples[0].rx_bps), (900, None));
    assert!(agent.report().samples[0].rx_bps.is_some());
}

#[test]
fn devices_that_swap_their_names_make_no_spike() {
    let mut tree = Tree::new();
    tree.device("eth0").count("eth0", 1_000, 1_000).device("eth1").count("eth1", 1 << 40, 1 << 40);
    let mut agent = tree.agent();
    agent.report();
    for (from, to) in [("eth0", "eth9"), ("eth1", "eth0"), ("eth9", "eth1")] {
        fs::rename(tree.net(from), tree.net(to)).unwrap();
    }
    // At the second sample from now on the agent has surely seen both under their new names.
    let (first, second) = (agent.report().samples.remove(0), agent.report().samples.remove(0));
    assert_eq!((first.rx_bytes, second.rx_bytes), (0, 0));
    tree.count("eth0", (1 << 40) + 300, 1 << 40).count("eth1", 1_004, 1_000);
    let after = agent.until(|report| report.samples[0].rx_bytes > 300);
    assert_eq!(after.samples[0].rx_bytes, 304);
}

#[test]
fn a_rate_is_not_known_where_nothing_counts() {
    let tree = Tree::new();
    let sample = tree.agent().report().samples.remove(0);
    assert_eq!((sample.rx_bytes, sample.rx_bps, sample.tx_bps), (0, None, None));
}

#[test]
fn a_wrong_command_line_is_reported_in_one_line() {
    let tree = Tree::new();
    let check = |args: &[&str], code: i32, message: &str| {
        let output = tree.command(args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(code), 1), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    };
    check(&["--interval", "0"], 64, "--interval");
    check(&["--node", "a", "--node", "b"], 64, "--node");
    check(&["--dry-run", "--explain"], 64, "--explain");
    check(&["--nats-url", "http://["], 64, "--nats-url");
    check(&["--explain", "--exclude", "a b"], 64, "--exclude");
    fs::remove_dir_all(tree.net("")).unwrap();
    check(&["--dry-run"], 1, "class/net");
}

#[test]
fn the_agent_exits_with_0_when_asked_and_when_its_output_is_closed() {
    let tree = Tree::new();
    let mut asked = tree.agent();
    asked.report();
    let pid = asked.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(asked.child.wait().unwrap().success());

    let mut unread = tree.agent();
    unread.report();
    unread.lines = None;
    assert!(unread.child.wait().unwrap().success());
}
