//! What every Tidemap process shares: command line, logs, shutdown, connection, streams.
//!
//! Error policy of the workspace: libraries whose callers can act on a failure define a `thiserror` enum;
//! everything on the way to `main` is `anyhow` with context, and [`cli::exit`] prints it once, as one line.
//! Exit code 64 means that the command line or the environment was wrong, 1 means that something else was.
#![warn(missing_docs)]

pub mod causes;
pub mod child_watchdog;
pub mod cli;
pub mod clock;
pub mod deadline;
pub mod invite;
pub mod listen_address;
pub mod logging;
pub mod moment;
pub mod open_files;
pub mod service_manager;
pub mod shutdown;
pub mod stderr;
pub mod text_file;
pub mod watched_file;
#[cfg(feature = "web-client")]
pub mod web_client;

pub mod acks;
pub mod log_reader;
pub mod nats;
pub mod streams;

pub mod exposition;
