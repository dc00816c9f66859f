//! What this host's kernel tells of its interfaces: the topology and the counters.
//!
//! Linux is read from sysfs and procfs, whose places are arguments. Elsewhere sysinfo is asked, which knows no topology:
//! see the rule there.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub mod routes;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Kernel, RULE};
#[cfg(target_os = "linux")]
pub use linux::{Kernel, RULE};

/// Errors and drops of an interface since its driver began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Receive and transmit errors.
    pub errors: u64,
    /// Packets dropped.
    pub drops: u64,
}
