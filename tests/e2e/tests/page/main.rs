//! The page in a real Chromium.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::time::Duration;

mod axe;
mod broken;
mod charts;
mod crash;
mod details;
mod events;
mod fill;
mod gallery;
mod groups;
mod guises;
mod manners;
mod map;
mod past;
mod picture;
mod proxied;
mod readme;
mod services;
mod shared;
mod signs;
mod station;
mod steering;
mod tasks;
mod traffic;
mod visit;

/// For what the page shows to change, on a machine that is busy with other things.
const PAGE_TIMEOUT: Duration = Duration::from_secs(15);

/// Whether this run replaces the pictures that are kept.
fn is_blessing() -> bool {
    std::env::var_os("TIDEMAP_BLESS").is_some()
}
