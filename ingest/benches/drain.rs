//! How fast one worker drains a filled stream, compared with a bare client that only counts messages: `cargo
//! bench -p tidemap-ingest --bench drain`. Both read the same stream of the same broker in turns; the ratio
//! is the result. It also measures the memory of a fleet's state. `-- NODES SAMPLES` measures one fleet
//! instead of two.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{env, fs, path::Path, sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
};
use futures_util::{StreamExt, future::join_all};
use tidemap_broker::{Broker, BrokerConfig, keys::Keys};
use tidemap_ingest::internals::{
    Assignment, Deps, LeaseState, Limits, Message, MinutesPublisher, PartitionState, WorkerStatus,
    run_partition,
};
use tidemap_service::{
    clock::{BrokerClock, unix_ms},
    nats::NatsArgs,
    streams,
};
use tidemap_testkit::machine;
use tidemap_wire::{
    Bps, Hello, Host, Interface, InterfaceRate, Location, LocationSource, NodeId, PartitionCount,
    PartitionStats, Report, Sample, SnapshotRequest, decode, encode, subject,
};
use tokio::{process::Command, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: tidemap_ingest::Allocator = tidemap_ingest::Allocator;

/// Nodes, and samples of each that the stream holds: how long a log a worker finds, and of how large a fleet.
const FLEETS: [(u64, u64); 2] = [(10_000, 300), (100_000, 30)];
/// Rounds of each; machine noise between two rounds can be a third.
const ROUNDS: u64 = 7;
/// How often a worker is asked for a snapshot. It does not answer before it has read everything.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// Publishes whose acknowledgement is awaited together.
const IN_FLIGHT: u64 = 5_000;

#[tokio::main]
async fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["state", nodes, samples] => {
            println!("{}", state(nodes.parse().unwrap(), samples.parse().unwrap()));
        }
        [nodes, samples] => fleet(nodes.parse().unwrap(), samples.parse().unwrap()).await,
        [side, url, seed, messages, epoch] => measure(side, url, seed, messages, epoch).await,
        _ => {
            for (nodes, samples) in FLEETS {
                fleet(nodes, samples).await;
            }
        }
    }
}

/// Compares both on a broker of their own. Each is measured in a process of its own, which holds nothing
/// else.
async fn fleet(nodes: u64, samples: u64) {
    println!("{}", machine::speed());
    let dir = tempfile::tempdir().unwrap();
    let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
    let keys = Keys::open_or_create(dir.path()).unwrap();
    let config = BrokerConfig { dir: dir.path().to_owned(), listen: None, tls: None };
    let mut broker = Broker::start(&binary, config).await.unwrap();
    let seed = keys.service_seed_path();
    let client = NatsArgs::new(&broker.url(), Some(&seed)).connect("bench", None).await.unwrap();
    let js = jetstream::new(client);
    streams::ensure(&js, partitions(), 1).await.unwrap();
    let bytes = fill(&js, nodes, samples).await;
    let messages = nodes * samples;
    println!(
        "{nodes} nodes, {samples} samples each, one report a message, {} bytes a report",
        bytes / messages
    );

    let [state] = child(&["state", &nodes.to_string(), &samples.to_string()]).await[..] else {
        unreachable!()
    };
    println!("state alone: {:.1} MB, {:.0} bytes a node (goal 2,000)", state / 1e6, state / nodes as f64);

    let mut ratios = Vec::new();
    for epoch in 1..=ROUNDS {
        let child = |side: &'static str| {
            let (url, seed) = (broker.url(), seed.display().to_string());
            async move { child(&[side, &url, &seed, &messages.to_string(), &epoch.to_string()]).await }
        };
        let bare = child("bare").await;
        // The previous worker's checkpoints would save this one some reading.
        let kept = js.get_stream(streams::bucket_stream(streams::CHECKPOINTS)).await.unwrap();
        kept.purge().await.unwrap();
        let worker = child("worker").await;
        ratios.push(worker[0] / bare[0]);
        println!(
            "round {epoch}: bare client {:>8.0} messages/s, worker {:>8.0} messages/s, ratio {:.2}; {:.1} MB and {:.1} MB \
             of memory: {:.0} bytes a node",
            bare[0],
            worker[0],
            worker[0] / bare[0],
            bare[1] / 1e6,
            worker[1] / 1e6,
            (worker[1] - bare[1]) / nodes as f64,
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2} (goal 0.8)", ratios[ratios.len() / 2]);
    println!("{}", machine::speed());
    broker.stop().await.unwrap();
}

/// The figures that this program prints when it is started with these arguments.
async fn child(args: &[&str]) -> Vec<f64> {
    let run = Command::new(env::current_exe().unwrap()).args(args).output().await.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let printed = String::from_utf8(run.stdout).unwrap();
    printed.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// Bytes of memory that the state of a fleet takes.
fn state(nodes: u64, samples: u64) -> f64 {
    let before = resident();
    let mut state = PartitionState::new(limits());
    for seq in 1..=samples {
        for number in 0..nodes {
            let (node, payload) = report(number, seq, samples);
            let (subject, published_ms) = (subject::sample(&node), unix_ms());
            state.observe(Message { subject: &subject, payload: &payload, published_ms }).unwrap();
        }
    }
    assert_eq!(u64::try_from(state.len()).unwrap(), nodes);
    resident() - before
}

fn limits() -> Limits {
    Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000, max_nodes: usize::MAX }
}

/// One side, in a process of its own: prints messages per second, and the bytes of memory that it then holds.
async fn measure(side: &str, url: &str, seed: &str, messages: &str, epoch: &str) {
    let access = NatsArgs::new(url, Some(Path::new(seed)));
    let messages = messages.parse().unwrap();
    let (rate, resident) = match side {
        "bare" => bare(&access, messages).await,
        _ => worker(&access, epoch.parse().unwrap(), messages).await,
    };
    println!("{rate} {resident}");
}

fn partitions() -> PartitionCount {
    PartitionCount::new(1).unwrap()
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

/// A report as an agent sends it: every fifth with host metrics, the first with a hello.
fn report(number: u64, seq: u64, samples: u64) -> (NodeId, Vec<u8>) {
    let node = NodeId::from_name(&format!("node-{number:06}")).unwrap();
    let rate = Bps::new(1_234_567.0 + (number * seq % 1_000) as f64);
    let host = Host {
        cpu_percent: Some(12.5),
        cpu_count: Some(8),
        memory_used_bytes: Some((6 << 30) + number),
        memory_total_bytes: Some(16 << 30),
        disk_used_bytes: Some(120 << 30),
        disk_total_bytes: Some(400 << 30),
        load_1: Some(0.5),
        load_5: Some(0.4),
        load_15: Some(0.3),
        uptime_s: Some(86_400 + seq),
        processes: Some(200),
        ..Host::default()
    };
    let interface = InterfaceRate {
        name: "eth0".to_owned(),
        rx_bps: rate.unwrap_or_default(),
        tx_bps: rate.unwrap_or_default(),
    };
    let sample = Sample {
        host: (seq % 5 == 1).then(|| Box::new(host)),
        interfaces: (seq % 5 == 1).then(|| vec![interface]),
        seq,
        at_ms: unix_ms() - i64::try_from(samples - seq).unwrap() * 1_000,
        elapsed_ms: 1_000,
        rx_bytes: seq * 1_234_567,
        tx_bytes: seq * 234_567,
        rx_bps: rate,
        tx_bps: rate,
        probes: None,
    };
    let hello = Hello {
        hostname: format!("node-{number:06}.example.com"),
        os: Some("Debian GNU/Linux 12".to_owned()),
        kernel: Some("6.1.0-13-amd64".to_owned()),
        arch: Some("x86_64".to_owned()),
        agent_version: "0.1.0".to_owned(),
        interval_ms: 1_000,
        internal_ip: Some("192.0.2.10".to_owned()),
        addresses: vec!["192.0.2.10".to_owned(), "2001:db8::10".to_owned()],
        location: Some(Location {
            lat: 47.3769 + number as f64 / 1e6,
            lon: 8.5417,
            label: Some("Zürich".to_owned()),
            source: LocationSource::Given,
        }),
        provider: Some("example-cloud".to_owned()),
        labels: [("role".to_owned(), "web".to_owned())].into(),
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            counted: true,
            reason: "physical device".to_owned(),
            speed_mbps: Some(10_000),
            addresses: vec!["192.0.2.10".to_owned(), "2001:db8::10".to_owned()],
        }],
        ..Hello::default()
    };
    let report = Report {
        node: node.clone(),
        boot: number,
        hello: (seq == 1).then(|| Box::new(hello)),
        samples: vec![sample],
    };
    (node, encode(&report))
}

/// Messages per second of a client that does nothing with them, and its memory.
async fn bare(access: &NatsArgs, count: u64) -> (f64, f64) {
    let client = access.connect("bare", None).await.unwrap();
    let js = jetstream::new(client);
    // Both sides request the stream first, which takes the server 0.15 s with 100,000 subjects.
    let start = Instant::now();
    let stream = js.get_stream(streams::name(partitions().partition(0).unwrap())).await.unwrap();
    let config =
        pull::Config { ack_policy: AckPolicy::None, memory_storage: true, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.stream().max_messages_per_batch(16_384).messages().await.unwrap();
    for _ in 0..count {
        messages.next().await.unwrap().unwrap();
    }
    (count as f64 / start.elapsed().as_secs_f64(), resident())
}

/// Messages per second of an owner until it first answers a request, which it does once it has applied
/// everything; and the process's memory then.
async fn worker(access: &NatsArgs, epoch: u64, messages: u64) -> (f64, f64) {
    let partition = partitions().partition(0).unwrap();
    let slots = partitions().slots(partition).collect();
    let assignment = Assignment { partition, slots, epoch, worker: "bench".to_owned(), limits: limits() };
    let now = Instant::now();
    let lease =
        LeaseState { renewed_at: now + Duration::from_secs(3_600), clock: BrokerClock::new(unix_ms(), now) };
    let (_sender, lease) = watch::channel(lease);
    let data = jetstream::new(access.connect("data", None).await.unwrap());
    let output = access.connect("output", None).await.unwrap();
    let reader = access.connect("reader", None).await.unwrap();
    let mut stats = reader.subscribe(subject::ALL_STATS).await.unwrap();
    let (minutes, _) = MinutesPublisher::start(data.clone(), 1, Duration::from_secs(60));
    let deps =
        Deps { data, output, lease, minutes, status: WorkerStatus::default(), missing: Arc::default() };
    let start = Instant::now();
    tokio::spawn(run_partition(assignment, deps, CancellationToken::new()));
    // It answers once it has applied everything, and not before.
    let asked = encode(&SnapshotRequest { node: Some(report(0, 1, 1).0) });
    loop {
        let ask = reader.request(subject::snapshot(partition), asked.clone().into());
        if tokio::time::timeout(ASK_AGAIN, ask).await.is_ok_and(|answer| answer.is_ok()) {
            break;
        }
    }
    let elapsed = start.elapsed();
    let resident = resident();
    let known = loop {
        let published: PartitionStats = decode(&stats.next().await.unwrap().payload).unwrap();
        if published.epoch == epoch {
            break published.total_samples;
        }
    };
    assert_eq!(known, messages, "the worker has missed something");
    (known as f64 / elapsed.as_secs_f64(), resident)
}

/// Bytes of memory that this process holds.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) * 1_024.0
}
