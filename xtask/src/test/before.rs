//! The program of the version before, for tests of an upgrade.

use std::{env, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    artifacts::Artifacts,
    workspace::{Workspace, output, run},
};

/// What the tests read.
pub(super) const VARIABLE: &str = "TIDEMAP_BIN_BEFORE";
/// Where its sources are checked out.
const SOURCES: &str = "target/before";

/// The last commit before releases: the version before, as long as no tag names one.
const UNTAGGED: &str = "0774ff72";

/// Builds the newest tag `v*` that this commit contains, or else [`UNTAGGED`]. `None` when the variable names
/// a program already, or a shallow clone has neither.
pub(super) fn build(workspace: &Workspace) -> Result<Option<PathBuf>> {
    if env::var_os(VARIABLE).is_some_and(|path| !path.is_empty()) {
        return Ok(None);
    }
    let mut describe = workspace.command("git");
    let tag = output(describe.args(["describe", "--tags", "--match", "v*", "--abbrev=0", "HEAD~1"]));
    let commit = format!("{UNTAGGED}^{{commit}}");
    let mut verify = workspace.command("git");
    let Ok(tag) = tag.or_else(|_| output(verify.args(["rev-parse", "--verify", "--quiet", &commit]))) else {
        println!("NOT CHECKED: an upgrade, because neither a tag v* nor {UNTAGGED} is in this clone");
        return Ok(None);
    };
    let sources = workspace.path(SOURCES);
    let folder = sources.to_str().context("a readable path")?;
    // One that was deleted by hand is still known, and would not be made again.
    run(workspace.command("git").args(["worktree", "prune"]))?;
    if sources.exists() {
        run(workspace.command("git").args(["-C", folder, "checkout", "--detach", tag.trim()]))?;
    } else {
        // One that was removed with target/ is registered still.
        run(workspace.command("git").args(["worktree", "prune"]))?;
        run(workspace.command("git").args(["worktree", "add", "--detach", folder, tag.trim()]))?;
    }
    let mut cargo = workspace.cargo(["build", "--package", "tidemap", "--bin", "tidemap"]);
    let built =
        Artifacts::build(cargo.current_dir(&sources).env("CARGO_TARGET_DIR", sources.join("target")))?;
    Ok(Some(built.program("tidemap")?.to_owned()))
}
