//! The interfaces that lead out of the host: modems, the ways out of a container, and a router's WAN.

use super::{Count, LOOPBACK, Link, Routes, Topology, Verdict, natural::listed};

/// `ARPHRD_ETHER`.
const ETHERNET: u32 = 1;
/// `ARPHRD_SLIP` and its forms, and `ARPHRD_PPP`.
const SERIAL: [u32; 5] = [256, 257, 258, 259, 512];
/// What a frame holds. PPP in a frame or a packet has room for less, PPP on a serial line for all of it.
const FRAME: u32 = 1500;
/// `ARPHRD_TUNNEL`, `ARPHRD_TUNNEL6`, `ARPHRD_SIT`, `ARPHRD_IPGRE`, `ARPHRD_IP6GRE`, and `ARPHRD_NONE`, which
/// has no frames of its own.
const TUNNELS: [u32; 6] = [768, 769, 776, 778, 823, 65_534];
/// Kinds of tunnels that the kernel names.
const TUNNEL_KINDS: [&str; 8] =
    ["wireguard", "amneziawg", "ovpn", "vxlan", "geneve", "l2tpeth", "bareudp", "gtp"];

impl Topology {
    /// A modem on a serial line, or one whose driver gives no device, counts. The same kind of interface is
    /// also one end of a session over a device, which counts its bytes already.
    pub(super) fn add_modems(&self, verdicts: &mut [Verdict]) {
        // A container has no serial line; whether a session is its only way out is decided later.
        let has_devices = self.links.iter().any(|link| link.device.is_some());
        for (link, verdict) in self.links.iter().zip(verdicts) {
            if link.device.is_none() && link.is_mobile() && link.lowers.is_empty() {
                *verdict = Verdict { counted: true, reason: "a mobile modem".to_owned() };
            } else if link.device.is_none() && link.is_serial() && has_devices && self.is_way_out(link) {
                *verdict = match self.session_over(link) {
                    Some(reason) => Verdict { counted: false, reason },
                    None => {
                        Verdict { counted: true, reason: "a modem that carries a default route".to_owned() }
                    }
                };
            }
        }
    }

    /// Where no device or modem that counts is up, the interfaces that lead out count; so do those of a
    /// container that was given a device beside its network.
    pub(super) fn add_ways_out(&self, verdicts: &mut [Verdict]) {
        let needs_ways_out = self.needs_ways_out(verdicts);
        let is_attached = self.is_attached_container();
        if !needs_ways_out && !is_attached {
            return;
        }
        let has_devices = verdicts.iter().any(|verdict| verdict.counted);
        let is_container = is_attached || !has_devices;
        let absent = match (has_devices, needs_ways_out) {
            (false, _) => "there is no physical device",
            (true, true) => "no physical device is up",
            (true, false) => "its other end is outside",
        };
        // A device that is down keeps its own reason; a route through it moves no bytes anyway.
        let is_counted = |way: &Link| {
            let mut judged = self.links.iter().zip(&*verdicts);
            judged.any(|(link, verdict)| {
                verdict.counted && (link.name == way.name || (link.up && self.carries(link, way)))
            })
        };
        let leads_out = |link: &&Link| {
            !is_counted(link) && (self.is_way_out(link) || (is_container && self.is_attached(link)))
        };
        let mut ways: Vec<&Link> = self.links.iter().filter(leads_out).collect();
        // The bytes of a tunnel leave by another way out, and a container has no modem.
        let is_inner = |link: &Link| link.is_tunnel() || (!has_devices && link.is_serial());
        if has_devices && !needs_ways_out || ways.iter().any(|link| !is_inner(link)) {
            ways.retain(|link| !is_inner(link));
        } else {
            // The outermost one: it leads to the far end of another, or passes frames as user-space networks
            // do, or is the last resort.
            ways.sort_by_key(|link| std::cmp::Reverse(self.outwardness(link)));
            ways.truncate(1);
        }
        if is_container {
            ways = ways.iter().flat_map(|way| self.outer_ends(way)).collect();
        }
        let on_top = |link: &Link| ways.iter().any(|way| way.name != link.name && self.carries(way, link));
        let lowest: Vec<&str> = ways.iter().filter(|link| !on_top(link)).map(|way| &*way.name).collect();
        for (link, verdict) in self.links.iter().zip(verdicts) {
            if !lowest.contains(&&*link.name) {
                continue;
            }
            let is_way_out = self.routes_of_host().any(|way| self.carries(link, way));
            let why = if is_way_out { "carries the default route" } else { "leads to a network" };
            *verdict = Verdict { counted: true, reason: format!("{why}; {absent}") };
        }
    }

    /// Whether this is a container whose default route leaves by its network. On a host, the other end of
    /// such a pair is a container's, and what passes it leaves by a device.
    fn is_attached_container(&self) -> bool {
        let has_device =
            |way: &Link| self.links.iter().any(|link| link.device.is_some() && self.rides(way, &link.name));
        let is_end = |link: &&Link| link.lower_index != link.index && self.is_outer_end(link);
        let leads_outside = |way: &Link| !has_device(way) && self.outer_ends(way).iter().any(is_end);
        !self.is_initial && self.routes_of_host().any(leads_outside)
    }

    /// The ends of pairs to the outside below a way out, or the way out itself. Of a bridge with several,
    /// only one leads out, and which one it is nobody tells.
    fn outer_ends<'a>(&'a self, way: &'a Link) -> Vec<&'a Link> {
        let is_below = |end: &&Link| self.is_outer_end(end) && self.rides(way, &end.name);
        let ends: Vec<&Link> = self.links.iter().filter(is_below).collect();
        let is_branching = |bridge: &Link| {
            let leads_out = |port: &&String| {
                ends.iter().any(|end| {
                    end.name == **port || self.link(port).is_some_and(|port| self.rides(port, &end.name))
                })
            };
            bridge.kind.as_deref() == Some("bridge") && bridge.lowers.iter().filter(leads_out).count() > 1
        };
        let mut layers =
            self.links.iter().filter(|link| link.name == way.name || self.rides(way, &link.name));
        if ends.is_empty() || layers.any(is_branching) { vec![way] } else { ends }
    }

    /// The greater, the more likely it carries other tunnels than is carried by one.
    fn outwardness(&self, link: &Link) -> (bool, bool, usize) {
        let metric = self.routes.defaults.iter().position(|name| *name == link.name);
        let has_far_end = self.routes.far_ends.contains(&link.name);
        (has_far_end, link.hardware_type == ETHERNET, metric.map_or(0, |at| at + 1))
    }

    /// Whether the routes decide what counts.
    pub fn needs_routes(&self, verdicts: &[Verdict], count: Count) -> bool {
        count == Count::Wan
            || self.links.iter().any(Link::is_serial)
            || self.needs_ways_out(verdicts)
            || self.is_attached_container()
    }

    /// On a router, a byte that passes through is counted at each device: says so, or leaves the devices that
    /// carry a default route.
    pub(super) fn regard_forwarding(&self, verdicts: &mut [Verdict], count: Count, known_wan: &[String]) {
        let counted = |verdicts: &[Verdict]| -> Vec<usize> {
            (0..self.links.len()).filter(|at| verdicts[*at].counted).collect()
        };
        if count == Count::Wan {
            let under = |at: &usize| self.routes_of_host().any(|way| self.carries(&self.links[*at], way));
            let mut wan: Vec<_> = counted(verdicts).into_iter().filter(under).collect();
            if wan.is_empty() {
                // While a line is down, its route is missing.
                let is_known = |at: &usize| known_wan.contains(&self.links[*at].name);
                wan.extend(counted(verdicts).into_iter().filter(is_known));
            }
            for at in counted(verdicts) {
                let reason = &verdicts[at].reason;
                if wan.is_empty() {
                    verdicts[at].reason =
                        format!("{reason}; --count wan finds no device with a default route");
                } else if !wan.contains(&at) {
                    let reason = format!("carries no default route, --count wan ({reason})");
                    verdicts[at] = Verdict { counted: false, reason };
                }
            }
            return;
        }
        let mut parts: Vec<_> = counted(verdicts).into_iter().filter(|at| self.links[*at].up).collect();
        parts.dedup_by_key(|at| self.links[*at].master.as_ref().unwrap_or(&self.links[*at].name));
        if self.forwards && parts.len() > 1 {
            for at in counted(verdicts) {
                let reason = &verdicts[at].reason;
                verdicts[at].reason =
                    format!("{reason}; this host forwards: --count wan leaves the way out alone");
            }
        }
    }

    /// Whether a route leads out of the host now.
    pub fn has_way_out(&self) -> bool {
        self.routes_of_host().next().is_some()
    }

    fn needs_ways_out(&self, verdicts: &[Verdict]) -> bool {
        let mut counted = self.links.iter().zip(verdicts).filter(|(_, verdict)| verdict.counted);
        !counted.any(|(link, _)| link.up && (link.device.is_some() || link.is_serial() || link.is_mobile()))
    }

    fn is_way_out(&self, link: &Link) -> bool {
        link.hardware_type != LOOPBACK
            && (self.routes.defaults.contains(&link.name) || self.routes.chosen.contains(&link.index))
    }

    /// The interfaces of all default routes.
    fn routes_of_host(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| self.is_way_out(link))
    }

    /// Whether an interface leads outside of a container, and has a network behind it.
    fn is_attached(&self, link: &Link) -> bool {
        self.is_outer_end(link) && link.master.is_none() && self.routes.networks.contains(&link.name)
    }

    /// Whether an interface is a container's end of a pair, or shares an interface outside of the container.
    fn is_outer_end(&self, link: &Link) -> bool {
        let is_outside = match link.kind.as_deref() {
            // The numbers of both ends may be the same, as they are of different namespaces.
            None => !link.no_arp && !self.links.iter().any(|other| is_pair(link, other)),
            // What it shares is outside: one within is among its lowers.
            Some("macvlan" | "ipvlan" | "vlan") => true,
            Some(_) => false,
        };
        is_outside
            && link.hardware_type == ETHERNET
            && link.device.is_none()
            && !link.tunnel
            && link.lowers.is_empty()
    }

    /// The reason, if a serial interface is a session over another one.
    fn session_over(&self, link: &Link) -> Option<String> {
        let Routes { pppoe, pppoe_sessions, pppoe_listeners, ppp_carriers, ppp_tunnels, far_ends, .. } =
            &self.routes;
        let without_own = |names: &[String]| -> Vec<String> {
            names.iter().filter(|name| **name != link.name).cloned().collect()
        };
        let (carriers, far_ends) = (without_own(ppp_carriers), without_own(far_ends));
        let n_sessions = pppoe_listeners.len().max(pppoe_sessions + carriers.len().max(*ppp_tunnels));
        let is_small = link.mtu.is_some_and(|mtu| mtu < FRAME);
        // Beside sessions there may be a modem, and a route to a single host may have any reason.
        let is_session = if is_small {
            n_sessions > 0 || !far_ends.is_empty()
        } else {
            n_sessions > 0 && n_sessions >= self.links.iter().filter(|link| link.is_serial()).count()
        };
        let kind = match (pppoe.is_empty(), carriers.is_empty(), n_sessions) {
            (false, ..) => format!("PPPoE on {}", listed(pppoe)),
            (_, false, _) => format!("a tunnel over {}", listed(&carriers)),
            (.., 0) => format!("a tunnel over {}", listed(&far_ends)),
            _ => return is_session.then(|| "a session over a device, which counts its bytes".to_owned()),
        };
        is_session.then(|| kind + ", which counts its bytes")
    }

    /// Whether an interface carries what leaves by a way out: it is the way out or lies below it.
    fn carries(&self, link: &Link, way: &Link) -> bool {
        link.name == way.name
            || self.rides(way, &link.name)
            || ((way.is_serial() || way.is_tunnel()) && self.is_below_session(link, way))
    }

    /// Whether an interface carries the session or tunnel of which `way` is one end.
    fn is_below_session(&self, link: &Link, way: &Link) -> bool {
        let Routes { pppoe, pppoe_listeners, ppp_carriers, far_ends, .. } = &self.routes;
        let is_shown = !(pppoe.is_empty() && pppoe_listeners.is_empty() && ppp_carriers.is_empty());
        if way.is_serial() && self.session_over(way).is_none() {
            return false;
        }
        let carries_session = |lower: &Link| {
            let is_pppoe = pppoe.contains(&lower.name) || pppoe_listeners.contains(&lower.index);
            if way.is_serial() && is_shown {
                is_pppoe || ppp_carriers.contains(&lower.name)
            } else {
                far_ends.contains(&lower.name)
            }
        };
        let mut lowers = self.links.iter().filter(|lower| lower.name != way.name && carries_session(lower));
        lowers.any(|lower| lower.name == link.name || self.rides(lower, &link.name))
    }

    /// Whether one interface lies above another, through any number of layers.
    fn rides(&self, upper: &Link, lower: &str) -> bool {
        let mut below: Vec<&str> = upper.lowers.iter().map(String::as_str).collect();
        let mut at = 0;
        // The kernel has no circles, but its files are not read at one moment.
        while let Some(name) = below.get(at).copied() {
            if name == lower {
                return true;
            }
            let next = self.link(name).map(|link| link.lowers.as_slice()).unwrap_or_default();
            let new: Vec<&str> =
                next.iter().map(String::as_str).filter(|name| !below.contains(name)).collect();
            below.extend(new);
            at += 1;
        }
        false
    }
}

/// Whether two interfaces of this namespace are the ends of one pair.
fn is_pair(one: &Link, other: &Link) -> bool {
    one.index != other.index && one.lower_index == other.index && other.lower_index == one.index
}

impl Link {
    /// Whether it is one end of a serial line, or of a session that looks like one.
    pub(crate) fn is_serial(&self) -> bool {
        SERIAL.contains(&self.hardware_type) || matches!(self.kind.as_deref(), Some("ppp" | "slip"))
    }

    /// Whether it belongs to a modem that the kernel drives.
    fn is_mobile(&self) -> bool {
        self.kind.as_deref() == Some("wwan")
    }

    fn is_tunnel(&self) -> bool {
        let is_tunnel_kind = self.kind.as_deref().is_some_and(|kind| TUNNEL_KINDS.contains(&kind));
        self.tunnel || is_tunnel_kind || (TUNNELS.contains(&self.hardware_type) && !self.is_mobile())
    }
}
