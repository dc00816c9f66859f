//! What judging costs, and how soon a webhook has what was found: `cargo xtask bench alerts`.
//!
//! Real processes around a real broker: one worker, one API, one station with 200 rules, and a fleet that
//! reports once a second. The bench adds nodes of its own, whose rates pass a threshold one after another.
//! The time from the first such report, and the rule's `for`, to the webhook is the delay. The station's
//! processor time is compared with that of a station without rules in the same run: what remains is
//! receiving the fleet. Goals stand beside the figures, and a missed one makes the exit code 1. `-- --quick`
//! measures fewer nodes for a shorter time, without goals.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod causes;
mod rules;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use tidemap_bench::table::{Goal, Table};
use tidemap_testkit::{
    broker::TestBroker,
    client::quantile,
    eventually,
    http::{get_json, is_ready},
    process::Tidemap,
    sink::HttpSink,
    usage,
};
use tidemap_wire::http::AlertsJson;
use tokio::time::{Instant, sleep};

const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Until all nodes have sent their hello and buffers have reached their size.
const WARMING: Duration = Duration::from_secs(20);

/// How much is measured.
struct Plan {
    nodes: u32,
    /// Nodes whose rates pass the threshold.
    causes: u32,
    /// How long the processor time is measured, with rules and without.
    watched: Duration,
    /// Whether goals are judged.
    is_whole: bool,
}

const FULL: Plan = Plan { nodes: 10_000, causes: 60, watched: Duration::from_secs(60), is_whole: true };
const QUICK: Plan = Plan { nodes: 500, causes: 5, watched: Duration::from_secs(5), is_whole: false };

#[tokio::main]
async fn main() -> ExitCode {
    let plan = if std::env::args().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let mut table = Table::begin();
    let measured = alerts(&plan, &mut table).await;
    // Figures from before a failure are written and printed, too.
    let held = table.end("alerts.json").unwrap();
    if let Err(error) = &measured {
        println!("could not go on: {error:#}");
    }
    if held && measured.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn alerts(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let goal = |most| if plan.is_whole { Goal::AtMost(most) } else { Goal::None };
    let name = |what: &str| format!("{} nodes, {} rules: {what}", plan.nodes, rules::COUNT);
    let broker = TestBroker::start().await?;
    let _ingest = broker.ingest(&[])?;
    let (_api, url) = broker.api().await?;
    eventually(READY_TIMEOUT, || is_ready(&url)).await?;
    let url = url.trim_end_matches('/').to_owned();
    let _fleet = broker.packed_fleet(plan.nodes, &url).await?;
    let (sink, folder) = (HttpSink::start()?, tempfile::tempdir()?);

    let mut without = judges(&broker, &url, &rules::none(folder.path())?, 0).await?;
    let alone = cores(&without, plan.watched).await?;
    without.terminate().await?;
    let file = rules::write(folder.path(), &sink.url())?;
    let station = judges(&broker, &url, &file, rules::COUNT).await?;
    let judging = cores(&station, plan.watched).await?;
    table.note(name("processor of the station"), judging * 100.0, "% of a core", goal(3.0));
    table.note("the same without rules", alone * 100.0, "% of a core", Goal::None);
    let resident = usage::resident_bytes(station.pid())?;
    table.note(name("memory of the station"), resident as f64 / 1e6, "MB", Goal::None);

    let delays_ms = causes::measure(&broker, plan.causes, &sink).await?;
    for (share, of) in [(0.5, "p50"), (0.99, "p99"), (1.0, "most")] {
        let delay = quantile(&delays_ms, share) as f64;
        let goal = if share == 1.0 { goal(2_000.0) } else { Goal::None };
        table.note(name(&format!("a rule's time is over to webhook, {of}")), delay, "ms", goal);
    }
    Ok(())
}

/// Starts a station, and returns once it judges so many rules and its memory has reached its size.
async fn judges(broker: &TestBroker, url: &str, file: &str, count: u32) -> anyhow::Result<Tidemap> {
    let station = broker.alerts(&["--alerts", file])?;
    eventually(READY_TIMEOUT, || async {
        let known: AlertsJson = get_json(format!("{url}/api/alerts")).await?;
        let evaluator = known.evaluator.context("nobody judges")?;
        ensure!(evaluator.rules == count && evaluator.is_hearing, "{evaluator:?}");
        Ok(())
    })
    .await
    .with_context(|| station.log())?;
    sleep(WARMING).await;
    Ok(station)
}

/// The processor time that a station takes, in cores.
async fn cores(station: &Tidemap, watched: Duration) -> anyhow::Result<f64> {
    let (before, begun) = (usage::processor_time(station.pid())?, Instant::now());
    sleep(watched).await;
    let spent = usage::processor_time(station.pid())? - before;
    Ok(spent.as_secs_f64() / begun.elapsed().as_secs_f64())
}
