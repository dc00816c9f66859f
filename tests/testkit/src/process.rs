//! Processes of Tidemap, stopped with the test however it ends.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tidemap_service::child_watchdog::ChildWatchdog;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::within;

/// For a process to print what a test waits for, or to end.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(60);

/// The `tidemap` under test: `$TIDEMAP_BIN`, which `cargo xtask test` sets, else the one beside this test.
pub fn tidemap() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("TIDEMAP_BIN").filter(|path| !path.is_empty()) {
        return Ok(named.into());
    }
    let test = std::env::current_exe()?;
    let beside = test.parent().and_then(Path::parent).context("a test lies in a folder")?.join("tidemap");
    anyhow::ensure!(beside.exists(), "{} is not built: cargo build -p tidemap", beside.display());
    Ok(beside)
}

/// For a process to end with its test, before it is killed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A running `tidemap` command, ended on drop, and when the test itself is ended by a signal.
pub struct Tidemap {
    child: Child,
    _watchdog: ChildWatchdog,
    stdout: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    _folder: TempDir,
}

impl Tidemap {
    /// Starts `tidemap` with these arguments and no environment of Tidemap's.
    pub fn start(args: &[&str]) -> anyhow::Result<Self> {
        Self::start_by(Command::new(tidemap()?), args)
    }

    /// The same through another command, such as `ip netns exec`.
    pub fn start_by(mut command: Command, args: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("stderr");
        clean(&mut command);
        let mut child = command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let watchdog = ChildWatchdog::of_process(child.id().context("it runs")?)?;
        Ok(Self { child, _watchdog: watchdog, stdout: BufReader::new(stdout).lines(), log, _folder: folder })
    }

    /// Starts `tidemap up` in `data_dir`; returns the page's address as soon as it is printed.
    pub async fn up(data_dir: &Path, more: &[&str]) -> anyhow::Result<(Self, String)> {
        let data_dir = data_dir.to_str().context("a readable path")?;
        let args = [&["up", "--http", "127.0.0.1:0", "--data-dir", data_dir], more].concat();
        let mut up = Self::start(&args)?;
        let url = up.url().await?;
        Ok((up, url))
    }

    /// Waits until the process prints its page's address.
    pub async fn url(&mut self) -> anyhow::Result<String> {
        loop {
            match within(PROCESS_TIMEOUT, self.stdout.next_line()).await.context("no word from tidemap")?? {
                Some(line) => {
                    if let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) {
                        return Ok(url.to_owned());
                    }
                }
                None => bail!("tidemap ended early: {}", self.log()),
            }
        }
    }

    /// The next line that the process prints on standard output.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        let line =
            within(PROCESS_TIMEOUT, self.stdout.next_line()).await.context("no word from tidemap")??;
        line.with_context(|| format!("tidemap ended: {}", self.log()))
    }

    /// Its standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_else(|error| error.to_string())
    }

    /// Its process id; 0 once it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Sends SIGTERM, as a service manager does, and waits until it has ended.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(rustix::process::Signal::TERM)?;
        self.ended().await
    }

    /// Sends SIGINT, as Ctrl-C does, and waits until it has ended.
    pub async fn interrupt(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(rustix::process::Signal::INT)?;
        self.ended().await
    }

    /// Sends SIGHUP, as the kernel does when a terminal is closed.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::HUP)
    }

    /// Kills it without warning.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Freezes it with SIGSTOP, as a machine that hangs does.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::STOP)
    }

    /// Lets a frozen process continue.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(rustix::process::Signal::CONT)
    }

    /// Waits until it ends.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        within(PROCESS_TIMEOUT, self.child.wait())
            .await
            .with_context(|| format!("does not end: {}", self.log()))?
            .map_err(Into::into)
    }

    fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw);
        Ok(rustix::process::kill_process(pid.context("it has ended already")?, signal)?)
    }
}

impl Drop for Tidemap {
    /// A killed `up` would leave its broker behind, so it is asked first, and killed if it does not end.
    #[expect(clippy::disallowed_types, reason = "it waits on the thread, where a paused clock stands still")]
    fn drop(&mut self) {
        let asked = self.signal(rustix::process::Signal::TERM).is_ok();
        // A frozen process receives no signal; an error means that it has ended.
        self.thaw().ok();
        let deadline = std::time::Instant::now() + SHUTDOWN_TIMEOUT;
        while asked && matches!(self.child.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Runs `tidemap` to its end and returns its exit code and what it wrote to standard error.
pub async fn run_to_end(args: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = Command::new(tidemap()?);
    clean(&mut command);
    let mut child = command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stderr = child.stderr.take().context("its errors are piped")?;
    let mut text = String::new();
    let ended = async {
        stderr.read_to_string(&mut text).await?;
        child.wait().await
    };
    let status = within(PROCESS_TIMEOUT, ended).await.context("does not end")??;
    Ok((status.code(), text))
}

/// Tests set every variable themselves, so the developer's own environment must not have an effect.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let ours = name.starts_with("TIDEMAP_")
            && !matches!(name.as_str(), "TIDEMAP_NATS_SERVER" | "TIDEMAP_TOOLS_DIR");
        let shared = [
            "NODE_NAME",
            "REPORT_INTERVAL",
            "NODE_TIMEOUT_SECONDS",
            "CLEANUP_GRACE_PERIOD_SECONDS",
            "RUST_LOG",
        ];
        if ours || shared.contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
}
