//! What `nats.conf` lets each user do, asked of a real nats-server.
//!
//! Each attempt prints one line: what was tried → what the broker said → what changed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod agent;
mod disguise;
mod entry;
mod fleet;
mod programs;
mod raw;
mod relay;
mod reload;
#[path = "../parts/user.rs"]
mod user;
