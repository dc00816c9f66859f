//! Archives: the same files make the same bytes.

use std::{fs::File, path::Path, process::Stdio};

use anyhow::{Context, Result, bail};

use super::Release;

/// Packs a folder that the release has made into `archive`.
pub(super) fn pack(release: &Release<'_>, folder: &str, epoch: u64, archive: &Path) -> Result<()> {
    let mut tar = release.workspace.command("tar");
    tar.arg("--create").arg("--directory").arg(&release.folder).arg(format!("--mtime=@{epoch}"));
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar", folder]);
    let mut tar = tar.stdout(Stdio::piped()).spawn().context("cannot run tar")?;
    let file = File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
    // Without the name and time of what is compressed.
    let mut gzip = release.workspace.command("gzip");
    gzip.arg("--no-name").stdin(tar.stdout.take().context("tar's output is piped")?).stdout(file);
    let compressed = gzip.status().context("cannot run gzip")?;
    if !tar.wait()?.success() || !compressed.success() {
        bail!("cannot pack {}", archive.display());
    }
    Ok(())
}
