//! Makes a release as tests have it, and checks what is in it.
//!
//! Checkers that the machine lacks are installed where this process may; a missing one is reported as NOT
//! CHECKED and is not a failure.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::tally::Tally;
use crate::{
    dist::{self, DistArgs},
    tools,
    workspace::{Workspace, output, run},
};

/// The units' folder of a package.
const UNITS: &str = "usr/lib/systemd/system";

/// Makes and checks a release, and returns its folder; `None` when it cannot be made here.
pub(super) fn check(workspace: &Workspace, long: bool, tally: &mut Tally) -> Result<Option<PathBuf>> {
    tools::install(workspace, &[("rpmbuild", "rpm"), ("lintian", "lintian"), ("rpmlint", "rpmlint")]);
    tools::install(workspace, &[("qemu-aarch64-static", "qemu-user-static"), ("rpm2cpio", "rpm2cpio")]);
    if let Some(missing) = dist::missing(workspace) {
        println!("NOT CHECKED, because a release cannot be made here: {missing}");
        return Ok(None);
    }
    let args = DistArgs { quick: true };
    let made = dist::build(workspace, &args)?;
    let unpacked = workspace.path("target/packages");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    fs::create_dir_all(&unpacked)?;
    for deb in with_extension(&made.files, "deb") {
        let root = unpacked.join(deb.file_stem().context("a package has a name")?);
        run(workspace.command("dpkg-deb").arg("--extract").arg(deb).arg(&root))?;
        programs(workspace, &root, &made.long_version)?;
        units(workspace, &root)?;
        tally.passed += 1;
    }
    archives(workspace, &made.files)?;
    tally.passed += 1;
    lint(workspace, "lintian", &["--allow-root", "--fail-on", "error,warning"], &made.files, "deb", tally)?;
    let configuration = workspace.path("deploy/packages/rpmlint.toml").display().to_string();
    lint(workspace, "rpmlint", &["--strict", "--config", &configuration], &made.files, "rpm", tally)?;
    if long {
        dist::check_reproduced(workspace, &args)?;
        tally.passed += 1;
    } else {
        println!("NOT CHECKED without --long: whether a second build makes the same bytes");
    }
    Ok(Some(workspace.path(args.folder())))
}

fn with_extension<'a>(files: &'a [PathBuf], extension: &'a str) -> impl Iterator<Item = &'a PathBuf> {
    files.iter().filter(move |file| file.extension().is_some_and(|e| e == extension))
}

fn lint(
    workspace: &Workspace,
    linter: &str,
    arguments: &[&str],
    made: &[PathBuf],
    extension: &str,
    tally: &mut Tally,
) -> Result<()> {
    if tools::find(linter).is_none() {
        println!("NOT CHECKED: .{extension} packages, because there is no {linter}");
        return Ok(());
    }
    run(workspace.command(linter).args(arguments).args(with_extension(made, extension)))?;
    tally.passed += 1;
    Ok(())
}

/// What an archive has beside programs, for hosts without packages.
const IN_ARCHIVES: [&str; 5] = [
    "install.sh",
    "README.md",
    "lib/sysusers.d/tidemap.conf",
    "lib/systemd/system/tidemap.service",
    "share/man/man1/tidemap.1.gz",
];

/// Archives have all that their script installs.
fn archives(workspace: &Workspace, made: &[PathBuf]) -> Result<()> {
    for archive in with_extension(made, "gz") {
        let listed = output(workspace.command("tar").arg("--list").arg("--file").arg(archive))?;
        let below = |line: &str| line.split_once('/').map(|(_, file)| file.to_owned());
        let listed: Vec<String> = listed.lines().filter_map(below).collect();
        if let Some(missing) = IN_ARCHIVES.iter().find(|file| !listed.iter().any(|listed| listed == *file)) {
            bail!("{} is without {missing}", archive.display());
        }
    }
    Ok(())
}

/// The programs of a package start: those of another processor under qemu.
fn programs(workspace: &Workspace, root: &Path, long_version: &str) -> Result<()> {
    let tidemap = root.join("usr/bin/tidemap");
    if tidemap.exists() {
        let said = output(workspace.command(&tidemap).arg("--version"))?;
        let expected = format!("tidemap {long_version}\n");
        if said != expected {
            bail!("--version says {said:?}, and not {expected:?}");
        }
        let broker = output(workspace.command(root.join("usr/lib/tidemap/nats-server")).arg("--version"))?;
        println!("{}with {broker}", said.replace('\n', " "));
    }
    let agent = root.join("usr/bin/tidemap-agent");
    match agent.exists().then(|| starter(workspace, &agent)) {
        Some(Some(mut command)) => report(command.arg("--dry-run")),
        Some(None) => {
            println!("NOT CHECKED: {}, because there is no qemu to run it", agent.display());
            Ok(())
        }
        None => Ok(()),
    }
}

/// What runs a program here: itself, or qemu.
fn starter(workspace: &Workspace, program: &Path) -> Option<Command> {
    if dist::is_for_this_machine(program) {
        return Some(workspace.command(program));
    }
    let mut qemu = workspace.command(tools::find("qemu-aarch64-static")?);
    qemu.arg(program);
    Some(qemu)
}

/// An agent prints reports, one a line.
fn report(command: &mut Command) -> Result<()> {
    let mut agent = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    let read = agent.stdout.take().map(|reports| BufReader::new(reports).read_line(&mut line));
    agent.kill().ok();
    agent.wait()?;
    read.context("the agent's output is piped")??;
    let report: serde_json::Value = serde_json::from_str(&line).context("the agent prints no report")?;
    if report.get("hello").is_none() && report.get("samples").is_none() {
        bail!("the agent prints {line}");
    }
    Ok(())
}

/// Units name programs of the same package, and nothing that systemd does not know.
fn units(workspace: &Workspace, root: &Path) -> Result<()> {
    let folder = root.join(UNITS);
    for unit in fs::read_dir(&folder)? {
        let unit = unit?.path();
        let text = fs::read_to_string(&unit)?;
        for command in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let program = command.split(' ').next().unwrap_or_default().trim_start_matches('/');
            if !root.join(program).is_file() {
                bail!("{} starts {program}, which is not in its package", unit.display());
            }
        }
    }
    if tools::find("systemd-analyze").is_none() {
        println!("NOT CHECKED: units, because there is no systemd-analyze");
        return Ok(());
    }
    verify(workspace, root, &folder)
}

/// `systemd-analyze verify`, which looks for what units name in the root of this machine: so they name what
/// lies in the package's.
fn verify(workspace: &Workspace, root: &Path, folder: &Path) -> Result<()> {
    let rewritten = root.join("verified");
    fs::create_dir_all(&rewritten)?;
    let here = |text: &str| text.replace("=/usr/", &format!("={}/usr/", root.display()));
    let mut verify = workspace.command("systemd-analyze");
    verify.args(["verify", "--man=no"]).env("SYSTEMD_UNIT_PATH", format!("{}:", rewritten.display()));
    for unit in fs::read_dir(folder)? {
        let unit = unit?;
        fs::write(rewritten.join(unit.file_name()), here(&fs::read_to_string(unit.path())?))?;
        // A template is checked by one of its instances.
        let name = unit.file_name().to_string_lossy().replace("@.", "@1.");
        verify.arg(name);
    }
    let said = verify.output().context("cannot run systemd-analyze")?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // It speaks of all units of this machine.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("tidemap")).collect();
    if !ours.is_empty() {
        bail!("systemd-analyze verify: {}", ours.join("\n"));
    }
    Ok(())
}
