//! nginx: a proxy before an API, and the reference for the cost of answering with bytes from a file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tidemap_broker::tls::Certificates;
use tidemap_service::child_watchdog::ChildWatchdog;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::Instant,
};

use crate::{eventually, port::free_port};

/// Where Debian puts it, which is not on everybody's PATH.
const DEBIAN_PATH: &str = "/usr/sbin/nginx";
/// Where `cargo xtask test` puts it, below the tools folder.
const FETCHED_PATH: &str = "nginx/usr/sbin/nginx";
/// For nginx to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running nginx, ended on drop.
pub struct Nginx {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    _watchdog: ChildWatchdog,
    folder: TempDir,
}

impl Nginx {
    /// Serves as these directives of a `server` block say, with these files in its folder.
    pub async fn start(directives: &str, files: &[(&str, &[u8])]) -> anyhow::Result<Self> {
        Self::listening("", directives, files).await
    }

    /// The same with options of `listen`, such as `ssl http2`.
    pub async fn listening(options: &str, directives: &str, files: &[(&str, &[u8])]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content)?;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, configuration(folder.path(), &format!("{address} {options}"), directives))?;
        let child = Command::new(program()?)
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("stderr"))?)
            .spawn()
            .context("there is no nginx: install it (Debian: apt install nginx-light)")?;
        let watchdog = ChildWatchdog::of_process(child.id().context("it runs")?)?;
        let nginx = Self { address, child, _watchdog: watchdog, folder };
        eventually(Duration::from_secs(10), || async {
            let log = || std::fs::read_to_string(nginx.folder.path().join("stderr")).unwrap_or_default();
            TcpStream::connect(address).await.map(drop).with_context(|| format!("nginx: {}", log()))
        })
        .await?;
        Ok(nginx)
    }
}

impl Nginx {
    /// Serves by TLS those that say [`READER`](Self::READER). Also returns the certificate authority, as PEM.
    pub async fn secured(directives: &str) -> anyhow::Result<(Self, Vec<u8>)> {
        let folder = tempfile::tempdir()?;
        let now = std::time::UNIX_EPOCH.elapsed()?;
        let made = Certificates::open_or_create(folder.path(), &["127.0.0.1".to_owned()], now)?;
        let authority = made.authority.context("it is its own authority")?;
        let [certificate, key, authority] = [made.certificate, made.key, authority].map(std::fs::read);
        let secured = format!(
            "ssl_certificate tls.pem; ssl_certificate_key tls.key; auth_basic Fleet; auth_basic_user_file users;
            {directives}"
        );
        let users = Self::READER.replace(':', ":{PLAIN}");
        let files: [(&str, &[u8]); 3] =
            [("tls.pem", &certificate?), ("tls.key", &key?), ("users", users.as_bytes())];
        Ok((Self::listening("ssl http2", &secured, &files).await?, authority?))
    }

    /// The name and the password that a secured one asks for.
    pub const READER: &str = "reader:secret";
}

impl Drop for Nginx {
    /// Its workers outlive a killed master, so it is asked to end.
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        while asked && matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The installed nginx, or the fetched one, or whichever is on PATH.
fn program() -> anyhow::Result<PathBuf> {
    let fetched = std::path::absolute(tidemap_broker::default_tools_dir())?.join(FETCHED_PATH);
    let known = [PathBuf::from(DEBIAN_PATH), fetched].into_iter().find(|program| program.is_file());
    Ok(known.unwrap_or_else(|| "nginx".into()))
}

/// As many workers as cores: ours may use all of them too.
fn configuration(folder: &Path, listen: &str, directives: &str) -> String {
    let folder = folder.display();
    // Workers of another user could not enter this folder; only root can choose the user.
    let user = if rustix::process::geteuid().is_root() { "user root root;" } else { "" };
    format!(
        "daemon off; worker_processes auto; {user} pid {folder}/pid; error_log stderr;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; tcp_nodelay on;
            client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
            uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            server {{ listen {listen}; root {folder}; {directives} }}
        }}"
    )
}
