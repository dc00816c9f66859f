//! Linux: procfs and sysfs, read directly. sysinfo tells an unreadable value as 0 or as its last one.

use std::{collections::HashMap, fs, mem, path::PathBuf};

use tidemap_wire::{Bps, Host};

use super::{
    kept_file::KeptFile,
    parse::{self, CpuTime, DiskBytes},
    sensors::Sensors,
};
use crate::AgentConfig;

/// Listing the processes costs microseconds for each: up to a thousand are counted every 15 s, ten thousand every 150 s.
const COUNT_EVERY_MS: u64 = 15_000;
const COUNT_EVERY_MS_PER_PROCESS: u64 = 15;

/// Reads this host's metrics; rates are over the time since the reading before.
#[derive(Debug)]
pub struct HostMetrics {
    sysfs: PathBuf,
    procfs: PathBuf,
    stat: KeptFile,
    loadavg: KeptFile,
    meminfo: KeptFile,
    uptime: KeptFile,
    diskstats: KeptFile,
    sensors: Sensors,
    cpu: Option<CpuTime>,
    disks: Option<DiskBytes>,
    /// Whether a block device of this name is a disk; a name does not change its kind while it is there.
    is_disk: HashMap<String, bool>,
    processes: Option<u32>,
    /// Time until the processes are counted again.
    count_in_ms: u64,
}

impl HostMetrics {
    /// Begins with a first reading, so that the next one knows its rates.
    pub fn new(config: &AgentConfig) -> Self {
        let kept = |file| KeptFile::new(config.procfs_root.join(file));
        let mut metrics = Self {
            sysfs: config.sysfs_root.clone(),
            procfs: config.procfs_root.clone(),
            stat: kept("stat"),
            loadavg: kept("loadavg"),
            meminfo: kept("meminfo"),
            uptime: kept("uptime"),
            diskstats: kept("diskstats"),
            sensors: Sensors::find(&config.sysfs_root, &config.procfs_root),
            cpu: None,
            disks: None,
            is_disk: HashMap::new(),
            processes: None,
            count_in_ms: 0,
        };
        metrics.cpu = metrics.cpu_now().map(|(time, _)| time);
        metrics.disks = metrics.disks_now();
        metrics
    }

    /// The metrics now, `elapsed_ms` after the reading before.
    pub fn read(&mut self, elapsed_ms: u64) -> Host {
        self.count_processes(elapsed_ms);
        let mut host = Host {
            processes: self.processes,
            uptime_s: self.uptime.text().and_then(parse::uptime_s),
            temperature_c: self.sensors.temperature_c(),
            fan_rpm: self.sensors.fan_rpm(),
            cpu_mhz: self.sensors.cpu_mhz(),
            ..Host::default()
        };
        self.fill_cpu(&mut host);
        self.fill_memory(&mut host);
        self.fill_disks(&mut host, elapsed_ms);
        host
    }

    fn fill_cpu(&mut self, host: &mut Host) {
        let now = self.cpu_now();
        host.cpu_count = now.map(|(_, processors)| processors);
        host.cpu_percent = now.zip(self.cpu).and_then(|((now, _), before)| now.percent_since(before));
        self.cpu = now.map(|(time, _)| time);
        if let Some([load_1, load_5, load_15]) = self.loadavg.text().and_then(parse::load) {
            (host.load_1, host.load_5, host.load_15) = (Some(load_1), Some(load_5), Some(load_15));
        }
    }

    fn fill_memory(&mut self, host: &mut Host) {
        let memory = self.meminfo.text().map(parse::memory).unwrap_or_default();
        host.memory_total_bytes = memory.total;
        host.memory_used_bytes = memory.used;
        host.swap_total_bytes = memory.swap_total;
        host.swap_used_bytes = memory.swap_used;
    }

    fn fill_disks(&mut self, host: &mut Host, elapsed_ms: u64) {
        if let Ok(root) = rustix::fs::statvfs("/") {
            // As df has it: what root keeps for itself is neither used nor available.
            let used = root.f_blocks.saturating_sub(root.f_bfree).saturating_mul(root.f_frsize);
            host.disk_used_bytes = Some(used);
            host.disk_total_bytes = Some(used.saturating_add(root.f_bavail.saturating_mul(root.f_frsize)));
        }
        let now = self.disks_now();
        if let Some((now, before)) = now.zip(self.disks) {
            let rate = |now: u64, before: u64| Bps::over(now.checked_sub(before)?, elapsed_ms);
            host.disk_read_bps = rate(now.read, before.read);
            host.disk_write_bps = rate(now.written, before.written);
        }
        self.disks = now;
    }

    fn cpu_now(&mut self) -> Option<(CpuTime, u32)> {
        parse::cpu(self.stat.text()?)
    }

    fn disks_now(&mut self) -> Option<DiskBytes> {
        let block = self.sysfs.join("block");
        // As with interfaces: what has a device behind it is a disk, the rest (dm, md, loop) rides on disks.
        let known = mem::take(&mut self.is_disk);
        parse::disks(self.diskstats.text()?, |name| {
            let known = known.get(name).copied();
            let is_disk = known.unwrap_or_else(|| block.join(name).join("device").exists());
            self.is_disk.insert(name.to_owned(), is_disk);
            is_disk
        })
    }

    /// Counts the processes when it is time to.
    fn count_processes(&mut self, elapsed_ms: u64) {
        self.count_in_ms = self.count_in_ms.saturating_sub(elapsed_ms);
        if self.count_in_ms == 0 {
            self.processes = self.processes_now();
            let by_number_ms = u64::from(self.processes.unwrap_or(0)) * COUNT_EVERY_MS_PER_PROCESS;
            self.count_in_ms = by_number_ms.max(COUNT_EVERY_MS);
        }
    }

    /// Each process is a folder named by its number; counting them costs no look into any.
    fn processes_now(&self) -> Option<u32> {
        let entries = fs::read_dir(&self.procfs).ok()?;
        let is_process = |name: &[u8]| name.first().is_some_and(u8::is_ascii_digit);
        let count =
            entries.flatten().filter(|entry| is_process(entry.file_name().as_encoded_bytes())).count();
        u32::try_from(count).ok().filter(|count| *count > 0)
    }
}
