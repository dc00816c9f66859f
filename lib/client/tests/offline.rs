//! The station of `examples/offline.rs` against a real nats-server, and a worker of one partition.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{self, BufRead, BufReader, PipeReader},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{Client, Subscriber};
use clap::Parser;
use futures_util::StreamExt;
use tidemap_client::{
    Events, Follower, IngestClient, RequestError,
    testing::{AT_MS, TestPartition, full_node, id, one_partition},
};
use tidemap_service::nats::{NatsArgs, reached};
use tidemap_testkit::{broker::TestBroker, eventually, within};
use tidemap_wire::{Delta, Event, EventKind, NodeUpdate, SnapshotRequest, Status, decode, encode, subject};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

#[path = "../examples/offline.rs"]
#[expect(dead_code, reason = "`main` is the program's; tests call `run`")]
mod offline;

/// Far more than anything here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A broker, and a worker that answers and publishes its totals for as long as the test runs.
struct TestWorker {
    _broker: TestBroker,
    nats: NatsArgs,
    client: Client,
    partition: Arc<Mutex<TestPartition>>,
    _answering: JoinSet<()>,
}

impl TestWorker {
    async fn start() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let nats = NatsArgs::new(&broker.url, Some(&broker.keys.service_seed_path()));
        let client = nats.connect("test worker", None).await.unwrap();
        reached(&client, TEST_TIMEOUT).await.unwrap();
        let partition = Arc::new(Mutex::new(TestPartition::new()));
        let mut answering = JoinSet::new();
        let snapshots = client.subscribe(subject::snapshot(one_partition().1)).await.unwrap();
        answering.spawn(answer(client.clone(), snapshots, Arc::clone(&partition)));
        // An answer proves that the broker knows the subscription, so later requests are answered, too.
        // A broker that stands still for a second has not answered in time.
        let asking = IngestClient::new(client.clone());
        eventually(TEST_TIMEOUT, async || Ok(asking.history(one_partition().1, id("a")).await?))
            .await
            .unwrap();
        Self { _broker: broker, nats, client, partition, _answering: answering }
    }

    /// Changes nodes and publishes the delta, as an ingest worker does.
    async fn put(&self, updates: Vec<NodeUpdate>) {
        let delta: Delta = self.partition.lock().unwrap().put(updates);
        self.client.publish(subject::delta(one_partition().1), encode(&delta).into()).await.unwrap();
    }
}

async fn answer(client: Client, mut snapshots: Subscriber, partition: Arc<Mutex<TestPartition>>) {
    let mut totals = tokio::time::interval(Duration::from_millis(250));
    loop {
        let (to, payload) = tokio::select! {
            // A client asks for all nodes, or for the history of one node, which this worker does not have.
            Some(message) = snapshots.next() => {
                assert!(decode::<SnapshotRequest>(&message.payload).is_ok());
                (message.reply.unwrap(), encode(&partition.lock().unwrap().snapshot_chunk()))
            }
            // Totals are due.
            _ = totals.tick() => (subject::stats(one_partition().1).into(), encode(&partition.lock().unwrap().stats())),
        };
        client.publish(to, payload.into()).await.unwrap();
    }
}

/// The next line that the station prints.
async fn line(lines: BufReader<PipeReader>) -> (String, BufReader<PipeReader>) {
    let read = spawn_blocking(move || {
        let (mut lines, mut line) = (lines, String::new());
        lines.read_line(&mut line).unwrap();
        (line, lines)
    });
    within(TEST_TIMEOUT, read).await.expect("the station prints a line").unwrap()
}

#[tokio::test]
async fn a_station_prints_who_goes_offline_and_who_comes_back() {
    let worker = TestWorker::start().await;
    let gone = NodeUpdate { status: Status::Offline, ..full_node("gone") };
    worker.put(vec![full_node("web-01.example"), gone]).await;
    let mut cli = offline::Cli::parse_from(["offline", "--partitions", "1"]);
    cli.nats = worker.nats.clone();
    let (output, input) = io::pipe().unwrap();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let running = tokio::spawn(async move { offline::run(&cli, input, stop).await });

    let (said, lines) = line(BufReader::new(output)).await;
    assert_eq!(said, "offline now: 1\n");
    worker.put(vec![NodeUpdate { status: Status::Offline, ..full_node("web-01.example") }]).await;
    let (said, lines) = line(lines).await;
    assert_eq!(said, "WEB-01.EXAMPLE is offline (Berlin)\n");
    worker.put(vec![full_node("web-01.example")]).await;
    let (said, _lines) = line(lines).await;
    assert_eq!(said, "WEB-01.EXAMPLE is back\n");
    shutdown.cancel();
    within(TEST_TIMEOUT, running).await.expect("it ends").unwrap().unwrap();
}

#[tokio::test]
async fn a_view_follows_a_worker_that_takes_over_without_loss() {
    let worker = TestWorker::start().await;
    worker.put(vec![full_node("a"), full_node("b")]).await;
    let client = worker.nats.connect("follower", None).await.unwrap();
    let mut follower = Follower::start(client, one_partition().0).await.unwrap();
    let follow = async |follower: &mut Follower, name: &str| {
        let following = async {
            while follower.fleet().node(&id(name)).is_none() {
                follower.tick().await.unwrap();
            }
        };
        within(TEST_TIMEOUT, following).await.expect("the node is in the view");
    };
    follow(&mut follower, "a").await;
    // Neither change is published: only a snapshot shows them.
    worker.partition.lock().unwrap().change_worker();
    worker.partition.lock().unwrap().put(vec![full_node("c")]);
    follow(&mut follower, "c").await;
    worker.put(vec![full_node("d")]).await;
    follow(&mut follower, "d").await;
    assert_eq!(follower.fleet().len(), 4);
}

#[tokio::test]
async fn events_arrive_and_a_request_without_a_worker_fails_at_once() {
    let worker = TestWorker::start().await;
    let client = worker.nats.connect("client", None).await.unwrap();
    reached(&client, TEST_TIMEOUT).await.unwrap();
    let mut events = Events::subscribe(&client).await.unwrap();
    let ingest = IngestClient::new(client);
    let (_, partition) = one_partition();
    // Once this is answered, the broker knows the subscription that came before it.
    let history = eventually(TEST_TIMEOUT, async || Ok(ingest.history(partition, id("a")).await?));
    assert_eq!(history.await.unwrap(), None);
    let event = Event { kind: EventKind::Offline, node: id("a"), at_ms: AT_MS };
    let to = subject::event(event.kind, &event.node);
    worker.client.publish(to.clone(), b"?".as_slice().into()).await.unwrap();
    worker.client.publish(to, encode(&event).into()).await.unwrap();
    let next = within(TEST_TIMEOUT, events.next()).await.expect("an event").unwrap();
    assert_eq!(next, event, "and what cannot be read is skipped");

    // Nobody answers requests to forget a node here.
    let refused = eventually(TEST_TIMEOUT, async || match ingest.forget(partition, id("a")).await {
        Err(RequestError::TimedOut) => anyhow::bail!("the broker stands still"),
        refused => Ok(refused),
    });
    assert!(matches!(refused.await.unwrap(), Err(RequestError::NoOwner)));
}
