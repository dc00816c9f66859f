//! Stops a broker whose owner was killed and so could not stop it.

use std::{fs, path::Path, time::Duration};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    BrokerError, SHUTDOWN_TIMEOUT, failed, launch,
    signal::{self, Signal},
};

/// How often to check whether it has ended. It is not a child of this process, so nothing notifies this one.
const POLL: Duration = Duration::from_millis(20);

/// Stops the broker that still runs in this folder, if there is one. The caller holds the folder's lock, so
/// the broker's owner no longer runs.
pub(super) async fn stop(dir: &Path) -> Result<(), BrokerError> {
    let Some(pid) = running(dir) else { return Ok(()) };
    tracing::warn!(pid, "stopping the nats-server that a killed tidemap left behind");
    signal::send(pid, Signal::Terminate).map_err(failed("cannot stop the nats-server left behind"))?;
    if timeout(SHUTDOWN_TIMEOUT, ended(dir, pid)).await.is_err() {
        signal::send(pid, Signal::Kill).map_err(failed("cannot kill the nats-server left behind"))?;
        ended(dir, pid).await;
    }
    Ok(())
}

/// The process of the broker that runs in this folder.
fn running(dir: &Path) -> Option<u32> {
    let pid = fs::read_to_string(launch::pid_file(dir)).ok()?.trim().parse().ok()?;
    is_ours(dir, pid).then_some(pid)
}

async fn ended(dir: &Path, pid: u32) {
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while is_ours(dir, pid) {
        poll.tick().await;
    }
}

/// Whether a process is a broker with this folder's configuration; the number may have passed to another
/// process.
fn is_ours(dir: &Path, pid: u32) -> bool {
    let configuration = launch::configuration(dir);
    let Ok(command_line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    command_line.split(|byte| *byte == 0).any(|word| word == configuration.as_os_str().as_encoded_bytes())
}
