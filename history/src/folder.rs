//! The folder of the history: one station's at a time, and readable to its owner only.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tidemap_service::{cli::UsageError, clock};

use crate::{
    database::{Salvaged, StoreError},
    disk::{Disk, Held},
    store::Store,
};

/// The file in it.
pub const FILE: &str = "history.sqlite";
/// What `SQLite` writes beside it.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// What becomes the file when it is complete.
const REBUILT: &str = "history.sqlite.rebuilt";
/// How a damaged file's name begins; the time follows, in seconds of Unix time.
const ASIDE: &str = "history.sqlite.damaged-";
/// As many damaged files are kept.
const ASIDE_KEPT: usize = 2;

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

    /// Opens the history. One that is damaged, as `found` says or as is seen now, is moved aside, and a new
    /// one is made of what can be read of it; the stream fills in the last two days.
    pub(crate) fn open(&self, found: Option<String>) -> anyhow::Result<Store> {
        let file = self.file();
        self.clean_up()?;
        let opened = match found {
            Some(what) => Err(StoreError::Damaged(what)),
            None if fs::metadata(&file).is_ok_and(|file| file.len() == 0) => {
                Err(StoreError::Damaged("the file is empty".to_owned()))
            }
            None => match Store::open(&file) {
                Err(StoreError::Full) => {
                    Held::new(&self.path).give();
                    Store::open(&file)
                }
                opened => opened,
            },
        };
        match opened {
            Err(StoreError::Damaged(what)) => self.rebuild(&what),
            opened => opened.with_context(|| format!("{}", file.display())),
        }
    }

    /// Ends what a station that was interrupted while it rebuilt the file had begun.
    fn clean_up(&self) -> anyhow::Result<()> {
        let (file, rebuilt) = (self.file(), self.path.join(REBUILT));
        if file.exists() {
            // A part of a copy.
            return Ok(remove(&rebuilt)?);
        }
        // The log of a file that was moved aside would be written into the new one.
        let aside = self.aside()?.pop();
        for end in BESIDE {
            let left = with_end(&file, end);
            match aside.as_ref().map(|aside| with_end(aside, end)).filter(|place| !place.exists()) {
                Some(place) if left.exists() => fs::rename(&left, place)?,
                _ => remove(&left)?,
            }
        }
        if rebuilt.exists() {
            fs::rename(&rebuilt, &file).with_context(|| format!("cannot rename {}", rebuilt.display()))?;
        }
        Ok(())
    }

    fn rebuild(&self, what: &str) -> anyhow::Result<Store> {
        let (file, rebuilt) = (self.file(), self.path.join(REBUILT));
        remove(&rebuilt)?;
        self.make_room_for_copy()?;
        let copied = Store::rebuild(&file, &rebuilt);
        if copied.is_err() {
            remove(&rebuilt)?;
        }
        let salvaged = copied.with_context(|| format!("cannot write {}", rebuilt.display()))?;
        let aside = self.move_aside()?;
        fs::rename(&rebuilt, &file).with_context(|| format!("cannot rename {}", rebuilt.display()))?;
        let Salvaged { tiles, lossy, is_full } = salvaged;
        tracing::error!(
            kept = %aside.display(), tiles, incomplete = %lossy.join(", "), disk_is_full = is_full,
            "the history is damaged ({what}): the file is moved aside, what can be read of it is copied into a new one, and the last two days are read again from the broker"
        );
        Store::open(&file).with_context(|| format!("{}", file.display()))
    }

    /// Removes older damaged files while the disk has no room for a copy.
    fn make_room_for_copy(&self) -> anyhow::Result<()> {
        let needed = fs::metadata(self.file()).map_or(0, |file| file.len());
        let has_room = || Disk::of(&self.path).is_none_or(|disk| disk.free >= disk.reserve() + needed);
        for old in self.aside()? {
            if has_room() {
                break;
            }
            tracing::warn!(file = %old.display(), "an older damaged history is removed to have room");
            remove(&old)?;
        }
        Ok(())
    }

    /// Moves the file aside, and what is beside it.
    fn move_aside(&self) -> anyhow::Result<PathBuf> {
        let file = self.file();
        let time = clock::unix_ms() / 1_000;
        let named = |number: u32| {
            let number = if number == 1 { String::new() } else { format!("-{number}") };
            self.path.join(format!("{ASIDE}{time}{number}"))
        };
        let aside = (1..).map(named).find(|path| !path.exists()).context("too many damaged files")?;
        fs::rename(&file, &aside).with_context(|| format!("cannot move {} aside", file.display()))?;
        for end in BESIDE {
            match fs::rename(with_end(&file, end), with_end(&aside, end)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        self.keep_newest_aside()?;
        Ok(aside)
    }

    /// Damaged files take no more of the disk than a few of them do.
    fn keep_newest_aside(&self) -> anyhow::Result<()> {
        for old in self.aside()?.iter().rev().skip(ASIDE_KEPT) {
            tracing::warn!(file = %old.display(), "an older damaged history is removed");
            remove(old)?;
        }
        Ok(())
    }

    /// The damaged files, the oldest first.
    fn aside(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut aside: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(ASIDE) && !BESIDE.iter().any(|end| name.ends_with(end)) {
                aside.push(entry.path());
            }
        }
        aside.sort_by_key(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        Ok(aside)
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

/// Removes a file and what is beside it.
fn remove(file: &Path) -> io::Result<()> {
    for path in [file.to_owned()].into_iter().chain(BESIDE.map(|end| with_end(file, end))) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
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
    use crate::store::Batch;

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
    fn what_is_no_history_is_kept_aside_and_a_new_one_begins() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::lock(root.path()).unwrap();
        let foreign = |file: &Path| {
            let other = rusqlite::Connection::open(file).unwrap();
            other
                .execute_batch("CREATE TABLE theirs (a); PRAGMA user_version = 7; PRAGMA application_id = 5;")
                .unwrap();
        };
        let writes: [&dyn Fn(&Path); 4] = [
            &|file| fs::write(file, "not what was written".repeat(1_000)).unwrap(),
            &|file| fs::write(file, "").unwrap(),
            &foreign,
            &|file| fs::write(file, [0; 40_000]).unwrap(),
        ];
        for write in writes {
            remove(&folder.file()).unwrap();
            write(&folder.file());
            let bytes = fs::read(folder.file()).unwrap();
            let store = folder.open(None).unwrap();
            assert_eq!(store.place(), None);
            drop(store);
            assert!(aside(root.path()).contains(&bytes));
            assert_eq!(folder.open(None).unwrap().place(), None, "the new one is whole");
        }
        assert_eq!(aside(root.path()).len(), ASIDE_KEPT);
    }

    fn aside(folder: &Path) -> Vec<Vec<u8>> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_aside = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(ASIDE) && !BESIDE.iter().any(|end| name.ends_with(end))
        };
        files.filter(is_aside).map(|path| fs::read(path).unwrap()).collect()
    }

    #[test]
    fn a_station_that_ended_while_it_was_rebuilding_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::lock(root.path()).unwrap();
        let mut store = folder.open(None).unwrap();
        store.apply(&Batch { at_ms: 5, place: vec![7], ..Batch::default() }).unwrap();
        drop(store);
        fs::rename(folder.file(), root.path().join(REBUILT)).unwrap();
        assert_eq!(folder.open(None).unwrap().place(), Some(&[7][..]));
    }

    #[test]
    fn what_a_station_leaves_that_ends_while_it_rebuilds_belongs_to_no_other_file() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::lock(root.path()).unwrap();
        let place = |number: u8| Batch { at_ms: 5, place: vec![number], ..Batch::default() };
        folder.open(None).unwrap().apply(&place(7)).unwrap();
        // A part of a copy.
        fs::write(root.path().join(REBUILT), "a part").unwrap();
        fs::write(root.path().join(format!("{REBUILT}-wal")), "a part").unwrap();
        let mut store = folder.open(None).unwrap();
        assert_eq!(store.place(), Some(&[7][..]));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 4, "lock, file, log and index");
        // The damaged file is moved aside, and its log not yet.
        store.apply(&place(8)).unwrap();
        let log = fs::read(root.path().join("history.sqlite-wal")).unwrap();
        drop(store);
        fs::rename(folder.file(), root.path().join(REBUILT)).unwrap();
        let aside = root.path().join(format!("{ASIDE}1"));
        fs::write(&aside, "damaged").unwrap();
        fs::write(root.path().join("history.sqlite-wal"), &log).unwrap();
        let whole = fs::read(root.path().join(REBUILT)).unwrap();
        folder.clean_up().unwrap();
        assert_eq!(fs::read(folder.file()).unwrap(), whole);
        assert_eq!(fs::read(with_end(&aside, "-wal")).unwrap(), log);
        assert!(!root.path().join("history.sqlite-wal").exists());
        assert_eq!(folder.open(None).unwrap().place(), Some(&[8][..]));
    }
}
