//! The addresses of interfaces, and which of them are globally routable.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use sysinfo::Networks;

use crate::links::Links;

/// The addresses of each interface, in a stable order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(BTreeMap<String, Vec<IpAddr>>);

impl Addresses {
    /// The addresses of these interfaces now.
    pub(crate) fn of_links(links: &Links) -> Self {
        links.addresses().map_or_else(Self::of_host, Self::from_iter)
    }

    /// The addresses of this host now, as the system's library lists them.
    pub fn of_host() -> Self {
        let Ok(networks) = Networks::new_with_refreshed_list() else { return Self::default() };
        networks
            .iter()
            .map(|(name, data)| {
                let addresses = data.ip_networks().iter().map(|network| network.addr);
                (name.to_string_lossy().into_owned(), addresses.collect())
            })
            .collect()
    }

    /// The addresses of one interface, IPv4 first.
    pub fn of(&self, name: &str) -> &[IpAddr] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

impl FromIterator<(String, Vec<IpAddr>)> for Addresses {
    fn from_iter<T: IntoIterator<Item = (String, Vec<IpAddr>)>>(interfaces: T) -> Self {
        let sorted = |(name, mut addresses): (String, Vec<IpAddr>)| {
            addresses.sort_unstable();
            (name, addresses)
        };
        Self(interfaces.into_iter().map(sorted).collect())
    }
}

/// The address by which other hosts on the network reach this one: IPv4 if there is one, never a link-local
/// address.
pub(super) fn preferred(addresses: &[IpAddr]) -> Option<String> {
    let beyond_link = |address: &&IpAddr| match address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    };
    addresses.iter().find(beyond_link).map(ToString::to_string)
}

/// A globally routable address, if there is one.
pub(super) fn global<'a>(addresses: impl Iterator<Item = &'a IpAddr>) -> Option<String> {
    let is_global = |address: &&IpAddr| match address {
        IpAddr::V4(address) => is_global_v4(*address),
        IpAddr::V6(address) => is_global_v6(*address),
    };
    addresses.filter(is_global).min().map(ToString::to_string)
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network, carrier-grade NAT, protocol assignments, benchmarks, multicast and reserved.
        [0, ..] | [224..=255, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        _ => false,
    };
    let local = address.is_private() || address.is_loopback() || address.is_link_local();
    !(special || local || address.is_documentation())
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // 2000::/3 is the allocated space; 2001:db8::/32 and 3fff::/20 in it are for documentation.
    first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0x0db8) && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_the_internet_routes_are_global() {
        let check = |address: &str, expected: bool| {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(global([parsed].iter()).is_some(), expected, "{address}");
        };
        for address in ["9.9.9.9", "100.63.0.1", "100.128.0.1", "172.32.0.1", "198.20.0.1", "2a00::1"] {
            check(address, true);
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "127.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "3fff::1",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn the_internal_address_is_not_link_local() {
        let list =
            |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        assert_eq!(preferred(&list(&["169.254.0.1", "10.0.0.1", "fd00::1"])).as_deref(), Some("10.0.0.1"));
        assert_eq!(preferred(&list(&["fe80::1", "fd00::1"])).as_deref(), Some("fd00::1"));
        assert_eq!(preferred(&[]), None);
    }
}
