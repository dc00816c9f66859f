//! Which interfaces count, and why.
//!
//! A byte that leaves a host passes several interfaces: a container's veth, a bridge, a VLAN, a bond, and
//! finally a device. Only one of them may count it. The kernel knows which interface is layered on which, so
//! the rule uses that topology and never names:
//!
//! 1. an interface with a device behind it counts, unless another interface with a device already counts its
//!    bytes (the port of a paravirtual master, a switch port on its conduit, a guest's back end, a monitor, a
//!    representor);
//! 2. everything else is virtual and does not count;
//! 3. where no device is up – a container, a network namespace, a modem on a serial line – the interface of
//!    the default route counts;
//! 4. `--include` and `--exclude` override all of this.

mod choice;

pub(crate) use choice::{Choice, NamePattern};

/// `ARPHRD_LOOPBACK`.
pub(crate) const LOOPBACK: u32 = 772;
/// As many names as fit into a line of the table.
const MAX_LISTED: usize = 8;
/// `ARPHRD_IEEE80211` and its two monitor forms. The managed interface beside them counts the same frames.
const MONITORS: std::ops::RangeInclusive<u32> = 801..=803;

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

/// All interfaces, and the default route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Every interface, by name.
    pub links: Vec<Link>,
    /// The interface of the default route.
    pub default_route: Option<String>,
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
    /// One verdict for each link, in their order.
    pub fn judge(&self, choice: &Choice) -> Vec<Verdict> {
        let mut verdicts: Vec<_> = self.links.iter().map(|link| self.natural(link)).collect();
        if let Some((at, reason)) = self.default_route_uplink(&verdicts) {
            verdicts[at] = Verdict { counted: true, reason: reason.to_owned() };
        }
        for (link, verdict) in self.links.iter().zip(&mut verdicts) {
            if let Some((counted, flag)) = choice.overrides(&link.name) {
                *verdict = Verdict { counted, reason: format!("{flag} ({})", verdict.reason) };
            }
        }
        verdicts
    }

    /// Whether no device that counts is up, so that the default route decides.
    pub fn needs_default_route(&self, verdicts: &[Verdict]) -> bool {
        let counted = self.links.iter().zip(verdicts).filter(|(_, verdict)| verdict.counted);
        !counted.map(|(link, _)| link).any(|link| link.device.is_some() && link.up)
    }

    fn natural(&self, link: &Link) -> Verdict {
        let Some(device) = &link.device else {
            return Verdict { counted: false, reason: self.virtual_reason(link) };
        };
        match self.counted_elsewhere(link, device) {
            Some(reason) => Verdict { counted: false, reason },
            None => Verdict { counted: true, reason: device.describe() },
        }
    }

    /// The reason, if another interface counts a device's bytes.
    fn counted_elsewhere(&self, link: &Link, device: &Device) -> Option<String> {
        if device.bus.as_deref() == Some("xen-backend") {
            return Some("the back end of a guest's interface".to_owned());
        }
        if MONITORS.contains(&link.hardware_type) {
            return Some("a monitor of frames that another interface counts".to_owned());
        }
        if device.port.as_deref().is_some_and(is_representor) {
            return Some("stands for a virtual function; its uplink counts".to_owned());
        }
        // Hyper-V and failover masters are devices themselves, and their counters include their port's.
        if let Some(master) = link.master.as_deref().filter(|name| self.is_device(name)) {
            return Some(format!("port of {master}, which counts its bytes"));
        }
        let conduit = link.lowers.iter().find(|lower| {
            self.link(lower)
                .is_some_and(|lower| lower.device.is_some() && lower.master.as_ref() != Some(&link.name))
        })?;
        Some(format!("rides on {conduit}, which counts"))
    }

    fn virtual_reason(&self, link: &Link) -> String {
        let below = listed(&link.lowers);
        match link.kind.as_deref() {
            _ if link.hardware_type == LOOPBACK => "loopback".to_owned(),
            // Systems other than Linux know only this reason.
            Some(why) if cfg!(not(target_os = "linux")) => why.to_owned(),
            Some("bond" | "bridge" | "team") if below.is_empty() => {
                format!("{} without ports", link.kind.as_deref().unwrap_or_default())
            }
            Some(kind @ ("bond" | "bridge" | "team")) => format!("{kind} of {below}"),
            Some("vlan") if !below.is_empty() => format!("VLAN on {below}"),
            Some(kind) => format!("virtual ({kind})"),
            None if link.tunnel => "virtual (tunnel)".to_owned(),
            None if !below.is_empty() => format!("virtual, rides on {below}"),
            None => match &link.master {
                Some(master) => format!("virtual, port of {master}"),
                None if link.lower_index != link.index => "virtual (one end of a pair)".to_owned(),
                None => "virtual: no device behind it".to_owned(),
            },
        }
    }

    /// The interface of the default route, where no device that counts is up.
    fn default_route_uplink(&self, verdicts: &[Verdict]) -> Option<(usize, &'static str)> {
        if !self.needs_default_route(verdicts) {
            return None;
        }
        let route = self.default_route.as_ref()?;
        let at = self.links.iter().position(|link| link.name == *route && link.hardware_type != LOOPBACK)?;
        // A device that is down keeps its own reason; a route through it moves no bytes anyway.
        (!verdicts[at].counted).then_some((
            at,
            if verdicts.iter().any(|verdict| verdict.counted) {
                "carries the default route; no physical device is up"
            } else {
                "carries the default route; there is no physical device"
            },
        ))
    }

    fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    fn is_device(&self, name: &str) -> bool {
        self.link(name).is_some_and(|link| link.device.is_some())
    }
}

impl Device {
    fn describe(&self) -> String {
        match (&self.bus, &self.driver) {
            (Some(bus), Some(driver)) => format!("physical device ({bus}, {driver})"),
            (Some(one), None) | (None, Some(one)) => format!("physical device ({one})"),
            (None, None) => "has a hardware address and a routable address".to_owned(),
        }
    }
}

/// The kernel names a representor's port after the function that it represents: `pf<N>vf<M>` or `pf<N>sf<M>`,
/// with the prefix `c<N>` if there is a controller.
fn is_representor(port: &str) -> bool {
    let digits = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
    let number_after = |prefix: &str, text: &str| {
        let rest = text.strip_prefix(prefix)?;
        let after = digits(rest);
        (after.len() < rest.len()).then_some(after)
    };
    let port = number_after("c", port).unwrap_or_else(|| port.to_owned());
    let Some(function) = number_after("pf", &port) else { return false };
    ["vf", "sf"].iter().any(|kind| number_after(kind, &function).is_some_and(|rest| rest.is_empty()))
}

/// Names for a reason, limited in number: a bridge may have hundreds of ports, and every hello contains the
/// reasons.
fn listed(names: &[String]) -> String {
    match names.split_at_checked(MAX_LISTED) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests;
