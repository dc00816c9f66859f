//! `cargo xtask soak`: the pipeline under random faults, for a given time.

use anyhow::{Result, ensure};

use crate::{bench, workspace::Workspace};

/// How long, and which faults.
#[derive(clap::Args)]
pub(crate) struct SoakArgs {
    /// Duration in minutes.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Repeat the faults of an earlier run, by the seed that it printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the services with the release profile and runs the soak.
pub(crate) fn run(workspace: &Workspace, args: &SoakArgs) -> Result<()> {
    let program = bench::release(workspace)?;
    let mut more = vec!["--minutes".to_owned(), args.minutes.to_string()];
    if let Some(seed) = args.seed {
        more.extend(["--seed".to_owned(), seed.to_string()]);
    }
    ensure!(bench::measure(workspace, &program, ("tidemap-bench", "soak"), &more)?, "the soak failed");
    Ok(())
}
