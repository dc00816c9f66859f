//! Waiting for an event, for as long as it may take on this machine; and letting time pass where time itself
//! is what a test is about.

use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::{Instant, sleep, timeout};

use crate::machine::{self, Stalls};

/// How often [`eventually`] polls.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Nothing that a test waits for is given up earlier. A bound says when there is no more hope and not how
/// fast something is, since any process may stand still for seconds.
const LEAST_BOUND: Duration = Duration::from_secs(60);
/// An attempt that has not ended after this part of the bound is made again: what it waits for may be lost,
/// such as the answer of a cluster that had no leader yet.
const ATTEMPTS_WITHIN_BOUND: u32 = 4;
/// How often [`undisturbed`] tries.
const ATTEMPTS: usize = 5;

/// Polls until `poll` returns `Ok`. Gives up after `bound`, or after a minute if that is later.
pub async fn eventually<T, F>(bound: Duration, mut poll: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let (start, mut stalls) = (Instant::now(), Stalls::default());
    loop {
        let error = match timeout(limit(bound) / ATTEMPTS_WITHIN_BOUND, poll()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error,
            Err(_) => anyhow!("an attempt did not end"),
        };
        let waited = start.elapsed().saturating_sub(stalls.total());
        if waited >= limit(bound) && waited >= machine::scaled_again(bound) {
            return Err(error.context(machine::describe(bound)));
        }
        let asleep = Instant::now();
        sleep(POLL_INTERVAL).await;
        stalls.add(asleep.elapsed(), POLL_INTERVAL);
    }
}

/// Waits for a future, for as long as `bound` is on this machine, or for a minute if that is longer.
pub async fn within<T>(bound: Duration, future: impl Future<Output = T>) -> anyhow::Result<T> {
    timeout(limit(bound), future).await.with_context(|| anyhow!(machine::describe(bound)))
}

fn limit(bound: Duration) -> Duration {
    machine::scaled(bound).max(LEAST_BOUND)
}

/// Repeats a test of how long something takes, up to five times, until it passes: a process that stands still
/// for a moment spoils one attempt, a defect spoils all. Returns the last failure.
pub async fn undisturbed<T>(mut attempt: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    for number in 1..ATTEMPTS {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => eprintln!("attempt {number} of {ATTEMPTS}: {error:#}"),
        }
    }
    attempt().await
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
        assert!(start.elapsed() >= LEAST_BOUND);
        assert!(start.elapsed() >= machine::scaled(bound));
        assert!(format!("{error:#}").starts_with("not within 2s"), "{error:#}");
        assert!(format!("{error:#}").ends_with("still dark"), "{error:#}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_never_ends_is_given_up() {
        assert!(within(Duration::from_secs(1), std::future::pending::<()>()).await.is_err());
        assert_eq!(within(Duration::from_secs(1), async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_fails_once_is_tried_again_and_what_fails_always_fails() {
        let attempts = Cell::new(0);
        let fails_until = async |last: usize| {
            attempts.set(attempts.get() + 1);
            ensure!(attempts.get() > last, "disturbed");
            Ok(attempts.get())
        };
        assert_eq!(undisturbed(async || fails_until(1).await).await.unwrap(), 2);
        attempts.set(0);
        assert_eq!(undisturbed(async || fails_until(9).await).await.unwrap_err().to_string(), "disturbed");
        assert_eq!(attempts.get(), ATTEMPTS);
    }
}
