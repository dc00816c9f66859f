//! A nats-server as a child process: found or fetched, started with our `nats.conf`, stopped with its owner.

mod disk;
mod fetch;
mod launch;
mod locate;
mod orphan;
mod port;
mod reload;
mod signal;
mod storage;

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, SystemTime},
};

use tokio::time::timeout;

use crate::{
    data_dir::{self, DataDirError},
    files::PathError,
    keys::KeysError,
    tls::Certificates,
};
use launch::{Launch, ServerProcess};
use signal::Signal;

pub use disk::{DiskNews, DiskWatch, free_bytes};
pub use launch::{certificate, prepare, process};
pub use locate::{default_tools_dir, locate};
pub use reload::{Reload, reload_by, reload_running};

/// A broker that has not ended by then, after it was asked to, is killed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// There is none on this machine, and none could be fetched.
    #[error(
        "no nats-server: {reason}; install 2.12.8 or newer from https://nats.io/download and put it on PATH, \
         or name it in TIDEMAP_NATS_SERVER"
    )]
    NotFound {
        /// Why it could not be fetched.
        reason: String,
    },
    /// The one that `TIDEMAP_NATS_SERVER` names cannot be used.
    #[error("TIDEMAP_NATS_SERVER: {} {reason}", path.display())]
    Unusable {
        /// The program that was named.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It ended before it was ready.
    #[error("nats-server ended with {status}: {last_error}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// Its last error.
        last_error: String,
    },
    /// It runs, but has not reported its address.
    #[error("nats-server was not ready within {} s, see {}", launch::READY_TIMEOUT.as_secs(), log.display())]
    Silent {
        /// Its log.
        log: PathBuf,
    },
    /// It was asked to reload its configuration, and could not.
    #[error("the broker keeps its old users: {error}")]
    Refused {
        /// Its error.
        error: String,
    },
    /// A file or process cannot be used.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried.
        what: String,
        /// The operating system's error. It is in the message, so no `source`, which `{:#}` would append.
        cause: io::Error,
    },
    /// Another process runs a broker in this data folder, or the folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The broker's users cannot be made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A file of the broker's cannot be written.
    #[error(transparent)]
    File(#[from] PathError),
}

/// The broker's data folder, and its address.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// The data folder: keys, users, configuration, the log of reports.
    pub dir: PathBuf,
    /// The address to listen on; without one, a port of the loopback interface. A port that is not given, or
    /// 0, is the one of the start before, and at first a free one.
    pub listen: Option<SocketAddr>,
    /// The certificate that it presents to clients; without one, it does not use TLS.
    pub tls: Option<Certificates>,
}

/// A running nats-server, killed on drop, and ended with this process in whatever way that ends.
#[derive(Debug)]
pub struct Broker {
    launch: Launch,
    process: ServerProcess,
    address: SocketAddr,
    _lock: File,
}

impl Broker {
    /// Starts `binary` and returns once it accepts connections. Creates keys and configuration if they are
    /// missing.
    ///
    /// # Errors
    ///
    /// When another process runs a broker in this folder, a file cannot be written, or the broker does not
    /// become ready.
    pub async fn start(binary: &Path, config: BrokerConfig) -> Result<Self, BrokerError> {
        data_dir::create(&config.dir)?;
        // The folder must be absolute: the broker looks for included files beside its configuration.
        let dir = config.dir.canonicalize().map_err(failed("cannot find the data folder"))?;
        let lock = data_dir::lock_file(&dir, "broker.lock")?;
        orphan::stop(&dir).await?;
        let listen = config.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let kept = if listen.port() == 0 { port::kept(&dir, listen.ip()) } else { listen.port() };
        let launch = Launch { binary: binary.to_owned(), dir, ip: listen.ip(), tls: config.tls };
        let (process, address) = launch.start(kept).await?;
        if listen.port() == 0 {
            port::keep(&launch.dir, address.port())?;
        }
        Ok(Self { launch, process, address, _lock: lock })
    }

    /// Where clients on this host connect.
    pub fn url(&self) -> String {
        let scheme = if self.launch.tls.is_some() { "tls" } else { "nats" };
        format!("{scheme}://{}", self.address)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process; `None` once it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.process.child.id()
    }

    /// Makes it reload its configuration and its users.
    ///
    /// # Errors
    ///
    /// When it no longer runs.
    pub fn reload(&self) -> Result<(), BrokerError> {
        self.signal(Signal::Reload)
    }

    /// When the files of its certificate were changed last; each change needs a [`Broker::reload`].
    pub fn certificate_changed(&self) -> Vec<Option<SystemTime>> {
        let files = self.launch.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
        files.map(|file| file.metadata().and_then(|found| found.modified()).ok()).collect()
    }

    /// Waits until it ends by itself, which would be a fault.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub async fn wait_exit(&mut self) -> Result<ExitStatus, BrokerError> {
        self.process.child.wait().await.map_err(failed("cannot wait for nats-server"))
    }

    /// Asks it to end, and kills it if it does not within five seconds.
    ///
    /// # Errors
    ///
    /// When it can neither be signalled nor be killed.
    pub async fn stop(&mut self) -> Result<(), BrokerError> {
        if self.pid().is_none() {
            return Ok(());
        }
        self.signal(Signal::Terminate)?;
        if timeout(SHUTDOWN_TIMEOUT, self.process.child.wait()).await.is_err() {
            tracing::warn!(timeout_s = SHUTDOWN_TIMEOUT.as_secs(), "nats-server does not end; killing it");
            self.kill().await?;
        }
        Ok(())
    }

    /// Kills it at once, as a power failure would.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<(), BrokerError> {
        self.process.child.kill().await.map_err(failed("cannot kill nats-server"))
    }

    /// Starts it again on the same address; stops it first if it still runs.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn restart(&mut self) -> Result<(), BrokerError> {
        self.stop().await?;
        (self.process, self.address) = self.launch.start(self.address.port()).await?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), BrokerError> {
        let pid =
            self.pid().ok_or_else(|| failed("cannot signal nats-server")(io::ErrorKind::NotFound.into()))?;
        signal::send(pid, signal).map_err(failed("cannot signal nats-server"))
    }
}

/// Keeps our variables, of which some are secrets, out of another program's environment, which every process
/// of this user can read; and those by which a service manager asks this process how it is.
fn keep_secrets(command: &mut Command) -> &mut Command {
    let ours = |name: &std::ffi::OsString| {
        name.as_encoded_bytes().starts_with(b"TIDEMAP_")
            || ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].iter().any(|other| name == other)
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> BrokerError {
    let what = what.to_owned();
    move |cause| BrokerError::Io { what, cause }
}
