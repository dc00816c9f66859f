//! A broker of three servers, as a fleet that must not stop would have.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use async_nats::jetstream;
use tempfile::TempDir;
use tidemap_service::{broker, keys::Keys, nats::NatsArgs};
use tokio::process::{Child, Command};

use crate::eventually;

/// For three servers to find each other and elect a leader.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three nats-servers that replicate each other, killed on drop.
pub struct Trio {
    folder: TempDir,
    binary: PathBuf,
    ports: [(u16, u16); 3],
    servers: Vec<Child>,
    /// Everybody's keys but the agents'.
    pub keys: Keys,
}

impl Trio {
    /// Starts three servers on free ports, and waits until they have a leader.
    ///
    /// # Errors
    ///
    /// When there is no nats-server, or they do not come up.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary = tokio::task::spawn_blocking(|| broker::locate(&broker::default_tools_dir())).await??;
        let keys = Keys::open_or_create(folder.path())?;
        std::fs::write(folder.path().join("nats.conf"), include_str!("../../nats.conf"))?;
        let ports = free_ports()?;
        let mut trio = Self { folder, binary, ports, servers: Vec::new(), keys };
        for number in 0..3 {
            let server = trio.spawn(number)?;
            trio.servers.push(server);
        }
        trio.ready().await?;
        Ok(trio)
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        self.ports.map(|(port, _)| format!("nats://127.0.0.1:{port}")).join(",")
    }

    /// The number of the server that leads a stream.
    ///
    /// # Errors
    ///
    /// When the servers do not tell.
    pub async fn leader_of(&self, stream: &str) -> anyhow::Result<usize> {
        let js = jetstream::new(self.connect().await?);
        eventually(PATIENCE, || async {
            let stream = js.get_stream(stream).await?;
            let cluster = stream.cached_info().cluster.as_ref().context("it is not replicated")?;
            let leader = cluster.leader.as_ref().context("it has no leader")?;
            leader.strip_prefix("server-").context("a strange leader")?.parse().map_err(Into::into)
        })
        .await
    }

    /// Kills a server without warning.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        Ok(self.servers[number].kill().await?)
    }

    /// Starts a server again that was killed.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn restart(&mut self, number: usize) -> anyhow::Result<()> {
        self.servers[number] = self.spawn(number)?;
        Ok(())
    }

    /// Stops a server where it is: to the others it is as good as cut off, and its own clients hear nothing.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn freeze(&self, number: usize) -> anyhow::Result<()> {
        self.signal(number, rustix::process::Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn thaw(&self, number: usize) -> anyhow::Result<()> {
        self.signal(number, rustix::process::Signal::CONT)
    }

    /// Waits until every replica of a stream has everything.
    ///
    /// # Errors
    ///
    /// When that takes too long.
    pub async fn healed(&self, stream: &str) -> anyhow::Result<()> {
        let js = jetstream::new(self.connect().await?);
        eventually(PATIENCE, || async {
            let stream = js.get_stream(stream).await?;
            let cluster = stream.cached_info().cluster.as_ref().context("it is not replicated")?;
            let current = cluster.replicas.iter().filter(|peer| peer.current && !peer.offline).count();
            ensure!(cluster.leader.is_some() && current == 2, "{cluster:?}");
            Ok(())
        })
        .await
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let js = jetstream::new(self.connect().await?);
        eventually(PATIENCE, || async {
            let told = self.servers.iter().enumerate().map(|(number, _)| self.last_words(number));
            js.query_account().await.with_context(|| told.collect::<Vec<_>>().join("\n"))?;
            Ok(())
        })
        .await
    }

    async fn connect(&self) -> anyhow::Result<async_nats::Client> {
        NatsArgs::new(&self.url(), Some(&self.keys.service_seed_path())).connect("test", None).await
    }

    fn spawn(&self, number: usize) -> anyhow::Result<Child> {
        let (port, _) = self.ports[number];
        let configuration = self.folder.path().join(format!("server-{number}.conf"));
        std::fs::write(&configuration, self.configuration(number))?;
        Command::new(&self.binary)
            .arg("-c")
            .arg(&configuration)
            .arg("-sd")
            .arg(self.folder.path().join(format!("store-{number}")))
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .arg("-l")
            .arg(self.log(number))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start nats-server")
    }

    /// Our `nats.conf`, and what makes it a cluster.
    fn configuration(&self, number: usize) -> String {
        let routes = self.ports.map(|(_, route)| format!("\"nats-route://127.0.0.1:{route}\"")).join(", ");
        let (_, own) = self.ports[number];
        format!(
            "include \"nats.conf\"\nserver_name: server-{number}\n\
             cluster {{ name: trio, listen: \"127.0.0.1:{own}\", routes: [{routes}] }}\n"
        )
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("server-{number}.log"))
    }

    fn last_words(&self, number: usize) -> String {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        read(&self.log(number)).lines().last().unwrap_or_default().to_owned()
    }

    fn signal(&self, number: usize, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let pid = self.servers[number].id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw).context("it has ended")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }
}

/// Ports that nobody has now. A route's must be known to the others before the server starts, so the operating system
/// cannot choose it then.
fn free_ports() -> anyhow::Result<[(u16, u16); 3]> {
    let listeners: Vec<TcpListener> =
        (0..6).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<u16> =
        listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<std::io::Result<_>>()?;
    Ok([(ports[0], ports[1]), (ports[2], ports[3]), (ports[4], ports[5])])
}
