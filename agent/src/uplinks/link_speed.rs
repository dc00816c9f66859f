//! What the links that count carry together.

use super::{Link, Topology, Verdict};

impl Topology {
    /// The speed of the interfaces that count and are up, in megabits per second: the sum, of a bond what its
    /// driver says that its ports carry together, which of an active and its standby is the active one's.
    ///
    /// `None` where one of them does not state its speed: a share of less than what is there would be too
    /// large.
    pub fn speed_mbps(&self, verdicts: &[Verdict]) -> Option<u32> {
        let counted = self.links.iter().zip(verdicts).filter(|(link, verdict)| verdict.counted && link.up);
        // Ports of one bond stand for it once.
        let mut carriers: Vec<&Link> = counted.map(|(link, _)| self.bond_of(link).unwrap_or(link)).collect();
        carriers.sort_unstable_by_key(|link| &link.name);
        carriers.dedup_by_key(|link| &link.name);
        if carriers.is_empty() {
            return None;
        }
        carriers
            .into_iter()
            .map(Link::carried_mbps)
            .try_fold(0, |sum: u32, mbps| Some(sum.saturating_add(mbps?)))
    }

    fn bond_of(&self, link: &Link) -> Option<&Link> {
        self.link(link.master.as_deref()?).filter(|master| master.is_bond())
    }
}

impl Link {
    fn is_bond(&self) -> bool {
        matches!(self.kind.as_deref(), Some("bond" | "team"))
    }

    /// The speed that can be believed: a device's own, or that of what is layered on devices. Other virtual
    /// interfaces have a number that means nothing, such as a tunnel's 10 and a pair's 10,000.
    fn carried_mbps(&self) -> Option<u32> {
        let is_layer = self.is_bond() || self.kind.as_deref() == Some("vlan");
        self.speed_mbps.filter(|_| self.device.is_some() || is_layer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Choice, Device};
    use super::*;

    fn link(name: &str, speed_mbps: Option<u32>) -> Link {
        Link { name: name.to_owned(), up: true, hardware_type: 1, speed_mbps, ..Link::default() }
    }

    fn device(name: &str, speed_mbps: Option<u32>) -> Link {
        Link { device: Some(Device::default()), ..link(name, speed_mbps) }
    }

    fn port(name: &str, master: &str) -> Link {
        Link { master: Some(master.to_owned()), ..device(name, Some(1_000)) }
    }

    fn bond(speed_mbps: Option<u32>) -> Link {
        Link { kind: Some("bond".to_owned()), ..link("bond0", speed_mbps) }
    }

    fn speed(mut links: Vec<Link>) -> Option<u32> {
        for (index, link) in (1..).zip(&mut links) {
            (link.index, link.lower_index) = (index, index);
        }
        let topology = Topology { links, is_known: true, ..Topology::default() };
        topology.speed_mbps(&topology.judge(&Choice::default(), &[]))
    }

    #[test]
    fn links_that_count_and_are_up_are_added_up() {
        assert_eq!(speed(vec![]), None);
        assert_eq!(speed(vec![device("eth0", Some(1_000))]), Some(1_000));
        let down = Link { up: false, ..device("eth1", None) };
        let tunnel = Link { tunnel: true, ..link("tun0", Some(10)) };
        assert_eq!(
            speed(vec![device("eth0", Some(1_000)), down, tunnel, device("eth2", Some(2_500))]),
            Some(3_500)
        );
    }

    #[test]
    fn a_link_that_does_not_state_its_speed_leaves_the_sum_unknown() {
        assert_eq!(speed(vec![device("eth0", Some(1_000)), device("wlan0", None)]), None);
        assert_eq!(speed(vec![device("eth0", None)]), None);
    }

    #[test]
    fn a_bond_carries_what_it_says_and_not_the_sum_of_its_ports() {
        let with = |mbps| speed(vec![bond(mbps), port("eno1", "bond0"), port("eno2", "bond0")]);
        // One is active, the other stands by; both are.
        assert_eq!((with(Some(1_000)), with(Some(2_000)), with(None)), (Some(1_000), Some(2_000), None));
        // Ports of a bridge carry each for itself.
        let bridge = Link { kind: Some("bridge".to_owned()), ..link("br0", Some(1_000)) };
        assert_eq!(speed(vec![bridge, port("eno1", "br0"), port("eno2", "br0")]), Some(2_000));
    }

    #[test]
    fn what_virtual_interfaces_say_is_not_believed() {
        // A container's end of a pair, which counts there.
        let topology = Topology { links: vec![link("eth0", Some(10_000))], ..Topology::default() };
        let counted = Verdict { counted: true, reason: String::new() };
        assert_eq!(topology.speed_mbps(&[counted]), None);
    }
}
