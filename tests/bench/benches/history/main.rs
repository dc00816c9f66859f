//! The history beside `VictoriaMetrics` and Prometheus: `cargo xtask bench history`.
//!
//! Real processes around a real broker: one worker, one station, one API. Rows of minutes are published as a
//! worker does, as fast as the broker takes them, so the station is always catching up. Debian's
//! `victoria-metrics` and `promtool` get the same rows; where they are missing, the figures are without them.
//! Goals stand beside the figures, and a missed one makes the exit code 1. `-- --quick` measures for a
//! shorter time, with fewer nodes and days, and the goals that depend on those are only noted.
//!
//! The nodes belong to no group, because they do not report: sums of groups are not measured.
//!
//! Rows of hours that are over are joined into the tiles of their hours and days at once; how the station
//! takes the present is measured with the minutes of the last hour.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod peers;
mod rows;
mod services;

use std::{process::ExitCode, time::Duration};

use anyhow::ensure;
use tidemap_bench::table::{Goal, Table};
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    client::quantile,
    http::{get, get_json},
    usage,
};
use tidemap_wire::http::TopJson;
use tokio::time::Instant;

use peers::{Victoria, prometheus_bytes};
use rows::Fleet;
use services::Services;

const MINUTE_MS: i64 = 60_000;
const DAY: u32 = 1_440;
/// The most steps of one answer of the API.
const MOST_STEPS: i64 = 20_000;

/// How much is measured.
struct Plan {
    /// Nodes and days of which every minute is stored.
    nodes: u32,
    days: u32,
    /// Nodes and days of which Prometheus gets every minute.
    prometheus: (u32, u32),
    questions: usize,
    /// Fleets whose last minutes are read, and how many minutes.
    fleets: &'static [(u32, u32)],
    /// Nodes and days among which the first ten are found.
    top: (u32, u32),
    /// Whether goals are judged.
    is_whole: bool,
}

const FULL: Plan = Plan {
    nodes: 64,
    days: 30,
    prometheus: (16, 4),
    questions: 200,
    fleets: &[(10_000, 50), (100_000, 50)],
    top: (100_000, 30),
    is_whole: true,
};
const QUICK: Plan = Plan {
    nodes: 16,
    days: 4,
    prometheus: (8, 2),
    questions: 40,
    fleets: &[(2_000, 20)],
    top: (2_000, 4),
    is_whole: false,
};

impl Plan {
    /// A goal; of a shorter measurement, none.
    fn goal(&self, goal: Goal) -> Goal {
        if self.is_whole { goal } else { Goal::None }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let plan = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let begun = Instant::now();
    let mut table = Table::begin();
    let measured = history(&plan, &mut table).await;
    eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
    // Figures from before a failure are written and printed, too.
    let held = table.end("history.json").unwrap();
    if let Err(error) = &measured {
        println!("could not go on: {error:#}");
    }
    if held && measured.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn history(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    by_the_minute(plan, table).await?;
    for (nodes, minutes) in plan.fleets {
        the_present(plan, table, *nodes, *minutes).await?;
    }
    first_ten(plan, table).await
}

/// The first minute of the day that lies so many days before today.
fn days_ago(days: u32) -> u32 {
    let today = u32::try_from(unix_ms() / MINUTE_MS).unwrap() / DAY;
    (today - days) * DAY
}

/// Every minute of some nodes: disk, and the time of answers.
async fn by_the_minute(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let Plan { nodes, days, .. } = *plan;
    eprintln!("{nodes} nodes, {days} days by the minute");
    let fleet = Fleet { nodes, from: days_ago(days), minutes: days * DAY };
    let rows = f64::from(nodes) * f64::from(days * DAY);
    let mut services = Services::start().await?;
    services.publish(&fleet, 1).await?;
    let taken = services.take_all().await?;
    let name = |what: &str| format!("{nodes} nodes x {days} d by the minute: {what}");
    table.note(name("rows"), rows, "", Goal::None);
    table.note(name("rows read and stored"), rows / taken.seconds, "rows/s", Goal::None);
    table.note(name("processor"), taken.cpu.as_secs_f64() * 1e6 / rows, "us/row", Goal::None);
    table.note(name("file"), taken.file_bytes as f64 / rows, "B a minute", plan.goal(Goal::AtMost(18.0)));

    let victoria = Victoria::start(&fleet).await?;
    if let Some(victoria) = &victoria {
        let share = taken.file_bytes as f64 / victoria.bytes as f64;
        table.note(name("VictoriaMetrics"), victoria.bytes as f64 / rows, "B a minute", Goal::None);
        // Its rows are minutes alone; the file has quarters of an hour, hours, days and boards as well.
        table.note(name("file, of VictoriaMetrics'"), share, "", plan.goal(Goal::AtMost(1.1)));
    }
    let (some, few) = plan.prometheus;
    let part = Fleet { nodes: some, from: fleet.from, minutes: few * DAY };
    if let Some(bytes) = prometheus_bytes(&part).await? {
        let each = bytes as f64 / (f64::from(some) * f64::from(few * DAY));
        table.note(name("Prometheus"), each, "B a minute", Goal::None);
        let share = taken.file_bytes as f64 / rows / each;
        table.note(name("file, of Prometheus'"), share, "", plan.goal(Goal::AtMost(0.6)));
    }

    let ours = ask(plan, |number| node_questions(&services.url, &fleet, number)).await?;
    table.note(name("one node, p50"), ours.0, "ms", Goal::None);
    table.note(name("one node, p99"), ours.1, "ms", plan.goal(Goal::AtMost(50.0)));
    if let Some(victoria) = &victoria {
        let theirs = ask(plan, |number| vec![victoria.question(&fleet, number)]).await?;
        table.note(name("one node, VictoriaMetrics' export, p99"), theirs.1, "ms", Goal::None);
        let share = ours.1 / theirs.1;
        table.note(name("one node, p99, of VictoriaMetrics'"), share, "", plan.goal(Goal::AtMost(1.0)));
    }
    Ok(())
}

/// A node's minutes, in as many questions as they need.
fn node_questions(url: &str, fleet: &Fleet, number: usize) -> Vec<String> {
    let node = fleet.name(number as u32 % fleet.nodes);
    let (begin, end) = fleet.range_ms();
    let step = usize::try_from(MOST_STEPS * MINUTE_MS).unwrap();
    let parts = (begin..end).step_by(step).map(|from| (from, end.min(from + MOST_STEPS * MINUTE_MS)));
    let part = |(from, to)| format!("{url}/api/nodes/{node}/history?from={from}&to={to}&step=1m");
    parts.map(part).collect()
}

fn range(fleet: &Fleet) -> String {
    let (from, to) = fleet.range_ms();
    format!("from={from}&to={to}")
}

/// How long answers take, in milliseconds: median, and 99 of 100.
async fn ask(plan: &Plan, questions: impl Fn(usize) -> Vec<String>) -> anyhow::Result<(f64, f64)> {
    let mut took_us = Vec::new();
    for number in 0..plan.questions {
        let asked = Instant::now();
        for question in questions(number) {
            let answer = get(question).await?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        }
        took_us.push(u64::try_from(asked.elapsed().as_micros())?);
    }
    Ok((quantile(&took_us, 0.5) as f64 / 1_000.0, quantile(&took_us, 0.99) as f64 / 1_000.0))
}

/// The last minutes of a fleet, of which the hour is not over: memory, processor, disk.
async fn the_present(plan: &Plan, table: &mut Table, nodes: u32, minutes: u32) -> anyhow::Result<()> {
    eprintln!("{nodes} nodes, their last {minutes} minutes");
    let now = u32::try_from(unix_ms() / MINUTE_MS)?;
    let fleet = Fleet { nodes, from: now - minutes, minutes };
    let mut services = Services::start().await?;
    services.publish(&fleet, 1).await?;
    let taken = services.take_all().await?;
    let name = |what: &str| format!("{nodes} nodes, {minutes} min of the present: {what}");
    let most = if nodes > 10_000 { 400.0 } else { 120.0 };
    table.note(name("memory"), taken.resident_bytes as f64 / 1e6, "MB", Goal::AtMost(most));
    let share = taken.cpu.as_secs_f64() / (f64::from(minutes) * 60.0);
    table.note(name("processor in real time"), share, "cores", plan.goal(Goal::AtMost(0.05)));
    let faster = f64::from(minutes) * 60.0 / taken.seconds;
    table.note(name("catching up"), faster, "x real time", plan.goal(Goal::AtLeast(20.0)));
    let written = taken.written_bytes as f64 / taken.file_bytes as f64;
    table.note(name("written, of the file"), written, "", plan.goal(Goal::AtMost(3.5)));
    let range = range(&fleet);
    let top = ask(plan, |_| vec![format!("{}/api/top?{range}", services.url)]).await?;
    table.note(name("the first ten, p99"), top.1, "ms", Goal::None);
    let resident = usage::resident_bytes(services.station()?.pid())? as f64 / 1e6;
    table.note(name("memory after these questions"), resident, "MB", Goal::AtMost(most));
    Ok(())
}

/// Whole days of many nodes, of which each has a row an hour.
async fn first_ten(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let (nodes, days) = plan.top;
    eprintln!("{nodes} nodes, {days} days by the hour");
    let fleet = Fleet { nodes, from: days_ago(days), minutes: days * DAY };
    let mut services = Services::start().await?;
    // A row a day: boards are the same as with all minutes.
    services.publish(&fleet, DAY).await?;
    services.take_all().await?;
    let name = |what: &str| format!("the first ten of {nodes} nodes x {days} d: {what}");
    let (begin, end) = fleet.range_ms();
    for (what, from, to) in [
        ("whole days", begin, end),
        ("to the minute", begin + 7 * MINUTE_MS, end - 11 * 60 * MINUTE_MS - 13 * MINUTE_MS),
    ] {
        let question = format!("{}/api/top?from={from}&to={to}", services.url);
        let top: TopJson = get_json(question.clone()).await?;
        ensure!((top.from_ms, top.to_ms, top.nodes.len()) == (from, to, 10), "{top:?}");
        let took = ask(plan, |_| vec![question.clone()]).await?;
        table.note(name(&format!("{what}, p50")), took.0, "ms", Goal::None);
        table.note(name(&format!("{what}, p99")), took.1, "ms", plan.goal(Goal::AtMost(100.0)));
    }
    Ok(())
}

/// What a station took for all rows.
struct Taken {
    seconds: f64,
    cpu: Duration,
    resident_bytes: u64,
    written_bytes: u64,
    file_bytes: u64,
}
