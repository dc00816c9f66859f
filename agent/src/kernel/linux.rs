//! Linux: sysfs for interfaces, procfs for routes.

use std::{fs, io, io::BufReader, path::PathBuf};

use anyhow::Context;
use rustix::fs::FileType;
use sysinfo::System;

use super::{ErrorCounts, folder::Folder, routes};
use crate::{
    config::AgentConfig,
    meter::Counters,
    uplinks::{Device, Link, Topology},
};

/// `IFF_UP` of the kernel: the interface is switched on.
const UP: u32 = 1;

/// The rule of which interfaces count, for `--explain`.
pub(crate) const RULE: &str = "An interface with a device behind it counts, unless another device counts its bytes; what is \
                        virtual does not. Where no device is up, the interface of the default route counts. --include \
                        and --exclude override this.";

/// This host's interfaces.
#[derive(Debug)]
pub struct Kernel {
    class_net: PathBuf,
    procfs: PathBuf,
    may_wrap: bool,
}

impl Kernel {
    /// The interfaces under the configured sysfs.
    pub fn new(config: &AgentConfig) -> anyhow::Result<Self> {
        let class_net = config.sysfs_root.join("class/net");
        fs::read_dir(&class_net).with_context(|| format!("cannot read {}", class_net.display()))?;
        let procfs = config.procfs_root.clone();
        // Kernels before 6.1 do not have the file.
        let machine =
            fs::read_to_string(procfs.join("sys/kernel/arch")).unwrap_or_else(|_| System::cpu_arch());
        Ok(Self { class_net, procfs, may_wrap: !is_64_bit(machine.trim()) })
    }

    /// Whether counters may have 32 bits, as a 32-bit kernel's do.
    pub(crate) fn may_wrap(&self) -> bool {
        self.may_wrap
    }

    /// The names of all interfaces, sorted; cheap enough for every sample, so new interfaces are noticed at
    /// once.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        Folder::open(&self.class_net)?.list(|name, kind| {
            // `bonding_masters` is a file in the folder of interfaces.
            if kind != FileType::RegularFile {
                names.push(name.to_owned());
            }
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// The interfaces with these names as the kernel describes them. Those that `known` returns are not read
    /// again; those that vanish meanwhile are left out.
    pub fn topology(&self, names: &[String], known: impl Fn(&str) -> Option<Link>) -> Topology {
        let links = names.iter().filter_map(|name| known(name).or_else(|| self.link(name))).collect();
        Topology { links, default_route: self.default_route() }
    }

    /// The interface of the default route: that of IPv4, or that of IPv6 if there is none.
    pub(crate) fn default_route(&self) -> Option<String> {
        let table = |file| fs::File::open(self.procfs.join("net").join(file)).map(BufReader::new);
        let ipv4 = table("route").ok().and_then(routes::ipv4_default);
        ipv4.or_else(|| routes::ipv6_default(table("ipv6_route").ok()?))
    }

    /// The counters of the interface with this name and number; `None` when either cannot be read, or the
    /// name has passed to another interface.
    pub(crate) fn counters(&self, name: &str, index: u32) -> Option<Counters> {
        let folder = Folder::passage(&self.class_net.join(name))?;
        let counters = Counters {
            rx_bytes: folder.number("statistics/rx_bytes")?,
            tx_bytes: folder.number("statistics/tx_bytes")?,
        };
        (folder.number("ifindex") == Some(index)).then_some(counters)
    }

    /// The errors and drops of one interface.
    pub fn error_counts(&self, name: &str) -> Option<ErrorCounts> {
        let statistics = Folder::passage(&self.class_net.join(name).join("statistics"))?;
        let count = |file: &str| statistics.number::<u64>(file);
        Some(ErrorCounts {
            errors: count("rx_errors")?.saturating_add(count("tx_errors")?),
            drops: count("rx_dropped")?.saturating_add(count("tx_dropped")?),
        })
    }

    /// Whether this interface can carry bytes now.
    pub(crate) fn is_up(&self, name: &str) -> bool {
        Folder::open(&self.class_net.join(name)).is_ok_and(|folder| is_up(&folder))
    }

    fn link(&self, name: &str) -> Option<Link> {
        let folder = Folder::open(&self.class_net.join(name)).ok()?;
        let index = folder.number("ifindex")?;
        let mut lowers = Vec::new();
        folder.list(|name, _| lowers.extend(name.strip_prefix("lower_").map(str::to_owned))).ok()?;
        lowers.sort_unstable();
        Some(Link {
            name: name.to_owned(),
            index,
            lower_index: folder.number("iflink").unwrap_or(index),
            hardware_type: folder.number("type").unwrap_or_default(),
            up: is_up(&folder),
            device: device(&folder),
            kind: kind(&folder),
            tunnel: folder.has("tun_flags"),
            master: folder.target_name("master"),
            lowers,
            speed_mbps: folder
                .number::<i64>("speed")
                .and_then(|mbps| u32::try_from(mbps).ok())
                .filter(|mbps| *mbps > 0 && *mbps < u32::MAX),
        })
    }
}

/// Whether the kernel has 64 bits, whatever this program has.
fn is_64_bit(machine: &str) -> bool {
    machine.contains("64") || matches!(machine, "s390x" | "alpha")
}

fn is_up(folder: &Folder) -> bool {
    let flags =
        folder.text("flags").and_then(|flags| u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok());
    let state = folder.text("operstate").unwrap_or_default();
    flags.is_some_and(|flags| flags & UP != 0)
        && !matches!(state.as_str(), "down" | "lowerlayerdown" | "notpresent")
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
