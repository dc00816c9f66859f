//! `cargo xtask soak`: the pipeline under one fault after the other, for as long as one likes.

use anyhow::{Result, ensure};

use crate::{bench, workspace::Workspace};

/// How to soak.
#[derive(clap::Args)]
pub(crate) struct SoakArgs {
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The faults of an earlier run, as it has printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the services as they are released, and soaks them.
pub(crate) fn run(workspace: &Workspace, args: &SoakArgs) -> Result<()> {
    let program = bench::release(workspace)?;
    let mut more = vec!["--minutes".to_owned(), args.minutes.to_string()];
    if let Some(seed) = args.seed {
        more.extend(["--seed".to_owned(), seed.to_string()]);
    }
    ensure!(bench::measure(workspace, &program, ("tidemap-bench", "soak"), &more)?, "the soak did not hold");
    Ok(())
}
