//! Programs that the tasks need: found, installed on request, or named in one line of error.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    artifacts::Artifacts,
    workspace::{Workspace, output, run, status},
};

mod checkers;
mod helm;
mod hosts;
mod zig;

pub(crate) use self::{checkers::ensure_checkers, helm::ensure_helm, hosts::ensure_hosts, zig::Zig};

/// What the page is compiled for.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The example of `lib/broker` that prints where a nats-server is.
pub(crate) const FIND_BROKER: &str = "nats_server";

/// Checks, before minutes of building, that `up` can succeed: one line for each thing that is missing.
pub(crate) fn check_for_up(workspace: &Workspace) -> Result<()> {
    let checks = [target_can_be_had(workspace, WASM_TARGET), check_compiler(), check_broker(workspace)];
    let missing: Vec<String> =
        checks.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if !missing.is_empty() {
        bail!("{}", missing.join("\nerror: "));
    }
    Ok(())
}

/// Adds the page's target to the toolchain when it is missing.
pub(crate) fn ensure_wasm_target(workspace: &Workspace) -> Result<()> {
    ensure_target(workspace, WASM_TARGET)
}

/// Adds a target to the toolchain when it is missing.
pub(crate) fn ensure_target(workspace: &Workspace, target: &str) -> Result<()> {
    target_can_be_had(workspace, target)?;
    if has_target(workspace, target)? {
        return Ok(());
    }
    println!("Adding the Rust target {target}.");
    run(workspace.command("rustup").args(["target", "add", target])).context("cannot add the Rust target")
}

/// The compiler is needed as a linker, and for `ring`.
pub(crate) fn check_compiler() -> Result<()> {
    let named = env::var_os("CC").filter(|name| !name.is_empty());
    if named.is_none() && find("cc").is_none() {
        bail!("there is no C compiler `cc`: install one (Debian: apt install build-essential)");
    }
    Ok(())
}

/// Installs the tests' browser if it is missing and this process is root; otherwise fails with the command to
/// run.
pub(crate) fn ensure_browser(workspace: &Workspace) -> Result<()> {
    let missing: Vec<&str> = [("chromium", "chromium"), ("chromedriver", "chromium-driver")]
        .into_iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !can_install(workspace) {
        bail!("the browser tests need chromium and chromedriver on PATH (Debian: apt install {packages})");
    }
    install_packages(workspace, &missing)
}

/// Installs the packages of Debian whose programs are missing, where this process may; whoever needs a
/// program looks whether it is there.
pub(crate) fn install(workspace: &Workspace, programs: &[(&str, &str)]) {
    let missing = programs.iter().filter(|(program, _)| find(program).is_none());
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if !missing.is_empty() && can_install(workspace) {
        install_packages(workspace, &missing).ok();
    }
}

fn can_install(workspace: &Workspace) -> bool {
    let is_root = output(workspace.command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    is_root && find("apt-get").is_some()
}

fn install_packages(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    println!("Installing {}.", packages.join(" "));
    let apt = |arguments: &[&str]| -> Command {
        let mut command = workspace.command("apt-get");
        command.args(["-q", "-y"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    run(&mut apt(&["update"]))?;
    run(apt(&["install", "--no-install-recommends"]).args(packages))
}

/// The folder with these packages of `PyPI`, fetched by pip the first time; `None` when they cannot be
/// fetched. `locked` has the hashes of these and of all that they need, and pip takes no other file.
pub(crate) fn fetch(workspace: &Workspace, packages: &[&str], locked: &str) -> Option<PathBuf> {
    fetch_for(workspace, &packages.join("-"), locked, None)
}

/// As [`fetch`], into the folder of this name, and the wheels of another platform than this machine's.
pub(crate) fn fetch_for(
    workspace: &Workspace,
    name: &str,
    locked: &str,
    platform: Option<&str>,
) -> Option<PathBuf> {
    let folder = tools_folder(workspace).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let made = tools_folder(workspace).join(format!("{name}.part"));
    let requirements = tools_folder(workspace).join(format!("{name}.txt"));
    fs::create_dir_all(tools_folder(workspace)).ok()?;
    fs::write(&requirements, locked).ok()?;
    let install = |mut pip: Command| {
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
            "--require-hashes",
            // What a source is built with would have no hash.
            "--only-binary=:all:",
            "--target",
        ]);
        pip.arg(&made).args(platform.iter().flat_map(|platform| ["--platform", platform]));
        status(pip.arg("--requirement").arg(&requirements)).is_ok_and(|status| status.success())
    };
    let pips = [("python3", &["-m", "pip"][..]), ("pip3", &[]), ("pip", &[])];
    let fetched = pips.into_iter().any(|(program, arguments)| {
        let mut command = workspace.command(program);
        command.args(arguments);
        find(program).is_some() && install(command)
    });
    fs::remove_file(requirements).ok()?;
    (fetched && fs::rename(&made, &folder).is_ok()).then_some(folder)
}

/// Where a nats-server is, as the program [`FIND_BROKER`] of this build finds it: it fetches one when there
/// is none.
pub(crate) fn find_broker(workspace: &Workspace, built: &Artifacts) -> Result<PathBuf> {
    // Progress is on its standard error, the path alone on its standard output.
    let mut find = workspace.command(built.program(FIND_BROKER)?);
    let found =
        find.stderr(std::process::Stdio::inherit()).output().context("cannot look for a nats-server")?;
    if !found.status.success() {
        bail!("there is no nats-server");
    }
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}

fn has_target(workspace: &Workspace, target: &str) -> Result<bool> {
    let sysroot = output(workspace.command("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(target).is_dir())
}

fn target_can_be_had(workspace: &Workspace, target: &str) -> Result<()> {
    if find("rustup").is_none() && !has_target(workspace, target)? {
        bail!(
            "the Rust target {target} is missing and there is no rustup to add it: \
             install rustup from https://rustup.rs, or your system's package of that target"
        );
    }
    Ok(())
}

/// A nats-server, or what fetches one.
pub(crate) fn check_broker(workspace: &Workspace) -> Result<()> {
    let named = env::var_os("TIDEMAP_NATS_SERVER").is_some_and(|path| !path.is_empty());
    let programs = ["nats-server", "python3", "pip3", "pip"];
    if !named && !was_fetched(workspace) && programs.iter().all(|program| find(program).is_none()) {
        bail!(
            "there is neither a nats-server nor a pip to fetch one with: install 2.12.8 or newer from \
             https://nats.io/download and put it on PATH, or name it in TIDEMAP_NATS_SERVER"
        );
    }
    Ok(())
}

/// Whether an earlier run has fetched a nats-server into the folder that `.cargo/config.toml` names.
fn was_fetched(workspace: &Workspace) -> bool {
    let names = |entry: fs::DirEntry| -> OsString { entry.file_name() };
    fs::read_dir(tools_folder(workspace)).is_ok_and(|entries| {
        entries.flatten().map(names).any(|name| name.to_string_lossy().starts_with("nats-server-"))
    })
}

/// The folder that `.cargo/config.toml` names.
fn tools_folder(workspace: &Workspace) -> PathBuf {
    let named = env::var_os("TIDEMAP_TOOLS_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    workspace.path(named.unwrap_or_else(|| ".tools".into()))
}

/// The program of this name on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
