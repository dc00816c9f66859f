//! An enrolled agent attacks for minutes, beside a thousand honest nodes that must not notice.
//!
//! `TIDEMAP_ATTACK_WINDOWS` sets how many windows of some 12 s it attacks in: 300 are an hour.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use async_nats::Client;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tidemap_broker::keys;
use tidemap_service::{clock::unix_ms, nats::NatsArgs, streams};
use tidemap_testkit::{
    broker::TestBroker,
    counters::Counters,
    eventually,
    http::{get_json, is_ready},
    is_long, probe,
    usage::resident_bytes,
};
use tidemap_wire::{NodeId, Status, encode, http::NodeJson, subject};
use tokio::task::JoinHandle;

use crate::{EVENT_TIMEOUT, excess::excesses};

const NODES: u32 = 1_000;
/// One simulated node in so many falls silent by itself.
const FLAKY_ONE_IN: usize = 33;
/// Messages of the attacker each second, in one burst.
const BURST: usize = 60;
/// Messages that it has thought of before it begins, so that its thinking takes no time from anybody.
const IDEAS: usize = 400;
/// Samples whose way to an event is timed in each window.
const PROBES: u64 = 80;
/// One window in so many is quiet.
const QUIET_ONE_IN: usize = 8;

/// In which windows the attacker attacks.
struct Plan {
    /// Quiet windows before the first attack. The broker's caches grow until its log has reached its age, and
    /// with what the log takes each second: its heap is printed, not bounded.
    quiet: usize,
    attacked: usize,
}

impl Plan {
    fn of_this_run() -> Self {
        let attacked = std::env::var("TIDEMAP_ATTACK_WINDOWS").ok().map(|windows| windows.parse().unwrap());
        match attacked {
            Some(attacked) => Self { quiet: 55, attacked },
            None if is_long() => Self { quiet: 55, attacked: 60 },
            None => Self { quiet: 1, attacked: 5 },
        }
    }

    /// Whether each window is attacked. Quiet ones are among them, so that a slow moment of the machine is in
    /// both.
    fn windows(&self) -> impl Iterator<Item = bool> {
        let quiet = std::iter::repeat_n(false, self.quiet);
        let windows = self.attacked * QUIET_ONE_IN / (QUIET_ONE_IN - 1);
        quiet.chain((0..windows).map(|window| window % QUIET_ONE_IN != 1))
    }
}

/// Publishes what agents do not, until it is dropped.
struct Attacker {
    is_on: Arc<AtomicBool>,
    attacking: JoinHandle<()>,
}

impl Attacker {
    fn start(client: Client, subject: String, ideas: Vec<Bytes>, seed: u64) -> Self {
        let is_on = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_on);
        let attacking = tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut second = tokio::time::interval(Duration::from_secs(1));
            loop {
                second.tick().await;
                for _ in 0..if flag.load(Ordering::Relaxed) { BURST } else { 0 } {
                    client.publish(subject.clone(), ideas[random.usize(..IDEAS)].clone()).await.ok();
                }
                // Whatever it may not do as well.
                client.subscribe(format!("tidemap.v1.{}.>", random.u8(..))).await.ok();
            }
        });
        Self { is_on, attacking }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.attacking.abort();
    }
}

/// Messages that are nearly reports.
struct Ideas {
    random: fastrand::Rng,
    seq: u64,
}

impl Ideas {
    fn all(seed: u64) -> Vec<Bytes> {
        let known = excesses().into_iter().map(|(_, message)| message);
        let mut ideas = Self { random: fastrand::Rng::with_seed(seed), seq: 0 };
        let new = std::iter::from_fn(|| Some(ideas.next()));
        known.chain(new).take(IDEAS).map(Bytes::from).collect()
    }

    fn next(&mut self) -> Vec<u8> {
        self.seq += self.random.u64(0..4);
        let samples: Vec<Value> = (0..self.random.usize(0..40)).map(|_| self.sample()).collect();
        let mut report = json!({ "node": "evil", "boot": self.random.u64(0..5), "samples": samples });
        if self.random.bool() {
            report["hello"] = self.hello();
        }
        let mut message = encode(&report);
        if self.random.u8(0..8) == 0 {
            let at = self.random.usize(..message.len());
            message[at] = self.random.u8(..);
        }
        message.truncate(60_000);
        message
    }

    fn sample(&mut self) -> Value {
        let mut sample = json!({
            "seq": self.seq + self.random.u64(0..100), "at_ms": unix_ms() + self.random.i64(-1_000_000..1_000_000),
            "elapsed_ms": self.random.u32(..), "rx_bytes": self.counter(), "tx_bytes": self.counter(),
            "rx_bps": self.random.f64() * 1.01e14, "tx_bps": self.random.f64() * 1e9,
        });
        if self.random.bool() {
            sample["host"] =
                json!({ "cpu_percent": self.random.f64() * 1e6 - 5e5, "load_1": self.random.f64() * 1e300 });
        }
        if self.random.bool() {
            let count = self.random.usize(0..100);
            sample["interfaces"] = json!(vec![json!([self.text(), 1e9, 1e9]); count]);
        }
        sample
    }

    /// Of any magnitude: most are possible, and so become a node's state.
    fn counter(&mut self) -> u64 {
        self.random.u64(..) >> self.random.u32(..64)
    }

    fn hello(&mut self) -> Value {
        let labels: Map<String, Value> =
            (0..self.random.usize(0..100)).map(|_| (self.text(), json!(self.text()))).collect();
        json!({
            "hostname": self.text(), "provider": self.text(), "os": self.text(), "labels": labels,
            "interval_ms": self.random.u32(..), "agent_version": self.text(),
            "addresses": vec![self.text(); self.random.usize(0..40)],
            "interfaces": vec![json!({ "name": self.text(), "counted": true }); self.random.usize(0..100)],
        })
    }

    fn text(&mut self) -> String {
        let letter = self.random.char(..);
        let count = if self.random.u8(0..8) == 0 { 400 } else { 12 };
        letter.to_string().repeat(self.random.usize(0..count))
    }
}

/// Honest nodes that should report and are not online.
fn troubled(nodes: &[NodeJson]) -> Vec<&str> {
    let is_flaky = |name: &str| {
        let number = name.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
        number.is_some_and(|number| number % FLAKY_ONE_IN == 0)
    };
    let honest = nodes.iter().filter(|node| node.name != "evil" && !node.name.starts_with("probe-"));
    honest
        .filter(|node| node.status != Status::Online && !is_flaky(&node.name))
        .map(|node| &*node.name)
        .collect()
}

fn p99_ms(latencies_us: &mut [u64]) -> f64 {
    latencies_us.sort_unstable();
    latencies_us[latencies_us.len() * 99 / 100] as f64 / 1_000.0
}

#[tokio::test]
async fn an_agent_that_attacks_for_minutes_is_felt_by_nobody_else() {
    let broker = TestBroker::start().await.unwrap();
    let ingest = broker.ingest(&[]).unwrap();
    let (api, url) = broker.api().await.unwrap();
    let _fleet = broker.known_fleet(NODES, &url).await.unwrap();
    let counters = Counters::open(&broker.url, &broker.keys).await.unwrap();
    let evil = NodeId::from_name("evil").unwrap();
    let key = keys::enroll(broker.folder(), &evil).unwrap().seed_path;
    broker.server.reload().unwrap();
    let connect =
        async |key, inbox| NatsArgs::new(&broker.url, Some(key)).connect("test", Some(inbox)).await.unwrap();
    let seed = fastrand::u64(..);
    let attacker =
        Attacker::start(connect(&key, "_INBOX.evil").await, subject::sample(&evil), Ideas::all(seed), seed);
    println!("seed {seed}");

    let address: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let probes = connect(&broker.keys.simulator_seed_path(), "_INBOX.simulator").await;
    let used = || [ingest.pid(), api.pid()].map(|pid| resident_bytes(pid).unwrap());
    let stored = counters.read().await.unwrap().jetstream.bytes;
    let mut latencies: [Vec<u64>; 2] = Default::default();
    let (mut memory, mut heap) = (Vec::new(), Vec::new());
    let plan = Plan::of_this_run();
    for (window, is_attacked) in plan.windows().enumerate() {
        attacker.is_on.store(is_attacked, Ordering::Relaxed);
        let probed = probe::measure(probes.clone(), address, PROBES).await.unwrap();
        assert_eq!(probed.lost, 0, "window {window}: samples without an event");
        if window >= plan.quiet {
            latencies[usize::from(is_attacked)].extend(probed.latencies_us);
        }
        // While the attack goes on. A worker or a fleet that stands still for a while is no victim of it.
        let untroubled = eventually(EVENT_TIMEOUT, || async {
            let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
            let troubled = troubled(&nodes);
            ensure!(troubled.is_empty(), "window {window}: {troubled:?}");
            is_ready(&url).await
        });
        untroubled.await.unwrap();
        memory.push(used());
        heap.push(counters.live_heap_bytes().await.unwrap());
    }
    let [quiet, attacked] = latencies.each_mut().map(|latencies| p99_ms(latencies));
    println!(
        "sample to event, p99: quiet {quiet:.0} ms, attacked {attacked:.0} ms, {:.2} ×",
        attacked / quiet
    );
    let last_quiet = plan.quiet - 1;
    let memory_mb = [("ingest", 0), ("api", 1)].map(|(name, of)| {
        let [before, after] = [last_quiet, memory.len() - 1].map(|window| memory[window][of] as f64 / 1e6);
        println!("memory of {name}: {before:.0} → {after:.0} MB");
        (name, before, after)
    });
    let heap_mb: Vec<u64> = heap.iter().map(|bytes| bytes >> 20).collect();
    println!("heap of the broker after each window: {heap_mb:?} MB");
    let (quiet_heap, attacked_heap) = heap_mb.split_at(plan.quiet);
    let [quiet_heap, attacked_heap] = [quiet_heap, attacked_heap].map(|heap| *heap.iter().max().unwrap());
    println!("most heap of the broker: quiet {quiet_heap} MB, attacked {attacked_heap} MB");
    let stored = counters.read().await.unwrap().jetstream.bytes - stored;
    println!("disk: {} MB more, of all nodes together", stored / 1_000_000);
    for (name, before, after) in memory_mb {
        assert!(after <= before * 1.1 + 8.0, "{name}: {before} → {after} MB");
    }
    assert!(stored < streams::MAX_BYTES_OF_A_NODE, "{stored} bytes");
    // A minute is too short for it.
    if plan.quiet > 1 {
        assert!(attacked <= 1.2 * quiet, "{quiet} → {attacked} ms");
    }
    let culprit: NodeJson = get_json(format!("{url}/api/nodes/evil")).await.unwrap();
    assert!(culprit.refused_reports > Some(10), "{culprit:?}");
    assert!(ingest.log().contains("node=evil"), "{}", ingest.log());

    // Who begins to read now is ready as always.
    let (_late, late) = broker.api().await.unwrap();
    eventually(EVENT_TIMEOUT, || is_ready(&late)).await.unwrap();
    let nodes: Vec<NodeJson> = get_json(format!("{late}/api/nodes")).await.unwrap();
    assert!(nodes.len() > NODES as usize, "{} nodes", nodes.len());
}
