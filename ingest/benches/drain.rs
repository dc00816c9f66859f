//! How fast one worker drains a filled stream, beside a bare client that only counts: `cargo bench -p tidemap-ingest
//! --bench drain`. Both read the same stream of the same broker in turns; the ratio is what counts.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{
    fs,
    time::{Duration, Instant},
};

use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
    },
};
use futures_util::{StreamExt, future::join_all};
use tidemap_ingest::{
    board::Board,
    owner::{self, Claim, Outside, Tenure},
    partition::Limits,
};
use tidemap_service::{
    broker::{self, Broker, BrokerConfig},
    clock::{BrokerClock, unix_ms},
    keys::Keys,
    nats::NatsArgs,
    streams,
};
use tidemap_wire::{
    Bps, Hello, NodeId, Partition, PartitionCount, PartitionStats, Report, Sample, decode, encode, subject,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Nodes, and samples of each that the stream holds: how long a log a worker finds, and of how large a fleet.
const FLEETS: [(u64, u64); 2] = [(10_000, 100), (100_000, 10)];
const ROUNDS: usize = 3;
/// Publishes whose acknowledgement is awaited together.
const IN_FLIGHT: u64 = 5_000;

#[tokio::main]
async fn main() {
    for (nodes, samples) in FLEETS {
        fleet(nodes, samples).await;
    }
}

/// Compares both on a broker of their own.
async fn fleet(nodes: u64, samples: u64) {
    let dir = tempfile::tempdir().unwrap();
    let binary = broker::locate(&broker::default_tools_dir()).unwrap();
    let keys = Keys::open_or_create(dir.path()).unwrap();
    let config = BrokerConfig { dir: dir.path().to_owned(), listen: None, tls: None };
    let mut broker = Broker::start(&binary, config).await.unwrap();
    let access = NatsArgs::new(&broker.url(), Some(&keys.service_seed_path()));
    let count = PartitionCount::new(1).unwrap();
    let partition = count.partition(0).unwrap();
    let client = access.connect("bench", None).await.unwrap();
    let js = jetstream::new(client.clone());
    streams::ensure(&js, count, 1).await.unwrap();
    let bytes = fill(&js, nodes, samples).await;
    let messages = nodes * samples;
    println!(
        "{nodes} nodes, {samples} samples each, one report a message, {} bytes a report",
        bytes / messages
    );

    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let bare = bare(&access, partition, messages).await;
        // What the worker before has kept would spare this one some reading.
        let kept = js.get_stream(format!("KV_{}", streams::CHECKPOINTS)).await.unwrap();
        kept.purge().await.unwrap();
        let before = resident();
        let epoch = u64::try_from(round).unwrap();
        let (worker, after) = worker(&access, &client, count, epoch, messages).await;
        ratios.push(worker / bare);
        println!(
            "round {round}: bare client {bare:>8.0} messages/s, worker {worker:>8.0} messages/s, ratio {:.2}; \
             memory {:.0} MB more, {:.0} bytes a node",
            worker / bare,
            (after - before) / 1e6,
            (after - before) / nodes as f64,
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2} (goal 0.8)", ratios[ROUNDS / 2]);
    broker.stop().await.unwrap();
}

/// Fills the stream; returns the bytes of all payloads.
async fn fill(js: &jetstream::Context, nodes: u64, samples: u64) -> u64 {
    let mut bytes = 0;
    for seq in 1..=samples {
        for first in (0..nodes).step_by(usize::try_from(IN_FLIGHT).unwrap()) {
            let mut acks = Vec::new();
            for number in first..first + IN_FLIGHT {
                let (node, payload) = report(number, seq, samples);
                bytes += payload.len() as u64;
                acks.push(js.publish(subject::sample(&node), payload.into()).await.unwrap().into_future());
            }
            join_all(acks).await.into_iter().for_each(|ack| drop(ack.unwrap()));
        }
    }
    bytes
}

/// A report as a simulated agent of `tidemap simulate` sends it; the first says hello.
fn report(number: u64, seq: u64, samples: u64) -> (NodeId, Vec<u8>) {
    let node = NodeId::from_name(&format!("node-{number:06}")).unwrap();
    let rate = Bps::new(1_234_567.0 + (number * seq % 1_000) as f64);
    let sample = Sample {
        seq,
        at_ms: unix_ms() - i64::try_from(samples - seq).unwrap() * 1_000,
        elapsed_ms: 1_000,
        rx_bytes: seq * 1_234_567,
        tx_bytes: seq * 234_567,
        rx_bps: rate,
        tx_bps: rate,
        ..Sample::default()
    };
    let hello = Hello {
        hostname: format!("node-{number:06}.example.com"),
        os: Some("Debian GNU/Linux 12".to_owned()),
        kernel: Some("6.1.0-13-amd64".to_owned()),
        arch: Some("x86_64".to_owned()),
        interval_ms: 1_000,
        ..Hello::default()
    };
    let report = Report {
        node: node.clone(),
        boot: number,
        hello: (seq == 1).then_some(hello),
        samples: vec![sample],
    };
    (node, encode(&report))
}

/// Messages per second of a client that does nothing with them.
async fn bare(access: &NatsArgs, partition: Partition, count: u64) -> f64 {
    let client = access.connect("bare", None).await.unwrap();
    let js = jetstream::new(client);
    let stream = js.get_stream(streams::name(partition)).await.unwrap();
    let start = Instant::now();
    let config =
        pull::Config { ack_policy: AckPolicy::None, memory_storage: true, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.stream().max_messages_per_batch(4_096).messages().await.unwrap();
    for _ in 0..count {
        messages.next().await.unwrap().unwrap();
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Messages per second of an owner, until it has told readers that it knows everything; and what the process then holds.
async fn worker(
    access: &NatsArgs,
    client: &Client,
    count: PartitionCount,
    epoch: u64,
    messages: u64,
) -> (f64, f64) {
    let partition = count.partition(0).unwrap();
    let limits = Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000 };
    let claim = Claim {
        partition,
        slots: count.slots(partition).collect(),
        epoch,
        owner: "bench".to_owned(),
        limits,
    };
    let now = tokio::time::Instant::now();
    let tenure =
        Tenure { renewed_at: now + Duration::from_secs(3_600), clock: BrokerClock::new(unix_ms(), now) };
    let (_keeper, tenure) = watch::channel(tenure);
    let data = jetstream::new(access.connect("data", None).await.unwrap());
    let output = access.connect("output", None).await.unwrap();
    let outside = Outside { data, output, tenure, board: Board::default() };
    let mut stats = client.subscribe(subject::ALL_STATS).await.unwrap();
    let stop = CancellationToken::new();
    let start = Instant::now();
    let owner = tokio::spawn(owner::run(claim, outside, stop.clone()));
    let known = loop {
        let told: PartitionStats = decode(&stats.next().await.unwrap().payload).unwrap();
        if told.epoch == epoch {
            break told.total_samples;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(known, messages, "the worker has missed something");
    let resident = resident();
    // What is kept would make the next round faster.
    owner.abort();
    stop.cancel();
    (known as f64 / seconds, resident)
}

/// Bytes of memory that this process holds.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) * 1_024.0
}
