//! `deploy/cluster/up`: one command starts a whole cluster, and Ctrl-C leaves nothing behind.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::ensure;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tidemap_testkit::{eventually, http::get_json, port::reserve, process::tidemap, within};
use tidemap_wire::http::StatsJson;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The script gives each of its steps two minutes, and prints which one took longer.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// For the fleet to be online, and for the script to stop everything.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);
const NODES: u64 = 60;
/// The ports that the script takes, counted from the one it is given (`deploy/cluster/README.md`).
const PORTS: [u16; 12] = [1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 81, 82];

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// The command, asked to end on drop, so that a failing test leaves no process behind, either.
struct Up(Child);

impl Up {
    /// Sends a signal, unless it has ended.
    fn signal(&self, signal: Signal) {
        if let Some(id) = self.0.id() {
            kill_process(pid(&id.to_string()), signal).unwrap();
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}

/// A port followed by free ones, below the range that the operating system uses for connections.
fn free_block() -> u16 {
    let mut blocks: Vec<u16> = (100..320).map(|block| 100 * block).collect();
    fastrand::shuffle(&mut blocks);
    blocks.into_iter().find(|block| PORTS.iter().all(|port| reserve(block + port))).unwrap()
}

/// The script's error output, and the end of each process's log.
fn complaints(folder: &Path) -> String {
    fs::read_to_string(folder.join("up.err")).unwrap_or_default()
}

/// The processes whose command line names this folder.
fn processes_of(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let named = ids.filter(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(folder)
    });
    named.filter_map(Pid::from_raw).collect()
}

#[tokio::test]
async fn one_command_starts_a_cluster_and_ctrl_c_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let nats_server =
        tokio::task::spawn_blocking(|| tidemap_broker::locate(&tidemap_broker::default_tools_dir()));
    // If these tests were started in the background with SIGINT ignored, a shell could not receive it.
    let child = Command::new("env")
        .arg("--default-signal=INT")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/cluster/up"))
        .arg(NODES.to_string())
        .env("TIDEMAP_BIN", tidemap().unwrap())
        .env("TIDEMAP_NATS_SERVER", nats_server.await.unwrap().unwrap())
        .env("TIDEMAP_CLUSTER_DIR", folder.path())
        .env("TIDEMAP_CLUSTER_PORT", free_block().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(folder.path().join("up.err")).unwrap())
        .spawn()
        .unwrap();
    let mut up = Up(child);
    let mut stdout = BufReader::new(up.0.stdout.take().unwrap()).lines();
    let line = match within(START_TIMEOUT, stdout.next_line()).await {
        Ok(line) => line.unwrap(),
        Err(_) => panic!("it does not say that it is up: {}", complaints(folder.path())),
    };
    let line = line.unwrap_or_else(|| panic!("it ended early: {}", complaints(folder.path())));
    let pages: Vec<&str> = line.split([' ', ';']).filter(|word| word.starts_with("http://")).collect();
    assert_eq!(pages.len(), 2, "{line}");
    for page in pages {
        eventually(STEP_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{page}/api/stats")).await?;
            // A few of a simulated fleet are always away.
            let known = stats.total_nodes == NODES && stats.online_nodes * 10 > NODES * 9;
            ensure!(known && stats.partitions_fresh == stats.partitions, "{stats:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let mut server_pids = Vec::new();
    for name in ["server-1", "server-2", "server-3", "edge"] {
        let written = fs::read_to_string(folder.path().join(format!("{name}.pid"))).unwrap();
        server_pids.push(pid(&written));
    }
    let processes = processes_of(folder.path());
    // Four servers, four workers, two APIs, two relays, and the fleet.
    assert!(processes.len() > 4 + 4 + 2 + 2, "{processes:?}");

    up.signal(Signal::INT);
    let status = within(STEP_TIMEOUT, up.0.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0), "{status}: {}", complaints(folder.path()));
    assert_eq!(processes_of(folder.path()), []);
    assert!(server_pids.iter().all(|pid| test_kill_process(*pid).is_err()), "{server_pids:?}");
}
