//! Waiting for a broker. The testkit has more of this, but depends on this crate.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// Far more than a healthy broker takes.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How often [`eventually`] polls.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Polls until `poll` returns `Ok`; after [`TEST_TIMEOUT`] the test fails with the last error.
pub(crate) async fn eventually<T, E: Display>(mut poll: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        match timeout(TEST_TIMEOUT, poll()).await.expect("an attempt ends") {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(POLL_INTERVAL).await;
    }
}
