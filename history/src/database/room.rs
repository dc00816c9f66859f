//! How much room the file takes, and how it gives room back.

use super::{Database, StoreError, Tx};

/// The log beside the file is cut to this once it was longer.
pub(super) const LOG_BYTES: u64 = 64 << 20;

/// How large the file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes of the file.
    pub file: u64,
    /// Of these, in use.
    pub used: u64,
}

impl Database {
    /// Gives up to so many free pages back to the file system. Returns how many it has given.
    pub(crate) fn shrink(&mut self, pages: u32) -> Result<u64, StoreError> {
        let before = self.size()?.file;
        // Each row is a page: what is not asked for is not done.
        let sql = format!("PRAGMA incremental_vacuum({pages})");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        drop(statement);
        // The file itself becomes shorter when the log is written back.
        self.write_back("PASSIVE")?;
        Ok(before.saturating_sub(self.size()?.file))
    }

    /// Writes the log back into the file, so that it begins again.
    pub(crate) fn write_log_back(&self) -> Result<(), StoreError> {
        self.write_back("PASSIVE")
    }

    /// Writes the log back into the file, and gives its room to the file system unless somebody reads it.
    pub(crate) fn empty_log(&self) -> Result<(), StoreError> {
        self.write_back("TRUNCATE")
    }

    fn write_back(&self, how: &str) -> Result<(), StoreError> {
        Ok(self.connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(()))?)
    }

    /// How large the file is.
    pub(crate) fn size(&mut self) -> Result<Size, StoreError> {
        self.read()?.size()
    }
}

impl Tx<'_> {
    /// How large the file is.
    pub(crate) fn size(&self) -> Result<Size, StoreError> {
        let pragma =
            |name| self.transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let (pages, free, page) = (pragma("page_count")?, pragma("freelist_count")?, pragma("page_size")?);
        let bytes = |pages: i64| (pages * page).cast_unsigned();
        Ok(Size { file: bytes(pages), used: bytes(pages - free) })
    }

    /// Bytes of the file that are in use.
    pub(crate) fn used_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.size()?.used)
    }
}
