//! Makes a broker reload its configuration and its users, and checks that it has.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use async_nats::Client;
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    BrokerError, failed, launch,
    signal::{self, Signal},
};

/// How long a broker may take to reload; thousands of users take it a fifth of a second.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
const RELOADED: &str = "Reloaded server configuration";
const REFUSED: &str = "Failed to reload server configuration";

/// The outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// No broker runs in this folder.
    NotRunning,
    /// The broker has reloaded its configuration.
    Confirmed,
    /// The broker was signalled, but its log cannot be read here; only [`reload_by`] can confirm the reload.
    Unconfirmed,
}

/// Makes the broker that runs in a data folder, if there is one, reload its configuration and its users.
///
/// For commands that change the users while another process, such as a service manager, runs the broker.
///
/// # Errors
///
/// When it cannot be signalled, or logs that it keeps its old configuration.
pub async fn reload_running(dir: &Path) -> Result<Reload, BrokerError> {
    let dir = dir.canonicalize().map_err(failed("cannot find the data folder"))?;
    let Some(process) = Process::in_folder(&dir) else { return Ok(Reload::NotRunning) };
    let log = process.log();
    let logged = log.as_ref().and_then(|log| fs::metadata(log).ok()).map_or(0, |log| log.len());
    signal::send(process.pid, Signal::Reload).map_err(failed("cannot signal nats-server"))?;
    match log {
        Some(log) => timeout(RELOAD_TIMEOUT, outcome(&log, logged)).await.unwrap_or(Ok(Reload::Unconfirmed)),
        None => Ok(Reload::Unconfirmed),
    }
}

/// Makes the broker at the other end of a connection reload its configuration and its users. The connection's
/// user must belong to the system account.
///
/// # Errors
///
/// When it does not answer, or keeps its old configuration.
pub async fn reload_by(client: &Client) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<Refused>,
    }
    #[derive(Deserialize)]
    struct Refused {
        description: String,
    }
    let subject = format!("$SYS.REQ.SERVER.{}.RELOAD", client.server_info().server_id);
    let answer = client.request(subject, "".into()).await.context("the broker does not answer")?;
    let answer: Answer =
        serde_json::from_slice(&answer.payload).context("the broker's answer cannot be read")?;
    if let Some(refused) = answer.error {
        bail!("the broker keeps its old users: {REFUSED}: {}", refused.description);
    }
    Ok(())
}

/// A running broker.
struct Process {
    pid: u32,
    arguments: Vec<PathBuf>,
}

impl Process {
    /// The broker with this folder's configuration, whether Tidemap or a service manager has started it.
    fn in_folder(dir: &Path) -> Option<Self> {
        let pid = fs::read_to_string(launch::pid_file(dir)).ok()?.trim().parse().ok()?;
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let word = |word: &[u8]| PathBuf::from(String::from_utf8_lossy(word).into_owned());
        let process = Self { pid, arguments: command_line.split(|byte| *byte == 0).map(word).collect() };
        let configuration = process.file_after(&["-c", "-config", "--config"])?.canonicalize().ok()?;
        [launch::configuration(dir), dir.join("nats.conf")].contains(&configuration).then_some(process)
    }

    fn log(&self) -> Option<PathBuf> {
        self.file_after(&["-l", "-log", "--log"])
    }

    /// The path that follows one of these flags.
    fn file_after(&self, flags: &[&str]) -> Option<PathBuf> {
        let flag =
            self.arguments.iter().position(|word| flags.iter().any(|flag| word == OsStr::new(flag)))?;
        let folder = PathBuf::from(format!("/proc/{}/cwd", self.pid));
        Some(folder.join(self.arguments.get(flag + 1)?))
    }
}

/// Waits for the outcome in the broker's log after its first `logged` bytes.
async fn outcome(log: &Path, logged: u64) -> Result<Reload, BrokerError> {
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        poll.tick().await;
        let news = tail(log, logged).map_err(failed("cannot read the broker's log"))?;
        // A line without a line break is still being written.
        for line in news.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            if line.contains(RELOADED) {
                return Ok(Reload::Confirmed);
            }
            if let Some(start) = line.find(REFUSED) {
                let error = line.get(start..).unwrap_or(line).trim().to_owned();
                return Err(BrokerError::Refused { error });
            }
        }
    }
}

/// The part of a log after its first `logged` bytes, or all of it if the log is now shorter, that is, was
/// begun again.
pub(super) fn tail(log: &Path, logged: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = if file.metadata()?.len() < logged { 0 } else { logged };
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
