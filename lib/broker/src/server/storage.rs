//! How much of the disk the broker's streams may take.
//!
//! A nats-server without a limit takes three quarters of what is free when it starts. What its streams hold
//! by then is not free, so a broker that restarts with a full log would get a limit below what it holds, and
//! refuse every write.

use std::path::Path;

/// Seven eighths of what is free, with what the streams hold already counted as free. The rest is for blocks
/// of the log that are still to be removed, and for others. `None` where the system does not say.
#[cfg(unix)]
pub(super) fn limit(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Some(free.saturating_add(held(&dir.join("jetstream"))) / 8 * 7)
}

#[cfg(not(unix))]
pub(super) fn limit(_dir: &Path) -> Option<u64> {
    None
}

/// The bytes of all files in a folder, as far as it can be read.
#[cfg(unix)]
fn held(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => held(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_holds_counts_as_free() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("jetstream/TIDEMAP/streams");
        std::fs::create_dir_all(&log).unwrap();
        let empty = limit(dir.path()).unwrap();
        // A sparse file, which takes nothing. Far larger than what other programs change meanwhile.
        std::fs::File::create(log.join("1.blk")).unwrap().set_len(8 << 40).unwrap();
        let full = limit(dir.path()).unwrap();
        assert!((6 << 40..8 << 40).contains(&full.abs_diff(empty)), "{empty}, {full}");
    }
}
