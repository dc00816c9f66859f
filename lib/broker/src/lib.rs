//! Administers a nats-server: its process, its data folder, keys, signed accounts and certificates.
//!
//! Only `tidemap` and tests depend on it. A station connects with credentials that it was given, and cannot
//! create any.
#![warn(missing_docs)]

pub mod data_dir;
mod files;
pub mod invites;
pub mod jwt;
pub mod keys;
mod server;
pub mod tls;
pub mod unpublished;

pub use files::PathError;
pub use server::{
    Broker, BrokerConfig, BrokerError, DiskNews, DiskWatch, Reload, certificate, default_tools_dir,
    free_bytes, locate, prepare, process, reload_by, reload_running,
};
