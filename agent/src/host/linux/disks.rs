//! `/proc/diskstats`: what the disks move.

use std::{
    collections::HashMap,
    mem,
    path::{Path, PathBuf},
};

use tidemap_wire::{Bps, Host};

use super::{KeptFile, Request};

/// The kernel counts in sectors of this size on every disk.
const SECTOR_BYTES: u64 = 512;

/// Reads the traffic of disks.
#[derive(Debug)]
pub(super) struct Disks {
    /// The folder of all block devices.
    block: PathBuf,
    diskstats: KeptFile,
    before: Option<Counts>,
    /// How late the reading before was.
    late_before_ms: u64,
    /// Whether a block device with this name is a disk; that does not change while the device exists.
    is_disk: HashMap<String, bool>,
}

/// What each disk has moved, by its name.
type Counts = HashMap<String, Sectors>;

/// What a disk has read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sectors {
    read: u64,
    written: u64,
}

impl Disks {
    pub(super) fn new(sysfs: &Path, procfs: &Path) -> Self {
        Self {
            block: sysfs.join("block"),
            diskstats: KeptFile::new(procfs.join("diskstats")),
            before: None,
            late_before_ms: 0,
            is_disk: HashMap::new(),
        }
    }

    pub(super) fn read(&mut self, host: &mut Host, request: &Request) {
        let now = self.now();
        let late_ms = request.late_ms();
        let elapsed_ms = request.elapsed_ms.saturating_add(late_ms).saturating_sub(self.late_before_ms);
        if let Some(moved) =
            now.as_ref().zip(self.before.as_ref()).and_then(|(now, before)| moved(before, now))
        {
            let rate = |sectors: u64| Bps::over(sectors.saturating_mul(SECTOR_BYTES), elapsed_ms);
            host.disk_read_bps = rate(moved.read);
            host.disk_write_bps = rate(moved.written);
        }
        (self.before, self.late_before_ms) = (now, late_ms);
    }

    fn now(&mut self) -> Option<Counts> {
        // As with interfaces: a block device with hardware behind it is a disk; the others (dm, md, loop,
        // partitions) are layers above disks or parts of them.
        let known = mem::take(&mut self.is_disk);
        Some(parse(self.diskstats.text()?, |name| {
            let known = known.get(name).copied();
            let is_disk = known.unwrap_or_else(|| self.block.join(name).join("device").exists());
            self.is_disk.insert(name.to_owned(), is_disk);
            is_disk
        }))
    }
}

impl Sectors {
    fn plus(self, other: Self) -> Self {
        Self {
            read: self.read.saturating_add(other.read),
            written: self.written.saturating_add(other.written),
        }
    }

    fn max(self, other: Self) -> Self {
        Self { read: self.read.max(other.read), written: self.written.max(other.written) }
    }

    /// Unknown when a count went backwards: another disk has the name now, or the counts were reset.
    fn since(self, before: Self) -> Option<Self> {
        let read = self.read.checked_sub(before.read)?;
        Some(Self { read, written: self.written.checked_sub(before.written)? })
    }
}

/// The counts of the disks that `is_disk` selects.
fn parse(diskstats: &str, mut is_disk: impl FnMut(&str) -> bool) -> Counts {
    let mut disk = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let name = fields.next().filter(|name| is_disk(name))?;
        let read = fields.nth(2)?.parse().ok()?;
        let written = fields.nth(3)?.parse().ok()?;
        Some((name.to_owned(), Sectors { read, written }))
    };
    diskstats.lines().filter_map(&mut disk).collect()
}

/// What the disks have moved together; unknown when there is none that was there before. A disk that has just
/// appeared counts from now on, and one that has gone takes nothing away from the others.
fn moved(before: &Counts, now: &Counts) -> Option<Sectors> {
    // Each disk's own count, and the sum of the paths to it.
    let mut disks = HashMap::<String, [Sectors; 2]>::new();
    for (name, counts) in now {
        let Some(moved) = before.get(name).and_then(|before| counts.since(*before)) else { continue };
        let multipath = disk_of_path(name);
        let place = usize::from(multipath.is_some());
        let sums = disks.entry(multipath.unwrap_or_else(|| name.clone())).or_default();
        sums[place] = sums[place].plus(moved);
    }
    // Linux counts each byte of an NVMe disk at the path that it took, and since 6.3 at the disk as well.
    disks.into_values().map(|[disk, paths]| disk.max(paths)).reduce(Sectors::plus)
}

/// The disk that this is one of several paths to: `nvme0c1n2` is a path to `nvme0n2`.
fn disk_of_path(name: &str) -> Option<String> {
    let (subsystem, rest) = name.strip_prefix("nvme")?.split_once('c')?;
    let (controller, namespace) = rest.split_once('n')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_path = [subsystem, controller, namespace].into_iter().all(is_number);
    is_path.then(|| format!("nvme{subsystem}n{namespace}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    fn counts(disks: &[(&str, u64, u64)]) -> Counts {
        disks.iter().map(|(name, read, written)| ((*name).to_owned(), sectors(*read, *written))).collect()
    }

    fn sectors(read: u64, written: u64) -> Sectors {
        Sectors { read, written }
    }

    #[test]
    fn only_whole_disks_move_bytes() {
        let diskstats = " 254 0 vda 10 0 100 5 20 0 200 5 0 0 0\n 254 1 vda1 10 0 90 5 20 0 190 5 0 0 0\n 7 0 loop0 1 0 8 0 0 0 0 0 0 0 0\n";
        assert_eq!(parse(diskstats, |name| name == "vda"), counts(&[("vda", 100, 200)]));
        assert_eq!(parse(diskstats, |_| false), counts(&[]));
        assert_eq!(moved(&counts(&[]), &counts(&[])), None);
    }

    #[test]
    fn disks_come_and_go_without_a_change_of_the_others_rate() {
        let before = counts(&[("sda", 100, 200), ("sdb", 1_000_000, 1_000_000)]);
        let unplugged = counts(&[("sda", 150, 220)]);
        assert_eq!(moved(&before, &unplugged), Some(sectors(50, 20)));
        let plugged_in = counts(&[("sda", 150, 220), ("sdb", 9, 9), ("sdc", 5_000, 5_000)]);
        assert_eq!(moved(&unplugged, &plugged_in), Some(sectors(0, 0)));
        assert_eq!(moved(&before, &plugged_in), Some(sectors(50, 20)), "sdb was reset");
        assert_eq!(moved(&plugged_in, &counts(&[("sdb", 8, 9)])), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_hung_has_the_rate_of_all_its_time() {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("block/sda/device")).unwrap();
        let mut disks = Disks::new(tree.path(), tree.path());
        let mut rate = |sectors: u64, request: &Request| {
            let line = format!(" 8 0 sda 1 0 {sectors} 0 1 0 0 0 0 0 0\n");
            fs::write(tree.path().join("diskstats"), line).unwrap();
            let mut host = Host::default();
            disks.read(&mut host, request);
            host.disk_read_bps.map(Bps::get)
        };
        assert_eq!(rate(0, &Request::new(0)), None);
        let hung = Request::new(5_000);
        tokio::time::advance(Duration::from_secs(55)).await;
        assert_eq!(rate(6_000, &hung), Some(100.0 * 512.0));
        assert_eq!(rate(7_000, &Request::new(65_000)), Some(100.0 * 512.0));
    }

    #[test]
    fn bytes_over_several_paths_are_counted_once() {
        let before =
            counts(&[("nvme0n1", 0, 0), ("nvme0c0n1", 0, 0), ("nvme0c1n1", 0, 0), ("nvme1n1", 0, 0)]);
        let all = |disk: u64, last_path: u64| {
            counts(&[
                ("nvme0n1", disk, disk),
                ("nvme0c0n1", 60, 60),
                ("nvme0c1n1", last_path, last_path),
                ("nvme1n1", 7, 7),
            ])
        };
        assert_eq!(moved(&before, &all(100, 40)), Some(sectors(107, 107)));
        assert_eq!(moved(&before, &all(0, 40)), Some(sectors(107, 107)), "before Linux 6.3");
        for (name, disk) in [
            ("nvme0c1n2", Some("nvme0n2")),
            ("nvme10c11n12", Some("nvme10n12")),
            ("nvme0n1", None),
            ("nvme0c1n1p1", None),
            ("nvmecn", None),
            ("sda", None),
        ] {
            assert_eq!(disk_of_path(name).as_deref(), disk, "{name}");
        }
    }
}
