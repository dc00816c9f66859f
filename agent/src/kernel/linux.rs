//! Linux: sysfs for interfaces, procfs for routes.

use std::{
    fs, io,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{Faults, routes};
use crate::{
    AgentConfig,
    meter::Counters,
    uplinks::{Device, Link, Topology},
};

/// `IFF_UP` of the kernel: somebody switched the interface on.
const UP: u32 = 1;

/// Which interfaces count, in words.
pub const RULE: &str = "An interface with a device behind it counts, unless another device counts its bytes; what is \
                        virtual does not. Where no device is up, the interface of the default route counts. --include \
                        and --exclude have the last word.";

/// This host's interfaces.
#[derive(Debug)]
pub struct Kernel {
    class_net: PathBuf,
    procfs: PathBuf,
}

impl Kernel {
    /// The interfaces under the configured sysfs.
    ///
    /// # Errors
    ///
    /// When there is no such folder.
    pub fn new(config: &AgentConfig) -> anyhow::Result<Self> {
        let class_net = config.sysfs_root.join("class/net");
        fs::read_dir(&class_net).with_context(|| format!("cannot read {}", class_net.display()))?;
        Ok(Self { class_net, procfs: config.procfs_root.clone() })
    }

    /// The names of all interfaces, sorted; cheap enough for every sample, so that hot-plug is seen at once.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.class_net)? {
            let entry = entry?;
            // `bonding_masters` lies among the interfaces and is a file.
            if !entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The interfaces with these names as the kernel describes them. What is `known` already is not read again; what
    /// vanishes meanwhile is left out.
    pub fn topology(&self, names: &[String], known: impl Fn(&str) -> Option<Link>) -> Topology {
        let links = names.iter().filter_map(|name| known(name).or_else(|| self.link(name))).collect();
        Topology { links, default_route: self.default_route() }
    }

    /// The interface of the default route: that of IPv4, or of IPv6 where there is none.
    pub fn default_route(&self) -> Option<String> {
        let table = |file| fs::File::open(self.procfs.join("net").join(file)).map(BufReader::new);
        let ipv4 = table("route").ok().and_then(routes::ipv4_default);
        ipv4.or_else(|| routes::ipv6_default(table("ipv6_route").ok()?))
    }

    /// The number of the interface that has this name now: a name may pass to another interface.
    pub fn index(&self, name: &str) -> Option<u32> {
        number(&self.class_net.join(name).join("ifindex"))
    }

    /// The counters of one interface; `None` when either cannot be read.
    pub fn counters(&self, name: &str) -> Option<Counters> {
        let mut path = self.class_net.join(name);
        path.push("statistics/rx_bytes");
        let rx_bytes = number(&path)?;
        path.set_file_name("tx_bytes");
        Some(Counters { rx_bytes, tx_bytes: number(&path)? })
    }

    /// The errors and drops of one interface.
    pub fn faults(&self, name: &str) -> Option<Faults> {
        let statistics = self.class_net.join(name).join("statistics");
        let count = |file: &str| number::<u64>(&statistics.join(file));
        Some(Faults {
            errors: count("rx_errors")?.saturating_add(count("tx_errors")?),
            drops: count("rx_dropped")?.saturating_add(count("tx_dropped")?),
        })
    }

    fn link(&self, name: &str) -> Option<Link> {
        let folder = self.class_net.join(name);
        let index = self.index(name)?;
        let below =
            |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("lower_").map(str::to_owned);
        let mut lowers: Vec<_> = fs::read_dir(&folder).ok()?.flatten().filter_map(below).collect();
        lowers.sort_unstable();
        let flags = text(&folder.join("flags"))
            .and_then(|flags| u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok());
        let state = text(&folder.join("operstate")).unwrap_or_default();
        Some(Link {
            name: name.to_owned(),
            index,
            lower_index: number(&folder.join("iflink")).unwrap_or(index),
            hardware_type: number(&folder.join("type")).unwrap_or_default(),
            up: flags.is_some_and(|flags| flags & UP != 0)
                && !matches!(state.as_str(), "down" | "lowerlayerdown" | "notpresent"),
            device: device(&folder),
            kind: kind(&folder),
            tunnel: folder.join("tun_flags").exists(),
            master: target_name(&folder.join("master")),
            lowers,
            speed_mbps: number::<i64>(&folder.join("speed"))
                .and_then(|mbps| u32::try_from(mbps).ok())
                .filter(|mbps| *mbps > 0 && *mbps < u32::MAX),
        })
    }
}

fn device(folder: &Path) -> Option<Device> {
    let device = folder.join("device");
    fs::metadata(&device).ok()?;
    Some(Device {
        bus: target_name(&device.join("subsystem")),
        driver: target_name(&device.join("driver")),
        port: text(&folder.join("phys_port_name")).filter(|port| !port.is_empty()),
    })
}

fn kind(folder: &Path) -> Option<String> {
    let uevent = text(&folder.join("uevent")).unwrap_or_default();
    let told = uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).map(str::to_owned);
    // Old kernels tell no type of a bond or a bridge, but give it a folder.
    told.or_else(|| {
        let found = ["bonding", "bridge"].into_iter().find(|name| folder.join(name).is_dir())?;
        Some(if found == "bonding" { "bond" } else { found }.to_owned())
    })
}

fn target_name(link: &Path) -> Option<String> {
    fs::read_link(link).ok()?.file_name()?.to_str().map(str::to_owned)
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// A number from a file of one line. A buffer on the stack spares each sample a size query and an allocation.
fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    let mut line = [0; 32];
    let length = fs::File::open(path).and_then(|mut file| file.read(&mut line)).ok()?;
    str::from_utf8(&line[..length]).ok()?.trim().parse().ok()
}
