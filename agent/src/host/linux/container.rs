//! Control groups: what a container may use of its host.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use tidemap_wire::Host;

use super::{KeptFile, text};

/// Reads the limits of the container that the agent is in.
#[derive(Debug)]
pub(super) struct Container {
    own_groups: KeptFile,
    /// Where the control groups are mounted.
    root: PathBuf,
}

/// Both versions of control groups have the same limits, in different files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The agent's group in one hierarchy and the groups around it, as far as they are visible; innermost first.
#[derive(Debug)]
struct Groups {
    version: Version,
    folders: Vec<PathBuf>,
}

impl Container {
    pub(super) fn new(sysfs: &Path, procfs: &Path) -> Self {
        Self { own_groups: KeptFile::new(procfs.join("self/cgroup")), root: sysfs.join("fs/cgroup") }
    }

    /// Adds the limits that are below what the host has.
    pub(super) fn read(&mut self, host: &mut Host) {
        let Some(own) = self.own_groups.text() else { return };
        let groups = |controller: &str| Groups::find(&self.root, own, controller);
        // Without a limit the first version reports a number near 2⁶³.
        let all_memory = host.memory_total_bytes.unwrap_or(1 << 60);
        if let Some((limit, folder, version)) = groups("memory").and_then(|groups| groups.memory_limit())
            && limit < all_memory
        {
            host.container_memory_limit_bytes = Some(limit);
            host.container_memory_used_bytes = memory_used(&folder, version);
        }
        let quota = groups("cpu").and_then(|groups| groups.quota());
        let set = groups("cpuset").and_then(|groups| groups.processors());
        let all_processors = host.cpu_count.map_or(f64::INFINITY, f64::from);
        host.container_cpu_limit =
            [quota, set].into_iter().flatten().reduce(f64::min).filter(|limit| *limit < all_processors);
    }
}

impl Groups {
    /// The groups of the hierarchy that has this controller.
    fn find(root: &Path, own_groups: &str, controller: &str) -> Option<Self> {
        let of_line = |line: &str| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':').map(|(controllers, path)| (controllers.to_owned(), path.to_owned()))
        };
        let lines: Vec<_> = own_groups.lines().filter_map(of_line).collect();
        let first = lines.iter().find(|(names, _)| names.split(',').any(|name| name == controller));
        if let Some((controllers, path)) = first {
            let mounts = [root.join(controllers), root.join(controller)];
            let mount = mounts.into_iter().find(|mount| mount.is_dir())?;
            return Some(Self { version: Version::V1, folders: visible(&mount, path) });
        }
        let (_, path) = lines.iter().find(|(controllers, _)| controllers.is_empty())?;
        let beside_first = root.join("unified");
        let mount = if beside_first.is_dir() { &*beside_first } else { root };
        Some(Self { version: Version::V2, folders: visible(mount, path) })
    }

    /// The smallest limit, and whose it is.
    fn memory_limit(&self) -> Option<(u64, PathBuf, Version)> {
        let file = match self.version {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        };
        let limits = self.folders.iter().filter_map(|folder| Some((number(&folder.join(file))?, folder)));
        // A container without a namespace of its own sees no group around it, but in the first version the
        // kernel reports the smallest limit of them.
        let inherited = self.folders.first().filter(|_| self.version == Version::V1);
        let inherited =
            inherited.and_then(|folder| Some((field(folder, "hierarchical_memory_limit")?, folder)));
        let (limit, folder) = limits.chain(inherited).min_by_key(|(limit, _)| *limit)?;
        Some((limit, folder.clone(), self.version))
    }

    /// The smallest share of time, in processors.
    fn quota(&self) -> Option<f64> {
        let quota = |folder: &PathBuf| match self.version {
            Version::V1 => {
                let quota = number(&folder.join("cpu.cfs_quota_us"))?;
                Some((quota, number(&folder.join("cpu.cfs_period_us"))?))
            }
            Version::V2 => {
                let text = text(&folder.join("cpu.max"))?;
                let (quota, period) = text.split_once(' ')?;
                Some((quota.parse().ok()?, period.parse().ok()?))
            }
        };
        let limits =
            self.folders.iter().filter_map(quota).filter(|(quota, period)| *quota > 0 && *period > 0);
        limits.map(|(quota, period)| quota as f64 / period as f64).reduce(f64::min)
    }

    /// The number of processors that it may run on; the kernel has already applied the groups around it.
    fn processors(&self) -> Option<f64> {
        let files = match self.version {
            Version::V1 => ["cpuset.effective_cpus", "cpuset.cpus"],
            Version::V2 => ["cpuset.cpus.effective", "cpuset.cpus.effective"],
        };
        let mut lists = self.folders.iter().flat_map(|folder| files.map(|file| folder.join(file)));
        lists.find_map(|file| length(&text(&file)?)).map(f64::from)
    }
}

/// The folders of a group and of those around it. In a container's own namespace, and where only its group is
/// mounted, the path may lead nowhere, and the mount itself is the container's group.
fn visible(mount: &Path, path: &str) -> Vec<PathBuf> {
    let mut names: Vec<_> = Path::new(path).components().collect();
    if names.contains(&Component::ParentDir) {
        // Outside of the namespace.
        names.clear();
    }
    // The limit of the agent's own service is not its host's.
    if names.last().is_some_and(|name| name.as_os_str().as_encoded_bytes().ends_with(b".service")) {
        names.pop();
    }
    let mut folder = mount.to_owned();
    let mut folders = vec![folder.clone()];
    for name in names.into_iter().filter(|name| matches!(name, Component::Normal(_))) {
        folder.push(name);
        folders.push(folder.clone());
    }
    folders.reverse();
    folders.retain(|folder| folder.is_dir());
    folders
}

/// Memory that the limit counts and that cannot be reclaimed at once.
fn memory_used(folder: &Path, version: Version) -> Option<u64> {
    let (file, cache) = match version {
        Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
        Version::V2 => ("memory.current", "inactive_file"),
    };
    Some(number(&folder.join(file))?.saturating_sub(field(folder, cache).unwrap_or(0)))
}

/// A line of `memory.stat`.
fn field(folder: &Path, name: &str) -> Option<u64> {
    let stat = fs::read_to_string(folder.join("memory.stat")).ok()?;
    stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A file's number; absent where it says that there is no limit.
fn number(path: &Path) -> Option<u64> {
    text(path)?.parse().ok()
}

/// The length of a list such as `0-3,8`.
fn length(list: &str) -> Option<u32> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
    };
    list.split(',').map(range).try_fold(0_u32, |sum, length| sum.checked_add(length?))
}

#[cfg(test)]
mod tests;
