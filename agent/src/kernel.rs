//! The kernel's view of this host's interfaces: the topology and the counters.
//!
//! On Linux it is read from sysfs and procfs, whose roots are arguments. On other systems it comes from
//! sysinfo, which provides no topology; `elsewhere` has the rule for these.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod names;
#[cfg(target_os = "linux")]
mod net_dev;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
mod ppp_tunnels;
#[cfg(target_os = "linux")]
mod routes;
#[cfg(target_os = "linux")]
mod sysfs;
#[cfg(target_os = "linux")]
mod tables;
#[cfg(target_os = "linux")]
mod view;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::Kernel;
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::RULE;
#[cfg(target_os = "linux")]
pub use linux::Kernel;
#[cfg(target_os = "linux")]
pub(crate) use linux::RULE;

/// Errors and drops of an interface since its driver started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// Receive errors.
    pub rx_errors: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Received packets that were dropped.
    pub rx_drops: u64,
    /// Packets to be sent that were dropped.
    pub tx_drops: u64,
}
