//! What this process tells the service manager that has started it (systemd's `Type=notify`): that it is
//! ready, that it is alive, that it is ending. Without one, nothing is sent.

/// Tells that this process now does what it is for. The first time counts.
pub fn ready() {
    #[cfg(unix)]
    tell(sd_notify::NotifyState::Ready);
}

/// Tells that this process is ending. Called before anything else learns of it, because the process may end
/// at once.
pub(crate) fn stopping() {
    #[cfg(unix)]
    tell(sd_notify::NotifyState::Stopping);
}

/// Tells that this process is alive, as often as the service manager wants to hear it, until the process
/// ends: ending has a limit of its own (`TimeoutStopSec`), but the watchdog's goes on.
///
/// It runs on the runtime that does the work, so a runtime that stands still is restarted.
#[cfg(unix)]
pub(crate) async fn keep_informed() {
    use tokio::time::{MissedTickBehavior, interval};

    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else { return };
    // systemd's own advice: twice in the time after which it would act.
    let mut beat = interval(limit / 2);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        tell(sd_notify::NotifyState::Watchdog);
    }
}

#[cfg(not(unix))]
pub(crate) async fn keep_informed() {}

#[cfg(unix)]
fn tell(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
