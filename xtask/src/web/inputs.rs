//! One digest of everything that the page is built from: equal digests, equal page.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::workspace::{Workspace, output};

/// Everything that affects the page: its sources, their dependencies, and this task itself.
const INPUTS: [&str; 5] = ["webui", "lib/wire", "xtask", "Cargo.toml", "Cargo.lock"];

/// The digest of all inputs and of the compiler.
pub(super) fn digest(workspace: &Workspace) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(output(workspace.command("rustc").arg("--version"))?);
    for input in INPUTS {
        for file in files(&workspace.path(input))? {
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            hash.update(file.to_string_lossy().as_bytes());
            hash.update(content.len().to_le_bytes());
            hash.update(content);
        }
    }
    Ok(super::bundle::hex(&hash.finalize()))
}

/// The file itself, or all files below a folder, in an order that does not depend on the file system.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    let nested = entries.iter().map(|entry| files(entry)).collect::<Result<Vec<_>>>()?;
    Ok(nested.concat())
}
