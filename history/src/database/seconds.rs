//! Minutes of groups by the second, for as long as more of them may come. They are a table of their own that
//! programs of earlier versions leave alone: what follows from them is in the tiles of groups, so nothing is
//! lost with them.

use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, Tx, key};

/// Adds the table to a file that lacks it.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    let sql = "CREATE TABLE IF NOT EXISTS group_second (key INTEGER PRIMARY KEY, tile BLOB NOT NULL) STRICT";
    Ok(connection.execute_batch(sql)?)
}

impl Tx<'_> {
    /// A group's minute by the second.
    pub(crate) fn seconds(&self, minute: u32, group: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.sql().prepare_cached("SELECT tile FROM group_second WHERE key = ?1")?;
        Ok(statement.query_row([key(minute, group)], |row| row.get(0)).optional()?)
    }

    /// Stores it.
    pub(crate) fn put_seconds(&self, minute: u32, group: u32, tile: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO group_second (key, tile) VALUES (?1, ?2)";
        self.sql().prepare_cached(sql)?.execute(params![key(minute, group), tile])?;
        Ok(())
    }

    /// Drops those of earlier minutes.
    pub(crate) fn drop_seconds_before(&self, minute: u32) -> Result<(), StoreError> {
        self.sql().prepare_cached("DELETE FROM group_second WHERE key < ?1")?.execute([key(minute, 0)])?;
        Ok(())
    }
}
