//! The file: tiles by tier, period and series, in a database of `SQLite`.
//!
//! A key is `period << 24 | series`, so tiles of one time lie together: what is new is added at the end, and
//! what is dropped is a run of pages.

use std::{ops::Range, path::Path, time::Duration};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
    types::{FromSql, ToSql},
};

use crate::columns::{Damaged, Reader};

/// The version of the layout, in the file's header.
const LAYOUT: i32 = 1;
/// `TmHi`, in the file's header, by which `file` and people recognize it.
const APPLICATION: i32 = 0x546d_4869;
/// As many series as a key has room for.
pub(crate) const MAX_SERIES: u32 = 1 << SERIES_BITS;
const SERIES_BITS: u32 = 24;
/// Tiles of each tier that are checked when the file is opened.
const CHECKED: u32 = 256;
/// How long a reader waits while the writer begins its log again.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The disk has no room.
    #[error("the disk is full")]
    Full,
    /// The file is not what was written.
    #[error("the history is damaged: {0}")]
    Damaged(String),
    /// It is of a later version.
    #[error("the history was written by a later version of Tidemap (layout {0})")]
    Later(i32),
    /// Anything else.
    #[error("the history: {0}")]
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Other(error),
        }
    }
}

impl From<Damaged> for StoreError {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged.to_string())
    }
}

/// Which tiles: how they are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Rows of 128 nodes' minute, until an hour is over.
    Minute,
    /// The minutes of a series' hour, until the day is over.
    Hour,
    /// The minutes of a series' day.
    Day,
    /// The quarters of an hour of a series' day.
    Quarters,
    /// The hours of a series, 32 days of them.
    Hours,
    /// The days of a series, 128 of them.
    Days,
    /// What many nodes' hour came to.
    HourBoard,
    /// What many nodes' day came to.
    DayBoard,
}

impl Tier {
    pub(crate) const ALL: [Self; 8] = [
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Quarters,
        Self::Hours,
        Self::Days,
        Self::HourBoard,
        Self::DayBoard,
    ];

    fn table(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Quarters => "quarters",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::HourBoard => "hour_board",
            Self::DayBoard => "day_board",
        }
    }
}

/// A tile with its period and series.
pub(crate) type Found = (u32, u32, Vec<u8>);

/// An open file.
#[derive(Debug)]
pub(crate) struct Database(Connection);

impl Database {
    /// Opens a file for writing, and creates it if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Self(Connection::open(path)?);
        database.0.busy_timeout(BUSY_TIMEOUT)?;
        // Only before the first table. Larger pages than SQLite's own: tiles are larger, too.
        database.0.execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        let layout: i32 = database.0.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match layout {
            0 => database.create()?,
            LAYOUT => {}
            later => return Err(StoreError::Later(later)),
        }
        Ok(database)
    }

    /// Opens a file that a writer has opened, for reading.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Self(Connection::open_with_flags(path, flags)?);
        database.0.busy_timeout(BUSY_TIMEOUT)?;
        Ok(database)
    }

    fn create(&self) -> Result<(), StoreError> {
        let tables: String = Tier::ALL
            .iter()
            .map(|tier| {
                format!("CREATE TABLE {} (key INTEGER PRIMARY KEY, tile BLOB NOT NULL) STRICT;", tier.table())
            })
            .collect();
        self.0.execute_batch(&format!(
            "BEGIN;
             CREATE TABLE fact (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE series (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name)) STRICT;
             CREATE TABLE account (node INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
             CREATE TABLE band (id INTEGER PRIMARY KEY, hours INTEGER NOT NULL, days INTEGER NOT NULL) STRICT;
             CREATE TABLE membership (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, since INTEGER NOT NULL, groups BLOB NOT NULL) STRICT;
             CREATE TABLE late (node INTEGER, boot INTEGER, seq INTEGER, reported INTEGER NOT NULL, PRIMARY KEY (node, boot, seq)) STRICT, WITHOUT ROWID;
             {tables}
             PRAGMA application_id = {APPLICATION};
             PRAGMA user_version = {LAYOUT};
             COMMIT;"
        ))?;
        Ok(())
    }

    /// Everything until the transaction's commit becomes durable together, or not at all.
    pub(crate) fn write(&mut self) -> Result<Tx<'_>, StoreError> {
        Ok(Tx(self.0.transaction_with_behavior(TransactionBehavior::Immediate)?))
    }

    /// Everything is seen as of one moment.
    pub(crate) fn read(&mut self) -> Result<Tx<'_>, StoreError> {
        Ok(Tx(self.0.transaction()?))
    }

    /// Gives free pages back to the file system.
    pub(crate) fn shrink(&self) -> Result<(), StoreError> {
        self.0.execute_batch("PRAGMA incremental_vacuum")?;
        Ok(())
    }
}

/// A transaction.
#[derive(Debug)]
pub(crate) struct Tx<'a>(Transaction<'a>);

impl Tx<'_> {
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit()?)
    }

    pub(crate) fn put(&self, tier: Tier, period: u32, series: u32, tile: &[u8]) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO {} (key, tile) VALUES (?1, ?2)", tier.table());
        self.0.prepare_cached(&sql)?.execute(params![key(period, series), tile])?;
        Ok(())
    }

    pub(crate) fn get(&self, tier: Tier, period: u32, series: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = format!("SELECT tile FROM {} WHERE key = ?1", tier.table());
        Ok(self.0.prepare_cached(&sql)?.query_row([key(period, series)], |row| row.get(0)).optional()?)
    }

    pub(crate) fn remove(&self, tier: Tier, period: u32, series: u32) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE key = ?1", tier.table());
        self.0.prepare_cached(&sql)?.execute([key(period, series)])?;
        Ok(())
    }

    /// All tiles of some periods, by period and series.
    pub(crate) fn all(&self, tier: Tier, periods: Range<u32>) -> Result<Vec<Found>, StoreError> {
        let sql = format!("SELECT key, tile FROM {} WHERE key >= ?1 AND key < ?2 ORDER BY key", tier.table());
        let mut statement = self.0.prepare_cached(&sql)?;
        let found = statement.query_map([key(periods.start, 0), key(periods.end, 0)], |row| {
            let (period, series) = parts(row.get(0)?);
            Ok((period, series, row.get(1)?))
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The first period of which there is a tile.
    pub(crate) fn first(&self, tier: Tier) -> Result<Option<u32>, StoreError> {
        self.outermost(tier, "min")
    }

    /// The last period of which there is a tile.
    pub(crate) fn last(&self, tier: Tier) -> Result<Option<u32>, StoreError> {
        self.outermost(tier, "max")
    }

    fn outermost(&self, tier: Tier, which: &str) -> Result<Option<u32>, StoreError> {
        let sql = format!("SELECT {which}(key) FROM {}", tier.table());
        let key: Option<i64> = self.0.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
        Ok(key.map(|key| parts(key).0))
    }

    /// Drops all tiles of earlier periods.
    pub(crate) fn drop_before(&self, tier: Tier, period: u32) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE key < ?1", tier.table());
        self.0.prepare_cached(&sql)?.execute([key(period, 0)])?;
        Ok(())
    }

    pub(crate) fn fact<T: FromSql>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT value FROM fact WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    pub(crate) fn set_fact(&self, name: &str, value: impl ToSql) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO fact (name, value) VALUES (?1, ?2)";
        self.0.prepare_cached(sql)?.execute(params![name, value])?;
        Ok(())
    }

    /// Decodes the newest tiles, which a crash would have left half-written, and the oldest.
    pub(crate) fn check_newest(&self) -> Result<(), StoreError> {
        for tier in Tier::ALL {
            for order in ["DESC", "ASC"] {
                let sql = format!("SELECT tile FROM {} ORDER BY key {order} LIMIT {CHECKED}", tier.table());
                let mut statement = self.0.prepare(&sql)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    Reader::new(&row.get::<_, Vec<u8>>(0)?)?;
                }
            }
        }
        Ok(())
    }

    /// Bytes of the file that are in use.
    pub(crate) fn used_bytes(&self) -> Result<u64, StoreError> {
        let pragma = |name| self.0.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        Ok(((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?).cast_unsigned())
    }

    /// For tables beside the tiles.
    pub(crate) fn sql(&self) -> &Connection {
        &self.0
    }
}

fn key(period: u32, series: u32) -> i64 {
    i64::from(period) << SERIES_BITS | i64::from(series)
}

fn parts(key: i64) -> (u32, u32) {
    let series = key & i64::from(MAX_SERIES - 1);
    (u32::try_from(key >> SERIES_BITS).unwrap_or(0), u32::try_from(series).unwrap_or(0))
}
