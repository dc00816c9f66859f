//! Signals to a nats-server process.

use std::io;

/// The signals that nats-server handles.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// Reload the configuration.
    Reload,
    /// Shut down in an orderly way.
    Terminate,
    /// End now.
    Kill,
}

/// Sends a signal to a process.
#[cfg(unix)]
pub(super) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    use rustix::process::{Pid, kill_process};
    let signal = match signal {
        Signal::Reload => rustix::process::Signal::HUP,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, signal)?)
}

/// This system has no signals: a broker is killed by its handle, and restarted to reload its users.
#[cfg(not(unix))]
pub(super) fn send(_pid: u32, _signal: Signal) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
