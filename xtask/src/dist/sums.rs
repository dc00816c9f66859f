//! `SHA256SUMS`, as `sha256sum --check` reads it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Lists these files, which are in `folder`.
pub(super) fn write(folder: &Path, files: &[PathBuf]) -> Result<()> {
    let mut lines = files.iter().map(PathBuf::as_path).map(line).collect::<Result<Vec<_>>>()?;
    lines.sort();
    Ok(fs::write(folder.join("SHA256SUMS"), lines.concat())?)
}

fn line(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{sum}  {}\n", file.file_name().unwrap_or_default().to_string_lossy()))
}
