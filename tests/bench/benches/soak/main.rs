//! The pipeline under one fault after the other, for a given time: `cargo xtask soak --minutes N`.
//!
//! Three workers (one of them behind a network that can be cut), an API, a broker and a fleet with an ack
//! log. Every few seconds the memory of each process is read. At the end the oracle judges, and the broker's
//! own counters must have returned to their first values. The faults follow from a seed, which is printed:
//! `--seed S` repeats them.
#![expect(clippy::unwrap_used, reason = "a soak that cannot go on has failed")]

mod faults;
mod memory;

use std::{process::ExitCode, time::Duration};

use anyhow::ensure;
use tidemap_e2e::scenario::{Scenario, TAKEOVER_AFTER_OUTAGE};
use tidemap_testkit::{
    broker::TestBroker,
    counters::{Counters, Counts},
    eventually, machine,
    proxy::Proxy,
};
use tokio::time::{Instant, sleep};

use faults::Faults;
use memory::{BROKER_HEAP, Memory};

/// Nodes of the fleet.
const NODES: u64 = 200;
/// Between two faults the pipeline is left alone for up to this many seconds.
const PEACE_S: u64 = 8;
/// A broker keeps consumers of clients that have left for half a minute.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(90);

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
    let minutes: f64 = value("--minutes").map_or(5.0, |minutes| minutes.parse().unwrap());
    let seed = value("--seed").map_or_else(|| fastrand::u64(..1 << 32), |seed| seed.parse().unwrap());
    println!("soak: {minutes} minutes, {NODES} nodes, --seed {seed}");
    println!("{}", machine::speed());
    let held = soak(Duration::from_secs_f64(minutes * 60.0), seed).await.unwrap();
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn soak(lasting: Duration, seed: u64) -> anyhow::Result<bool> {
    let mut broker = TestBroker::start().await?;
    let counters = Counters::open(&broker.url, &broker.keys).await?;
    let proxy = Proxy::start(broker.server.address()).await?;
    let mut scenario = Scenario::start("soak", &broker.keys, &broker.url, 2).await?;
    scenario.add_worker_at(&proxy.url())?;
    let fleet = scenario.fleet(NODES, &["--duplicate", "0.02", "--shuffle", "1", "--skew", "60"]).await?;
    scenario.all_fresh().await?;
    let before = counters.read().await?;

    let (mut memory, mut faults, begun) = (Memory::default(), Faults::new(seed), Instant::now());
    while begun.elapsed() < lasting {
        let until = Instant::now() + Duration::from_secs(faults.chance(2..=PEACE_S));
        while Instant::now() < until {
            memory.look(begun.elapsed(), &processes(&scenario, &broker, fleet.pid()))?;
            // A broker that has just restarted may answer late; the next look gets an answer.
            if let (Some(pid), Ok(bytes)) = (broker.server.pid(), counters.live_heap_bytes().await) {
                memory.note(begun.elapsed(), (pid, BROKER_HEAP), bytes);
            }
            sleep(Duration::from_secs(1)).await;
        }
        let fault = faults.next(&mut scenario, &mut broker, &proxy).await?;
        let broke = Instant::now();
        scenario.all_fresh().await?;
        println!(
            "{:4} s: {fault}; whole again after {:.1} s",
            begun.elapsed().as_secs(),
            broke.elapsed().as_secs_f64()
        );
    }
    let is_cleared = cleared(&counters, &before).await;
    let is_flat = memory.print();
    let verdict = scenario.end(fleet).await?;
    verdict.assert_held(faults::LONGEST + TAKEOVER_AFTER_OUTAGE * 2);
    Ok(is_cleared && is_flat)
}

/// Whether the broker has no more consumers, subscriptions and connections than before; prints the
/// comparison.
async fn cleared(counters: &Counters, before: &Counts) -> bool {
    let summary = |counts: &Counts| {
        let (server, kept) = (&counts.server, &counts.jetstream);
        format!(
            "{} consumers, {} subscriptions, {} connections",
            kept.consumers, server.subscriptions, server.connections
        )
    };
    let cleared = eventually(CLEANUP_TIMEOUT, || async {
        let now = counters.read().await?;
        let is_back = now.jetstream.consumers <= before.jetstream.consumers
            && now.server.subscriptions <= before.server.subscriptions
            && now.server.connections <= before.server.connections;
        ensure!(is_back, "{} at the end", summary(&now));
        Ok(now)
    })
    .await;
    match &cleared {
        Ok(now) => println!("broker: {} before, {} at the end", summary(before), summary(now)),
        Err(error) => println!("broker: {} before, LEAKED: {error:#}", summary(before)),
    }
    cleared.is_ok()
}

/// The processes by role. A replaced process has another number than its predecessor.
fn processes(scenario: &Scenario, broker: &TestBroker, fleet: u32) -> Vec<(&'static str, u32)> {
    let mut processes: Vec<_> = scenario.workers.iter().map(|worker| ("ingest", worker.pid())).collect();
    processes.extend([("api", scenario.api.pid()), ("simulator", fleet)]);
    processes.extend(broker.server.pid().map(|pid| ("nats-server", pid)));
    processes
}
