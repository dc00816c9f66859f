//! Bytes that move while no agent runs are counted by the next one.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, ensure};
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{get_json, is_ready},
    keep_pace,
    namespace::Namespace,
    process::{Tidemap, tidemap},
};
use tidemap_wire::http::{HistoryJson, NodeJson};
use tokio::time::Instant;

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
static CHUNK: [u8; 20_011] = [0; 20_011];
const CHUNK_PERIOD: Duration = Duration::from_millis(5);
/// The most that the traffic lasts: it ends when the test has seen enough.
const LONGEST: Duration = Duration::from_secs(120);

/// Sends to the client that connects until `enough` is dropped or sent to.
fn sender(here: Ipv4Addr, enough: std::sync::mpsc::Receiver<()>) -> (SocketAddr, JoinHandle<u64>) {
    let listener = TcpListener::bind((here, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let sending = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let began = Instant::now();
        let mut chunks = 0;
        while enough.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) && began.elapsed() < LONGEST {
            peer.write_all(&CHUNK).unwrap();
            chunks += 1;
            keep_pace(began, CHUNK_PERIOD * chunks);
        }
        u64::from(chunks) * CHUNK.len() as u64
    });
    (address, sending)
}

/// Bytes received and sent on the link, as the kernel has counted them on this side.
pub(crate) fn kernel_bytes() -> [u64; 2] {
    let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let row = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    let fields: Vec<u64> = row.split_whitespace().map(|field| field.parse().unwrap()).collect();
    [fields[0], fields[8]]
}

/// IPv6 says something now and then on a link of which nobody makes use.
pub(crate) async fn keep_quiet(host: &Namespace) {
    let off = "/proc/sys/net/ipv6/conf/eth0/disable_ipv6";
    let command = format!("test ! -e {off} || echo 1 > {off}");
    for mut shell in [host.command("sh"), host.command_here("sh")] {
        assert!(shell.args(["-c", &command]).status().await.unwrap().success());
    }
}

/// Everything that the history knows of the node, placed or not, received and sent.
async fn history_bytes(url: &str, from_ms: i64) -> anyhow::Result<([u64; 2], [u64; 2])> {
    let range = format!("from={from_ms}&to={}&step=1m", unix_ms() + 60_000);
    let history: HistoryJson = get_json(format!("{url}/api/nodes/here/history?{range}")).await?;
    let placed = [&history.rx_bytes, &history.tx_bytes].map(|column| column.iter().flatten().sum());
    let unplaced = [&history.unplaced_rx_bytes, &history.unplaced_tx_bytes].map(|it| it.iter().sum());
    Ok((placed, unplaced))
}

pub(crate) async fn bytes_total(url: &str) -> anyhow::Result<u64> {
    Ok(get_json::<NodeJson>(format!("{url}/api/nodes/here")).await?.network_rx_bytes_total)
}

/// Waits until the agent has reported other sums than these.
pub(crate) async fn reported(url: &str, before: u64, agent: &Tidemap) -> u64 {
    eventually(EVENT_TIMEOUT, async || {
        let total = bytes_total(url).await?;
        ensure!(total != before, "still {total}: {}", agent.log());
        Ok(total)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn every_byte_that_moved_while_an_agent_was_killed_and_restarted_is_counted_once() {
    let host = Namespace::new().unwrap();
    keep_quiet(&host).await;
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _station = broker.history(folder.path(), &[]).unwrap();
    eventually(EVENT_TIMEOUT, || is_ready(&url)).await.unwrap();
    let from_ms = unix_ms() - 60_000;

    let spool = folder.path().join("spool");
    let args = ["--exclude", "*", "--include", "eth0", "--interval", "0.25", "--spool"];
    let args = [&args[..], &[spool.to_str().unwrap()]].concat();
    let start =
        || broker.agent_by(host.command_here(tidemap().unwrap()), &broker.url, "here", &args).unwrap();
    let before = kernel_bytes();
    let mut agent = start();
    eventually(EVENT_TIMEOUT, || bytes_total(&url)).await.unwrap();
    // The agent has its baseline, and nothing has moved before it.
    assert_eq!(kernel_bytes(), before, "the link is not quiet");

    let (enough, ends) = std::sync::mpsc::sync_channel::<()>(1);
    let (address, sending) = sender(host.here, ends);
    let read = format!("cat < /dev/tcp/{}/{} > /dev/null", address.ip(), address.port());
    let mut receiving = host.command("bash").args(["-c", &read]).spawn().unwrap();
    let mut total = reported(&url, 0, &agent).await;
    for kill in 1..=4_u64 {
        agent.kill().await.unwrap();
        let killed_at = kernel_bytes()[1];
        eventually(EVENT_TIMEOUT, async || {
            ensure!(kernel_bytes()[1] > killed_at + 1_000_000, "the traffic stands still");
            Ok(())
        })
        .await
        .unwrap();
        agent = start();
        // One run is killed before or while it takes its first sample.
        if kill != 2 {
            total = reported(&url, total, &agent).await;
        }
    }
    drop(enough);
    let sent = sending.join().unwrap();
    assert!(receiving.wait().await.unwrap().success());

    let (placed, unplaced) = eventually(EVENT_TIMEOUT, async || {
        let (placed, unplaced) = history_bytes(&url, from_ms).await?;
        let moved = [0, 1].map(|way| kernel_bytes()[way] - before[way]);
        let counted = [0, 1].map(|way| placed[way] + unplaced[way]);
        assert!(counted[0] <= moved[0] && counted[1] <= moved[1], "{counted:?} of {moved:?}");
        ensure!(counted == moved, "{counted:?} of {moved:?}: {}", agent.log());
        Ok((placed, unplaced))
    })
    .await
    .unwrap();
    println!("{sent} bytes sent to the namespace: placed {placed:?}, unplaced {unplaced:?}");
    // The host sends on this link what the namespace downloads.
    assert!(placed[1] + unplaced[1] > sent && unplaced[1] >= 4_000_000, "{placed:?}, {unplaced:?}");
    let mode = fs::metadata(spool.with_file_name("spool.baseline")).context("its baseline").unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    assert!(agent.terminate().await.unwrap().success(), "{}", agent.log());
}
