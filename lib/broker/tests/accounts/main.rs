//! The permissions of `nats.conf`, tested on a real nats-server.
//!
//! Each attempt prints one line: the attempt → the broker's answer → the change.
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
#[path = "../parts/wait.rs"]
mod wait;
