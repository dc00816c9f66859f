//! Shared by tests: brokers, processes, a proxy, HTTP clients, a browser, and waiting for events.
//!
//! Nothing here sleeps to synchronise: [`eventually`] polls until a condition holds, and fails with the last
//! error. Where time itself is what a test is about, [`endure`], [`observe`] and [`keep_pace`] say so. Every
//! bound of time is for a machine of usual speed; [`machine`] stretches it on a slower or busier one.

pub mod booted;
pub mod broker;
pub mod browser;
pub mod client;
pub mod cluster;
pub mod counters;
pub mod fake;
pub mod history;
pub mod http;
pub mod machine;
pub mod namespace;
pub mod nginx;
pub mod port;
pub mod probe;
pub mod process;
pub mod proxy;
pub mod sink;
pub mod stream;
pub mod usage;
pub mod viewer;
pub mod wait;
pub mod watch;

pub use wait::{endure, eventually, keep_pace, observe, undisturbed, within};

/// Whether faults last as long as they do in practice: `cargo xtask test --long`.
pub fn is_long() -> bool {
    std::env::var_os("TIDEMAP_LONG").is_some()
}
