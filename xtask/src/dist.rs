//! `cargo xtask dist`: the programs for distribution, optimised as a whole and with the page inside.

use std::{
    env::consts::ARCH,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{artifacts::Artifacts, tools, web, workspace::Workspace};

const PROGRAMS: [&str; 5] = ["tidemap", "tidemap-ingest", "tidemap-history", "tidemap-alerts", "tidemap-api"];
const AGENT: &str = "tidemap-agent";

/// How to build.
#[derive(clap::Args)]
pub(crate) struct DistArgs {
    /// Link the agent statically, so that it runs on any Linux (needs musl-gcc).
    #[arg(long = "static")]
    is_static: bool,
}

/// Builds all programs into `dist/bin`.
pub(crate) fn build(workspace: &Workspace, args: &DistArgs) -> Result<()> {
    tools::check_compiler()?;
    let target = args.is_static.then(|| static_target(workspace)).transpose()?;
    let agent = agent(workspace, target.as_deref())?;
    copy_out(workspace, AGENT, &agent)?;
    web::build_within_budget(workspace)?;
    let mut command = workspace.cargo(["build", "--profile", "dist", "--bins"]);
    command.args(PROGRAMS.iter().flat_map(|program| ["--package", program]));
    let built = Artifacts::build(&mut command)?;
    PROGRAMS.iter().try_for_each(|program| copy_out(workspace, program, built.program(program)?))
}

/// Builds the agent alone, so that it does not contain features of shared packages that only other stations
/// need.
fn agent(workspace: &Workspace, target: Option<&str>) -> Result<PathBuf> {
    let mut command = workspace.cargo(["build", "--profile", "dist", "--package", AGENT]);
    if let Some(target) = target {
        command.args(["--target", target]);
        // `ring` contains C.
        command.env(format!("CC_{}", target.replace('-', "_")), "musl-gcc");
    }
    Ok(Artifacts::build(&mut command)?.program(AGENT)?.to_path_buf())
}

/// The target whose programs need no C library on their host.
fn static_target(workspace: &Workspace) -> Result<String> {
    if tools::find("musl-gcc").is_none() {
        bail!("--static needs musl-gcc (Debian: apt install musl-tools)");
    }
    let target = format!("{ARCH}-unknown-linux-musl");
    tools::ensure_target(workspace, &target)?;
    Ok(target)
}

fn copy_out(workspace: &Workspace, program: &str, built: &Path) -> Result<()> {
    let folder = workspace.path("dist/bin");
    fs::create_dir_all(&folder)?;
    let to = folder.join(program);
    let bytes = fs::copy(built, &to).with_context(|| format!("cannot write {}", to.display()))?;
    println!("dist/bin/{program:<16}{bytes:>12} bytes");
    Ok(())
}
