//! The API against a real nats-server, and a scripted owner of its one partition.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "broker/history.rs"]
mod history;
#[path = "broker/traffic.rs"]
mod traffic;
#[path = "broker/traffic_oracle.rs"]
mod traffic_oracle;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::ensure;
use async_nats::Client;
use clap::Parser;
use futures_util::StreamExt;
use serde_json::Value;
use tidemap_api::ApiArgs;
use tidemap_client::testing::{self, AT_MS, one_partition};
use tidemap_service::nats::reached;
use tidemap_testkit::{broker::TestBroker, machine::scaled, undisturbed, within};
use tidemap_wire::{
    Delta, ForgetReply, ForgetRequest, History, Minutes, NodeId, NodeUpdate, Partition, PartitionStats,
    Series, SnapshotChunk, SnapshotRequest, decode, encode, subject,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Much more than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    api: ApiArgs,
}

/// A broker, an API, and no owner yet.
struct TestApi {
    _broker: TestBroker,
    client: Client,
    http: SocketAddr,
    running: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

/// The owner of the one partition.
#[derive(Clone)]
struct Owner {
    client: Client,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    seq: u64,
    nodes: BTreeMap<NodeId, NodeUpdate>,
}

/// The whole of an answer.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl TestApi {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[&str]) -> Self {
        let broker = TestBroker::start().await.unwrap();
        let client = broker.connect().await.unwrap();
        reached(&client, TIMEOUT).await.unwrap();
        let args = ["api", "--http", "127.0.0.1:0", "--partitions", "1", "--api-token", "a-secret-of-tests"];
        let config = Cli::parse_from(args.iter().chain(more)).api.check().unwrap();
        let listener = config.bind().await.unwrap();
        let http = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let api_client = broker.connect().await.unwrap();
        reached(&api_client, TIMEOUT).await.unwrap();
        let running = tokio::spawn(tidemap_api::run(config, api_client, listener, shutdown.clone()));
        Self { _broker: broker, client, http, running, shutdown }
    }

    /// An owner that answers and sends heartbeats for as long as the test runs.
    async fn owner(&self) -> Owner {
        let owner = Owner { client: self.client.clone(), state: Arc::default() };
        let mut snapshots = self.client.subscribe(subject::snapshot(partition())).await.unwrap();
        let mut forgets = self.client.subscribe(subject::forget(partition())).await.unwrap();
        let mut life = tokio::time::interval(Duration::from_millis(250));
        let answering = owner.clone();
        tokio::spawn(async move {
            loop {
                let (reply, answer) = tokio::select! {
                    Some(message) = snapshots.next() => (message.reply, answering.snapshot(&message.payload)),
                    Some(message) = forgets.next() => (message.reply, answering.forget(&message.payload).await),
                    _ = life.tick() => (Some(subject::stats(partition()).into()), answering.stats()),
                };
                answering.client.publish(reply.unwrap(), answer.into()).await.unwrap();
            }
        });
        owner
    }

    async fn request(&self, method: &str, path: &str, more: &str) -> (u16, Value) {
        let Answer { status, body, .. } = self.answer(method, path, more).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn answer(&self, method: &str, path: &str, more: &str) -> Answer {
        let mut connection = TcpStream::connect(self.http).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n");
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        within(TIMEOUT, connection.read_to_end(&mut answer)).await.expect("an answer").unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: answer.split_off(end + 4) }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.request("GET", path, "").await
    }

    /// Waits until every partition is followed, so that no message of an owner is missed from then on.
    async fn is_ready(&self) {
        let asking = async { while self.get("/readyz").await.0 != 200 {} };
        within(TIMEOUT, asking).await.expect("it becomes ready");
    }

    /// Polls until these nodes are shown.
    async fn shows(&self, names: &[&str]) {
        let asking = async {
            loop {
                let (_, nodes) = self.get("/api/nodes").await;
                let known: Vec<&str> =
                    nodes.as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
                if known == names {
                    return;
                }
            }
        };
        within(TIMEOUT, asking).await.expect("the nodes are shown");
    }

    async fn events(&self) -> Lines<BufReader<TcpStream>> {
        let mut connection = TcpStream::connect(self.http).await.unwrap();
        connection.write_all(b"GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        BufReader::new(connection).lines()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        within(TIMEOUT, self.running).await.expect("it ends").unwrap().unwrap();
    }

    /// The same, within the time for which anybody waits for a service to end.
    async fn stop_at_once(self) -> anyhow::Result<()> {
        let asked = Instant::now();
        self.stop().await;
        ensure!(asked.elapsed() < scaled(Duration::from_secs(2)), "it ends after {:?}", asked.elapsed());
        Ok(())
    }

    /// Makes a partition's owner forget a node. When the broker stands still, the answer comes too late and
    /// the node is gone.
    async fn forgets(&self, path: &str, more: &str) {
        let asking = async {
            let mut is_late = false;
            loop {
                match self.request("DELETE", path, more).await.0 {
                    503 | 504 => is_late = true,
                    status => return assert!(status == 204 || (status == 404 && is_late), "{status}"),
                }
            }
        };
        within(TIMEOUT, asking).await.expect("it is forgotten");
    }
}

impl Owner {
    /// Adds a node to the owner's state without publishing the delta.
    fn knows(&self, name: &str) -> Delta {
        let mut state = self.state.lock().unwrap();
        state.seq += 1;
        let row = u32::try_from(state.nodes.len()).unwrap();
        let update = NodeUpdate { row, ..node(name) };
        state.nodes.insert(update.node.clone(), update.clone());
        Delta {
            partition: 0,
            epoch: 7,
            seq: state.seq,
            at_ms: AT_MS,
            nodes: vec![update],
            forgotten: Vec::new(),
        }
    }

    async fn says(&self, delta: Delta) {
        self.client.publish(subject::delta(partition()), encode(&delta).into()).await.unwrap();
    }

    fn snapshot(&self, request: &[u8]) -> Vec<u8> {
        let SnapshotRequest { node } = decode(request).unwrap();
        let state = self.state.lock().unwrap();
        let series =
            || Series { step_ms: 1000, end_ms: AT_MS, rx_bps: vec![None; 60], tx_bps: vec![None; 60] };
        let history = node.as_ref().map(|_| History {
            last_60s: series(),
            last_15m: series(),
            minutes: Minutes::default(),
        });
        let nodes =
            state.nodes.values().filter(|update| node.as_ref().is_none_or(|node| *node == update.node));
        encode(&SnapshotChunk {
            partition: 0,
            epoch: 7,
            seq: state.seq,
            at_ms: AT_MS,
            chunk: 0,
            chunks: 1,
            nodes: nodes.cloned().collect(),
            history,
        })
    }

    async fn forget(&self, request: &[u8]) -> Vec<u8> {
        let ForgetRequest { node } = decode(request).unwrap();
        let (known, seq) = {
            let mut state = self.state.lock().unwrap();
            state.seq += 1;
            (state.nodes.remove(&node).is_some(), state.seq)
        };
        let delta =
            Delta { partition: 0, epoch: 7, seq, at_ms: AT_MS, nodes: Vec::new(), forgotten: vec![node] };
        self.says(delta).await;
        encode(&ForgetReply { known, applied: None })
    }

    fn stats(&self) -> Vec<u8> {
        let seq = self.state.lock().unwrap().seq;
        encode(&PartitionStats { epoch: 7, seq, at_ms: AT_MS, ..PartitionStats::default() })
    }
}

fn partition() -> Partition {
    one_partition().1
}

/// A node that was seen just now.
fn node(name: &str) -> NodeUpdate {
    NodeUpdate { since_ms: AT_MS, seen_ms: AT_MS, at_ms: AT_MS, ..testing::node(name) }
}

/// Reads events until one of this kind comes; returns its data.
async fn event(lines: &mut Lines<BufReader<TcpStream>>, kind: &str) -> Value {
    let reading = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the stream goes on");
            if line == format!("event: {kind}") {
                break;
            }
        }
        loop {
            let line = lines.next_line().await.unwrap().expect("the stream goes on");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    };
    within(TIMEOUT, reading).await.expect("the event comes")
}

#[tokio::test]
async fn deltas_are_shown_and_missed_ones_lead_to_a_snapshot_request() {
    let api = TestApi::start().await;
    let (status, said) = api.get("/readyz").await;
    assert_eq!((status, said["detail"].as_str()), (503, Some("no fresh view of partition 0")));
    let mut events = api.events().await;
    assert_eq!(event(&mut events, "snapshot").await["nodes"]["name"], Value::Array(Vec::new()));

    let owner = api.owner().await;
    api.is_ready().await;
    owner.says(owner.knows("a")).await;
    api.shows(&["a"]).await;
    let put = loop {
        // Deltas without changes may come first.
        let delta = event(&mut events, "delta").await;
        if delta["put"].is_object() {
            break delta;
        }
    };
    assert_eq!(put["put"]["nodes"]["name"], serde_json::json!(["a"]));
    owner.says(owner.knows("b")).await;
    api.shows(&["a", "b"]).await;
    // A delta is lost, and the next one reveals the gap.
    owner.knows("c");
    owner.says(owner.knows("d")).await;
    api.shows(&["a", "b", "c", "d"]).await;
    // A delta is lost and none follows: the owner's statistics reveal the gap.
    owner.knows("e");
    api.shows(&["a", "b", "c", "d", "e"]).await;
    api.is_ready().await;
    let fresh = async { while api.get("/api/stats").await.1["partitions_fresh"] != 1 {} };
    within(TIMEOUT, fresh).await.expect("the partition is followed");
    api.stop().await;
}

#[tokio::test]
async fn a_node_has_a_past_until_its_owner_forgets_it() {
    let api = TestApi::start().await;
    let token = "authorization: Bearer a-secret-of-tests\r\n";
    let (status, said) = api.request("DELETE", "/api/nodes/a", token).await;
    assert_eq!((status, said["detail"].as_str()), (503, Some("the partition has no owner at the moment")));
    let owner = api.owner().await;
    owner.says(owner.knows("a")).await;
    api.shows(&["a"]).await;
    // A past that comes too late is left out.
    let past = async {
        loop {
            if let Some(past) = api.get("/api/nodes/a").await.1["last_60s"]["rx_bps"].as_array() {
                return past.len();
            }
        }
    };
    assert_eq!(within(TIMEOUT, past).await.expect("it has a past"), 60);
    assert_eq!(api.request("DELETE", "/api/nodes/a", "").await.0, 401);
    api.forgets("/api/nodes/a", token).await;
    api.shows(&[]).await;
    assert_eq!(api.request("DELETE", "/api/nodes/a", token).await.0, 404);
    api.stop().await;
}

#[tokio::test]
async fn garbage_is_counted_and_nothing_else_happens() {
    let api = TestApi::start().await;
    let owner = api.owner().await;
    api.is_ready().await;
    for garbage in [&b"\xc1 garbage"[..], b"", &encode(&Delta { partition: 9, ..owner.knows("a") })] {
        api.client.publish(subject::delta(partition()), garbage.to_vec().into()).await.unwrap();
    }
    api.shows(&["a"]).await;
    let mut connection = TcpStream::connect(api.http).await.unwrap();
    connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("\ntidemap_api_refused_total{reason=\"unreadable\"} 2\n"), "{text}");
    api.stop().await;
}

#[tokio::test]
async fn shutdown_waits_neither_for_streams_nor_for_silent_clients() {
    undisturbed(ends_beside_silent_clients).await.unwrap();
}

async fn ends_beside_silent_clients() -> anyhow::Result<()> {
    let api = TestApi::start().await;
    let mut events = api.events().await;
    event(&mut events, "snapshot").await;
    let _silent = TcpStream::connect(api.http).await.unwrap();
    let mut half = TcpStream::connect(api.http).await.unwrap();
    half.write_all(b"GET /api/nodes HTTP/1.1\r\nhost").await.unwrap();
    assert_eq!(api.get("/healthz").await.0, 200);
    api.stop_at_once().await?;
    while let Ok(Some(_)) = events.next_line().await {}
    Ok(())
}

#[tokio::test]
async fn shutdown_does_not_wait_for_clients_that_stopped_reading() {
    undisturbed(ends_beside_deaf_clients).await.unwrap();
}

async fn ends_beside_deaf_clients() -> anyhow::Result<()> {
    const NODES: usize = 2_000;
    let api = TestApi::start().await;
    let owner = api.owner().await;
    (0..NODES).for_each(|number| drop(owner.knows(&format!("node-{number}"))));
    let known = async { while api.get("/api/stats").await.1["total_nodes"] != NODES {} };
    within(TIMEOUT, known).await.expect("the nodes are known");
    // More bytes than the kernel buffers for these clients.
    let mut deaf = Vec::new();
    for path in ["/api/nodes", "/api/nodes?sort=name", "/api/stream"] {
        let mut connection = TcpStream::connect(api.http).await.unwrap();
        connection
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
            .await
            .unwrap();
        connection.read_exact(&mut [0; 12]).await.unwrap();
        deaf.push(connection);
    }
    api.stop_at_once().await
}
