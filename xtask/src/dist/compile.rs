//! Compiles static programs for any platform of a release.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{identity::Identity, platform::Platform};
use crate::{
    artifacts::Artifacts,
    tools::{self, Zig},
    workspace::Workspace,
};

/// How programs are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// As for the tests, whose macros and build scripts are shared then.
    Quick,
    /// Optimised as a whole.
    Full,
}

impl Effort {
    fn profile(self) -> &'static str {
        match self {
            Self::Quick => "dev",
            Self::Full => "dist",
        }
    }
}

/// Compiles for all platforms with one compiler.
pub(super) struct Compiler<'a> {
    workspace: &'a Workspace,
    zig: Zig,
    effort: Effort,
    version: String,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(workspace: &'a Workspace, effort: Effort, identity: &Identity) -> Result<Self> {
        let zig = Zig::fetch(workspace).with_context(|| format!("pip cannot fetch {}", Zig::PACKAGES))?;
        Ok(Self { workspace, zig, effort, version: identity.long_version() })
    }

    /// The programs of these packages, each called like its package. What is compiled together shares the
    /// features of its dependencies.
    pub(super) fn programs(
        &self,
        platform: Platform,
        packages: &[&'static str],
    ) -> Result<BTreeMap<&'static str, PathBuf>> {
        let target = platform.target();
        tools::ensure_target(self.workspace, &target)?;
        let mut command = self.zig.cargo(self.workspace);
        command.args([
            "build",
            "--locked",
            "--bins",
            "--profile",
            self.effort.profile(),
            "--target",
            &target,
        ]);
        command.args(packages.iter().flat_map(|package| ["--package", package]));
        command.env("CARGO_ENCODED_RUSTFLAGS", self.flags().join("\x1f"));
        command.env("TIDEMAP_BUILD", &self.version);
        // Packages with C in them would be compiled again after each commit; no C here records a time.
        command.env_remove("SOURCE_DATE_EPOCH");
        // What is compiled in increments depends on what was compiled before.
        command.env("CARGO_INCREMENTAL", "0");
        let built = Artifacts::build(&mut command)?;
        packages.iter().map(|package| Ok((*package, checked(built.program(package)?)?))).collect()
    }

    /// Bytes that do not depend on where the sources lie, without symbols.
    fn flags(&self) -> Vec<String> {
        let mut flags = self.workspace.remapped_paths();
        flags.extend(["-Cstrip=symbols".to_owned(), "-Cdebuginfo=0".to_owned()]);
        flags
    }
}

/// A program that runs wherever its kernel does.
fn checked(program: &Path) -> Result<PathBuf> {
    let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    if needs_loader(&bytes).with_context(|| format!("{} is no program", program.display()))? {
        bail!("{} is not static", program.display());
    }
    Ok(program.to_owned())
}

/// Whether an ELF file of 64 bits, lowest byte first, names an interpreter, which loads shared libraries.
fn needs_loader(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let bytes = |at: usize, count: usize| elf.get(at..at + count);
    let number = |at: usize, count: usize| {
        Some(bytes(at, count)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    if bytes(0, 6)? != [0x7f, b'E', b'L', b'F', 2, 1] {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let kinds = (0..count).map(|entry| number(usize::try_from(table + entry * size).ok()?, 4));
    Some(kinds.collect::<Option<Vec<_>>>()?.contains(&u64::from(PT_INTERP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header and program headers of these kinds.
    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut elf = vec![0_u8; 64 + 56 * kinds.len()];
        elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        (elf[32], elf[54], elf[56]) = (64, 56, u8::try_from(kinds.len()).unwrap());
        for (n, kind) in kinds.iter().enumerate() {
            elf[64 + 56 * n..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        elf
    }

    #[test]
    fn a_program_that_needs_a_loader_is_known() {
        assert_eq!(needs_loader(&elf(&[1, 1, 2])), Some(false));
        assert_eq!(needs_loader(&elf(&[6, 3, 1])), Some(true));
        assert_eq!(needs_loader(&elf(&[1])[..80]), Some(false));
        assert_eq!(needs_loader(&elf(&[1, 3])[..100]), None);
        assert_eq!(needs_loader(b"#!/bin/sh\necho hello, for more than six bytes"), None);
    }
}
