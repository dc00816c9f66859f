//! `cargo xtask test`: all checks and tests.

mod dependencies;
mod manifests;
mod programs;
mod steps;
mod tally;

use std::{thread, time::Instant};

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use steps::{Step, Steps};
use tally::Tally;

/// Which steps to run, and how long.
#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// Run outages, faults and comparisons for minutes instead of seconds.
    #[arg(long)]
    long: bool,
    /// Run only the steps whose headline contains these words.
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
}

/// Runs all steps, also after one has failed, and fails when any did.
pub(crate) fn run(workspace: Workspace, args: &TestArgs) -> Result<()> {
    let start = Instant::now();
    let only = args.only.as_deref().unwrap_or_default();
    let background = Steps::new(workspace.in_background(), args.long);
    let steps = Steps::new(workspace, args.long);
    let mut tally = run_each(&steps, &steps::BEFORE, only);
    // Nearly all of the tests' time is spent in waiting, and the checks are nearly all compilation.
    thread::scope(|scope| {
        let checks = scope.spawn(|| run_each(&background, &steps::CHECKS, only));
        tally = tally + run_each(&steps, &steps::TESTS, only);
        match checks.join() {
            Ok(checks) => tally = tally + checks,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    tally = tally + run_each(&steps, &steps::AFTER, only);
    println!("\n{tally} in {:.0} s", start.elapsed().as_secs_f64());
    if tally == Tally::default() {
        bail!("no step's headline contains {only:?}");
    }
    if tally.failed > 0 {
        bail!("{} failed", tally.failed);
    }
    Ok(())
}

/// Runs the steps whose headline contains `only`, one after the other.
fn run_each(steps: &Steps, all: &[(&str, Step)], only: &str) -> Tally {
    let mut tally = Tally::default();
    for (headline, step) in all.iter().filter(|(headline, _)| headline.contains(only)) {
        let start = Instant::now();
        println!("\n==> {headline}");
        let counted = tally;
        let result = step(steps, &mut tally);
        tally.settle(counted, result.is_ok());
        match result {
            Ok(()) => println!("<== {headline}: {:.1} s", start.elapsed().as_secs_f64()),
            Err(error) => println!("<== {headline}: FAILED: {error:#}"),
        }
    }
    tally
}
