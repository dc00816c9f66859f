//! The disk on which the history is.
//!
//! A reserve of it is left to others: while less is free, the file does not grow, and its oldest minutes make
//! room for new ones. It does not shrink either, because what it gave would only be taken by whoever fills
//! the disk.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The reserve is a twentieth of the disk, and at most this.
const MAX_RESERVE: u64 = 1_000_000_000;
/// What the station holds itself, to be able to write when others have taken the reserve: an eighth of the
/// disk, and at most this. Half of it is as much as the log usually takes, twice.
const MAX_HELD: u64 = 32 << 20;
/// It is written in blocks of so many bytes.
const BLOCK: u64 = 65_536;
/// The file that holds it.
const HELD: &str = "reserve";

/// How full the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes that a user who is not root may still write.
    pub free: u64,
    /// Bytes of it in all.
    pub total: u64,
}

impl Disk {
    /// The disk of a folder; none where the system does not say.
    #[cfg(unix)]
    pub(crate) fn of(folder: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Self { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
    }

    /// The disk of a folder; none where the system does not say.
    #[cfg(not(unix))]
    pub(crate) fn of(_folder: &Path) -> Option<Self> {
        None
    }

    /// What is left to others.
    pub(crate) fn reserve(self) -> u64 {
        (self.total / 20).min(MAX_RESERVE)
    }

    /// Whether others have less than the reserve.
    pub(crate) fn is_low(self) -> bool {
        self.free < self.reserve()
    }
}

/// Room that is held for the time when there is no other.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    folder: PathBuf,
}

impl Held {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Takes the room while there is enough for everybody.
    pub(crate) fn take(&self) {
        let Some(disk) = Disk::of(&self.folder) else { return };
        let length = fs::metadata(self.file()).map_or(0, |file| file.len());
        if length < self.bytes() / BLOCK * BLOCK && disk.free >= disk.reserve() + self.bytes() {
            self.take_anyhow();
        }
    }

    /// Takes as much of the room as there is.
    pub(crate) fn take_anyhow(&self) {
        if let Err(error) = write_zeros(&self.file(), self.bytes()) {
            tracing::debug!("less room is held: {error}");
        }
    }

    /// How much it is.
    pub(crate) fn bytes(&self) -> u64 {
        Disk::of(&self.folder).map_or(0, |disk| (disk.total / 8).min(MAX_HELD))
    }

    /// Gives half of it up, then the rest. Returns what is left.
    pub(crate) fn give(&self) -> Left {
        let length = fs::metadata(self.file()).map_or(0, |file| file.len());
        let half = self.bytes() / 2;
        if half > 0 && length > half && truncate(&self.file(), half).is_ok() {
            return Left::Half;
        }
        fs::remove_file(self.file()).ok();
        Left::Nothing
    }

    fn file(&self) -> PathBuf {
        self.folder.join(HELD)
    }
}

/// What is left of the room that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Half of it: what was given is enough to write the log back.
    Half,
    /// Nothing: what was given is enough to drop something.
    Nothing,
}

fn truncate(path: &Path, bytes: u64) -> io::Result<()> {
    File::options().write(true).open(path)?.set_len(bytes)
}

fn write_zeros(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = [0; BLOCK as usize];
    for _ in 0..bytes / BLOCK {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_or_a_gigabyte_is_left_to_others() {
        let low = |free, total| Disk { free, total }.is_low();
        assert_eq!([low(4, 100), low(5, 100)], [true, false]);
        assert_eq!([low(MAX_RESERVE - 1, 1 << 50), low(MAX_RESERVE, 1 << 50)], [true, false]);
    }

    #[test]
    fn room_is_held_and_given_up_once() {
        let folder = tempfile::tempdir().unwrap();
        let held = Held::new(folder.path());
        assert_eq!(held.give(), Left::Nothing);
        held.take();
        assert_eq!([held.give(), held.give(), held.give()], [Left::Half, Left::Nothing, Left::Nothing]);
    }
}
