//! The root file system, and `/proc/diskstats`: what the disks move.

use std::{
    collections::HashMap,
    mem,
    path::{Path, PathBuf},
};

use tidemap_wire::{Bps, Host};

use super::KeptFile;

/// Reads space and traffic of disks.
#[derive(Debug)]
pub(super) struct Disks {
    /// The folder of all block devices.
    block: PathBuf,
    diskstats: KeptFile,
    before: Option<DiskBytes>,
    /// Whether a block device with this name is a disk; that does not change while the device exists.
    is_disk: HashMap<String, bool>,
}

/// Bytes that all disks have read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DiskBytes {
    read: u64,
    written: u64,
}

impl Disks {
    pub(super) fn new(sysfs: &Path, procfs: &Path) -> Self {
        let mut disks = Self {
            block: sysfs.join("block"),
            diskstats: KeptFile::new(procfs.join("diskstats")),
            before: None,
            is_disk: HashMap::new(),
        };
        disks.before = disks.now();
        disks
    }

    pub(super) fn read(&mut self, host: &mut Host, elapsed_ms: u64) {
        if let Ok(root) = rustix::fs::statvfs("/") {
            // As `df` computes it: space that is reserved for root counts as neither used nor available.
            let used = root.f_blocks.saturating_sub(root.f_bfree).saturating_mul(root.f_frsize);
            host.disk_used_bytes = Some(used);
            host.disk_total_bytes = Some(used.saturating_add(root.f_bavail.saturating_mul(root.f_frsize)));
        }
        let now = self.now();
        if let Some((now, before)) = now.zip(self.before) {
            let rate = |now: u64, before: u64| Bps::over(now.checked_sub(before)?, elapsed_ms);
            host.disk_read_bps = rate(now.read, before.read);
            host.disk_write_bps = rate(now.written, before.written);
        }
        self.before = now;
    }

    fn now(&mut self) -> Option<DiskBytes> {
        // As with interfaces: a block device with hardware behind it is a disk; the others (dm, md, loop) are
        // layers above disks.
        let known = mem::take(&mut self.is_disk);
        parse(self.diskstats.text()?, |name| {
            let known = known.get(name).copied();
            let is_disk = known.unwrap_or_else(|| self.block.join(name).join("device").exists());
            self.is_disk.insert(name.to_owned(), is_disk);
            is_disk
        })
    }
}

/// The bytes of the disks that `is_disk` selects. The kernel counts in sectors of 512 bytes on every disk.
fn parse(diskstats: &str, mut is_disk: impl FnMut(&str) -> bool) -> Option<DiskBytes> {
    let disk = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        fields.next().filter(|name| is_disk(name))?;
        let read = fields.nth(2)?.parse::<u64>().ok()?;
        let written = fields.nth(3)?.parse::<u64>().ok()?;
        Some((read, written))
    };
    let add = |sum: (u64, u64), one: (u64, u64)| (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1));
    let (read, written) = diskstats.lines().filter_map(disk).reduce(add)?;
    Some(DiskBytes { read: read.saturating_mul(512), written: written.saturating_mul(512) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_disks_move_bytes() {
        let diskstats = " 254 0 vda 10 0 100 5 20 0 200 5 0 0 0\n 254 1 vda1 10 0 90 5 20 0 190 5 0 0 0\n 7 0 loop0 1 0 8 0 0 0 0 0 0 0 0\n";
        assert_eq!(
            parse(diskstats, |name| name == "vda"),
            Some(DiskBytes { read: 51_200, written: 102_400 })
        );
        assert_eq!(parse(diskstats, |_| false), None);
    }
}
