//! Tiles that are not what was written. They are set aside, so that what is stored next finds no obstacle,
//! and their places are remembered: what they contained was counted in groups and roll-ups already.

use rusqlite::{Connection, params};

use super::{Database, MAX_SERIES, Reader, StoreError, Tier, Tx, key, parts};

/// Tiles of each tier that are checked when the file is opened.
const CHECKED: u32 = 256;
/// As many tiles are kept for somebody to look at; of others only the place.
const KEPT: i64 = 1_000;

/// Where a tile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub tier: Tier,
    pub period: u32,
    pub series: u32,
}

/// Adds the tables for tiles that are set aside and for nodes that were forgotten to a file that lacks them.
/// Programs that do not know them leave them alone.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    let sql = "CREATE TABLE IF NOT EXISTS set_aside (tier INTEGER, key INTEGER, tile BLOB, PRIMARY KEY (tier, key)) STRICT, WITHOUT ROWID";
    connection.execute_batch(sql)?;
    let sql = "CREATE TABLE IF NOT EXISTS forgotten (name TEXT PRIMARY KEY, until INTEGER NOT NULL, at_ms INTEGER NOT NULL, groups BLOB NOT NULL) STRICT, WITHOUT ROWID";
    Ok(connection.execute_batch(sql)?)
}

impl Database {
    /// Damaged tiles that were met since the last call.
    pub(crate) fn take_met(&self) -> Vec<Place> {
        self.met.take()
    }

    /// Sets damaged ones aside among the newest tiles, which a crash would have left half-written, and the
    /// oldest.
    pub(crate) fn check_newest(&mut self) -> Result<(), StoreError> {
        let tx = self.write()?;
        for tier in Tier::ALL {
            for order in ["DESC", "ASC"] {
                tx.check(tier, order)?;
            }
        }
        tx.commit()
    }
}

impl Tx<'_> {
    fn check(&self, tier: Tier, order: &str) -> Result<(), StoreError> {
        let sql = format!("SELECT key, tile FROM {} ORDER BY key {order} LIMIT {CHECKED}", tier.table());
        let mut damaged = Vec::new();
        let mut statement = self.transaction.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if Reader::new(&row.get::<_, Vec<u8>>(1)?).is_err() {
                damaged.push(parts(row.get(0)?));
            }
        }
        damaged.into_iter().try_for_each(|(period, series)| self.set_aside(tier, period, series))
    }

    /// Notes a damaged tile; a writer sets it aside at once.
    pub(crate) fn set_aside(&self, tier: Tier, period: u32, series: u32) -> Result<(), StoreError> {
        self.met.borrow_mut().push(Place { tier, period, series });
        if !self.is_writing {
            return Ok(());
        }
        let (kept, key) = (self.count_set_aside()?, key(period, series));
        let tile = if kept < KEPT { "tile" } else { "NULL" };
        let table = tier.table();
        let keep =
            format!("INSERT OR REPLACE INTO set_aside SELECT ?1, key, {tile} FROM {table} WHERE key = ?2");
        self.transaction.execute(&keep, params![tier.number(), key])?;
        self.transaction.execute(&format!("DELETE FROM {table} WHERE key = ?1"), [key])?;
        Ok(())
    }

    /// Whether damage was met that nobody has taken yet.
    pub(crate) fn has_met_damage(&self) -> bool {
        !self.met.borrow().is_empty()
    }

    /// Remembers that a tile may be missing which was there, or that roll-ups and groups contain other
    /// minutes than it does. It is not counted among the damaged ones.
    pub(crate) fn mark_lost(&self, tier: Tier, period: u32, series: u32) -> Result<(), StoreError> {
        let sql = "INSERT OR IGNORE INTO set_aside (tier, key, tile) VALUES (?1, ?2, x'')";
        self.transaction.prepare_cached(sql)?.execute(params![tier.number(), key(period, series)])?;
        Ok(())
    }

    /// Whether a tile was there that is lost.
    pub(crate) fn is_lost(&self, tier: Tier, period: u32, series: u32) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM set_aside WHERE tier = ?1 AND key = ?2";
        Ok(self.transaction.prepare_cached(sql)?.exists(params![tier.number(), key(period, series)])?)
    }

    /// How many tiles were set aside.
    pub(crate) fn count_set_aside(&self) -> Result<i64, StoreError> {
        if !self.has_table("set_aside")? {
            return Ok(0);
        }
        let sql = "SELECT count(*) FROM set_aside WHERE tile IS NULL OR length(tile) > 0";
        Ok(self.transaction.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// The places of some periods' tiles that are lost.
    pub(crate) fn lost_of(
        &self,
        tier: Tier,
        periods: std::ops::Range<u32>,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        let sql = "SELECT key FROM set_aside WHERE tier = ?1 AND key >= ?2 AND key < ?3";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let keys = params![tier.number(), key(periods.start, 0), key(periods.end, 0)];
        let found = statement.query_map(keys, |row| Ok(parts(row.get(0)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Forgets that a tile is lost.
    pub(crate) fn unmark_lost(&self, tier: Tier, period: u32, series: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM set_aside WHERE tier = ?1 AND key = ?2";
        self.transaction.prepare_cached(sql)?.execute(params![tier.number(), key(period, series)])?;
        Ok(())
    }

    /// Whether there is a table: a reader may be earlier than the first writer that knows it.
    pub(crate) fn has_table(&self, table: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM sqlite_master WHERE name = ?1";
        Ok(self.transaction.prepare_cached(sql)?.exists([table])?)
    }

    /// Forgets what is set aside of a series, and what may contain something of it: tiles of many series.
    pub(crate) fn forget_series_set_aside(
        &self,
        series: u32,
        shared: &[(Tier, u32)],
    ) -> Result<(), StoreError> {
        let mask = MAX_SERIES - 1;
        for tier in Tier::ALL {
            let shared = shared.iter().find(|(shared, _)| *shared == tier);
            let (sql, series) = match shared {
                Some((_, shared)) => {
                    ("UPDATE set_aside SET tile = NULL WHERE tier = ?1 AND key & ?2 = ?3", *shared)
                }
                None => ("DELETE FROM set_aside WHERE tier = ?1 AND key & ?2 = ?3", series),
            };
            self.transaction.prepare_cached(sql)?.execute(params![tier.number(), mask, series])?;
        }
        Ok(())
    }

    /// Forgets places of earlier periods, which are kept no more.
    pub(crate) fn forget_set_aside(&self, tier: Tier, period: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM set_aside WHERE tier = ?1 AND key < ?2";
        self.transaction.prepare_cached(sql)?.execute(params![tier.number(), key(period, 0)])?;
        Ok(())
    }
}
