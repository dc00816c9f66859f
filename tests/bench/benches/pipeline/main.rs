//! The pipeline's throughput: `cargo xtask bench pipeline`, and `cargo xtask bench headline`.
//!
//! Real processes around a real broker: simulator, nats-server, one worker, one API. The bare broker is
//! measured first in the same run. Everything shares this machine's cores. Goals stand beside the figures,
//! and a missed one makes the exit code 1. The highest load that the pipeline carries is reported as a
//! ceiling, with the limiting resource and the ratio to the bare broker; it is not a goal, because it depends
//! on the machine. `-- --quick` measures for a shorter time; `-- headline --minutes N` runs the fleet of the
//! headline for N minutes.
//!
//! The broker's log is in the folder for temporary files, `$TMPDIR`: it takes about 25 MB a second at 100,000
//! nodes, for ten minutes at most.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod ceiling;
mod headline;
mod limits;
mod machine;
mod services;
mod slope;
mod tally;
mod watch;

use std::{process::ExitCode, time::Duration};

use tidemap_bench::table::{Goal, Table};
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{
    client::{self, quantile},
    probe,
};
use tokio::time::{Instant, sleep};

use limits::Limits;
use services::{Services, Way};
use watch::{PROCESSES, Seen, watch};

/// The fleets that must be carried, and how their reports are sent.
const FLEETS: [(u32, Way); 3] =
    [(1_000, Way::Acknowledged), (10_000, Way::Acknowledged), (MANY, Way::Packed)];
/// The fleet of the headline and of the ceiling.
const MANY: u32 = 100_000;
/// The share of a fleet's nodes that report at a time, as a few are silent from time to time.
const REPORTING: f64 = 0.97;
/// How many requests for the view may fail in a run. The figures are from the others.
const FEW_LOOKS: f64 = 3.0;

/// How long everything takes.
struct Plan {
    messages: u64,
    warming: Duration,
    watching: Duration,
    step: Duration,
    /// The ways of sending whose ceiling is measured, and the seconds between a node's reports at each step.
    ceilings: &'static [Way],
    intervals_s: &'static [f64],
    samples: u64,
}

const FULL: Plan = Plan {
    messages: 1_000_000,
    warming: Duration::from_secs(10),
    watching: Duration::from_secs(30),
    step: Duration::from_secs(15),
    ceilings: &[Way::Acknowledged, Way::Unanswered, Way::Packed],
    intervals_s: &[4.0, 3.0, 2.0, 1.5, 1.0, 0.667, 0.5, 0.4, 0.333, 0.286, 0.25],
    samples: 160,
};
const QUICK: Plan = Plan {
    messages: 200_000,
    warming: Duration::from_secs(3),
    watching: Duration::from_secs(6),
    step: Duration::from_secs(5),
    ceilings: &[Way::Packed],
    intervals_s: &[1.0, 0.5, 0.333],
    samples: 24,
};

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let begun = Instant::now();
    let mut table = Table::begin();
    let (file, measured) = if args.iter().any(|arg| arg == "headline") {
        let minutes = args.iter().skip_while(|arg| *arg != "--minutes").nth(1);
        let minutes: f64 = minutes.map_or(10.0, |minutes| minutes.parse().unwrap());
        let lasting = Duration::from_secs_f64(minutes * 60.0);
        ("headline.json", headline::measure(lasting, &mut table).await)
    } else {
        let plan = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
        ("pipeline.json", pipeline(&plan, &mut table).await)
    };
    eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
    // Figures from before a failure are written and printed, too.
    let held = table.end(file).unwrap();
    if let Err(error) = &measured {
        println!("could not go on: {error:#}");
    }
    if held && measured.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn pipeline(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let limits = limits::measure(plan.messages).await?;
    note_limits(&limits, table);
    fleets(plan, &limits, table).await?;
    ceiling::single_reports(plan, &limits, table).await?;
    ceiling::ladder(plan, &limits, table).await
}

fn note_limits(limits: &Limits, table: &mut Table) {
    for (what, figure) in [
        ("core publish", limits.publish),
        ("core publish and subscribe", limits.publish_and_subscribe),
        ("stream capture", limits.capture),
        ("stream capture by the agents' service import", limits.capture_by_import),
        ("acknowledged publish", limits.acknowledged),
        ("acknowledged publish by the agents' service import", limits.acknowledged_by_import),
        ("pull drain", limits.drain),
    ] {
        table.note(format!("bare broker: {what}"), figure, "messages/s", Goal::None);
    }
}

/// Fleets of several sizes, one report a second of each node.
async fn fleets(plan: &Plan, limits: &Limits, table: &mut Table) -> anyhow::Result<()> {
    for (nodes, way) in FLEETS {
        eprintln!("{nodes} nodes, {}", way.name());
        let services = Services::start().await?;
        let fleet = services.fleet(nodes, 1.0, way).await?;
        sleep(plan.warming).await;
        let seen = watch(&services, &fleet, plan.watching).await?;
        let what = |of: &str| format!("{nodes} nodes, {}: {of}", way.name());
        note_seen(&seen, Some(f64::from(nodes)), &what, table);
        table.note(
            what("share of the bare capture limit"),
            seen.applied_per_second() / limits.capture,
            "",
            Goal::None,
        );
        let probes = latency(plan, &services, &what, table).await?;
        let account = services.settle(fleet, probes).await?;
        table.note(what("samples published"), account.published as f64, "", Goal::None);
        table.note(what("samples lost"), account.lost() as f64, "", Goal::AtMost(0.0));
    }
    Ok(())
}

/// Notes the observations of a fleet. With `expected` samples a second, that rate must be carried; without,
/// the fleet shows how much can be.
fn note_seen(seen: &Seen, expected: Option<f64>, what: &impl Fn(&str) -> String, table: &mut Table) {
    let is = |goal: Goal| if expected.is_some() { goal } else { Goal::Ceiling };
    let least = expected.map_or(Goal::Ceiling, |expected| Goal::AtLeast(expected * REPORTING));
    table.note(what("samples applied"), seen.applied_per_second(), "samples/s", least);
    table.note(what("messages refused"), seen.refused as f64, "", Goal::AtMost(0.0));
    table.note(what("lag, p50"), seen.lag_s(&seen.looks, 0.5) * 1_000.0, "ms of reports", Goal::None);
    table.note(what("lag, highest"), seen.lag_s(&seen.looks, 1.0) * 1_000.0, "ms of reports", Goal::None);
    table.note(what("lag is bounded"), f64::from(u8::from(seen.is_bounded())), "", is(Goal::AtLeast(1.0)));
    table.note(what("view age, p99"), seen.view_age_ms(0.99) as f64, "ms", is(Goal::AtMost(3_000.0)));
    table.note(what("looks that failed"), seen.failed as f64, "", is(Goal::AtMost(FEW_LOOKS)));
    for (number, process) in PROCESSES.iter().enumerate() {
        table.note(what(&format!("processor, {process}")), seen.cores[number], "cores", Goal::None);
    }
    let resident = seen.looks.last().map_or([0; 5], |look| look.resident_bytes);
    for (process, bytes) in PROCESSES.iter().zip(resident).take(4) {
        table.note(what(&format!("memory, {process}")), bytes as f64 / 1e6, "MB", Goal::None);
    }
    let (into, out) = seen.payload_bytes_per_sample();
    table.note(what("payload into the broker"), into, "bytes/sample", Goal::None);
    table.note(what("payload out of the broker"), out, "bytes/sample", Goal::None);
    table.note(what("log"), seen.stored_bytes_per_sample(), "bytes/sample", Goal::None);
}

/// Time from sample to event, by nodes that the bench adds to the fleet. Returns how many samples these have
/// sent.
async fn latency(
    plan: &Plan,
    services: &Services,
    what: &impl Fn(&str) -> String,
    table: &mut Table,
) -> anyhow::Result<u64> {
    let key = services.broker.keys.simulator_seed_path();
    let access = NatsArgs::new(&services.broker.url, Some(&key));
    let client = access.connect("probe", Some("_INBOX.simulator")).await?;
    let probed = probe::measure(client, client::address(&services.url)?, plan.samples).await?;
    let quantile_ms = |share| quantile(&probed.latencies_us, share) as f64 / 1_000.0;
    table.note(what("sample to event, p50"), quantile_ms(0.5), "ms", Goal::None);
    table.note(what("sample to event, p99"), quantile_ms(0.99), "ms", Goal::None);
    table.note(what("samples without an event"), probed.lost as f64, "", Goal::AtMost(0.0));
    Ok((probed.latencies_us.len() + probed.lost) as u64)
}
