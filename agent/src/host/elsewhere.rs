//! Other systems, by sysinfo.

use std::path::Path;

use sysinfo::{CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, System};
use tidemap_wire::Host;

use crate::AgentConfig;

/// Reads this host's metrics; processor use is over the time since the reading before.
pub struct HostMetrics {
    /// Absent where sysinfo does not support the system.
    system: Option<System>,
}

impl HostMetrics {
    /// Takes a first reading, so that the next one yields rates.
    pub fn new(_: &AgentConfig) -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
        }
        Self { system }
    }

    /// The root file system is the disk on every other system.
    pub fn disk_path(&self) -> Option<&str> {
        None
    }

    /// The metrics now.
    pub fn read(&mut self, _elapsed_ms: u64) -> Host {
        let mut host = Host { uptime_s: System::uptime().ok(), ..Host::default() };
        if let Ok(load) = System::load_average() {
            (host.load_1, host.load_5, host.load_15) = (Some(load.one), Some(load.five), Some(load.fifteen));
        }
        if let Some(system) = &mut self.system {
            fill(&mut host, system);
        }
        fill_disk(&mut host);
        host
    }
}

fn fill(host: &mut Host, system: &mut System) {
    system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    host.cpu_percent = Some(f64::from(system.global_cpu_usage())).filter(|percent| percent.is_finite());
    host.cpu_count = u32::try_from(system.cpus().len()).ok().filter(|count| *count > 0);
    host.memory_total_bytes = Some(system.total_memory()).filter(|bytes| *bytes > 0);
    host.memory_used_bytes = host.memory_total_bytes.map(|_| system.used_memory());
    host.swap_total_bytes = host.memory_total_bytes.map(|_| system.total_swap());
    host.swap_used_bytes = host.memory_total_bytes.map(|_| system.used_swap());
}

fn fill_disk(host: &mut Host) {
    let Ok(disks) = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage())
    else {
        return;
    };
    let root = Path::new(if cfg!(windows) { "C:\\" } else { "/" });
    if let Some(disk) = disks.iter().find(|disk| disk.mount_point() == root) {
        host.disk_total_bytes = Some(disk.total_space());
        host.disk_used_bytes = disk.total_space().checked_sub(disk.available_space());
    }
}
