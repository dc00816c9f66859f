//! What the tests that install Tidemap need: fresh Debian systems, what boots them, and what builds images
//! and runs programs of another processor. They need root, so nothing is fetched without.

use std::{fs, path::Path, thread};

use anyhow::{Context, Result, bail};

use super::{fetch, find, install, tools_folder};
use crate::workspace::{Workspace, output, run};

/// Programs, and Debian's packages that have them.
const PROGRAMS: [(&str, &str); 6] = [
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("buildah", "buildah"),
    ("podman", "podman"),
    ("runc", "runc"),
    ("qemu-aarch64-static", "qemu-user-static"),
];
/// What reads a compose file for podman, as Docker's own does for Docker.
const COMPOSE: &str = "podman-compose==1.6.0";
const COMPOSE_LOCKED: &str = include_str!("../../requirements/podman-compose.txt");
/// Debian 12, and the oldest that is looked after.
const RELEASES: [&str; 2] = ["bookworm", "bullseye"];
/// What a small host has beside the essential packages.
const INCLUDED: &str = "--include=systemd,systemd-sysv,dbus,curl,ca-certificates,iproute2";
const MIRROR: &str = "http://deb.debian.org/debian";

/// Installs the programs and fetches the systems into the tools folder, where that is possible.
pub(crate) fn ensure_hosts(workspace: &Workspace) -> Result<()> {
    let is_root = output(workspace.command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || find("apt-get").is_none() {
        println!("NOT FETCHED: systems to install on, because that needs root and Debian's apt-get");
        return Ok(());
    }
    install(workspace, &PROGRAMS);
    if let Some((program, package)) = PROGRAMS.into_iter().find(|(program, _)| find(program).is_none()) {
        println!("NOT FETCHED: systems to install on, because there is no {program} ({package})");
        return Ok(());
    }
    if fetch(workspace, &[COMPOSE], COMPOSE_LOCKED).is_none() {
        bail!("pip cannot fetch {COMPOSE}");
    }
    let folder = tools_folder(workspace);
    fs::create_dir_all(&folder)?;
    thread::scope(|scope| {
        let fetching = RELEASES.map(|release| scope.spawn(|| ensure_release(workspace, &folder, release)));
        fetching.into_iter().try_for_each(|fetched| fetched.join().unwrap_or_else(|_| bail!("it panicked")))
    })
}

/// Makes the folder `debian-<release>`, the files of a system that has never booted.
fn ensure_release(workspace: &Workspace, folder: &Path, release: &str) -> Result<()> {
    let whole = folder.join(format!("debian-{release}"));
    if whole.is_dir() {
        return Ok(());
    }
    println!("Fetching Debian {release}.");
    let made = whole.with_extension("part");
    // What an interrupted run has left.
    fs::remove_dir_all(&made).or_else(|error| if made.exists() { Err(error) } else { Ok(()) })?;
    let mut fetch = workspace.command("mmdebstrap");
    fetch.args(["--quiet", "--variant=minbase", INCLUDED, release]).arg(&made).arg(MIRROR);
    run(&mut fetch).with_context(|| format!("cannot fetch Debian {release}"))?;
    Ok(fs::rename(&made, &whole)?)
}
