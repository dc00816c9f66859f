//! A C compiler and linker for any system.

use std::{path::PathBuf, process::Command};

use super::fetch;
use crate::workspace::Workspace;

/// What cargo links and compiles C by: `ring`, `SQLite` and mimalloc contain C.
pub(crate) struct Zig {
    folder: PathBuf,
}

impl Zig {
    /// What pip fetches.
    pub(crate) const PACKAGES: &str = "ziglang 0.15.1 and cargo-zigbuild 0.24.0";
    const PINNED: [&str; 2] = ["ziglang==0.15.1", "cargo-zigbuild==0.24.0"];
    const LOCKED: &str = include_str!("../../requirements/compilers.txt");

    /// The compiler, fetched the first time; `None` when it cannot be.
    pub(crate) fn fetch(workspace: &Workspace) -> Option<Self> {
        Some(Self { folder: fetch(workspace, &Self::PINNED, Self::LOCKED)? })
    }

    /// Cargo with this compiler for `--target`.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        let mut command = workspace.command(self.folder.join("bin/cargo-zigbuild"));
        command.env("PYTHONPATH", &self.folder);
        command
    }
}
