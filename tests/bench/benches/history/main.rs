//! The history beside `VictoriaMetrics` and Prometheus: `cargo xtask bench history`.
//!
//! Real processes around a real broker: one worker, one station, one API. Rows of minutes are published as a
//! worker does, as fast as the broker takes them, so the station is always catching up. Debian's
//! `victoria-metrics` and `promtool` get the same rows; where they are missing, the figures are without them.
//! Goals stand beside the figures, each with a verdict and the speed of the machine at that moment, and a
//! missed one makes the exit code 1. `-- --quick` measures everything for a shorter time, with fewer nodes
//! and days, and the goals that depend on those are only noted.
//!
//! Names of parts choose what is measured: `minutes` (every minute of some nodes and of their groups: disk
//! and answers), `present` (the last minutes of whole fleets), `pause` (a day that was missed), `top` (the
//! first ten of many nodes, and the live view beside those who ask for a year), `live` (a fleet that reports,
//! with a station and without). With `$TIDEMAP_BIN_BEFORE`, a program without a history, `live` compares the
//! worker's memory and all processor time with that program's as well.
//!
//! The history begins with its first message, and keeps nothing of long before. So that rows of a month ago
//! can be given to a new one, its file is dated back ([`services::Services::date_back`]). Rows of hours that
//! are over are joined into the tiles of their hours and days at once; how the station takes the present is
//! measured with the minutes of the last hour.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod live;
mod minutes;
mod peers;
mod present;
mod rows;
mod services;
mod top;

use std::{process::ExitCode, time::Duration};

use anyhow::{bail, ensure};
use futures_util::future::try_join_all;
use tidemap_bench::table::{Goal, Table};
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{client::quantile, http::get};
use tokio::time::Instant;

const MINUTE_MS: i64 = 60_000;
const DAY: u32 = 1_440;
/// What may be measured by itself.
const PARTS: [&str; 5] = ["minutes", "present", "pause", "top", "live"];

/// How much is measured.
struct Plan {
    /// Nodes and days of which every minute is stored.
    nodes: u32,
    days: u32,
    /// Nodes in groups, for as many days.
    grouped: u32,
    /// Nodes and days of which Prometheus gets every minute.
    prometheus: (u32, u32),
    questions: usize,
    /// Fleets whose last minutes are read, and how many minutes.
    fleets: &'static [(u32, u32)],
    /// Nodes of which a day is missed.
    pause: u32,
    /// Nodes and days among which the first ten are found.
    top: (u32, u32),
    /// Nodes whose live view is looked at meanwhile, and samples of it.
    watched: (u32, u64),
    /// Nodes that report, and for how long with and without a station, in turns.
    live: (u32, Duration),
    /// Whether goals are judged.
    is_whole: bool,
}

const FULL: Plan = Plan {
    nodes: 64,
    days: 30,
    grouped: 8,
    prometheus: (16, 4),
    questions: 200,
    fleets: &[(10_000, 50), (100_000, 50)],
    pause: 1_000,
    top: (100_000, 30),
    watched: (2_000, 400),
    live: (100_000, Duration::from_secs(60)),
    is_whole: true,
};
const QUICK: Plan = Plan {
    nodes: 16,
    days: 4,
    grouped: 4,
    prometheus: (8, 2),
    questions: 40,
    fleets: &[(2_000, 20)],
    pause: 50,
    top: (2_000, 4),
    watched: (200, 64),
    live: (1_000, Duration::from_secs(20)),
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
    // Cargo adds a flag of its own.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let plan = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let parts: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--quick").collect();
    let begun = Instant::now();
    let mut table = Table::begin();
    let measured = history(&plan, &parts, &mut table).await;
    eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
    // Figures from before a failure are written and printed, too.
    let held = table.end("history.json").unwrap();
    if let Err(error) = &measured {
        println!("could not go on: {error:#}");
    }
    if held && measured.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures these parts, or all.
async fn history(plan: &Plan, parts: &[&str], table: &mut Table) -> anyhow::Result<()> {
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        bail!("there is no part {unknown}: {PARTS:?}");
    }
    for part in PARTS.into_iter().filter(|part| parts.is_empty() || parts.contains(part)) {
        let begun = Instant::now();
        match part {
            "minutes" => minutes::measure(plan, table).await?,
            "present" => {
                for (nodes, minutes) in plan.fleets {
                    present::measure(plan, table, *nodes, *minutes).await?;
                }
            }
            "pause" => present::a_day_later(plan, table).await?,
            "top" => top::measure(plan, table).await?,
            _ => live::measure(plan, table).await?,
        }
        table.note(format!("part {part}: took"), begun.elapsed().as_secs_f64(), "s", Goal::None);
    }
    Ok(())
}

/// The first minute of the day that lies so many days before today.
fn days_ago(days: u32) -> u32 {
    let today = u32::try_from(unix_ms() / MINUTE_MS).unwrap() / DAY;
    (today - days) * DAY
}

/// How long answers take, in milliseconds: median, and 99 of 100. Questions that belong together are asked at
/// the same time, and the last answer counts.
async fn ask(plan: &Plan, questions: impl Fn(usize) -> Vec<String>) -> anyhow::Result<(f64, f64)> {
    let mut took_us = Vec::new();
    for number in 0..plan.questions {
        let asked = Instant::now();
        for answer in try_join_all(questions(number).into_iter().map(get)).await? {
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        }
        took_us.push(u64::try_from(asked.elapsed().as_micros())?);
    }
    Ok((quantile(&took_us, 0.5) as f64 / 1_000.0, quantile(&took_us, 0.99) as f64 / 1_000.0))
}

/// What a station took for all rows.
struct Taken {
    seconds: f64,
    cpu: Duration,
    resident_bytes: u64,
    /// Without the room that it holds on the disk, which is written once.
    written_bytes: u64,
    file_bytes: u64,
}
