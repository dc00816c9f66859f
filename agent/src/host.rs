//! Host metrics: processor, memory, disk, load, sensors, processes. One that cannot be read is absent.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod kept_file;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod parse;
#[cfg(target_os = "linux")]
mod sensors;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::HostMetrics;
#[cfg(target_os = "linux")]
pub use linux::HostMetrics;
