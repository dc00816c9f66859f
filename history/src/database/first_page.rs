//! A file without its first page: the header and the schema are on it, by which `SQLite` finds all others.
//!
//! Tables are made in one order, so their first pages are the same in every file, and the first page of a new
//! file leads to the tables of any other, also of one that lacks its end.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{Database, StoreError};

/// Bytes of a page, as every file has been made with.
const PAGE: usize = 8_192;
/// Where in the header is: the number of pages.
const PAGES: std::ops::Range<usize> = 28..32;
/// The list of free pages.
const FREE: std::ops::Range<usize> = 32..40;
/// The last page with which a table begins.
const LAST_ROOT: std::ops::Range<usize> = 52..56;
/// The number by which programs know their files.
const APPLICATION: std::ops::Range<usize> = 68..72;
/// The kind of the page that follows the header, and the kind that it has when all tables are on it.
const KIND: usize = 100;
const LEAF: u8 = 13;

/// A first page that was replaced.
pub(super) struct Replaced {
    path: PathBuf,
    original: Vec<u8>,
    fresh: Vec<u8>,
    /// Bytes of the file before, and with pages for all tables to begin with.
    lengths: [u64; 2],
}

/// Gives a file whose tables cannot be found the first page of a new one. It stays unusable for whoever opens
/// it as a history: only its tables can be read. `None` if they can be found, or if it is no file of ours.
pub(super) fn replace(path: &Path, new: &Path, database: &Database) -> Result<Option<Replaced>, StoreError> {
    let found = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(StoreError::from)
        .and_then(|connection| Database::new(connection)?.tables());
    if found.is_ok_and(|(found, known)| found == 0 || found == known) {
        return Ok(None);
    }
    database.empty_log()?;
    let replaced = fresh(path, new).and_then(|replaced| {
        if let Some(replaced) = &replaced {
            replaced.write(&replaced.fresh, replaced.lengths[1])?;
        }
        Ok(replaced)
    });
    Ok(replaced.unwrap_or_else(|error| {
        tracing::debug!("the first page is left as it is: {error}");
        None
    }))
}

fn fresh(path: &Path, new: &Path) -> io::Result<Option<Replaced>> {
    let length = fs::metadata(path)?.len();
    let mut fresh = first(new)?;
    if length < 2 * PAGE as u64 || fresh[KIND] != LEAF {
        return Ok(None);
    }
    let last_root = fresh[LAST_ROOT].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let pages = length.div_ceil(PAGE as u64).max(last_root);
    let Ok(count) = u32::try_from(pages) else { return Ok(None) };
    fresh[PAGES].copy_from_slice(&count.to_be_bytes());
    fresh[FREE].fill(0);
    fresh[APPLICATION].fill(0);
    Ok(Some(Replaced {
        path: path.to_owned(),
        original: first(path)?,
        fresh,
        lengths: [length, pages * PAGE as u64],
    }))
}

fn first(path: &Path) -> io::Result<Vec<u8>> {
    let mut page = vec![0; PAGE];
    File::open(path)?.read_exact(&mut page)?;
    Ok(page)
}

impl Replaced {
    /// Puts the page back that was there, unless the log has written another.
    pub(super) fn put_back(&self) {
        let done = first(&self.path).and_then(|now| {
            if now == self.fresh { self.write(&self.original, self.lengths[0]) } else { Ok(()) }
        });
        done.unwrap_or_else(|error| tracing::debug!("the first page is not put back: {error}"));
    }

    fn write(&self, page: &[u8], length: u64) -> io::Result<()> {
        let mut file = File::options().write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(page)?;
        file.set_len(length)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that is new comes after all others, in new files and in old ones.
    #[test]
    fn tables_begin_where_they_always_did() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let database = Database::open(&path).unwrap();
        let mut statement = database
            .connection
            .prepare("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0 ORDER BY rootpage")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let tables: Vec<(String, u32)> = rows.collect::<Result<_, _>>().unwrap();
        let expected = [
            ("fact", 3),
            ("series", 4),
            ("sqlite_autoindex_series_1", 5),
            ("account", 6),
            ("band", 7),
            ("membership", 8),
            ("late", 9),
            ("minute", 10),
            ("hour", 11),
            ("day", 12),
            ("quarters", 13),
            ("hours", 14),
            ("days", 15),
            ("hour_board", 16),
            ("day_board", 17),
            ("set_aside", 18),
            ("forgotten", 19),
            ("group_second", 20),
            ("fives", 21),
        ];
        assert_eq!(tables, expected.map(|(name, page)| (name.to_owned(), page)));
    }
}
