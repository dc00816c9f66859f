//! Which interfaces count, and why.
//!
//! A byte that leaves a host passes several interfaces: a container's veth, a bridge, a VLAN, a bond, and
//! finally a device. Only one of them may count it. The kernel knows which interface is layered on which, so
//! the rule uses that topology and never names:
//!
//! 1. an interface with a device behind it counts, unless another interface with a device already counts its
//!    bytes (the port of a paravirtual master, a switch port on its conduit, a guest's back end, a monitor, a
//!    representor);
//! 2. so does a modem's: a serial line that carries a default route, unless it is a session over a device;
//! 3. everything else is virtual and does not count;
//! 4. where none of these is up, or a container has a device beside its network, the interfaces that lead out
//!    count (`way_out`), of what is layered the lowest;
//! 5. `--count wan` leaves those that carry a default route;
//! 6. `--include` and `--exclude` override all of this.

mod choice;
mod link_speed;
mod natural;
mod way_out;

pub(crate) use choice::{Choice, Count, NamePattern};

/// `ARPHRD_LOOPBACK`.
pub(crate) const LOOPBACK: u32 = 772;

/// A network interface as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The kernel's name.
    pub name: String,
    /// The kernel's number; a device that is replaced under the same name gets a new one.
    pub index: u32,
    /// The number of the interface below, or of a pair's other end; equal to `index` where there is neither.
    pub lower_index: u32,
    /// `ARPHRD_*` of the kernel.
    pub hardware_type: u32,
    /// Whether it is up, as far as the kernel can tell.
    pub up: bool,
    /// Whether it asks for no neighbour's address, as a dummy does.
    pub no_arp: bool,
    /// The device behind it.
    pub device: Option<Device>,
    /// `DEVTYPE`, where the kernel gives one: `bridge`, `bond`, `vlan`, `wireguard`, `wlan`, …
    pub kind: Option<String>,
    /// Whether it is a tun or tap interface.
    pub tunnel: bool,
    /// The bond, bridge or team of which it is a port.
    pub master: Option<String>,
    /// The interfaces below it.
    pub lowers: Vec<String>,
    /// The most bytes of a packet, where it is known.
    pub mtu: Option<u32>,
    /// Link speed in megabits per second, where the driver knows it.
    pub speed_mbps: Option<u32>,
}

/// The device behind an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The bus it is on: `pci`, `usb`, `virtio`, …; unknown on some systems.
    pub bus: Option<String>,
    /// Its driver.
    pub driver: Option<String>,
    /// The name of the port within the device, such as `p0` or, for a representor, `pf0vf1`.
    pub port: Option<String>,
}

/// All interfaces, and how they lead out of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Every interface, by name.
    pub links: Vec<Link>,
    /// The routes.
    pub routes: Routes,
    /// Whether the host passes on what is meant for others, as a router does.
    pub forwards: bool,
    /// Whether this is known to be the host's own network namespace, and not a container's.
    pub is_initial: bool,
    /// Whether more than the names and counters of interfaces is known.
    pub is_known: bool,
}

/// The interfaces that lead out of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Those of default routes: IPv4's before IPv6's, and the lowest metric first.
    pub defaults: Vec<String>,
    /// The numbers of those through which the kernel would send to addresses all over the internet, where it
    /// was asked. It knows more tables than the main one, and all next hops.
    pub chosen: Vec<u32>,
    /// Those with a route to a network of others. The line to a container of this one's own is none.
    pub networks: Vec<String>,
    /// Those with a route to a single host through a gateway, as to the far end of a tunnel.
    pub far_ends: Vec<String>,
    /// Those that carry a PPPoE session of the kernel.
    pub pppoe: Vec<String>,
    /// How many sessions these are.
    pub pppoe_sessions: usize,
    /// The numbers of those on which a program listens for PPPoE.
    pub pppoe_listeners: Vec<u32>,
    /// Those that lead to the far end of a tunnel in which PPP is carried; where sockets are not listed, to
    /// any host that may be one.
    pub ppp_carriers: Vec<String>,
    /// How many such tunnels there are, where sockets are listed.
    pub ppp_tunnels: usize,
}

/// Whether an interface counts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether its bytes are part of the node's sums.
    pub counted: bool,
    /// Why, in a few words.
    pub reason: String,
}

impl Verdict {
    /// The verdict with more to its reason.
    pub fn with(&self, more: &str) -> Self {
        Self { counted: self.counted, reason: format!("{}, {more}", self.reason) }
    }
}

impl Link {
    /// The speed that the device behind it states, in bytes per second. Devices move more than they state:
    /// emulated ones by far.
    pub fn stated_bps(&self) -> Option<u64> {
        self.device.as_ref()?;
        self.speed_mbps.map(|mbps| u64::from(mbps) * 125_000)
    }
}

impl Topology {
    /// One verdict for each link, in their order. `known_wan` are the interfaces that carried a default route
    /// when there was one.
    pub fn judge(&self, choice: &Choice, known_wan: &[String]) -> Vec<Verdict> {
        let mut verdicts: Vec<_> = self.links.iter().map(|link| self.natural(link)).collect();
        self.add_modems(&mut verdicts);
        self.add_ways_out(&mut verdicts);
        self.regard_forwarding(&mut verdicts, choice.count, known_wan);
        for (link, verdict) in self.links.iter().zip(&mut verdicts) {
            if let Some((counted, flag)) = choice.overrides(&link.name) {
                *verdict = Verdict { counted, reason: format!("{flag} ({})", verdict.reason) };
            }
        }
        verdicts
    }

    fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    fn is_device(&self, name: &str) -> bool {
        self.link(name).is_some_and(|link| link.device.is_some())
    }
}

#[cfg(test)]
mod tests;
