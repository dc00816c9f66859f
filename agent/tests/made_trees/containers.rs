//! Containers with more than one end of a pair, with bridges of their own, and with devices.

use std::fs;

use crate::{
    tree::Tree,
    ways_out::{attached, routes},
};

const WHOLE: &str = "00000000";
const NETWORK: &str = "00FFFFFF";

#[test]
fn a_device_that_a_container_was_given_counts_beside_its_network() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    attached(&mut tree, "net2", "43");
    tree.device_on("net1", "pci", "iavf").link("net1.5").kind("net1.5", "vlan").rides("net1.5", "net1");
    tree.link("wg0").kind("wg0", "wireguard").put("wg0", "type", "65534");
    let net = |name| (name, "0002000A", NETWORK, "0001", 0);
    let default = |name, metric| (name, WHOLE, WHOLE, "0003", metric);
    let table =
        [default("eth0", 0), default("net1.5", 5), default("wg0", 9), net("eth0"), net("net1"), net("net2")];
    routes(&tree, &table);
    assert_eq!(tree.counted(), ["eth0", "net1", "net2"]);
    // The same on a host is the way to a container through which everything is sent.
    let core = tree.root.path().join("proc/sys/net/core");
    fs::create_dir_all(&core).unwrap();
    fs::write(core.join("netdev_max_backlog"), "1000\n").unwrap();
    assert_eq!(tree.counted(), ["net1"]);
}

#[test]
fn a_host_with_a_bridge_of_its_device_and_its_containers_counts_the_device() {
    let mut tree = Tree::new();
    tree.device("eno1").link("br0").kind("br0", "bridge").port("eno1", "br0");
    attached(&mut tree, "veth1", "43");
    tree.port("veth1", "br0").default_route("br0");
    assert_eq!(tree.counted(), ["eno1"]);
}

#[test]
fn a_container_with_a_bridge_over_its_network_counts_the_network() {
    for kind in ["bridge", "bond", "vlan"] {
        let mut tree = Tree::new();
        attached(&mut tree, "eth0", "41");
        tree.link("over0").kind("over0", kind).port("eth0", "over0").default_route("over0");
        assert_eq!(tree.counted(), ["eth0"], "{kind}");
        // A port whose other end is one of a virtual machine's changes nothing.
        tree.link("tap0").put("tap0", "tun_flags", "0x1002").port("tap0", "over0");
        assert_eq!(tree.counted(), ["eth0"], "{kind}");
    }
}

#[test]
fn of_a_bridge_with_several_pairs_the_bridge_counts() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    attached(&mut tree, "veth1", "2");
    tree.link("br0").kind("br0", "bridge").port("eth0", "br0").port("veth1", "br0").default_route("br0");
    assert_eq!(tree.counted(), ["br0"], "which of them leads out is not known");
}

#[test]
fn the_line_to_a_containers_own_container_is_no_network() {
    let mut tree = Tree::new();
    attached(&mut tree, "eth0", "41");
    attached(&mut tree, "ve-box", "2");
    routes(&tree, &[("eth0", WHOLE, WHOLE, "0003", 0), ("ve-box", "1000000A", "F0FFFFFF", "0001", 0)]);
    assert_eq!(tree.counted(), ["eth0"]);
    let is_at = |address: &str| {
        let trie = format!("Main:\n  |-- {address}\n     /32 host LOCAL\n");
        fs::write(tree.root.path().join("proc/net/fib_trie"), trie).unwrap();
    };
    is_at("10.0.0.17");
    assert_eq!(tree.counted(), ["eth0"]);
    is_at("10.0.0.18");
    assert_eq!(tree.counted(), ["eth0", "ve-box"], "somebody else is the gateway of this network");
}
