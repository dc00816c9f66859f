//! One nats-server with one of the configurations of `deploy/cluster`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tidemap_service::child_watchdog::ChildWatchdog;
use tokio::process::{Child, Command};

use crate::{eventually, within};

/// For a server to hand over its clients and end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// What a server is started with, and its process, killed on drop.
pub(super) struct Server {
    binary: PathBuf,
    configuration: PathBuf,
    log: PathBuf,
    environment: Vec<(&'static str, String)>,
    child: Child,
    _watchdog: ChildWatchdog,
}

impl Server {
    /// Starts a server. `environment` is what the configuration asks for; each value is written as in a
    /// configuration.
    pub(super) fn start(
        binary: &Path,
        configuration: PathBuf,
        name: &str,
        mut environment: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Self> {
        environment.push(("TIDEMAP_SERVER", quoted(name)));
        let log = configuration.with_file_name(format!("{name}.log"));
        let (child, watchdog) = spawn(binary, &configuration, &log, &environment)?;
        Ok(Self { binary: binary.to_owned(), configuration, log, environment, child, _watchdog: watchdog })
    }

    /// Starts it again where it was.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        (self.child, self._watchdog) =
            spawn(&self.binary, &self.configuration, &self.log, &self.environment)?;
        Ok(())
    }

    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Signals it and waits until it has ended cleanly.
    pub(super) async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        // It may have ended already, if no client was left.
        self.signal(signal).ok();
        let ended = within(SHUTDOWN_TIMEOUT, self.child.wait()).await;
        let status = ended.with_context(|| format!("a server does not end: {}", self.end_of_log()))??;
        // After SIGTERM, its exit code is 1.
        ensure!(status.success() || status.code() == Some(1), "{status}: {}", self.end_of_log());
        Ok(())
    }

    /// Makes it hand over leaderships and clients (lame duck mode); once the services have followed, it ends.
    pub(super) async fn retire(&mut self) -> anyhow::Result<()> {
        let before = self.retirements();
        self.signal(Signal::USR2)?;
        eventually(SHUTDOWN_TIMEOUT, || async {
            ensure!(self.retirements() > before, "a server does not retire: {}", self.end_of_log());
            Ok(())
        })
        .await?;
        // The remaining clients would now be closed one by one, for minutes.
        self.end(Signal::TERM).await
    }

    /// How often it has begun to close the connections of clients that did not leave.
    fn retirements(&self) -> usize {
        let log = self.log();
        log.matches("Closing existing clients").count() + log.matches("Initiating Shutdown").count()
    }

    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        Ok(kill_process(pid.context("it has ended")?, signal)?)
    }

    /// What it has logged so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(super) fn end_of_log(&self) -> String {
        let log = self.log();
        log.lines().last().unwrap_or_default().to_owned()
    }
}

/// A text, quoted for a configuration.
pub(super) fn quoted(text: impl std::fmt::Display) -> String {
    format!("\"{text}\"")
}

fn spawn(
    binary: &Path,
    configuration: &Path,
    log: &Path,
    environment: &[(&'static str, String)],
) -> anyhow::Result<(Child, ChildWatchdog)> {
    let child = Command::new(binary)
        .arg("-c")
        .arg(configuration)
        .arg("-l")
        .arg(log)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start nats-server")?;
    let watchdog = ChildWatchdog::of_process(child.id().context("it runs")?)?;
    Ok((child, watchdog))
}
