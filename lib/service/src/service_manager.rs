//! What this process tells the service manager that has started it (systemd's `Type=notify`): that it is
//! ready, that it is alive, that it is ending. Without one, nothing is sent.

use tokio_util::sync::CancellationToken;

/// Tells that this process now does what it is for. The first time counts.
pub fn ready() {
    #[cfg(unix)]
    tell(sd_notify::NotifyState::Ready);
}

/// Tells that this process is alive, as often as the service manager wants to hear it; from `stop` on also
/// that it is ending.
///
/// It runs on the runtime that does the work, so a runtime that stands still is restarted.
#[cfg(unix)]
pub(crate) async fn keep_informed(stop: CancellationToken) {
    use sd_notify::NotifyState;
    use tokio::time::{MissedTickBehavior, interval};

    if let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) {
        // systemd's own advice: twice in the time after which it would act.
        let mut beat = interval(limit / 2);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(beat.tick()).await.is_some() {
            tell(NotifyState::Watchdog);
        }
        tell(NotifyState::Stopping);
        // Ending has a limit of its own (`TimeoutStopSec`), but the watchdog's goes on until the end.
        loop {
            beat.tick().await;
            tell(NotifyState::Watchdog);
        }
    }
    stop.cancelled().await;
    tell(NotifyState::Stopping);
}

#[cfg(not(unix))]
pub(crate) async fn keep_informed(_stop: CancellationToken) {}

#[cfg(unix)]
fn tell(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
