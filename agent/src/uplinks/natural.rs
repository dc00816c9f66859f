//! What an interface is: a device that counts, or one of the many forms of virtual ones.

use super::{Device, LOOPBACK, Link, Topology, Verdict};

/// As many names as fit into a line of the table.
const MAX_LISTED: usize = 8;
/// `ARPHRD_IEEE80211` and its two monitor forms. The managed interface beside them counts the same frames.
const MONITORS: std::ops::RangeInclusive<u32> = 801..=803;
/// In its mirrored mode, WSL gives a guest a device whose other end is the loopback interface of Windows.
const WSL_LOOPBACK: &str = "loopback0";

impl Topology {
    /// The verdict by what an interface is, whatever the others and the routes are.
    pub(super) fn natural(&self, link: &Link) -> Verdict {
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
        if device.bus.as_deref() == Some("netdevsim") {
            return Some("a simulated device".to_owned());
        }
        if link.name == WSL_LOOPBACK {
            return Some("the loopback interface of Windows".to_owned());
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
            _ if !self.is_known && cfg!(target_os = "linux") => {
                "nothing is known of it but its counters".to_owned()
            }
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
pub(super) fn listed(names: &[String]) -> String {
    match names.split_at_checked(MAX_LISTED) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}
