//! Shutdown on a signal, as a token that every task holds.

use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::service_manager;

/// One wish to end this process may come as several signals: `timeout` sends SIGTERM to the process and to
/// its group, a closed terminal's SIGHUP comes from the kernel and from the shell.
const ONE_WISH: Duration = Duration::from_secs(1);

/// A token that is cancelled on the first SIGINT, SIGTERM or SIGHUP. A signal that comes more than a second
/// later ends the process at once. The service manager, if there is one, is kept informed. Call it once, from
/// `main`.
///
/// # Errors
///
/// When the signal handlers cannot be installed.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let stop = token.clone();
    // The tasks live as long as the process, so nothing awaits them.
    tokio::spawn(service_manager::keep_informed());
    tokio::spawn(async move {
        signals.next().await;
        service_manager::stopping();
        stop.cancel();
        let same_wish = async {
            loop {
                signals.next().await;
            }
        };
        tokio::time::timeout(ONE_WISH, same_wish).await.ok();
        signals.next().await;
        std::process::exit(130);
    });
    Ok(token)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// None when this process is to outlive its terminal.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Ctrl-C.
            _ = self.interrupt.recv() => {}
            // A service manager stops the process.
            _ = self.terminate.recv() => {}
            // The terminal was closed, or the connection to it is lost.
            _ = hangup => {}
        }
    }
}

/// Whether this process was started so that SIGHUP has no effect, as `nohup` does. A handler would undo that.
/// Known on Linux only.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_first_signal(&status))
}

/// Whether a process with this status ignores signal 1, which is SIGHUP.
#[cfg(unix)]
fn ignores_first_signal(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u128::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_ignores_is_read_from_its_status() {
        // Rust programs ignore SIGPIPE, which is signal 13.
        for (status, ignored) in [
            ("Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
            ("SigIgn:\t0000000000001001\n", true),
            ("", false),
        ] {
            assert_eq!(ignores_first_signal(status), ignored, "{status}");
        }
    }
}
