//! Host metrics: processors, memory, disks, sensors, the system as a whole. One that cannot be read is
//! absent.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::HostMetrics;
#[cfg(target_os = "linux")]
pub use linux::HostMetrics;
