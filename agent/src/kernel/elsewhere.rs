//! Systems other than Linux, through sysinfo, which provides no topology. The rule is [`RULE`].
//!
//! If the default route leads through a device, that device alone counts: the virtual switches of Hyper-V,
//! WSL and virtual machines on macOS have hardware addresses and routable addresses, too, and their bytes
//! pass the device a second time. A VPN that holds the default route has no hardware address; then all
//! interfaces that look like devices count.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use anyhow::Context;
use sysinfo::{InterfaceOperationalState, NetworkData, Networks};

use super::ErrorCounts;
use crate::{
    config::AgentConfig,
    meter::Counters,
    uplinks::{Device, LOOPBACK, Link, Routes, Topology},
};

/// The rule of which interfaces count, for `--explain`.
pub(crate) const RULE: &str = "An interface with a hardware address of its own and an address that other hosts can reach is \
                        taken for a device. The device of the default route counts; where it leads through none, such \
                        as into a VPN, each device that is up counts. --include and --exclude override this.";

/// This host's interfaces.
pub struct Kernel {
    // One refresh serves all readings of a sample; there is never a second borrow meanwhile.
    networks: RefCell<Networks>,
}

impl Kernel {
    /// The interfaces of this host.
    pub fn new(_: &AgentConfig) -> anyhow::Result<Self> {
        let networks = Networks::new_with_refreshed_list().context("cannot list the network interfaces")?;
        Ok(Self { networks: RefCell::new(networks) })
    }

    /// The names of all interfaces, sorted. Refreshes the counters.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut networks = self.networks.borrow_mut();
        networks.refresh(true);
        let mut names: Vec<String> =
            networks.keys().map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The interfaces with these names, all read again, which costs nothing here.
    pub fn topology(&self, names: &[String], _known: impl Fn(&str) -> Option<Link>) -> Topology {
        let link = |name: &String| self.with(name, |data| link(name, data));
        let mut links: Vec<Link> = names.iter().filter_map(link).collect();
        let routes = self.routes(&links);
        let is_way_out = |link: &Link| routes.defaults.contains(&link.name);
        if links.iter().any(|link| link.device.is_some() && is_way_out(link)) {
            for other in links.iter_mut().filter(|link| link.device.is_some() && !is_way_out(link)) {
                other.device = None;
                other.kind = Some("another interface carries the default route".to_owned());
            }
        }
        Topology { links, routes, ..Topology::default() }
    }

    /// Whether this interface can carry bytes now. Unknown here, so only a thorough look notices a change.
    pub(crate) fn is_up(&self, _: &str) -> bool {
        false
    }

    /// Whether counters may have 32 bits.
    pub(crate) fn may_wrap(&self) -> bool {
        false
    }

    /// The interface of the default route: the one that has the address from which the kernel would send.
    fn default_route(&self) -> Option<String> {
        // Addresses from the ranges for documentation. Connecting a datagram socket only queries the routing
        // table; nothing is sent.
        let source = |from: &str, to: &str| -> io::Result<IpAddr> {
            let socket = UdpSocket::bind(from)?;
            socket.connect(to)?;
            socket.local_addr().map(|address: SocketAddr| address.ip())
        };
        let ipv4 = source("0.0.0.0:0", "192.0.2.1:9");
        let source = ipv4.or_else(|_| source("[::]:0", "[2001:db8::1]:9")).ok()?;
        let networks = self.networks.borrow();
        let has = |data: &NetworkData| data.ip_networks().iter().any(|network| network.addr == source);
        networks.iter().find(|(_, data)| has(data)).map(|(name, _)| name.to_string_lossy().into_owned())
    }

    /// The counters of one interface, as of the last call of [`Kernel::names`].
    pub(crate) fn counters(&self, name: &str, _index: u32) -> Option<Counters> {
        self.with(name, |data| Counters {
            rx_bytes: data.total_received(),
            tx_bytes: data.total_transmitted(),
        })
    }

    /// The routes that lead out of this host, whatever interfaces it has.
    pub(crate) fn routes(&self, _: &[Link]) -> Routes {
        Routes { defaults: self.default_route().into_iter().collect(), ..Routes::default() }
    }

    /// The addresses of interfaces; none, because sysinfo lists all of them.
    pub(crate) fn addresses(&self, _: &[Link]) -> Option<Vec<(String, Vec<IpAddr>)>> {
        None
    }

    /// The names of each interface by number; none, because there are no numbers.
    pub(crate) fn all_names(&self) -> Vec<(u32, Vec<String>)> {
        Vec::new()
    }

    /// What no other interface has. `None`, because nothing tells a replaced one.
    pub(crate) fn identity(&self, _name: &str, _index: u32) -> Option<u64> {
        None
    }

    /// The kernel's name for the time since it started. `None`, because there is none.
    pub(crate) fn boot(&self) -> Option<(String, u64)> {
        None
    }

    /// The error counters of one interface. `None`, because sysinfo provides no drops.
    pub fn error_counts(&self, _: &str) -> Option<ErrorCounts> {
        None
    }

    fn with<T>(&self, name: &str, read: impl FnOnce(&NetworkData) -> T) -> Option<T> {
        let networks = self.networks.borrow();
        networks.iter().find(|(known, _)| known.to_str() == Some(name)).map(|(_, data)| read(data))
    }
}

fn link(name: &str, data: &NetworkData) -> Link {
    let reachable = data.ip_networks().iter().any(|network| match network.addr {
        IpAddr::V4(addr) => !addr.is_loopback() && !addr.is_link_local() && !addr.is_unspecified(),
        IpAddr::V6(addr) => !addr.is_loopback() && !addr.is_unicast_link_local() && !addr.is_unspecified(),
    });
    let own_hardware = !data.mac_address().is_unspecified();
    let up = !matches!(
        data.operational_state(),
        InterfaceOperationalState::Down
            | InterfaceOperationalState::LowerLayerDown
            | InterfaceOperationalState::NotPresent
    );
    let speed_bps = data.receive_link_speed().or(data.transmit_link_speed());
    let loopback = data.ip_networks().iter().any(|network| network.addr.is_loopback());
    let unfit = match (up, own_hardware, reachable) {
        (false, ..) => Some("down"),
        (_, false, _) => Some("no hardware address of its own"),
        (.., false) => Some("no address that other hosts can reach"),
        _ => None,
    };
    Link {
        name: name.to_owned(),
        kind: unfit.map(str::to_owned),
        hardware_type: if loopback { LOOPBACK } else { 0 },
        up,
        device: unfit.is_none().then(Device::default),
        speed_mbps: speed_bps.and_then(|bps| u32::try_from(bps / 1_000_000).ok()).filter(|mbps| *mbps > 0),
        ..Link::default()
    }
}
