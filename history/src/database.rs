//! The file: tiles by tier, period and series, in a database of `SQLite`.
//!
//! A key is `period << 24 | series`, so tiles of one time lie together: what is new is added at the end, and
//! what is dropped is a run of pages.

mod damage;
mod first_page;
mod room;
mod salvage;
mod seconds;
mod tier;

use std::{cell::RefCell, ops::Range, path::Path, time::Duration};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, ffi, params,
    types::{FromSql, ToSql},
};

pub(crate) use self::{
    damage::Place,
    room::Size,
    salvage::{Salvaged, salvage},
    tier::Tier,
};
use crate::columns::{Damaged, Reader};

/// The version of the layout, in the file's header.
const LAYOUT: i32 = 1;
/// `TmHi`, in the file's header, by which `file` and people recognize it.
const APPLICATION: i32 = 0x546d_4869;
/// As many series as a key has room for.
pub(crate) const MAX_SERIES: u32 = 1 << SERIES_BITS;
const SERIES_BITS: u32 = 24;
/// Tables beside those of tiles.
const TABLES: [&str; 6] = ["fact", "series", "account", "band", "membership", "late"];
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
        use rusqlite::Error;
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            // The file beside the log, which readers and the writer share, could not grow.
            _ if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => match error {
                // Values that this program has never written.
                Error::InvalidColumnType(..)
                | Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..) => Self::Damaged(error.to_string()),
                error => Self::Other(error),
            },
        }
    }
}

impl From<Damaged> for StoreError {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged.to_string())
    }
}

/// A tile with its period and series.
pub(crate) type Found = (u32, u32, Vec<u8>);

/// An open file.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    /// Damaged tiles that were met, until they are taken.
    met: RefCell<Vec<Place>>,
}

impl Database {
    /// Opens a file for writing, and creates it if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Self::new(Connection::open(path)?)?;
        let connection = &database.connection;
        database.check_layout()?;
        // Only before the first table. Larger pages than SQLite's own: tiles are larger, too.
        connection.execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        connection.execute_batch(&format!("PRAGMA journal_size_limit = {}", room::LOG_BYTES))?;
        if database.pragma("user_version")? == 0 {
            database.create()?;
        }
        damage::prepare(connection)?;
        seconds::prepare(connection)?;
        // Behind the others, whose places a file that is built again relies on. Programs that do not know it
        // leave it alone.
        connection.execute_batch(&Tier::Fives.creation())?;
        Ok(database)
    }

    /// Opens a file that a writer has opened, for reading.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::new(Connection::open_with_flags(path, flags)?)
    }

    fn new(connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { connection, met: RefCell::default() })
    }

    /// Refuses what this program cannot write: a file of a later version, of another program, or one that
    /// lacks tables.
    fn check_layout(&self) -> Result<(), StoreError> {
        let tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table'";
        let tables: i64 = self.connection.query_row(tables, [], |row| row.get(0))?;
        let (application, layout) = (self.pragma("application_id")?, self.pragma("user_version")?);
        if (tables, application, layout) == (0, 0, 0) {
            return Ok(());
        }
        if application != i64::from(APPLICATION) {
            return Err(StoreError::Damaged("it is a file of another program".to_owned()));
        }
        if layout != i64::from(LAYOUT) {
            return Err(StoreError::Later(i32::try_from(layout).unwrap_or(i32::MAX)));
        }
        let known = Tier::oldest().map(Tier::table).chain(TABLES);
        for table in known {
            self.connection.prepare(&format!("SELECT 1 FROM {table}")).map_err(
                |error| match StoreError::from(error) {
                    StoreError::Other(error) => StoreError::Damaged(error.to_string()),
                    other => other,
                },
            )?;
        }
        Ok(())
    }

    fn create(&self) -> Result<(), StoreError> {
        let tables: String = Tier::oldest().map(Tier::creation).collect();
        self.connection.execute_batch(&format!(
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
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Tx { transaction, met: &self.met, is_writing: true })
    }

    /// Everything is seen as of one moment.
    pub(crate) fn read(&mut self) -> Result<Tx<'_>, StoreError> {
        Ok(Tx { transaction: self.connection.transaction()?, met: &self.met, is_writing: false })
    }

    /// Whether it has all tables, or none, or cannot be read.
    fn tables(&self) -> Result<(usize, usize), StoreError> {
        let mut statement = self.connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
        let names = statement.query_map([], |row| row.get::<_, String>(0))?;
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let known: Vec<&str> = Tier::oldest().map(Tier::table).chain(TABLES).collect();
        let found = known.iter().filter(|name| names.iter().any(|found| found == *name)).count();
        Ok((found, known.len()))
    }

    fn pragma(&self, name: &str) -> Result<i64, StoreError> {
        Ok(self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
    }
}

/// A transaction.
#[derive(Debug)]
pub(crate) struct Tx<'a> {
    transaction: Transaction<'a>,
    met: &'a RefCell<Vec<Place>>,
    is_writing: bool,
}

impl Tx<'_> {
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit()?)
    }

    pub(crate) fn put(&self, tier: Tier, period: u32, series: u32, tile: &[u8]) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO {} (key, tile) VALUES (?1, ?2)", tier.table());
        self.transaction.prepare_cached(&sql)?.execute(params![key(period, series), tile])?;
        Ok(())
    }

    pub(crate) fn get(&self, tier: Tier, period: u32, series: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = format!("SELECT tile FROM {} WHERE key = ?1", tier.table());
        Ok(self
            .transaction
            .prepare_cached(&sql)?
            .query_row([key(period, series)], |row| row.get(0))
            .optional()?)
    }

    pub(crate) fn remove(&self, tier: Tier, period: u32, series: u32) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE key = ?1", tier.table());
        self.transaction.prepare_cached(&sql)?.execute([key(period, series)])?;
        Ok(())
    }

    /// All tiles of some periods, by period and series, without damaged ones.
    pub(crate) fn all(&self, tier: Tier, periods: Range<u32>) -> Result<Vec<Found>, StoreError> {
        let sql = format!("SELECT key, tile FROM {} WHERE key >= ?1 AND key < ?2 ORDER BY key", tier.table());
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let found = statement.query_map([key(periods.start, 0), key(periods.end, 0)], |row| {
            let (period, series) = parts(row.get(0)?);
            Ok((period, series, row.get(1)?))
        })?;
        let mut found = found.collect::<Result<Vec<Found>, _>>()?;
        let damaged = found.extract_if(.., |(_, _, bytes)| Reader::new(bytes).is_err());
        let damaged: Vec<Found> = damaged.collect();
        damaged.into_iter().try_for_each(|(period, series, _)| self.set_aside(tier, period, series))?;
        Ok(found)
    }

    /// Up to `limit` tiles of a period from a series on, as they are.
    pub(crate) fn some(
        &self,
        tier: Tier,
        period: u32,
        from: u32,
        limit: u32,
    ) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
        let table = tier.table();
        let sql = format!("SELECT key, tile FROM {table} WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3");
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let range = params![key(period, from), key(period + 1, 0), limit];
        let found = statement.query_map(range, |row| Ok((parts(row.get(0)?).1, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Whether there is a tile of some periods.
    pub(crate) fn has_any(&self, tier: Tier, periods: Range<u32>) -> Result<bool, StoreError> {
        let sql = format!("SELECT 1 FROM {} WHERE key >= ?1 AND key < ?2 LIMIT 1", tier.table());
        let keys = [key(periods.start, 0), key(periods.end, 0)];
        Ok(self.transaction.prepare_cached(&sql)?.exists(keys)?)
    }

    /// The first period of which there is a tile.
    pub(crate) fn first(&self, tier: Tier) -> Result<Option<u32>, StoreError> {
        self.outermost(tier, "min")
    }

    /// The last period of which there is a tile.
    pub(crate) fn last(&self, tier: Tier) -> Result<Option<u32>, StoreError> {
        self.outermost(tier, "max")
    }

    /// All periods of which there is a tile, in order.
    pub(crate) fn periods(&self, tier: Tier) -> Result<Vec<u32>, StoreError> {
        let sql = format!("SELECT min(key) FROM {} WHERE key >= ?1", tier.table());
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut periods = Vec::new();
        let mut next = Some(0);
        while let Some(begin) = next {
            let found: Option<i64> = statement.query_row([key(begin, 0)], |row| row.get(0))?;
            next = found.map(|found| parts(found).0);
            periods.extend(next);
            next = next.and_then(|period| period.checked_add(1));
        }
        Ok(periods)
    }

    fn outermost(&self, tier: Tier, which: &str) -> Result<Option<u32>, StoreError> {
        let sql = format!("SELECT {which}(key) FROM {}", tier.table());
        let key: Option<i64> = self.transaction.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
        Ok(key.map(|key| parts(key).0))
    }

    /// Drops all tiles of earlier periods.
    pub(crate) fn drop_before(&self, tier: Tier, period: u32) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE key < ?1", tier.table());
        self.transaction.prepare_cached(&sql)?.execute([key(period, 0)])?;
        self.forget_set_aside(tier, period)
    }

    pub(crate) fn fact<T: FromSql>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let mut statement = self.transaction.prepare_cached("SELECT value FROM fact WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    pub(crate) fn set_fact(&self, name: &str, value: impl ToSql) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO fact (name, value) VALUES (?1, ?2)";
        self.transaction.prepare_cached(sql)?.execute(params![name, value])?;
        Ok(())
    }

    pub(crate) fn remove_fact(&self, name: &str) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM fact WHERE name = ?1")?.execute([name])?;
        Ok(())
    }

    /// For tables beside the tiles.
    pub(crate) fn sql(&self) -> &Connection {
        &self.transaction
    }
}

fn key(period: u32, series: u32) -> i64 {
    i64::from(period) << SERIES_BITS | i64::from(series)
}

fn parts(key: i64) -> (u32, u32) {
    let series = key & i64::from(MAX_SERIES - 1);
    (u32::try_from(key >> SERIES_BITS).unwrap_or(0), u32::try_from(series).unwrap_or(0))
}
