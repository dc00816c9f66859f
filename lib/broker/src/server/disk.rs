//! Notices a full disk. A nats-server whose write failed gives up the stream for good: it must be started
//! again once there is room.

use std::path::{Path, PathBuf};

use super::{launch, reload::tail};

/// With less than this, the next block of the log may not fit.
const LOW_BYTES: u64 = 4 * 1024 * 1024;
/// With this, the broker can work for a while.
const ENOUGH_BYTES: u64 = 16 * 1024 * 1024;
/// What nats-server logs of a write that failed, if its log has room for it.
const FAILED_WRITE: &str = "no space left on device";

/// What has changed on the disk of a broker's data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskNews {
    /// It is full.
    Full,
    /// It has room again. The broker is to be started again.
    Room,
}

/// Watches the disk of a broker's data folder.
#[derive(Debug)]
pub struct DiskWatch {
    dir: PathBuf,
    /// How much of the broker's log was read.
    logged: u64,
    is_full: bool,
}

impl DiskWatch {
    /// Begins with the present end of the log.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), logged: length(&launch::log(dir)), is_full: false }
    }

    /// What has changed since the last call. A moment without room is noticed by what the broker has logged.
    pub fn look(&mut self) -> Option<DiskNews> {
        let free = free_bytes(&self.dir)?;
        let log = launch::log(&self.dir);
        let news = tail(&log, self.logged).unwrap_or_default();
        self.logged = length(&log);
        self.judge(free, news.contains(FAILED_WRITE))
    }

    fn judge(&mut self, free_bytes: u64, failed: bool) -> Option<DiskNews> {
        // After the first failure the broker reports others although there is room.
        if self.is_full && free_bytes >= ENOUGH_BYTES {
            self.is_full = false;
            Some(DiskNews::Room)
        } else if !self.is_full && (free_bytes < LOW_BYTES || failed) {
            self.is_full = true;
            Some(DiskNews::Full)
        } else {
            None
        }
    }
}

fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |log| log.len())
}

/// What a user who is not root may still write. `None` where the system does not say.
#[cfg(unix)]
pub fn free_bytes(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
pub fn free_bytes(_dir: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_until_there_is_room_for_a_while() {
        let mut watch = DiskWatch { dir: PathBuf::new(), logged: 0, is_full: false };
        for (free, failed, news) in [
            (ENOUGH_BYTES, false, None),
            (LOW_BYTES, false, None),
            (LOW_BYTES - 1, false, Some(DiskNews::Full)),
            (0, true, None),
            (ENOUGH_BYTES - 1, false, None),
            (ENOUGH_BYTES, true, Some(DiskNews::Room)),
            (ENOUGH_BYTES, false, None),
            // Filled and freed between two looks.
            (ENOUGH_BYTES, true, Some(DiskNews::Full)),
            (ENOUGH_BYTES, true, Some(DiskNews::Room)),
        ] {
            assert_eq!(watch.judge(free, failed), news, "{free} {failed}");
        }
    }
}
