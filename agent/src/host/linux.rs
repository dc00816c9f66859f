//! Linux: procfs and sysfs, read directly. sysinfo reports an unreadable value as 0 or as its last one.

mod cpu;
mod disks;
mod kept_file;
mod memory;
mod sensors;
mod system;

use tidemap_wire::Host;

use self::{cpu::Cpu, disks::Disks, kept_file::KeptFile, memory::Memory, sensors::Sensors, system::System};
use crate::AgentConfig;

/// Reads this host's metrics; rates are over the time since the reading before.
#[derive(Debug)]
pub struct HostMetrics {
    cpu: Cpu,
    memory: Memory,
    disks: Disks,
    sensors: Sensors,
    system: System,
}

impl HostMetrics {
    /// Begins with a first reading, so that the next one knows its rates.
    pub fn new(config: &AgentConfig) -> Self {
        let (sysfs, procfs) = (&*config.sysfs_root, &*config.procfs_root);
        Self {
            cpu: Cpu::new(procfs),
            memory: Memory::new(procfs),
            disks: Disks::new(sysfs, procfs),
            sensors: Sensors::find(sysfs, procfs),
            system: System::new(procfs),
        }
    }

    /// The metrics now, `elapsed_ms` after the reading before.
    pub fn read(&mut self, elapsed_ms: u64) -> Host {
        let mut host = Host::default();
        self.cpu.read(&mut host);
        self.memory.read(&mut host);
        self.disks.read(&mut host, elapsed_ms);
        self.sensors.read(&mut host);
        self.system.read(&mut host, elapsed_ms);
        host
    }
}
