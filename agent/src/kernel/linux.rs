//! Linux: sysfs for interfaces, procfs for routes.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use sysinfo::System;

use super::{ErrorCounts, folder::Folder, names, net_dev, netlink, routes, sysfs, view::View};
use crate::{
    config::AgentConfig,
    meter::{Counters, UNNUMBERED},
    uplinks::{Device, LOOPBACK, Link, Routes, Topology},
};

/// `IFF_UP` of the kernel: the interface is switched on.
const UP: u32 = 1;
/// `IFF_NOARP` of the kernel.
const NO_ARP: u32 = 0x80;
/// A setting that the kernel shows in its first network namespace alone.
const OF_INITIAL_NAMESPACE: &str = "sys/net/core/netdev_max_backlog";

/// The rule of which interfaces count, for `--explain`.
pub(crate) const RULE: &str = "An interface with a device behind it counts, and a modem's, unless another device counts its \
                        bytes; what is virtual does not. Where no device is up, the interfaces that lead out of \
                        the host count. --count wan leaves those that carry a default route. --include and \
                        --exclude override this.";

/// This host's interfaces.
#[derive(Debug)]
pub struct Kernel {
    view: View,
    procfs: PathBuf,
    may_wrap: bool,
    /// Where there is no sysfs: the interfaces as of the last call of [`Kernel::names`]. The file lists all
    /// of them, so one reading serves a whole sample.
    lines: RefCell<BTreeMap<String, net_dev::Line>>,
}

impl Kernel {
    /// The interfaces under the configured roots.
    ///
    /// # Errors
    ///
    /// If neither sysfs nor procfs lists interfaces.
    pub fn new(config: &AgentConfig) -> anyhow::Result<Self> {
        let class_net = config.sysfs_root.join("class/net");
        let view = View::new(config).with_context(|| format!("cannot read {}", class_net.display()))?;
        let procfs = config.procfs_root.clone();
        // Kernels before 6.1 do not have the file.
        let machine =
            fs::read_to_string(procfs.join("sys/kernel/arch")).unwrap_or_else(|_| System::cpu_arch());
        Ok(Self { view, procfs, may_wrap: !is_64_bit(machine.trim()), lines: RefCell::default() })
    }

    /// Whether counters may have 32 bits, as a 32-bit kernel's do.
    pub(crate) fn may_wrap(&self) -> bool {
        self.may_wrap
    }

    /// The names of all interfaces, sorted; cheap enough for every sample, so new interfaces are noticed at
    /// once. Where there is no sysfs, this also reads the counters.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let Some(class_net) = &self.view.class_net else {
            // What is not read has no counters.
            self.lines.take();
            let lines = net_dev::read(&self.view.net.join("dev"))?;
            let names = lines.keys().cloned().collect();
            self.lines.replace(lines);
            return Ok(names);
        };
        let mut names = sysfs::names(class_net)?;
        names.sort_unstable();
        Ok(names)
    }

    /// The interfaces with these names as the kernel describes them. Those that `known` returns are not read
    /// again; those that vanish meanwhile are left out.
    pub fn topology(&self, names: &[String], known: impl Fn(&str) -> Option<Link>) -> Topology {
        let mut links: Vec<_> =
            names.iter().filter_map(|name| known(name).or_else(|| self.link(name))).collect();
        if self.view.class_net.is_none() && self.view.is_own {
            describe(&mut links, &netlink::links());
        }
        Topology {
            routes: self.routes(&links),
            links,
            forwards: self.forwards(),
            is_initial: self.procfs.join(OF_INITIAL_NAMESPACE).exists(),
            is_known: self.view.class_net.is_some(),
        }
    }

    /// The routes that lead out of this host, which has these interfaces.
    pub(crate) fn routes(&self, links: &[Link]) -> Routes {
        let mut routes = routes::read(&self.view.net, links.iter().any(Link::is_serial));
        if self.view.is_own {
            routes.chosen = netlink::ways_to_anywhere();
        }
        routes
    }

    /// The names of each interface by number, the usual one first; none where they are not known.
    pub(crate) fn all_names(&self) -> Vec<(u32, Vec<String>)> {
        let links = if self.view.is_own { netlink::links() } else { Vec::new() };
        links.into_iter().map(|link| (link.index, link.names)).collect()
    }

    /// The addresses of these interfaces, where netlink knows them.
    pub(crate) fn addresses(&self, links: &[Link]) -> Option<Vec<(String, Vec<IpAddr>)>> {
        let addresses = self.view.is_own.then(netlink::addresses).filter(|found| !found.is_empty())?;
        let of = |link: &Link| {
            let of_link = addresses.iter().filter(|(index, _)| *index == link.index);
            (link.name.clone(), of_link.map(|(_, address)| *address).collect())
        };
        Some(links.iter().map(of).collect())
    }

    /// The counters of the interface with this name and number; `None` when either cannot be read, or the
    /// name has passed to another interface.
    pub(crate) fn counters(&self, name: &str, index: u32) -> Option<Counters> {
        let Some(class_net) = &self.view.class_net else {
            return self.lines.borrow().get(name).map(|line| line.counters);
        };
        let folder = Folder::passage(&class_net.join(names::raw(name)))?;
        let counters = sysfs::counters_in(&folder)?;
        (folder.number("ifindex") == Some(index)).then_some(counters)
    }

    /// What no other interface has on this boot of the kernel, in whatever network namespace: the number of
    /// its folder in sysfs. `None` without sysfs, or when the name has passed to another interface.
    pub(crate) fn identity(&self, name: &str, index: u32) -> Option<u64> {
        let folder = Folder::passage(&self.view.class_net.as_ref()?.join(names::raw(name)))?;
        (folder.number("ifindex") == Some(index)).then(|| folder.inode()).flatten()
    }

    /// The kernel's name for the time since it started, and how many milliseconds that is.
    pub(crate) fn boot(&self) -> Option<(String, u64)> {
        let id = fs::read_to_string(self.procfs.join("sys/kernel/random/boot_id")).ok()?.trim().to_owned();
        let uptime = fs::read_to_string(self.procfs.join("uptime")).ok()?;
        (!id.is_empty()).then_some((id, uptime_ms(&uptime)?))
    }

    /// The errors and drops of one interface.
    pub fn error_counts(&self, name: &str) -> Option<ErrorCounts> {
        let Some(class_net) = &self.view.class_net else {
            return self.lines.borrow().get(name).map(|line| line.errors);
        };
        let statistics = Folder::passage(&class_net.join(names::raw(name)).join("statistics"))?;
        let count = |file: &str| statistics.number::<u64>(file);
        Some(ErrorCounts {
            rx_errors: count("rx_errors")?,
            tx_errors: count("tx_errors")?,
            rx_drops: count("rx_dropped")?,
            tx_drops: count("tx_dropped")?,
        })
    }

    /// Whether this interface can carry bytes now.
    pub(crate) fn is_up(&self, name: &str) -> bool {
        self.folder(name).is_some_and(|folder| is_up(&folder))
    }

    /// Whether this host passes on what is meant for others.
    fn forwards(&self) -> bool {
        ["sys/net/ipv4/ip_forward", "sys/net/ipv6/conf/all/forwarding"].iter().any(|file| {
            fs::read_to_string(self.procfs.join(file)).is_ok_and(|text| !matches!(text.trim(), "" | "0"))
        })
    }

    fn folder(&self, name: &str) -> Option<Folder> {
        Folder::open(&self.view.class_net.as_ref()?.join(names::raw(name))).ok()
    }

    fn link(&self, name: &str) -> Option<Link> {
        let Some(class_net) = &self.view.class_net else { return Some(link_without_sysfs(name)) };
        let folder = self.folder(name)?;
        let index = folder.number("ifindex")?;
        let mut lowers = Vec::new();
        folder.list(|name, _| lowers.extend(name.strip_prefix(b"lower_").map(names::shown))).ok()?;
        lowers.sort_unstable();
        Some(Link {
            name: name.to_owned(),
            index,
            lower_index: folder.number("iflink").unwrap_or(index),
            hardware_type: folder.number("type").unwrap_or_default(),
            up: is_up(&folder),
            no_arp: flags(&folder) & NO_ARP != 0,
            device: device(&folder).filter(|_| !is_simulated(&class_net.join(names::raw(name)))),
            kind: kind(&folder),
            tunnel: folder.has("tun_flags"),
            master: folder.target_name("master"),
            lowers,
            mtu: folder.number("mtu"),
            speed_mbps: folder
                .number::<i64>("speed")
                .and_then(|mbps| u32::try_from(mbps).ok())
                .filter(|mbps| *mbps > 0 && *mbps < u32::MAX),
        })
    }
}

/// An interface of which procfs tells the counters alone.
fn link_without_sysfs(name: &str) -> Link {
    let hardware_type = if name == "lo" { LOOPBACK } else { 0 };
    Link { name: name.to_owned(), index: UNNUMBERED, hardware_type, up: true, ..Link::default() }
}

/// Adds to interfaces that procfs lists what netlink knows of them.
fn describe(links: &mut [Link], known: &[netlink::Described]) {
    for link in links {
        let Some(known) = known.iter().find(|known| known.names.first() == Some(&link.name)) else {
            continue;
        };
        (link.index, link.lower_index) = (known.index, known.lower_index);
        (link.hardware_type, link.no_arp) = (known.hardware_type, known.flags & NO_ARP != 0);
        link.tunnel = known.kind.as_deref() == Some("tun");
        // sysfs gives the ends of a pair no kind.
        link.kind = known.kind.clone().filter(|kind| !matches!(kind.as_str(), "veth" | "tun"));
    }
}

/// `/proc/uptime`: seconds with two decimals.
fn uptime_ms(uptime: &str) -> Option<u64> {
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()?.checked_mul(1_000)? + hundredths.parse::<u64>().ok()?.min(99) * 10)
}

/// Whether the kernel itself plays the device, as it does a radio for tests.
fn is_simulated(link: &Path) -> bool {
    fs::canonicalize(link.join("device")).is_ok_and(|path| {
        let parts: Vec<_> = path.iter().collect();
        parts.windows(2).any(|pair| pair == ["devices", "virtual"])
    })
}

/// Whether the kernel has 64 bits, whatever this program has.
fn is_64_bit(machine: &str) -> bool {
    machine.contains("64") || matches!(machine, "s390x" | "alpha")
}

fn is_up(folder: &Folder) -> bool {
    let state = folder.text("operstate").unwrap_or_default();
    flags(folder) & UP != 0 && !matches!(state.as_str(), "down" | "lowerlayerdown" | "notpresent")
}

fn flags(folder: &Folder) -> u32 {
    let flags = folder.text("flags").unwrap_or_default();
    flags.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

fn device(folder: &Folder) -> Option<Device> {
    let device = folder.folder("device")?;
    Some(Device {
        bus: device.target_name("subsystem"),
        driver: device.target_name("driver"),
        port: folder.text("phys_port_name").filter(|port| !port.is_empty()),
    })
}

fn kind(folder: &Folder) -> Option<String> {
    let uevent = folder.text("uevent").unwrap_or_default();
    let declared = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).map(str::to_owned);
    // Old kernels declare no type for a bond or a bridge, but such an interface has a folder of that name.
    declared.or_else(|| {
        let found = ["bonding", "bridge"].into_iter().find(|name| folder.has(name))?;
        Some(if found == "bonding" { "bond" } else { found }.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::AgentArgs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        agent: AgentArgs,
    }

    #[test]
    fn without_sysfs_one_reading_of_the_file_serves_all_counters_of_a_sample() {
        let root = tempfile::tempdir().unwrap();
        let dev = root.path().join("net/dev");
        fs::create_dir(root.path().join("net")).unwrap();
        let write = |count: u64| {
            let line = |name: &str| format!("{name}: {count} 1 {count} 0 0 0 0 0 {count} 1 0 0 0 0 0 0\n");
            fs::write(&dev, format!("Inter-|\n face |\n{}{}", line("eth0"), line("eth1"))).unwrap();
        };
        write(5);
        let root = root.path().to_str().unwrap();
        let cli =
            Cli::parse_from(["agent", "--node", "x", "--sysfs-root", "/nowhere", "--procfs-root", root]);
        let kernel = Kernel::new(&AgentConfig::new(cli.agent).unwrap()).unwrap();
        let read = |name: &str| {
            let received = kernel.counters(name, UNNUMBERED).map(|counters| counters.rx_bytes);
            (received, kernel.error_counts(name).map(|counts| counts.rx_errors))
        };
        assert_eq!(read("eth0"), (None, None), "nothing is read yet");
        assert_eq!(kernel.names().unwrap(), ["eth0", "eth1"]);
        write(9);
        assert_eq!([read("eth0"), read("eth1")], [(Some(5), Some(5)); 2]);
        kernel.names().unwrap();
        assert_eq!([read("eth0"), read("eth1")], [(Some(9), Some(9)); 2]);
        fs::remove_file(&dev).unwrap();
        assert!(kernel.names().is_err());
        assert_eq!(read("eth0"), (None, None));
    }

    #[test]
    fn an_interface_that_is_replaced_under_its_name_and_number_is_another_one() {
        let root = tempfile::tempdir().unwrap();
        let class_net = root.path().join("sys/class/net");
        let make = |name: &str| {
            fs::create_dir_all(class_net.join(name)).unwrap();
            fs::write(class_net.join(name).join("ifindex"), "2\n").unwrap();
        };
        make("eth0");
        let (sysfs, procfs) = (root.path().join("sys"), root.path().join("proc"));
        let roots = ["--sysfs-root", sysfs.to_str().unwrap(), "--procfs-root", procfs.to_str().unwrap()];
        let cli = Cli::parse_from([&["agent", "--node", "x"], &roots[..]].concat());
        let kernel = Kernel::new(&AgentConfig::new(cli.agent).unwrap()).unwrap();
        let first = kernel.identity("eth0", 2);
        assert!(first.is_some() && kernel.identity("eth0", 3).is_none());
        fs::rename(class_net.join("eth0"), class_net.join("lan0")).unwrap();
        make("eth0");
        assert_eq!(kernel.identity("lan0", 2), first, "renamed");
        assert_ne!(kernel.identity("eth0", 2), first, "replaced");

        assert_eq!(kernel.boot(), None);
        fs::create_dir_all(procfs.join("sys/kernel/random")).unwrap();
        fs::write(procfs.join("sys/kernel/random/boot_id"), "d128535d\n").unwrap();
        for (uptime, ms) in [("3846.34 2699.51\n", Some(3_846_340)), ("12 1\n", None), ("", None)] {
            fs::write(procfs.join("uptime"), uptime).unwrap();
            assert_eq!(kernel.boot(), ms.map(|ms| ("d128535d".to_owned(), ms)));
        }
    }
}
