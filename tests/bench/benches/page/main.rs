//! The page's size and speed: `cargo xtask bench page`.
//!
//! A real Chromium without a screen or a graphics card opens the page: from the real services to watch a
//! fleet of 10,000, and from a scripted server to measure single steps. Everything shares this machine's
//! cores: the browser, which draws on the processor, the broker, the worker, the API and the simulator. Goals
//! stand beside the figures, and a missed one makes the exit code 1. `-- --quick` measures for a shorter
//! time; `-- drawing` and the like measure a part.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod devtools;
mod drawing;
mod fleet;
mod loading;
mod memory;
mod motion;
mod recorder;
mod server;
mod services;

use std::{process::ExitCode, time::Duration};

use tidemap_bench::table::Table;
use tokio::time::Instant;

use services::Services;

/// What may be measured alone, by naming it.
const PARTS: [&str; 3] = ["fleet", "drawing", "memory"];
/// The fleet of the goals.
const NODES: u32 = 10_000;
/// The fleet of the goal for drawing many.
const MANY_NODES: u32 = 100_000;

/// How long everything takes.
struct Plan {
    visits: u32,
    looking: Duration,
    panning_s: f64,
    deltas: u32,
    ticks: u32,
}

const FULL: Plan =
    Plan { visits: 7, looking: Duration::from_secs(60), panning_s: 6.0, deltas: 200, ticks: 3_600 };
const QUICK: Plan =
    Plan { visits: 3, looking: Duration::from_secs(8), panning_s: 2.0, deltas: 40, ticks: 300 };

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let plan = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let is_named = |part: &str| args.iter().any(|arg| arg == part);
    let is_wanted = |part: &str| is_named(part) || !PARTS.iter().any(|other| is_named(other));
    let mut table = Table::begin();
    let begun = Instant::now();
    if is_wanted("fleet") {
        real_fleet(&plan, &mut table).await.unwrap();
    }
    if is_wanted("drawing") {
        drawing::measure(&plan, &mut table).await.unwrap();
    }
    if is_wanted("memory") {
        memory::measure(&plan, &mut table).await.unwrap();
    }
    eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
    if table.end("page.json").unwrap() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is measured before the real services, while they serve.
async fn real_fleet(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("{NODES} nodes, one report a second each; broker, worker, API and simulator run beside");
    let services = Services::start(NODES).await?;
    let browser = recorder::start(1440, 900).await?;
    loading::measure(plan, &browser, &services.url, table).await?;
    motion::measure(plan, &browser, table).await?;
    browser.close().await
}
