//! Acknowledged reports a second, published straight to the broker and through a relay: `cargo bench -p
//! tidemap-relay`.
//!
//! Both sides use the same broker in turns, each party in a process of its own. All of them share this
//! machine's cores, so the bench also prints the broker's processor time for each report: that figure stays
//! the same when the others run on machines of their own.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{env, fs, io::Read, path::Path, process::Stdio, time::Duration};

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;
use tempfile::TempDir;
use tidemap_broker::{
    Broker, BrokerConfig,
    keys::{self, Keys, RelaySide},
};
use tidemap_relay::Forwarder;
use tidemap_service::{
    clock::unix_ms,
    nats::{self, NatsArgs},
    streams,
};
use tidemap_testkit::machine;
use tidemap_wire::{Bps, Host, InterfaceRate, NodeId, PartitionCount, Report, Sample, encode, subject};
use tokio::{
    process::{Child, Command},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// How many nodes report.
const NODES: usize = 20_000;
const ROUNDS: usize = 3;
/// How long each side is loaded in a round.
const LOADED: Duration = Duration::from_secs(6);
/// Reports whose acknowledgement is awaited at once: as many as a fleet's agents would have under way.
const IN_FLIGHT: usize = 20_000;
/// `clock ticks` of the processor times in /proc.
const TICKS_A_SECOND: f64 = 100.0;

/// A server with its folder and keys.
struct Server {
    dir: TempDir,
    broker: Broker,
    keys: Keys,
}

/// What a round has shown.
struct Figures {
    acked_a_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Processor time of the broker, microseconds for each report.
    broker_us: f64,
    /// Bytes to the broker and from it, for each report.
    bytes: (f64, f64),
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["agents", url, key] => agents(NatsArgs::new(url, Some(Path::new(key)))).await,
        ["relay", local, local_key, url, key] => {
            let access = |url, key| NatsArgs::new(url, Some(Path::new(key)));
            relay(access(local, local_key), access(url, key)).await;
        }
        _ => compare().await,
    }
}

async fn compare() {
    println!("{}", machine::speed());
    let (local, central) = (Server::start().await, Server::start().await);
    let service = NatsArgs::new(&central.broker.url(), Some(&central.keys.service_seed_path()));
    let js = async_nats::jetstream::new(service.connect("bench", None).await.unwrap());
    streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
    let near = local.enroll(RelaySide::Reports);
    let far = central.enroll(RelaySide::Packs);
    let bytes: usize = (0..NODES).map(|number| report(number).1.len()).sum();
    println!("{NODES} nodes, {} bytes a report, 8 streams, one relay, all on this machine", bytes / NODES);
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let direct = central.load(&central, None).await;
        let relayed = central.load(&local, Some((&near, &far))).await;
        for (way, figures) in [("straight", &direct), ("relayed", &relayed)] {
            println!(
                "round {round}: {way:>8} {:>7.0} acknowledged a second, ack p50 {:>4.0} ms p99 {:>4.0} ms, broker {:>5.2} µs a \
                 report, {:>4.0} bytes to it and {:>3.0} from it a report",
                figures.acked_a_second,
                figures.p50_ms,
                figures.p99_ms,
                figures.broker_us,
                figures.bytes.0,
                figures.bytes.1
            );
        }
        rates.push(relayed.acked_a_second / direct.acked_a_second);
        costs.push(direct.broker_us / relayed.broker_us);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "median: {:.2} times the rate, and the broker spends 1/{:.1} on a report",
        median(&mut rates),
        median(&mut costs)
    );
    println!("{}", machine::speed());
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
        let keys = tidemap_broker::prepare(dir.path()).unwrap();
        let config = BrokerConfig { dir: dir.path().to_owned(), listen: None, tls: None };
        let broker = Broker::start(&binary, config).await.unwrap();
        Self { dir, broker, keys }
    }

    fn enroll(&self, side: RelaySide) -> [String; 2] {
        let relay = NodeId::from_name("bench").unwrap();
        let enrolled = keys::enroll_relay(self.dir.path(), &relay, side).unwrap();
        self.broker.reload().unwrap();
        [self.broker.url(), enrolled.seed_path.display().to_string()]
    }

    /// Has agents report to `to` for a while, through a relay if there are keys for one.
    async fn load(&self, to: &Self, relay: Option<(&[String; 2], &[String; 2])>) -> Figures {
        let mut relaying = relay.map(|(near, far)| child(&["relay", &near[0], &near[1], &far[0], &far[1]]));
        let key = to.keys.simulator_seed_path().display().to_string();
        let before = self.cpu_s();
        let agents = child(&["agents", &to.broker.url(), &key]).wait_with_output().await.unwrap();
        let broker_s = self.cpu_s() - before;
        assert!(agents.status.success());
        let [acked, seconds, p50_ms, p99_ms, out, back] = numbers(&agents.stdout);
        let [out, back] = match &mut relaying {
            Some(relay) => {
                // It ends when its standard input does.
                drop(relay.stdin.take());
                let output = relaying.take().unwrap().wait_with_output().await.unwrap();
                numbers(&output.stdout)
            }
            None => [out, back],
        };
        Figures {
            acked_a_second: acked / seconds,
            p50_ms,
            p99_ms,
            broker_us: broker_s * 1e6 / acked,
            bytes: (out / acked, back / acked),
        }
    }

    /// Processor time that the server has used.
    fn cpu_s(&self) -> f64 {
        let pid = fs::read_to_string(self.dir.path().join("nats-server.pid")).unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS_A_SECOND
    }
}

fn child(args: &[&str]) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

fn numbers<const N: usize>(output: &[u8]) -> [f64; N] {
    let text = String::from_utf8_lossy(output);
    let found: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    found.try_into().unwrap()
}

/// Relays until standard input ends, and prints the bytes to the broker and from it.
async fn relay(local: NatsArgs, broker: NatsArgs) {
    let relay = NodeId::from_name("bench").unwrap();
    let inbox = subject::relay_inbox(&relay);
    let local = local.connect("relay", None).await.unwrap();
    let broker = broker.connect("relay", Some(&inbox)).await.unwrap();
    let stop = CancellationToken::new();
    let forwarder = Forwarder::new(&relay, local, broker.clone()).await.unwrap();
    let running = tokio::spawn(forwarder.run(stop.clone()));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()).unwrap()).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    print_bytes(&broker);
    println!();
}

fn print_bytes(client: &Client) {
    use std::sync::atomic::Ordering::Relaxed;
    let statistics = client.statistics();
    let [messages, out, back] = [&statistics.out_messages, &statistics.out_bytes, &statistics.in_bytes]
        .map(|count| count.load(Relaxed));
    // The client counts what goes out twice: as messages, and as written, where each has some 14 bytes more.
    print!(" {} {back}", (out + 14 * messages) / 2);
}

/// Publishes reports of all nodes in turn, with a bounded number in flight; prints how many were
/// acknowledged, in how many seconds, the median and the 99th percentile of the time to an acknowledgement,
/// and the bytes to the server and from it.
async fn agents(access: NatsArgs) {
    let client = access.connect("agents", Some("_INBOX.simulator")).await.unwrap();
    nats::reached(&client, Duration::from_secs(30)).await.unwrap();
    let reports: Vec<(async_nats::Subject, Bytes)> = (0..NODES).map(report).collect();
    let prefix = client.new_inbox();
    let mut answers = client.subscribe(format!("{prefix}.*")).await.unwrap().ready_chunks(1_024);
    warm_up(&client, &mut answers, &prefix, &reports[0]).await;
    let start = Instant::now();
    let (mut sent, mut flying, mut acked) = (Vec::new(), 0, 0_u64);
    let mut took_ms = Vec::new();
    while start.elapsed() < LOADED || flying > 0 {
        while flying < IN_FLIGHT && start.elapsed() < LOADED {
            for _ in 0..256 {
                let (subject, payload) = reports[sent.len() % NODES].clone();
                let reply = format!("{prefix}.{}", sent.len());
                client.publish_with_reply(subject, reply, payload).await.unwrap();
                sent.push(start.elapsed());
                flying += 1;
            }
        }
        let Ok(answers) = tokio::time::timeout(Duration::from_secs(10), answers.next()).await else { break };
        let now = start.elapsed();
        for answer in answers.unwrap() {
            let number: usize = answer.subject.rsplit('.').next().unwrap().parse().unwrap();
            flying -= 1;
            if answer.payload.starts_with(b"{\"stream\"") {
                acked += 1;
                took_ms.push((now - sent[number]).as_secs_f64() * 1e3);
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    took_ms.sort_by(f64::total_cmp);
    let at = |part: f64| took_ms.get((took_ms.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    print!("{acked} {seconds} {} {}", at(0.5), at(0.99));
    print_bytes(&client);
    println!();
}

/// Waits until the other side answers.
async fn warm_up(
    client: &Client,
    answers: &mut futures_util::stream::ReadyChunks<async_nats::Subscriber>,
    prefix: &str,
    (subject, payload): &(async_nats::Subject, Bytes),
) {
    loop {
        client.publish_with_reply(subject.clone(), format!("{prefix}.0"), payload.clone()).await.unwrap();
        // A relay that has just connected may get a report before it subscribes, so each attempt has a
        // timeout.
        let heard = tokio::time::timeout(Duration::from_secs(1), answers.next()).await;
        if let Ok(Some(answers)) = heard
            && answers.iter().any(|answer| answer.payload.starts_with(b"{\"stream\""))
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A report as an agent sends it: every fifth with host metrics.
fn report(number: usize) -> (async_nats::Subject, Bytes) {
    let node = NodeId::from_name(&format!("node-{number:06}")).unwrap();
    let rate = Bps::new(1_234_567.0 + number as f64);
    let host = Host {
        cpu_percent: Some(12.5),
        cpu_count: Some(8),
        memory_used_bytes: Some(6 << 30),
        memory_total_bytes: Some(16 << 30),
        disk_used_bytes: Some(120 << 30),
        disk_total_bytes: Some(400 << 30),
        load_1: Some(0.5),
        load_5: Some(0.4),
        load_15: Some(0.3),
        uptime_s: Some(86_400),
        processes: Some(200),
        ..Host::default()
    };
    let interface = InterfaceRate {
        name: "eth0".to_owned(),
        rx_bps: rate.unwrap_or_default(),
        tx_bps: rate.unwrap_or_default(),
    };
    let sample = Sample {
        host: number.is_multiple_of(5).then(|| Box::new(host)),
        interfaces: number.is_multiple_of(5).then(|| vec![interface]),
        seq: 7,
        at_ms: unix_ms(),
        elapsed_ms: 1_000,
        rx_bytes: 1_234_567_890,
        tx_bytes: 234_567_890,
        rx_bps: rate,
        tx_bps: rate,
        probes: None,
    };
    let report = Report { node: node.clone(), boot: number as u64, hello: None, samples: vec![sample] };
    (subject::sample(&node).into(), encode(&report).into())
}
