//! Programs that check the services' answers and the page. `tests/e2e/tests/services/checkers.rs`
//! and `tests/e2e/tests/page` run them from the tools folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use super::{fetch, find, tools_folder};
use crate::workspace::{Workspace, output, run, status};

/// A tester that generates requests from the description of the API.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
const SCHEMATHESIS_LOCKED: &str = include_str!("../../requirements/schemathesis.txt");
/// A server of mail that keeps what it is sent.
const AIOSMTPD: &str = "aiosmtpd==1.4.6";
const AIOSMTPD_LOCKED: &str = include_str!("../../requirements/aiosmtpd.txt");
/// Debian's packages, whose programs are run as they are in the package: Prometheus with its
/// checker of metrics, another database that takes its remote writes, what shows its alerts, a reverse
/// proxy before the API, and what steps the clock of one process.
const PACKAGES: [DebianPackage; 5] = [
    DebianPackage { name: "prometheus", program: "promtool", source: "https://prometheus.io/download" },
    DebianPackage {
        name: "victoria-metrics",
        program: "victoria-metrics",
        source: "https://github.com/VictoriaMetrics/VictoriaMetrics/releases",
    },
    DebianPackage {
        name: "prometheus-alertmanager",
        program: "prometheus-alertmanager",
        source: "https://prometheus.io/download",
    },
    DebianPackage {
        name: "libfaketime",
        program: "faketime",
        source: "https://github.com/wolfcw/libfaketime",
    },
    DebianPackage { name: "nginx", program: "nginx", source: "https://nginx.org/en/download.html" },
];
/// The checker of accessibility, as npm packs it.
const AXE: &str = "axe-core@4.14.1";
/// SHA-256 of that package.
const AXE_SHA256: &str = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745";

struct DebianPackage {
    name: &'static str,
    program: &'static str,
    /// Where other systems have it from.
    source: &'static str,
}

/// Fetches missing checkers, or fails with how to install them.
pub(crate) fn ensure_checkers(workspace: &Workspace) -> Result<()> {
    for package in PACKAGES {
        ensure_package(workspace, &package)?;
    }
    ensure_axe(workspace)?;
    for (package, locked) in [(SCHEMATHESIS, SCHEMATHESIS_LOCKED), (AIOSMTPD, AIOSMTPD_LOCKED)] {
        if fetch(workspace, &[package], locked).is_none() {
            bail!("pip cannot fetch {package} (Debian: apt install python3-pip)");
        }
    }
    Ok(())
}

/// Unpacks npm's package after checking its hash. Nothing in it is run here.
fn ensure_axe(workspace: &Workspace) -> Result<()> {
    ensure_npm(workspace, AXE, AXE_SHA256).map(drop)
}

/// The folder with the files of npm's `package`, fetched the first time; what it depends on is not.
pub(super) fn ensure_npm(workspace: &Workspace, package: &str, sha256: &str) -> Result<PathBuf> {
    let folder = tools_folder(workspace).join(package.replace('/', "-"));
    if folder.is_dir() {
        return Ok(folder);
    }
    if find("npm").is_none() || find("tar").is_none() {
        bail!("there is no npm, or no tar, to fetch {package} with (Debian: apt install npm)");
    }
    println!("Fetching {package}.");
    let made = folder.with_extension("part");
    fs::create_dir_all(&made).with_context(|| made.display().to_string())?;
    let file = output(workspace.command("npm").args(["pack", "--silent", package]).current_dir(&made))
        .with_context(|| format!("cannot fetch {package}"))?;
    let file = made.join(file.trim());
    let hash = Sha256::digest(fs::read(&file)?);
    ensure!(format!("{hash:x}") == sha256, "the SHA-256 of {package} has changed to {hash:x}");
    run(workspace.command("tar").arg("-xzf").arg(&file).arg("-C").arg(&made))?;
    fs::remove_file(file)?;
    fs::rename(&made, &folder)?;
    Ok(folder)
}

/// Unpacks Debian's package without installing it, because installing would start a server.
fn ensure_package(workspace: &Workspace, package: &DebianPackage) -> Result<()> {
    let DebianPackage { name, program, source } = package;
    let folder = tools_folder(workspace).join(name);
    let installed = Path::new("/usr/sbin").join(program);
    if find(program).is_some() || installed.is_file() || folder.is_dir() {
        return Ok(());
    }
    if find("apt-get").is_none() || find("dpkg").is_none() {
        bail!("there is no {program}: install it from {source} and put it on PATH");
    }
    println!("Fetching {program}.");
    let made = folder.with_extension("part");
    fs::create_dir_all(&made).with_context(|| made.display().to_string())?;
    let download = || status(workspace.command("apt-get").args(["-q", "download", name]).current_dir(&made));
    if !download()?.success() {
        // The package lists may be old or missing; only root may update them.
        status(workspace.command("apt-get").args(["-q", "update"]))?;
        let hint = || format!("there is no {program} and it cannot be fetched (Debian: apt install {name})");
        download()?.success().then_some(()).with_context(hint)?;
    }
    let packages = output(workspace.command("find").arg(&made).args(["-name", "*.deb"]))?;
    let file = packages.lines().next().context("apt-get has downloaded nothing")?;
    run(workspace.command("dpkg").arg("-x").arg(file).arg(&made))?;
    fs::remove_file(file)?;
    Ok(fs::rename(&made, &folder)?)
}
