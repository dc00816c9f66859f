//! nginx, the reference for the cost of answering with the same bytes from a file.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tidemap_testkit::eventually;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::Instant,
};

use tidemap_testkit::port::free_port;

/// Where Debian puts it, which is not on everybody's PATH.
const DEBIAN_PATH: &str = "/usr/sbin/nginx";
/// For nginx to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running nginx, ended on drop.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Nginx {
    /// Serves `plain` and, to those who take it, `gzip` as `/nodes.json`.
    pub(crate) async fn start(plain: &[u8], gzip: &[u8]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("nodes.json"), plain)?;
        std::fs::write(folder.path().join("nodes.json.gz"), gzip)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, configuration(folder.path(), address))?;
        let binary = if Path::new(DEBIAN_PATH).exists() { DEBIAN_PATH } else { "nginx" };
        let mut command = Command::new(binary);
        let child = command
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("stderr"))?)
            .spawn()
            .context("this bench compares with nginx: install it (Debian: apt install nginx-light)")?;
        let nginx = Self { address, child, folder };
        eventually(Duration::from_secs(10), || async {
            let log = || std::fs::read_to_string(nginx.folder.path().join("stderr")).unwrap_or_default();
            TcpStream::connect(address).await.map(drop).with_context(|| format!("nginx: {}", log()))
        })
        .await?;
        Ok(nginx)
    }
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

/// As many workers as cores: ours may use all of them too.
fn configuration(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    // Workers of another user could not enter this folder; only root can choose the user.
    let user = if rustix::process::geteuid().is_root() { "user root root;" } else { "" };
    format!(
        "daemon off; worker_processes auto; {user} pid {folder}/pid; error_log stderr;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; gzip_static on;
            keepalive_timeout 600s; keepalive_requests 1000000000; open_file_cache max=10;
            client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
            uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
            types {{ application/json json; }}
            server {{ listen {address}; root {folder}; }}
        }}"
    )
}
