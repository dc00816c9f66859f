//! Hosts that boot: fresh Debian systems under `systemd-nspawn`, and a network between them and the test that
//! leads nowhere else.
//!
//! Nothing of them outlives the test, also when it is killed: the network has no name, and a host ends with
//! the process that started it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::Ipv4Addr,
    os::{fd::AsFd, unix::fs::symlink},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tempfile::TempDir;
use tidemap_service::child_watchdog::ChildWatchdog;
use tokio::process::Child;

use crate::{
    eventually,
    namespace::{FOLDER, ip},
    within,
};

/// Tests of one process run in parallel; each uses the next names.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// A system boots in a second or two.
const BOOT_TIMEOUT: Duration = Duration::from_secs(60);
/// For what a test has a host do.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// How `systemd-nspawn --keep-unit` says that the system inside wants to be started again.
const REBOOT: i32 = 133;
const BRIDGE: &str = "br0";
/// The devices' name inside of a host.
const DEVICE: &str = "host0";

/// What these tests need and this machine lacks, if anything.
pub fn missing() -> Option<String> {
    if !rustix::process::getuid().is_root() {
        return Some("they need root".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    ["systemd-nspawn", "nsenter", "ip"]
        .into_iter()
        .find(|program| !has(program))
        .map(|program| format!("there is no {program} (Debian: systemd-container, util-linux, iproute2)"))
}

/// A network of the test's own, in which it is itself.
pub struct Lan {
    /// The test's address.
    pub here: Ipv4Addr,
    hosts: AtomicU8,
}

impl Lan {
    /// Makes it, and moves this thread into it: sockets that it opens, and threads and processes that it
    /// starts from now on, are there. A runtime with one thread moves as a whole, if it has not started
    /// others.
    pub fn new() -> anyhow::Result<Self> {
        let name = format!("tm{}lan{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name])?;
        let target = File::open(Path::new(FOLDER).join(&name)).context("the namespace that was just made");
        // It lasts as long as something is in it, or may move there.
        ip(&["netns", "del", &name])?;
        move_into_link_name_space(target?.as_fd(), Some(LinkNameSpaceType::Network))?;
        let lan = Self { here: address(1), hosts: AtomicU8::new(2) };
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{}/24", lan.here), "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        ip(&["link", "set", "lo", "up"])?;
        Ok(lan)
    }
}

/// An address of the network for documentation and tests.
fn address(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, host)
}

/// A system that has booted.
pub struct Host {
    /// Its name, also on the network of its own.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    machine: String,
    /// It ends before its folder is removed: fields are dropped in their order.
    running: Option<Running>,
    folder: TempDir,
}

struct Running {
    nspawn: Child,
    _watchdog: ChildWatchdog,
    /// The first process inside.
    leader: u32,
}

/// What a command on a host has printed.
#[derive(Debug)]
pub struct Printed {
    /// Its exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Host {
    /// Copies the Debian `release`, which `cargo xtask test --only tools` has fetched, and boots it.
    pub async fn boot(lan: &Lan, release: &str, name: &str) -> anyhow::Result<Self> {
        let fresh = tidemap_broker::default_tools_dir().join(format!("debian-{release}"));
        ensure!(fresh.is_dir(), "{} is missing: `cargo xtask test --only tools` fetches it", fresh.display());
        let number = lan.hosts.fetch_add(1, Ordering::Relaxed);
        let (folder, address) = (tempfile::tempdir()?, address(number));
        let machine = format!("tm{}host{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut host = Self { name: name.to_owned(), address, machine, running: None, folder };
        let copy = host.folder.path().join("root");
        let copied = tokio::process::Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .args([&fresh, &copy])
            .status()
            .await?;
        ensure!(copied.success(), "cannot copy {}", fresh.display());
        host.set_up()?;
        host.start().await?;
        Ok(host)
    }

    /// What an installer of Debian asks for: name, network.
    fn set_up(&self) -> anyhow::Result<()> {
        fs::write(self.path("etc/hostname"), format!("{}\n", self.name))?;
        fs::write(self.path("etc/hosts"), format!("127.0.0.1 localhost\n127.0.1.1 {}\n", self.name))?;
        let network =
            format!("[Match]\nName={DEVICE}\n[Network]\nAddress={}/24\nIPv6AcceptRA=no\n", self.address);
        fs::write(self.path("etc/systemd/network/10-test.network"), network)?;
        for (target, unit) in [
            ("multi-user.target", "systemd-networkd.service"),
            ("network-online.target", "systemd-networkd-wait-online.service"),
        ] {
            let wants = self.path(&format!("etc/systemd/system/{target}.wants"));
            fs::create_dir_all(&wants)?;
            symlink(format!("/lib/systemd/system/{unit}"), wants.join(unit))?;
        }
        Ok(())
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let console = File::create(self.console())?;
        let mut nspawn = tokio::process::Command::new("systemd-nspawn")
            .args(["--quiet", "--register=no", "--keep-unit", "--boot"])
            .arg(format!("--network-bridge={BRIDGE}"))
            .arg(format!("--machine={}", self.machine))
            .arg("--directory")
            .arg(self.path(""))
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .kill_on_drop(true)
            .spawn()
            .context("cannot run systemd-nspawn")?;
        let pid = nspawn.id().context("it runs")?;
        let watchdog = ChildWatchdog::of_process(pid)?;
        let leader = eventually(BOOT_TIMEOUT, || {
            let ended = nspawn.try_wait();
            async move {
                ensure!(matches!(ended, Ok(None)), "systemd-nspawn has ended: {ended:?}");
                first_inside(pid).context("nothing runs inside")
            }
        })
        .await
        .with_context(|| self.said())?;
        self.running = Some(Running { nspawn, _watchdog: watchdog, leader });
        let host = &*self;
        eventually(BOOT_TIMEOUT, || async {
            let state = host.run("systemctl is-system-running").await?;
            ensure!(matches!(state.stdout.trim(), "running" | "degraded"), "{state:?}");
            Ok(())
        })
        .await
        .with_context(|| self.said())
    }

    /// Boots it again, as its administrator would.
    pub async fn reboot(&mut self) -> anyhow::Result<()> {
        // The shell may end with the system.
        drop(self.run("systemctl reboot").await);
        let mut running = self.running.take().context("it runs")?;
        let ended = within(BOOT_TIMEOUT, running.nspawn.wait()).await.with_context(|| self.said())??;
        ensure!(ended.code() == Some(REBOOT), "{ended}: {}", self.said());
        self.start().await
    }

    /// Where a file of the host is on this machine.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("root").join(file)
    }

    /// Copies a file into the host's folder `/root`, and returns its path there.
    pub fn copy_in(&self, file: &Path) -> anyhow::Result<String> {
        let name = file.file_name().and_then(OsStr::to_str).context("a readable name")?;
        let to = self.path("root").join(name);
        fs::copy(file, &to).with_context(|| file.display().to_string())?;
        Ok(format!("/root/{name}"))
    }

    /// Runs a shell's commands as root of the host.
    pub async fn run(&self, script: &str) -> anyhow::Result<Printed> {
        let leader = self.running.as_ref().context("it does not run")?.leader.to_string();
        let mut command = tokio::process::Command::new("nsenter");
        command
            .args(["--target", &leader, "-m", "-u", "-i", "-n", "-p", "-C", "--"])
            .args(["/bin/sh", "-c", &format!("cd; {script}")])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = within(COMMAND_TIMEOUT, command.output()).await.with_context(|| script.to_owned())??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Printed { code: ended.status.code(), stdout: text(&ended.stdout), stderr: text(&ended.stderr) })
    }

    /// The same for commands that must succeed: what they print. The error has the end of the host's journal.
    pub async fn must(&self, script: &str) -> anyhow::Result<String> {
        let printed = self.run(script).await?;
        if printed.code != Some(0) {
            let journal = self.run("journalctl --no-pager --quiet --lines=40").await?.stdout;
            bail!("{}: {script}: {printed:?}\n{}{}\n{journal}", self.name, printed.stdout, printed.stderr);
        }
        Ok(printed.stdout)
    }

    fn console(&self) -> PathBuf {
        self.folder.path().join("console")
    }

    /// What it has printed while it booted.
    fn said(&self) -> String {
        let console = fs::read(self.console()).unwrap_or_default();
        format!("{} ({}): {}", self.name, self.machine, String::from_utf8_lossy(&console))
    }
}

/// The process that is the first of a namespace, among those that `nspawn` has started. At first there is
/// another, which makes the namespace.
fn first_inside(nspawn: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    let is_first = |child: &&str| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
    };
    children.split_whitespace().find(is_first)?.parse().ok()
}

impl Drop for Running {
    /// The system ends at once with its first process, and with it nspawn, which takes away what it has made.
    #[expect(clippy::disallowed_types, reason = "it waits on the thread, where a paused clock stands still")]
    fn drop(&mut self) {
        if let Some(leader) = i32::try_from(self.leader).ok().and_then(Pid::from_raw) {
            kill_process(leader, Signal::KILL).ok();
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while matches!(self.nspawn.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
