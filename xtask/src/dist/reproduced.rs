//! Whether the same sources make the same bytes somewhere else.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::DistArgs;
use crate::workspace::{Workspace, output, run};

/// Makes a second release of the last commit, from a clone in another folder with a build folder of its own,
/// and compares its sums with the first one's.
pub(crate) fn check_reproduced(workspace: &Workspace, args: &DistArgs) -> Result<()> {
    let changes = output(workspace.command("git").args(["status", "--porcelain"])).context("no checkout")?;
    if !changes.is_empty() {
        println!("NOT CHECKED: whether a second build makes the same bytes, because files are not committed");
        return Ok(());
    }
    let clone = workspace.path("target/reproduced");
    if clone.exists() {
        fs::remove_dir_all(&clone)?;
    }
    run(workspace.command("git").args(["clone", "--quiet", "--shared", "."]).arg(&clone))?;
    let mut again = workspace.command("cargo");
    again.current_dir(&clone).args(["run", "--package", "xtask", "--", "dist"]);
    again.args(args.quick.then_some("--quick")).env("CARGO_TARGET_DIR", clone.join("target"));
    run(&mut again)?;
    let sums = |root: &Path| fs::read_to_string(root.join(args.folder()).join("SHA256SUMS"));
    let (first, second) = (sums(&workspace.path(""))?, sums(&clone)?);
    let differ: Vec<&str> =
        first.lines().filter(|line| !second.lines().any(|other| other == *line)).collect();
    if !differ.is_empty() {
        bail!(
            "a second build differs in {}; both are kept, the second in {}",
            differ.join(", "),
            clone.display()
        );
    }
    fs::remove_dir_all(clone)?;
    println!("{} files are the same from a second build in another folder", first.lines().count());
    Ok(())
}
