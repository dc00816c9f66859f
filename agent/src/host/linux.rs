//! Linux: procfs and sysfs, read directly, because sysinfo reports an unreadable value as 0 or as the last
//! value.

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
    /// Takes a first reading, so that the next one yields rates.
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
