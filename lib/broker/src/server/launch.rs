//! One start of a nats-server in a data folder.

use std::{
    fs::{self, OpenOptions},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tidemap_service::child_watchdog::ChildWatchdog;
use tidemap_wire::timing;
use tokio::{
    process::{Child, Command},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{BrokerError, failed, keep_secrets, storage};
use crate::{
    files::{create_private, open_here, write_if_changed},
    keys::Keys,
    tls::Certificates,
};

/// How long a broker may take until it is ready; it reads its whole log first.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// The configuration that all brokers include.
const CONFIGURATION: &str = include_str!("../../../../nats.conf");

/// What to start, and where.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) binary: PathBuf,
    /// The data folder, absolute.
    pub(super) dir: PathBuf,
    /// The address on which it listens.
    pub(super) ip: IpAddr,
    /// The certificate that it presents to clients.
    pub(super) tls: Option<Certificates>,
}

/// A broker's process, killed on drop.
#[derive(Debug)]
pub(super) struct ServerProcess {
    pub(super) child: Child,
    /// Dropped after the child.
    _watchdog: Option<ChildWatchdog>,
}

/// Creates what a broker needs in a data folder: keys, users, and `nats.conf`.
///
/// # Errors
///
/// When a file cannot be written.
pub fn prepare(dir: &Path) -> Result<Keys, BrokerError> {
    create_private(dir).map_err(failed("cannot make the data folder"))?;
    let keys = Keys::open_or_create(dir)?;
    write_if_changed(&dir.join("nats.conf"), CONFIGURATION)?;
    Ok(keys)
}

impl Launch {
    /// Starts the broker on a port (0: any free port), and waits until it is ready. Returns the address at
    /// which this host reaches it.
    pub(super) async fn start(&self, port: u16) -> Result<(ServerProcess, SocketAddr), BrokerError> {
        prepare(&self.dir)?;
        write_if_changed(&configuration(&self.dir), &self.wrapper())?;
        self.empty_ports_folder().map_err(failed("cannot prepare the data folder"))?;
        let logged = fs::metadata(self.log()).map_or(0, |log| log.len());
        let mut process = self.spawn(port)?;
        let address = self.ready(&mut process.child, logged).await?;
        // A broker that listens everywhere also listens on the loopback interface.
        let ip = if self.ip.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { self.ip };
        Ok((process, SocketAddr::new(ip, address.port())))
    }

    fn spawn(&self, port: u16) -> Result<ServerProcess, BrokerError> {
        let stderr = open_here(&self.stderr(), OpenOptions::new().write(true).create(true).truncate(true))
            .map_err(failed("cannot write to the data folder"))?;
        // For nats-server 0 is the default port, and -1 any free port.
        let port = if port == 0 { "-1".to_owned() } else { port.to_string() };
        let mut command = Command::new(&self.binary);
        keep_secrets(command.as_std_mut());
        command.arg("-c").arg(configuration(&self.dir));
        command.arg("-a").arg(self.ip.to_string()).arg("-p").arg(port);
        command.arg("--ports_file_dir").arg(self.ports_folder());
        command.arg("-P").arg(pid_file(&self.dir)).arg("-l").arg(self.log());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).kill_on_drop(true);
        // Ctrl-C reaches every process of the terminal's group; our connections must drain before the broker
        // ends.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(failed(&format!("cannot start {}", self.binary.display())))?;
        let watchdog = child.id().map(ChildWatchdog::of_group).transpose();
        // The next start in this folder would end it.
        let watchdog = watchdog.inspect_err(|error| tracing::debug!(%error, "no watchdog for nats-server"));
        Ok(ServerProcess { child, _watchdog: watchdog.unwrap_or(None) })
    }

    /// Waits for the file in which the broker reports its address.
    async fn ready(&self, child: &mut Child, logged: u64) -> Result<SocketAddr, BrokerError> {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = sleep(READY_TIMEOUT);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                // It has ended.
                status = child.wait() => {
                    let status = status.map_err(failed("cannot wait for nats-server"))?;
                    return Err(BrokerError::Exited { status, last_error: self.last_error(logged) });
                }
                // It does not become ready.
                () = &mut deadline => return Err(BrokerError::Silent { log: self.log() }),
                // Time to look again.
                _ = poll.tick() => if let Some(address) = self.ports_file() {
                    return Ok(address);
                }
            }
        }
    }

    fn empty_ports_folder(&self) -> std::io::Result<()> {
        create_private(&self.ports_folder())?;
        for entry in fs::read_dir(self.ports_folder())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// The broker's address, once it has reported it. The file's name holds a process number, which is not
    /// the child's when the binary is a wrapper script. The folder was emptied before, so any file is this
    /// broker's.
    fn ports_file(&self) -> Option<SocketAddr> {
        #[derive(Deserialize)]
        struct Ports {
            nats: Vec<String>,
        }
        let file = fs::read_dir(self.ports_folder()).ok()?.next()?.ok()?.path();
        // A file that is still being written is not valid JSON, and is read again later.
        let ports: Ports = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        ports.nats.iter().find_map(|url| url.split_once("://")?.1.parse().ok())
    }

    /// The last error in its log after the first `logged` bytes.
    fn last_error(&self, logged: u64) -> String {
        let stderr = fs::read_to_string(self.stderr()).unwrap_or_default();
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let log = usize::try_from(logged).ok().and_then(|start| log.get(start..)).unwrap_or(&log);
        let complaints =
            log.lines().filter_map(|line| line.split_once("[FTL] ").or(line.split_once("[ERR] ")));
        let complaint = complaints.map(|(_, words)| words).next_back();
        let words = stderr.trim().lines().last().or(complaint);
        words.map_or_else(|| format!("see {}", self.log().display()), str::to_owned)
    }

    /// A configuration that includes `nats.conf` and adds what is specific to this data folder.
    fn wrapper(&self) -> String {
        // Not by the flag `-sd`: with it, some nats-servers refuse to reload their users.
        let mut text = format!(
            "# Written by Tidemap at each start.\ninclude \"nats.conf\"\nstore_dir: {:?}\n",
            self.dir
        );
        if let Some(limit) = storage::limit(&self.dir) {
            // It replaces the block of `nats.conf`, so what is there is repeated.
            let sync_s = timing::BROKER_SYNC.as_secs();
            text += &format!("jetstream {{ sync_interval: \"{sync_s}s\", max_file_store: {limit} }}\n");
        }
        if let Some(tls) = &self.tls {
            // Handshakes are slow while a whole fleet reconnects; the default is 2 seconds.
            text += &format!(
                "tls {{ cert_file: {:?}, key_file: {:?}, timeout: 10 }}\n",
                tls.certificate, tls.key
            );
        }
        text
    }

    fn ports_folder(&self) -> PathBuf {
        self.dir.join("ports")
    }

    fn log(&self) -> PathBuf {
        log(&self.dir)
    }

    fn stderr(&self) -> PathBuf {
        self.dir.join("nats-server.err")
    }
}

/// The certificate and the key that the broker of a data folder was last started with.
pub fn certificate(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let text = fs::read_to_string(configuration(dir)).ok()?;
    let line = text.lines().find(|line| line.starts_with("tls {"))?;
    let after = |name: &str| Some(PathBuf::from(line.split_once(name)?.1.split('"').nth(1)?));
    Some((after("cert_file:")?, after("key_file:")?))
}

/// The process number of the broker of a data folder, as it has written it; it may have ended since.
pub fn process(dir: &Path) -> Option<u32> {
    fs::read_to_string(pid_file(dir)).ok()?.trim().parse().ok()
}

/// The configuration with which the broker of a data folder is started.
pub(super) fn configuration(dir: &Path) -> PathBuf {
    dir.join("broker.conf")
}

/// Where the broker logs.
pub(super) fn log(dir: &Path) -> PathBuf {
    dir.join("nats-server.log")
}

/// Where the broker writes its process number.
pub(super) fn pid_file(dir: &Path) -> PathBuf {
    dir.join("nats-server.pid")
}
