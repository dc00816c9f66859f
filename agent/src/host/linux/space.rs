//! The space of the host's disk.

use std::path::{Path, PathBuf};

use super::{
    KeptFile,
    mounts::{self, Size},
};

/// What is mounted changes rarely, and a host with many containers has thousands of mounts.
const CHOOSE_EVERY_MS: u64 = 60_000;

/// Reads the space of the file system that is the host's disk.
#[derive(Debug)]
pub(super) struct DiskSpace {
    mountinfo: KeptFile,
    chosen: Option<PathBuf>,
    /// Time until it is chosen again.
    choose_in_ms: u64,
}

/// Space, and of which file system.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub(super) size: Size,
    /// Where it is mounted, unless it is the root.
    pub(super) path: Option<String>,
}

impl DiskSpace {
    pub(super) fn new(procfs: &Path) -> Self {
        Self { mountinfo: KeptFile::new(procfs.join("self/mountinfo")), chosen: None, choose_in_ms: 0 }
    }

    pub(super) fn read(&mut self, elapsed_ms: u64) -> Option<Space> {
        self.choose_in_ms = self.choose_in_ms.saturating_sub(elapsed_ms);
        if self.choose_in_ms == 0 {
            self.chosen = mounts::disk(self.mountinfo.text().unwrap_or_default(), size);
            self.choose_in_ms = CHOOSE_EVERY_MS;
        }
        let chosen = self.chosen.as_deref()?;
        let Some(size) = size(chosen) else {
            // It was unmounted.
            self.choose_in_ms = 0;
            return None;
        };
        let path = (chosen != Path::new("/")).then(|| chosen.to_string_lossy().into_owned());
        Some(Space { size, path })
    }
}

/// The space of the file system at `path`; unknown where it has none, as in memory without a limit.
fn size(path: &Path) -> Option<Size> {
    let found = rustix::fs::statvfs(path).ok()?;
    // Some file systems report one block size only.
    let block = if found.f_frsize > 0 { found.f_frsize } else { found.f_bsize };
    // As `df` computes it: space that is reserved for root counts as neither used nor available.
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    let total = used.saturating_add(found.f_bavail.min(found.f_bfree)).saturating_mul(block);
    (total > 0).then(|| Size { used: used.saturating_mul(block), total })
}
