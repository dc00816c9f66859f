//! Linux: whose interfaces are counted.
//!
//! A sysfs shows the network namespace in which it was mounted, and procfs the one of the process that reads
//! it. `nsenter --net` and some container runtimes leave a host's sysfs to a process in another namespace;
//! its counters would appear under this process's addresses.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{net_dev, sysfs};
use crate::{config::AgentConfig, meter::Counters};

/// Where a mount of the own sysfs is expected.
const OWN_SYSFS: &str = "/sys";
/// Where a mount of the own procfs is expected.
const OWN_PROCFS: &str = "/proc";
/// Interfaces come and go while both are read.
const ATTEMPTS: u8 = 3;

/// Where the interfaces are read.
#[derive(Debug)]
pub(super) struct View {
    /// The folder of interfaces in sysfs; `None` if it is missing or shows another namespace.
    pub(super) class_net: Option<PathBuf>,
    /// The folder of `dev` and `route` in procfs.
    pub(super) net: PathBuf,
    /// Whether it is this process's own namespace, so that netlink shows the same.
    pub(super) is_own: bool,
}

impl View {
    /// The view under the configured roots.
    ///
    /// # Errors
    ///
    /// If neither sysfs nor procfs lists interfaces.
    pub(super) fn new(config: &AgentConfig) -> io::Result<Self> {
        let class_net = config.sysfs_root.join("class/net");
        let net = config.procfs_root.join("net");
        let is_own = config.procfs_root == Path::new(OWN_PROCFS);
        if let Err(error) = fs::read_dir(&class_net) {
            net_dev::read(&net.join("dev")).map_err(|_| error)?;
            tracing::warn!("there is no {}; interfaces are read from procfs alone", class_net.display());
            return Ok(Self { class_net: None, net, is_own });
        }
        // Where there is no such file, nothing contradicts sysfs.
        if !net.join("dev").exists() || is_same(&class_net, &net) {
            return Ok(Self { class_net: Some(class_net), net, is_own });
        }
        // Somebody mounted a host's sysfs for the agent, and not its procfs.
        if config.sysfs_root != Path::new(OWN_SYSFS) && is_own {
            return Ok(Self { class_net: Some(class_net), net, is_own: false });
        }
        // A host's sysfs that is mounted for the agent in a container is what is to be measured.
        let of_init = config.procfs_root.join("1/net");
        if config.sysfs_root != Path::new(OWN_SYSFS) && is_same(&class_net, &of_init) {
            return Ok(Self { class_net: Some(class_net), net: of_init, is_own: false });
        }
        tracing::warn!(
            "{} shows the interfaces of another network namespace; those of this one are read from {}",
            class_net.display(),
            net.join("dev").display()
        );
        Ok(Self { class_net: None, net, is_own })
    }
}

/// Whether both folders show the same interfaces: the same names, with counters between two readings.
fn is_same(class_net: &Path, net: &Path) -> bool {
    (0..ATTEMPTS).any(|_| {
        let before = all_counters(class_net);
        let Ok(between) = net_dev::read(&net.join("dev")) else { return false };
        let after = all_counters(class_net);
        before.len() == between.len()
            && between.iter().all(|(name, line)| {
                let (before, after) = (before.get(name), after.get(name));
                before.zip(after).is_some_and(|(before, after)| lies_between(*before, line.counters, *after))
            })
    })
}

/// An interface whose counters cannot be read contradicts nothing.
fn lies_between(before: Option<Counters>, between: Counters, after: Option<Counters>) -> bool {
    let Some((before, after)) = before.zip(after) else { return true };
    (before.rx_bytes..=after.rx_bytes).contains(&between.rx_bytes)
        && (before.tx_bytes..=after.tx_bytes).contains(&between.tx_bytes)
}

fn all_counters(class_net: &Path) -> BTreeMap<String, Option<Counters>> {
    let names = sysfs::names(class_net).unwrap_or_default();
    names.into_iter().map(|name| (name.clone(), sysfs::counters(class_net, &name))).collect()
}
