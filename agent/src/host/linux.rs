//! Linux: procfs and sysfs, read directly, because sysinfo reports an unreadable value as 0 or as the last
//! value.

mod background;
mod container;
mod cpu;
mod disks;
mod kept_file;
mod memory;
mod mounts;
mod sensors;
mod space;
mod system;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tidemap_service::clock::Stopwatch;
use tidemap_wire::{Host, METRICS};

use self::{
    background::{Background, Request, WAIT},
    container::Container,
    cpu::Cpu,
    disks::Disks,
    kept_file::KeptFile,
    memory::Memory,
    sensors::{Fans, Frequency, Temperature},
    space::{DiskSpace, Space},
    system::System,
};
use crate::AgentConfig;

/// How long the baseline may take: a device may have to wake up first.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Reads this host's metrics; rates are over the time since the reading before.
///
/// Each of its parts is read in a thread of its own, because a reading can hang: a sensor behind a bus that
/// does not answer, a file system on a server that is gone, LXCFS when it is stopped. Such a part is not
/// known after a while, and no other misses it.
#[derive(Debug)]
pub struct HostMetrics {
    metrics: [Background<Host>; 4],
    space: Background<Option<Space>>,
}

/// What procfs and cgroupfs report.
struct KernelFiles {
    cpu: Cpu,
    memory: Memory,
    disks: Disks,
    system: System,
    container: Container,
}

impl HostMetrics {
    /// Takes a first reading, so that the next one yields rates.
    pub fn new(config: &AgentConfig) -> Self {
        let (sysfs, procfs) = (&*config.sysfs_root, &*config.procfs_root);
        let mut files = KernelFiles::new(sysfs, procfs);
        let mut temperature = Temperature::new(sysfs);
        let mut fans = Fans::new(sysfs);
        let mut frequency = Frequency::new(sysfs, procfs);
        let mut space = DiskSpace::new(procfs);
        let mut metrics = Self {
            metrics: [
                Background::start("procfs", move |request| files.read(request)),
                Background::start("temperature", move |_| Host {
                    temperature_c: temperature.celsius(),
                    ..Host::default()
                }),
                Background::start("fans", move |_| Host { fan_rpm: fans.rpm(), ..Host::default() }),
                Background::start("frequency", move |_| Host { cpu_mhz: frequency.mhz(), ..Host::default() }),
            ],
            space: Background::start("disk-space", move |request| space.read(request.elapsed_ms)),
        };
        metrics.read_within(0, FIRST_WAIT);
        metrics
    }

    /// The metrics now, `elapsed_ms` after the reading before.
    pub fn read(&mut self, elapsed_ms: u64) -> Host {
        self.read_within(elapsed_ms, WAIT)
    }

    /// Where the file system is mounted whose space is shown; `None` for the root, or when it is not known.
    pub fn disk_path(&self) -> Option<&str> {
        self.space.latest()?.as_ref()?.path.as_deref()
    }

    /// All parts are asked before the first is waited for, so that together they delay the caller no longer
    /// than one of them.
    fn read_within(&mut self, elapsed_ms: u64, wait: Duration) -> Host {
        let asked = Stopwatch::start();
        let left = || wait.saturating_sub(Duration::from_millis(asked.now_ms()));
        self.metrics.iter_mut().for_each(|metrics| metrics.ask(elapsed_ms));
        self.space.ask(elapsed_ms);
        let mut host = Host::default();
        for metrics in &mut self.metrics {
            if let Some(known) = metrics.answer(left()) {
                add(known, &mut host);
            }
        }
        if let Some(Some(space)) = self.space.answer(left()) {
            host.disk_used_bytes = Some(space.size.used);
            host.disk_total_bytes = Some(space.size.total);
        }
        host
    }
}

/// Adds the metrics of one part.
fn add(part: &Host, host: &mut Host) {
    for metric in METRICS {
        if let Some(value) = part.get(metric.id) {
            host.set(metric.id, value);
        }
    }
}

impl KernelFiles {
    fn new(sysfs: &Path, procfs: &Path) -> Self {
        Self {
            cpu: Cpu::new(procfs),
            memory: Memory::new(procfs),
            disks: Disks::new(sysfs, procfs),
            system: System::new(procfs),
            container: Container::new(sysfs, procfs),
        }
    }

    fn read(&mut self, request: &Request) -> Host {
        let mut host = Host::default();
        self.cpu.read(&mut host);
        self.memory.read(&mut host);
        self.disks.read(&mut host, request);
        self.system.read(&mut host, request.elapsed_ms);
        // Last: a limit is one only if it is below what the host has.
        self.container.read(&mut host);
        host
    }
}

/// The entries of a folder whose names are wanted, in the order of their names. None if it cannot be read.
fn entries(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_wanted = |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(&wanted);
    let mut paths: Vec<_> = entries.flatten().filter(is_wanted).map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// The text of a small file, without the space around it.
fn text(path: &Path) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}
