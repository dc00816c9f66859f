//! `cargo xtask test`: all checks and tests, one step after the other.

mod before;
mod chart;
mod dependencies;
mod manifests;
mod packages;
mod programs;
mod steps;
mod tally;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
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
    let mut tally = Tally::default();
    let mut steps = steps::Steps::new(workspace, args.long);
    let only = args.only.as_deref().unwrap_or_default();
    for (headline, step) in steps::ALL.into_iter().filter(|(headline, _)| headline.contains(only)) {
        let start = Instant::now();
        println!("\n==> {headline}");
        let counted = tally;
        let result = step(&mut steps, &mut tally);
        tally.settle(counted, result.is_ok());
        match result {
            Ok(()) => println!("<== {headline}: {:.1} s", start.elapsed().as_secs_f64()),
            Err(error) => println!("<== {headline}: FAILED: {error:#}"),
        }
    }
    println!("\n{tally} in {:.0} s", start.elapsed().as_secs_f64());
    if tally == Tally::default() {
        bail!("no step's headline contains {only:?}");
    }
    if tally.failed > 0 {
        bail!("{} failed", tally.failed);
    }
    Ok(())
}
