//! `/proc/meminfo`: memory and swap.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tidemap_wire::Host;

use super::KeptFile;

/// Reads memory and swap.
#[derive(Debug)]
pub(super) struct Memory {
    procfs: PathBuf,
    meminfo: KeptFile,
    arcstats: KeptFile,
}

impl Memory {
    pub(super) fn new(procfs: &Path) -> Self {
        Self {
            procfs: procfs.to_owned(),
            meminfo: KeptFile::new(procfs.join("meminfo")),
            arcstats: KeptFile::new(procfs.join("spl/kstat/zfs/arcstats")),
        }
    }

    pub(super) fn read(&mut self, host: &mut Host) {
        let cache = self.arcstats.text().and_then(reclaimable_of_zfs).filter(|_| is_of_host(&self.procfs));
        if let Some(meminfo) = self.meminfo.text() {
            parse(meminfo, cache.unwrap_or(0), host);
        }
    }
}

/// Whether `meminfo` is the kernel's. LXCFS mounts a container's over it, in which the host's cache is not.
fn is_of_host(procfs: &Path) -> bool {
    let file_system = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    file_system(&procfs.join("meminfo")) == file_system(procfs)
}

/// `arcstats`: the bytes of ZFS's cache that it gives back when they are needed. It is the only cache that
/// the kernel counts as used.
fn reclaimable_of_zfs(arcstats: &str) -> Option<u64> {
    let value = |name: &str| {
        let mut fields = arcstats.lines().map(str::split_ascii_whitespace);
        fields.find_map(|mut fields| (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?)
    };
    let kept: u64 = value("c_min").unwrap_or(0);
    Some(value("size")?.saturating_sub(kept))
}

/// `zfs_cache`: bytes that are in use and can be reclaimed, but that the kernel does not count as such.
fn parse(meminfo: &str, zfs_cache: u64, host: &mut Host) {
    let bytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    // Linux before 3.14, and some containers. Shared memory is among the cached, and cannot be dropped.
    let estimate = || {
        let caches = ["Buffers", "Cached", "SReclaimable"].map(|key| bytes(key).unwrap_or(0));
        let all = caches.into_iter().fold(bytes("MemFree")?, u64::saturating_add);
        Some(all.saturating_sub(bytes("Shmem").unwrap_or(0)))
    };
    let used = |total: Option<u64>, free: Option<u64>| total?.checked_sub(free?);
    host.memory_total_bytes = bytes("MemTotal");
    host.memory_used_bytes = used(host.memory_total_bytes, bytes("MemAvailable").or_else(estimate))
        // A larger cache is not in this memory.
        .map(|used| used.checked_sub(zfs_cache).unwrap_or(used));
    host.swap_total_bytes = bytes("SwapTotal");
    host.swap_used_bytes = used(host.swap_total_bytes, bytes("SwapFree"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(meminfo: &str) -> Host {
        let mut host = Host::default();
        parse(meminfo, 0, &mut host);
        host
    }

    #[test]
    fn memory_in_use_is_what_cannot_be_reclaimed() {
        let meminfo =
            "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  600 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
        let expected = Host {
            memory_total_bytes: Some(1_024_000),
            memory_used_bytes: Some(409_600),
            swap_total_bytes: Some(0),
            swap_used_bytes: Some(0),
            ..Host::default()
        };
        assert_eq!(parsed(meminfo), expected);
        assert_eq!(parsed("MemTotal: 5 pages\n"), Host::default());
    }

    #[test]
    fn what_is_available_is_estimated_where_the_kernel_does_not_say() {
        let used = |meminfo: &str| parsed(meminfo).memory_used_bytes.map(|bytes| bytes / 1024);
        let old = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 300 kB\nSwapCached: 7 kB\n\
                   Shmem: 80 kB\nSReclaimable: 30 kB\n";
        assert_eq!(used(old), Some(600));
        assert_eq!(used("MemTotal: 1000 kB\nMemFree: 100 kB\n"), Some(900));
        assert_eq!(used("MemTotal: 1000 kB\nCached: 100 kB\n"), None);
        assert_eq!(used("MemTotal: 1000 kB\nMemAvailable: 1001 kB\n"), None, "it cannot be more than all");
    }

    #[test]
    fn zfs_gives_back_what_is_above_its_least_size() {
        let arcstats =
            "9 1 0x01 147 39984 1 2\nname  type data\nhits 4 9\nc_min  4    30\nc_max 4 90\nsize  4  50\n";
        assert_eq!(reclaimable_of_zfs(arcstats), Some(20));
        assert_eq!(reclaimable_of_zfs("size 4 50\n"), Some(50));
        assert_eq!(reclaimable_of_zfs("size 4 20\nc_min 4 30\n"), Some(0));
        assert_eq!(reclaimable_of_zfs("hits 4 50\n"), None);
        let used = |cache: u64| {
            let mut host = Host::default();
            parse("MemTotal: 100 kB\nMemAvailable: 20 kB\n", cache, &mut host);
            host.memory_used_bytes.unwrap()
        };
        assert_eq!((used(60 << 10), used(80 << 10), used(81 << 10)), (20 << 10, 0, 80 << 10));
    }
}
