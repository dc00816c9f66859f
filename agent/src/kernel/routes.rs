//! Linux: which interfaces lead out of this host, as the files of procfs tell.
//!
//! The files show the main table only, and of a route with several next hops the first; what the kernel
//! answers (`netlink`) has the rest.

use std::{net::Ipv4Addr, path::Path};

use super::{
    ppp_tunnels,
    tables::{lines, word},
};
use crate::uplinks::Routes;

/// `RTF_UP`, `RTF_GATEWAY`, `RTF_REJECT` of the kernel, and `RTF_ANYCAST` and `RTF_LOCAL` of IPv6.
const UP: u32 = 1;
const GATEWAY: u32 = 2;
const REJECT: u32 = 0x200;
const OWN: u32 = 0x8010_0000;
/// Without a default route, routes as wide as this stand for it: VPNs use two halves, 6to4 `2000::/3`, and no
/// organisation's network is wider.
const WIDE_IPV4: u32 = 7;
const WIDE_IPV6: u32 = 3;
/// The lengths of networks that are lines to single containers. Others' networks may be as small.
const LINES: std::ops::RangeInclusive<u32> = 28..=30;
/// `ETH_P_PPP_DISC` and `ETH_P_PPP_SES`, as a PPPoE program listens for them.
const PPPOE: [&str; 2] = ["8863", "8864"];

/// One route of a table.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    interface: String,
    /// As IPv4's table has it, which is as in a packet; 0 for IPv6.
    destination: u32,
    mask: u32,
    prefix: u32,
    metric: u32,
    gateway: bool,
}

/// The routes under a folder such as `/proc/net`. Sockets are listed only if there `may_be_sessions` of PPP:
/// a busy host has very many.
pub(super) fn read(net: &Path, may_be_sessions: bool) -> Routes {
    let table = |file| lines(&net.join(file)).unwrap_or_default();
    let ipv4: Vec<_> = table("route").iter().skip(1).filter_map(|line| ipv4(line)).collect();
    let ipv6: Vec<_> = table("ipv6_route").iter().filter_map(|line| ipv6(line)).collect();
    let pppoe: Vec<_> = table("pppoe").iter().skip(1).filter_map(|line| word(line, 2)).collect();
    let mut routes = Routes { pppoe_sessions: pppoe.len(), pppoe, ..Routes::default() };
    for (table, wide, host) in [(&ipv4, WIDE_IPV4, 32), (&ipv6, WIDE_IPV6, 128)] {
        routes.defaults.extend(leading_out(table, wide));
        let of = |is: &dyn Fn(&&Route) -> bool| -> Vec<String> {
            table.iter().filter(is).map(|route| route.interface.clone()).collect()
        };
        routes.networks.extend(of(&|route| (1..host).contains(&route.prefix)));
        routes.far_ends.extend(of(&|route| route.prefix == host && route.gateway));
    }
    let is_pppoe = |line: &&String| word(line, 3).is_some_and(|protocol| PPPOE.contains(&protocol.as_str()));
    let interface = |line: &String| word(line, 4)?.parse().ok();
    routes.pppoe_listeners = table("packet").iter().skip(1).filter(is_pppoe).filter_map(interface).collect();
    routes.pppoe_listeners.sort_unstable();
    routes.pppoe_listeners.dedup();
    if may_be_sessions {
        let is_l2tp = |line: &&String| line.trim_start().starts_with("SESSION");
        let n_l2tp = table("pppol2tp").iter().filter(is_l2tp).count();
        let far_ends = ppp_tunnels::far_ends(net);
        let carrier = |address: &u32| way_to(&ipv4, *address);
        routes.ppp_tunnels = n_l2tp.max(far_ends.as_ref().map_or(0, Vec::len));
        routes.ppp_carriers = match far_ends {
            Some(addresses) => addresses.iter().filter_map(carrier).collect(),
            None => routes.far_ends.clone(),
        };
    }
    let lines_to_own = lines_to_own(&ipv4, net);
    routes.networks.retain(|name| !lines_to_own.contains(name));
    unique(&mut routes.defaults);
    for list in [&mut routes.networks, &mut routes.far_ends, &mut routes.pppoe, &mut routes.ppp_carriers] {
        list.sort_unstable();
        list.dedup();
    }
    routes
}

/// The interface by which the main table leads to an address.
fn way_to(ipv4: &[Route], address: u32) -> Option<String> {
    let matching = ipv4.iter().filter(|route| address & route.mask == route.destination);
    let best = matching.max_by_key(|route| (route.prefix, std::cmp::Reverse(route.metric)));
    best.map(|route| route.interface.clone())
}

/// The interfaces that are lines to containers of this namespace's own, as systemd-nspawn makes them: a
/// network of few addresses, whose first one, the gateway's, is this end's.
fn lines_to_own(ipv4: &[Route], net: &Path) -> Vec<String> {
    let is_small = |route: &&Route| LINES.contains(&route.prefix) && !route.gateway;
    let small: Vec<_> = ipv4.iter().filter(is_small).collect();
    let own = if small.is_empty() { None } else { own_addresses(&net.join("fib_trie")) };
    let is_gateway = |route: &&&Route| {
        let first = Ipv4Addr::from_bits(u32::from_be(route.destination) + 1);
        own.as_ref().is_none_or(|own| own.contains(&first))
    };
    small.iter().filter(is_gateway).map(|route| route.interface.clone()).collect()
}

/// This host's addresses.
fn own_addresses(fib_trie: &Path) -> Option<Vec<Ipv4Addr>> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in lines(fib_trie)? {
        if let Some(address) = line.trim_start().strip_prefix("|-- ") {
            last = address.trim().parse().ok();
        } else if line.trim() == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    Some(found)
}

/// The interfaces of the default routes, or of the routes that stand for them, best metric first.
fn leading_out(table: &[Route], wide: u32) -> Vec<String> {
    let mut out: Vec<_> = table.iter().filter(|route| route.prefix == 0).collect();
    if out.is_empty() {
        out.extend(table.iter().filter(|route| route.prefix <= wide));
    }
    out.sort_by_key(|route| route.metric);
    out.into_iter().map(|route| route.interface.clone()).collect()
}

/// A line of `/proc/net/route`.
fn ipv4(line: &str) -> Option<Route> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let [interface, destination, _, flags, _, _, metric, mask, ..] = fields[..] else { return None };
    let flags = usable(flags)?;
    let mask = u32::from_str_radix(mask, 16).ok()?;
    Some(Route {
        interface: interface.to_owned(),
        destination: u32::from_str_radix(destination, 16).ok()?,
        mask,
        prefix: mask.count_ones(),
        metric: metric.parse().ok()?,
        gateway: flags & GATEWAY != 0,
    })
}

/// A line of `/proc/net/ipv6_route`. Link-local and multicast routes lead nowhere else.
fn ipv6(line: &str) -> Option<Route> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let [destination, prefix, _, _, _, metric, _, _, flags, interface] = fields[..] else { return None };
    let flags = usable(flags).filter(|flags| flags & OWN == 0)?;
    let is_local = destination.starts_with("fe80") || destination.starts_with("ff");
    (!is_local).then_some(Route {
        interface: interface.to_owned(),
        destination: 0,
        mask: 0,
        prefix: u32::from_str_radix(prefix, 16).ok()?,
        metric: u32::from_str_radix(metric, 16).ok()?,
        gateway: flags & GATEWAY != 0,
    })
}

fn usable(flags: &str) -> Option<u32> {
    let flags = u32::from_str_radix(flags, 16).ok()?;
    (flags & UP != 0 && flags & REJECT == 0).then_some(flags)
}

/// Keeps the first of equal names.
fn unique(names: &mut Vec<String>) {
    let mut seen = Vec::new();
    names.retain(|name| {
        let is_new = !seen.contains(name);
        if is_new {
            seen.push(name.clone());
        }
        is_new
    });
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The routes of these tables.
    fn routes(files: &[(&str, &str)]) -> Routes {
        let net = tempfile::tempdir().unwrap();
        for (file, text) in files {
            fs::write(net.path().join(file), text).unwrap();
        }
        read(net.path(), true)
    }

    const HEADER: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    #[test]
    fn every_default_route_is_a_way_out_the_lowest_metric_first() {
        let table = HEADER.to_owned()
            + "wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
               eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
               tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
               dead0\t00000000\t00000000\t0203\t0\t0\t0\t00000000\t0\t0\t0\n\
               eth0\t0102A8C0\t010200C0\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let routes = routes(&[("route", &table)]);
        assert_eq!(routes.defaults, ["eth0", "wlan0"]);
        assert_eq!((routes.networks, routes.far_ends), (vec!["tun0".to_owned()], vec!["eth0".to_owned()]));
        assert_eq!(self::routes(&[("route", "Iface\tDestination\n")]), Routes::default());
        assert_eq!(self::routes(&[]), Routes::default());
    }

    #[test]
    fn two_halves_are_a_way_out_where_there_is_no_default_route() {
        let table = HEADER.to_owned()
            + "eth1\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
               eth1\t00000080\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
               eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";
        assert_eq!(routes(&[("route", &table)]).defaults, ["eth1"]);
    }

    #[test]
    fn the_kernels_own_unreachable_ipv6_route_is_no_way_out() {
        let zero = "00000000000000000000000000000000";
        let route = |destination: &str, prefix: &str, metric: &str, flags: &str, name: &str| {
            format!("{destination} {prefix} {zero} 00 {zero} {metric} 00000001 00000000 {flags} {name:>8}\n")
        };
        let unreachable = route(zero, "00", "ffffffff", "00200200", "lo");
        let table = route(zero, "00", "00000400", "00000003", "eth0")
            + &route(zero, "00", "00000400", "00000003", "eth1")
            + &route("fe800000000000000000000000000000", "40", "00000100", "00000001", "eth2")
            + &route("20010db8000000000000000000000000", "40", "00000100", "00000001", "eth3")
            + &route("20010db8000000000000000000000001", "80", "00000000", "80200001", "eth3");
        assert_eq!(routes(&[("ipv6_route", &unreachable)]), Routes::default());
        let routes = routes(&[("ipv6_route", &(unreachable + &table))]);
        assert_eq!(
            (routes.defaults, routes.networks),
            (vec!["eth0".into(), "eth1".into()], vec!["eth3".into()])
        );
    }

    #[test]
    fn what_carries_ppp_is_shown_by_the_kernel_or_by_the_program_that_listens() {
        let session = "Id       Address              Device\n0000002A 00:11:22:33:44:55     eth0\n";
        assert_eq!(routes(&[("pppoe", session)]).pppoe, ["eth0"]);
        let listener = "sk RefCnt Type Proto Iface R Rmem User Inode\n0 3 10 8864 2 1 0 0 1\n";
        assert_eq!(routes(&[("packet", listener)]).pppoe_listeners, [2]);
        let dhcp = "sk RefCnt Type Proto Iface R Rmem User Inode\n0 3 3 0003 2 1 0 0 1\n";
        assert!(routes(&[("packet", dhcp)]).pppoe_listeners.is_empty());
        assert_eq!(routes(&[("pppol2tp", "PPPoL2TP driver info\n  SESSION '' 1/2\n")]).ppp_tunnels, 1);
    }

    #[test]
    fn a_tunnels_carrier_is_the_way_to_its_far_end() {
        let table = HEADER.to_owned()
            + "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
               eth0\t0000000A\t0100000A\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n\
               eth1\t0100A8C0\t0102A8C0\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let carriers = |tcp: &str| {
            let routes = routes(&[("route", &table), ("tcp", &format!("sl\n{tcp}"))]);
            (routes.ppp_tunnels, routes.ppp_carriers)
        };
        assert_eq!(carriers("0: 0502000A:9000 0101010A:06BB 01\n"), (1, vec!["eth0".to_owned()]));
        assert_eq!(carriers("0: 0502000A:9000 0100A8C0:1092 01\n"), (0, vec![]));
        assert_eq!(routes(&[("route", &table)]).ppp_carriers, ["eth1"], "no sockets are listed");
    }

    #[test]
    fn a_small_network_whose_gateway_is_this_end_is_a_line_to_an_own_container() {
        let table = HEADER.to_owned()
            + "ve-box\t1000000A\t00000000\t0001\t0\t0\t0\tF0FFFFFF\t0\t0\t0\n\
               eth1\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let networks = |address: &str| {
            let trie = format!(
                "Main:\n  |-- 10.0.0.16\n     /28 link UNICAST\n  |-- {address}\n     /32 host LOCAL\n"
            );
            routes(&[("route", &table), ("fib_trie", &trie)]).networks
        };
        assert_eq!(networks("10.0.0.17"), ["eth1"]);
        assert_eq!(networks("10.0.0.18"), ["eth1", "ve-box"]);
        assert_eq!(
            routes(&[("route", &table)]).networks,
            ["eth1"],
            "whose the first address is, is not known"
        );
    }
}
