//! `cargo xtask up`: from a clone to a live page.

use std::{ffi::OsString, process::Command};

use anyhow::{Context, Result};

use crate::{artifacts::Artifacts, tools, web, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct UpArgs {
    /// Add this many synthetic nodes, spread over the world.
    #[arg(long, value_name = "N")]
    simulate: Option<u32>,
    /// Flags for `tidemap up`, after `--`.
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<OsString>,
}

/// Builds the page and the program, and replaces this process by the program.
pub(crate) fn run(workspace: &Workspace, args: &UpArgs) -> Result<()> {
    tools::check_for_up(workspace)?;
    web::build(workspace)?;
    let built = Artifacts::build(&mut workspace.cargo(["build", "--profile", "up", "--package", "tidemap"]))?;
    let mut tidemap = Command::new(built.program("tidemap")?);
    tidemap.arg("up");
    if let Some(nodes) = args.simulate {
        tidemap.arg("--simulate").arg(nodes.to_string());
    }
    tidemap.args(&args.flags);
    replace_by(&mut tidemap).context("cannot start tidemap")
}

/// Replaces this process, so that signals and the exit code are the program's own.
#[cfg(unix)]
pub(crate) fn replace_by(program: &mut Command) -> Result<()> {
    Err(std::os::unix::process::CommandExt::exec(program).into())
}

#[cfg(not(unix))]
pub(crate) fn replace_by(program: &mut Command) -> Result<()> {
    crate::workspace::run(program)
}
