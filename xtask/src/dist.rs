//! `cargo xtask dist`: the programs to hand out, optimised as a whole and with the page inside.

use std::fs;

use anyhow::{Context, Result};

use crate::{artifacts::Artifacts, tools, web, workspace::Workspace};

const PROGRAMS: [&str; 4] = ["tidemap", "tidemap-agent", "tidemap-ingest", "tidemap-api"];

/// Builds all programs into `dist/bin`.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    tools::check_compiler()?;
    web::build_within_budget(workspace)?;
    let mut command = workspace.cargo(["build", "--profile", "dist", "--bins"]);
    command.args(PROGRAMS.iter().flat_map(|program| ["--package", program]));
    let built = Artifacts::build(&mut command)?;
    let folder = workspace.path("dist/bin");
    fs::create_dir_all(&folder)?;
    for program in PROGRAMS {
        let (from, to) = (built.program(program)?, folder.join(program));
        let bytes = fs::copy(from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        println!("dist/bin/{program:<16}{bytes:>12} bytes");
    }
    Ok(())
}
