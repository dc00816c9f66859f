//! Tunnels, sessions and routers: what is inside, what is outside, and what is the way out.

use std::fs;

use crate::{
    tree::{Tree, counted},
    ways_out::{attached, routes},
};

const WHOLE: &str = "00000000";
const HOST: &str = "FFFFFFFF";
const NETWORK: &str = "00FFFFFF";

#[test]
fn no_tunnel_of_a_container_counts_beside_its_network() {
    for (kind, hardware_type) in [
        ("ovpn", "65534"),
        ("amneziawg", "65534"),
        ("vxlan", "1"),
        ("geneve", "1"),
        ("l2tpeth", "1"),
        ("", "65534"),
        ("", "512"),
        ("", "778"),
    ] {
        let mut tree = Tree::new();
        attached(&mut tree, "eth0", "41");
        tree.link("vpn0").put("vpn0", "type", hardware_type);
        if !kind.is_empty() {
            tree.kind("vpn0", kind);
        }
        let eth0 = ("eth0", "0002000A", NETWORK, "0001", 0);
        routes(&tree, &[("vpn0", WHOLE, WHOLE, "0001", 0), ("eth0", "0102A8C0", HOST, "0007", 0), eth0]);
        assert_eq!(tree.counted(), ["eth0"], "{kind} {hardware_type}");
        routes(&tree, &[("eth0", WHOLE, WHOLE, "0003", 0), ("vpn0", WHOLE, WHOLE, "0001", 50), eth0]);
        assert_eq!(tree.counted(), ["eth0"], "{kind} {hardware_type}");
    }
}

#[test]
fn among_tunnels_alone_the_outermost_counts() {
    let mut tree = Tree::new();
    // The network of a rootless container is a tap device.
    tree.link("tap0").put("tap0", "tun_flags", "0x1002");
    tree.link("wg0").kind("wg0", "wireguard").put("wg0", "type", "65534");
    routes(&tree, &[("wg0", WHOLE, WHOLE, "0001", 0), ("tap0", WHOLE, WHOLE, "0003", 100)]);
    assert_eq!(tree.counted(), ["tap0"]);
}

#[test]
fn a_macvlan_counts_whatever_its_parents_number() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    // Its parent outside has the number that eth0 has inside.
    tree.link("eth1").put("eth1", "iflink", "2").kind("eth1", "macvlan");
    let net = |name| (name, "0002000A", NETWORK, "0001", 0);
    routes(&tree, &[("eth0", WHOLE, WHOLE, "0003", 0), net("eth0"), net("eth1")]);
    assert_eq!(tree.counted(), ["eth0", "eth1"]);
}

/// A router with a LAN, and a WAN whose session is at `ppp0`.
fn router() -> Tree {
    let mut tree = Tree::new();
    tree.device("lan0").device("wan0").link("ppp0").put("ppp0", "type", "512");
    tree
}

#[test]
fn the_wan_is_found_below_sessions_and_tunnels() {
    let default = ("ppp0", WHOLE, WHOLE, "0001", 0);
    let wan = |tree: &Tree| assert_eq!(tree.counted_with(&["--count", "wan"]), ["wan0"]);
    // L2TP and PPTP: the far end is reached through the WAN.
    let tree = router();
    routes(&tree, &[default, ("wan0", "0102A8C0", HOST, "0007", 0)]);
    wan(&tree);
    // A program that speaks PPPoE itself.
    let tree = router();
    routes(&tree, &[default]);
    let listener = "sk RefCnt Type Proto Iface R Rmem User Inode\n0 3 10 8864 3 1 0 0 1\n";
    fs::write(tree.root.path().join("proc/net/packet"), listener).unwrap();
    wan(&tree);
    // A VPN that has replaced the default route.
    let mut tree = router();
    tree.link("tun0").put("tun0", "tun_flags", "0x1001");
    routes(&tree, &[("tun0", WHOLE, WHOLE, "0001", 0), ("wan0", "0102A8C0", HOST, "0007", 0)]);
    wan(&tree);
}

#[test]
fn while_the_wan_has_no_route_the_lan_does_not_count_for_it() {
    let tree = router();
    let default = ("wan0", WHOLE, WHOLE, "0003", 0);
    routes(&tree, &[default]);
    let mut agent = tree.agent_with(&["--count", "wan"]);
    assert_eq!(counted(&agent.report()), ["wan0"]);
    routes(&tree, &[]);
    // Whatever the agent sees first, it has seen that there is no route when it counts these bytes.
    let mut tree = tree;
    for step in 1..=8 {
        tree.count("lan0", step * 1_000_000, 0).count("wan0", step * 1_000, 0);
        agent.report();
    }
    let report = agent.until(|report| report.samples[0].rx_bytes >= 8_000);
    assert_eq!(report.samples[0].rx_bytes, 8_000);
}
