//! Other systems, by sysinfo, which tells no topology. The rule: an interface counts when it is up, has a hardware
//! address of its own, and has an address that other hosts can reach. That leaves out loopback, tunnels, idle ports and
//! the members of a bridge, which have no address; a bridge and its uplink never both have one.

use std::{cell::RefCell, io, net::IpAddr};

use anyhow::Context;
use sysinfo::{InterfaceOperationalState, NetworkData, Networks};

use super::Faults;
use crate::{
    AgentConfig,
    meter::Counters,
    uplinks::{Device, LOOPBACK, Link, Topology},
};

/// This host's interfaces.
pub struct Kernel {
    // One refresh serves all readings of a sample; nothing else is ever borrowed meanwhile.
    networks: RefCell<Networks>,
}

impl Kernel {
    /// The interfaces of this host.
    ///
    /// # Errors
    ///
    /// When the system does not tell them.
    pub fn new(_: &AgentConfig) -> anyhow::Result<Self> {
        let networks = Networks::new_with_refreshed_list().context("cannot list the network interfaces")?;
        Ok(Self { networks: RefCell::new(networks) })
    }

    /// The names of all interfaces, sorted. Refreshes the counters.
    ///
    /// # Errors
    ///
    /// Never; the signature is that of Linux.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut networks = self.networks.borrow_mut();
        networks.refresh(true);
        let mut names: Vec<String> =
            networks.keys().map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The interfaces with these names, all read anew: that costs nothing here.
    pub fn topology(&self, names: &[String], _known: impl Fn(&str) -> Option<Link>) -> Topology {
        let link = |name: &String| self.with(name, |data| link(name, data));
        Topology { links: names.iter().filter_map(link).collect(), default_route: None }
    }

    /// The number of an interface: 0, for sysinfo tells none.
    pub fn index(&self, name: &str) -> Option<u32> {
        self.with(name, |_| 0)
    }

    /// The counters of one interface, as of the last call of [`Kernel::names`].
    pub fn counters(&self, name: &str) -> Option<Counters> {
        self.with(name, |data| Counters {
            rx_bytes: data.total_received(),
            tx_bytes: data.total_transmitted(),
        })
    }

    /// The errors of one interface; sysinfo knows no drops, so it is not known.
    pub fn faults(&self, _: &str) -> Option<Faults> {
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
    Link {
        name: name.to_owned(),
        hardware_type: if loopback { LOOPBACK } else { 0 },
        up,
        device: (up && own_hardware && reachable).then(Device::default),
        speed_mbps: speed_bps.and_then(|bps| u32::try_from(bps / 1_000_000).ok()).filter(|mbps| *mbps > 0),
        ..Link::default()
    }
}
