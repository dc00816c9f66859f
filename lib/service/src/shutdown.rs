//! Shutdown on SIGINT or SIGTERM, as a token that every task holds.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled on the first SIGINT or SIGTERM. A second signal ends the process at once.
///
/// # Errors
///
/// When the signal handlers cannot be installed.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let stop = token.clone();
    // The task lives as long as the process, so nothing awaits it.
    tokio::spawn(async move {
        signals.next().await;
        stop.cancel();
        signals.next().await;
        std::process::exit(130);
    });
    Ok(token)
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            // Ctrl-C.
            _ = self.0.recv() => {}
            // A service manager stops the process.
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
