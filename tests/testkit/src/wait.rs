//! Waiting for an event, for as long as it may take on this machine; and letting time pass where time itself
//! is what a test is about.

use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{Instant, sleep, timeout};

use crate::machine::{self, Stalls};

/// How often [`eventually`] polls.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Polls until `poll` returns `Ok`.
pub async fn eventually<T, F>(bound: Duration, mut poll: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let (start, mut stalls) = (Instant::now(), Stalls::default());
    loop {
        let error = match within(bound, poll()).await.and_then(|polled| polled) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let waited = start.elapsed().saturating_sub(stalls.total());
        if waited >= machine::scaled(bound) && waited >= machine::scaled_again(bound) {
            return Err(error.context(machine::describe(bound)));
        }
        let asleep = Instant::now();
        sleep(POLL_INTERVAL).await;
        stalls.add(asleep.elapsed(), POLL_INTERVAL);
    }
}

/// Waits for a future, for as long as `bound` is on this machine.
pub async fn within<T>(bound: Duration, future: impl Future<Output = T>) -> anyhow::Result<T> {
    timeout(machine::scaled(bound), future).await.with_context(|| anyhow!(machine::describe(bound)))
}

/// Lets a fault last for this long: it is what the test is about, and no event ends it.
pub async fn endure(fault: Duration) {
    sleep(fault).await;
}

/// Lets this much time pass while a test watches: what must not happen, or must not change, has no event, so
/// only the end of the time shows that it did not.
pub async fn observe(window: Duration) {
    sleep(window).await;
}

/// Blocks this thread until `due` after `began`. A test's traffic is paced by the clock and not by pauses, so
/// that its rate is exact however long each step takes; no event sets the pace.
pub fn keep_pace(began: Instant, due: Duration) {
    std::thread::sleep(due.saturating_sub(began.elapsed()));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::ensure;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn polling_ends_with_the_first_success() {
        let polls = Cell::new(0);
        let poll = || async {
            polls.set(polls.get() + 1);
            ensure!(polls.get() == 3, "not yet");
            Ok(polls.get())
        };
        assert_eq!(eventually(Duration::from_secs(1), poll).await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bound_that_passes_is_reported_with_the_last_error() {
        let (start, bound) = (Instant::now(), Duration::from_secs(2));
        let error = eventually::<(), _>(bound, || async { Err(anyhow!("still dark")) }).await.unwrap_err();
        assert!(start.elapsed() >= machine::scaled(bound));
        assert!(format!("{error:#}").starts_with("not within 2s"), "{error:#}");
        assert!(format!("{error:#}").ends_with("still dark"), "{error:#}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_never_ends_is_given_up() {
        assert!(within(Duration::from_secs(1), std::future::pending::<()>()).await.is_err());
        assert_eq!(within(Duration::from_secs(1), async { 7 }).await.unwrap(), 7);
    }
}
