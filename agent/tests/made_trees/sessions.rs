//! PPP: sessions over a device, and modems beside them.

use std::fs;

use crate::{tree::Tree, ways_out::routes};

const WHOLE: &str = "00000000";
const HOST: &str = "FFFFFFFF";
const SOCKETS: &str = "sl local_address rem_address st\n";

/// A host with a port and so many serial interfaces.
fn host(serial: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    tree.device("eth0").device("lan0");
    for (name, mtu) in serial {
        tree.link(name).put(name, "type", "512").put(name, "mtu", mtu);
    }
    tree
}

fn write(tree: &Tree, file: &str, text: &str) {
    fs::write(tree.root.path().join("proc/net").join(file), text).unwrap();
}

#[test]
fn a_modem_beside_a_session_counts() {
    let tree = host(&[("ppp0", "1492"), ("ppp1", "1500")]);
    write(&tree, "pppoe", "Id Address Device\n0000002A 00:11:22:33:44:55 eth0\n");
    let default = |name, metric| (name, WHOLE, WHOLE, "0001", metric);
    routes(&tree, &[default("ppp0", 0), default("ppp1", 9)]);
    assert_eq!(tree.counted(), ["eth0", "lan0", "ppp1"]);
    assert_eq!(tree.counted_with(&["--count", "wan"]), ["eth0", "ppp1"]);
    // A second session, and jumbo frames that hold all of a packet.
    write(&tree, "pppoe", "Id Address Device\n1 00:11:22:33:44:55 eth0\n2 00:11:22:33:44:55 eth0\n");
    assert_eq!(tree.counted(), ["eth0", "lan0"]);
    assert_eq!(tree.counted_with(&["--count", "wan"]), ["eth0"]);
}

#[test]
fn a_route_to_a_single_host_makes_no_session_of_a_modem() {
    let tree = host(&[("ppp0", "1500")]);
    write(&tree, "tcp", SOCKETS);
    let table = [("ppp0", WHOLE, WHOLE, "0001", 0), ("lan0", "0202000A", HOST, "0007", 0)];
    routes(&tree, &table);
    assert_eq!(tree.counted(), ["eth0", "lan0", "ppp0"]);
    assert_eq!(tree.counted_with(&["--count", "wan"]), ["ppp0"]);
    // A VPN that speaks PPP, as over TLS, has such a route, too, and smaller packets.
    let tree = host(&[("ppp0", "1354")]);
    write(&tree, "tcp", SOCKETS);
    routes(&tree, &table);
    assert_eq!(tree.counted(), ["eth0", "lan0"]);
    assert_eq!(tree.counted_with(&["--count", "wan"]), ["lan0"]);
}

#[test]
fn a_tunnel_whose_far_end_is_in_a_wide_network_is_one() {
    let table = [("ppp0", WHOLE, WHOLE, "0001", 0), ("eth0", "0000000A", "000000FF", "0003", 0)];
    for (file, socket) in [
        ("tcp", "0: 0502000A:9000 0101010A:06BB 01\n"),
        ("udp", "0: 0502000A:06A5 0101010A:06A5 01\n"),
        ("raw", "47: 0502000A:002F 0101010A:0000 01\n"),
    ] {
        let tree = host(&[("ppp0", "1500")]);
        write(&tree, "tcp", SOCKETS);
        routes(&tree, &table);
        assert_eq!(tree.counted(), ["eth0", "lan0", "ppp0"]);
        write(&tree, file, &(SOCKETS.to_owned() + socket));
        assert_eq!(tree.counted(), ["eth0", "lan0"], "{file}");
        assert_eq!(tree.counted_with(&["--count", "wan"]), ["eth0"], "{file}");
    }
}
