//! The folder of the history: one station's at a time, and readable to its owner only.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tidemap_service::cli::UsageError;

use crate::{database::StoreError, store::Store};

/// The file in it.
pub(crate) const FILE: &str = "history.sqlite";
/// What `SQLite` writes beside it.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// A locked folder; dropping it releases the lock.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the folder if it is missing, and locks it.
    pub(crate) fn lock(path: &Path) -> anyhow::Result<Self> {
        let unusable = |error: io::Error| UsageError::in_file("--history-dir", path, error);
        create_private(path).map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(UsageError::in_file("--history-dir", path, "another history station uses it").into())
            }
            Err(TryLockError::Error(error)) => Err(unusable(error).into()),
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Opens the history. One that is damaged is moved aside, and a new one is begun.
    pub(crate) fn open(&self) -> anyhow::Result<Store> {
        let file = self.file();
        match Store::open(&file) {
            Err(StoreError::Damaged(what)) => {
                let aside = self.move_aside()?;
                tracing::error!(kept = %aside.display(), "the history is damaged ({what}): it is moved aside, and a new one begins with what the broker still has");
                Store::open(&file).with_context(|| format!("{}", file.display()))
            }
            opened => opened.with_context(|| format!("{}", file.display())),
        }
    }

    /// Moves the file aside, and what is beside it.
    fn move_aside(&self) -> anyhow::Result<PathBuf> {
        let file = self.file();
        let named = |number: u32| self.path.join(format!("{FILE}.damaged-{number}"));
        let aside = (1..).map(named).find(|path| !path.exists()).context("too many damaged files")?;
        fs::rename(&file, &aside).with_context(|| format!("cannot move {} aside", file.display()))?;
        for end in BESIDE {
            let with_end = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
            match fs::rename(with_end(&file), with_end(&aside)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(aside)
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_station_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/history");
        let held = Folder::lock(&path).unwrap();
        let refused = format!("{:#}", Folder::lock(&path).unwrap_err());
        assert_eq!(refused, format!("--history-dir {}: another history station uses it", path.display()));
        drop(held);
        Folder::lock(&path).unwrap();
    }

    #[test]
    fn a_damaged_history_is_kept_aside_and_a_new_one_begins() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::lock(root.path()).unwrap();
        for number in 1..=2 {
            fs::write(folder.file(), "not what was written".repeat(1_000)).unwrap();
            let store = folder.open().unwrap();
            assert_eq!(store.place(), None);
            drop(store);
            let aside = fs::read(root.path().join(format!("history.sqlite.damaged-{number}"))).unwrap();
            assert!(aside.starts_with(b"not what was written"));
        }
    }
}
