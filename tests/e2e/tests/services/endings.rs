//! Whatever ends a process ends its broker, and what asks it to end is heeded in order.

use std::{fs, os::unix::net::UnixDatagram, path::Path, time::Duration};

use anyhow::ensure;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::get_json,
    process::{Tidemap, tidemap},
};
use tidemap_wire::http::StatsJson;
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Lets programs that are started from now on hear when their terminal closes, also when these tests run
/// under `nohup`: what this process handles is not ignored by its children.
fn hear_hangups() {
    drop(signal(SignalKind::hangup()).unwrap());
}

/// The broker's process id, as it wrote it itself. While it writes, there is none.
fn broker_of(data_dir: &Path) -> anyhow::Result<u32> {
    Ok(fs::read_to_string(data_dir.join("nats-server.pid"))?.trim().parse()?)
}

/// Waits until a process has ended.
async fn ended(pid: u32) {
    eventually(EVENT_TIMEOUT, || async {
        // A process whose parent has not yet taken its status is a zombie.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        ensure!(status.is_empty() || status.contains("State:\tZ"), "process {pid} still runs");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_killed_up_takes_its_broker_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut up, _) = Tidemap::up(dir.path(), &[]).await.unwrap();
    let broker = broker_of(dir.path()).unwrap();
    up.kill().await.unwrap();
    ended(broker).await;
}

#[tokio::test]
async fn a_broker_that_was_started_again_is_taken_too() {
    let dir = tempfile::tempdir().unwrap();
    let (mut up, _) = Tidemap::up(dir.path(), &[]).await.unwrap();
    let first = broker_of(dir.path()).unwrap();
    let pid = rustix::process::Pid::from_raw(first.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let second = eventually(EVENT_TIMEOUT, || async {
        let second = broker_of(dir.path())?;
        ensure!(second != first, "the broker is not started again");
        Ok(second)
    });
    let second = second.await.unwrap();
    up.kill().await.unwrap();
    ended(second).await;
}

#[tokio::test]
async fn a_closed_terminal_ends_up_in_order() {
    hear_hangups();
    let dir = tempfile::tempdir().unwrap();
    let (mut up, _) = Tidemap::up(dir.path(), &[]).await.unwrap();
    let broker = broker_of(dir.path()).unwrap();
    up.hang_up().unwrap();
    // The kernel's signal, and the shell's.
    up.hang_up().unwrap();
    assert_eq!(up.ended().await.unwrap().code(), Some(0), "{}", up.log());
    assert!(up.log().contains("stopping"), "{}", up.log());
    ended(broker).await;
}

#[tokio::test]
async fn a_program_that_is_to_outlive_its_terminal_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut nohup = Command::new("nohup");
    nohup.arg(tidemap().unwrap());
    let data_dir = dir.path().to_str().unwrap();
    let mut up = Tidemap::start_by(nohup, &["up", "--http", "127.0.0.1:0", "--data-dir", data_dir]).unwrap();
    let url = up.url().await.unwrap();
    up.hang_up().unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.online_nodes == 1, "{} nodes", stats.online_nodes);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(up.terminate().await.unwrap().code(), Some(0));
    assert!(up.log().matches("stopping").count() == 1, "{}", up.log());
}

#[tokio::test]
async fn partitions_are_handed_over_when_a_workers_terminal_is_closed() {
    hear_hangups();
    let broker = TestBroker::start().await.unwrap();
    let mut first = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _fleet = broker.known_fleet(20, &url).await.unwrap();
    let second = broker.ingest(&[]).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        ensure!(second.log().contains("worker is up"), "{}", second.log());
        Ok(())
    })
    .await
    .unwrap();
    first.hang_up().unwrap();
    assert_eq!(first.ended().await.unwrap().code(), Some(0), "{}", first.log());
    eventually(EVENT_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.total_nodes == 20 && stats.online_nodes > 15, "{} nodes online", stats.online_nodes);
        Ok(())
    })
    .await
    .unwrap();
}

/// A service manager that listens, with a watchdog of two seconds.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, folder }
    }

    fn start(&self, args: &[&str]) -> Tidemap {
        let mut command = Command::new(tidemap().unwrap());
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify")).env("WATCHDOG_USEC", "2000000");
        Tidemap::start_by(command, args).unwrap()
    }

    /// Waits for this message.
    async fn hears(&self, words: &str) {
        eventually(EVENT_TIMEOUT, || async {
            let mut buffer = [0; 256];
            let length = self.socket.recv(&mut buffer)?;
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            ensure!(said.trim() == words, "the process says {said:?} instead of {words}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_service_manager_hears_that_a_station_is_ready_alive_and_ending() {
    let broker = TestBroker::start().await.unwrap();
    let key = broker.keys.service_seed_path();
    let access = ["--nats-url", &broker.url, "--creds", key.to_str().unwrap()];
    let away = ["--nats-url", "nats://127.0.0.1:1"];
    for args in [
        // Also when the broker is away.
        [&["agent"], &away[..]].concat(),
        [&["ingest"], &access[..]].concat(),
        [&["api", "--http", "127.0.0.1:0"], &access[..]].concat(),
    ] {
        let manager = Manager::listen();
        let mut station = manager.start(&args);
        for words in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
            manager.hears(words).await;
        }
        assert_eq!(station.terminate().await.unwrap().code(), Some(0), "{args:?}");
        manager.hears("STOPPING=1").await;
    }
}
