//! What tests of the whole need: real processes, a real broker, a real browser, a host of their own.
//!
//! Nothing here sleeps to synchronise: [`eventually`] looks again until what must come has come, and fails with what
//! it saw last.

pub mod browser;
pub mod cluster;
pub mod counters;
pub mod fake;
pub mod http;
pub mod namespace;
pub mod oracle;
pub mod process;
pub mod proxy;
pub mod trial;
pub mod trio;
pub mod viewer;
pub mod watch;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Whether faults last as long as they do in practice: `cargo xtask test --long`.
pub fn is_long() -> bool {
    std::env::var_os("TIDEMAP_LONG").is_some()
}

/// How often [`eventually`] looks.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until `look` returns `Ok`, or fails with its last error when `within` has passed.
///
/// # Errors
///
/// What `look` said last.
pub async fn eventually<T, F>(within: Duration, mut look: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("not within {within:?}")));
            }
            Err(_) => sleep(LOOK).await,
        }
    }
}
