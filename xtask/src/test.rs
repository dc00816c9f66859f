//! `cargo xtask test`: everything that decides whether the project is sound, one step after the other.

mod steps;
mod tally;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use tally::Tally;

/// Runs all steps, whatever comes of each, and fails when anything failed.
pub(crate) fn run(workspace: Workspace) -> Result<()> {
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut steps = steps::Steps::new(workspace);
    for (headline, step) in steps::ALL {
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
    if tally.failed > 0 {
        bail!("{} failed", tally.failed);
    }
    Ok(())
}
