//! Copies what can be read of a damaged file into a new one.
//!
//! `SQLite` refuses what it cannot reach by a damaged page and reads the rest. So each table is read key by
//! key, and where that fails, from the next key at which it works again.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params, params_from_iter, types::Value};

use super::{BUSY_TIMEOUT, Database, Reader, StoreError, Tier, first_page, parts};
use crate::disk::Disk;

/// Keys that are read at once.
const AT_ONCE: usize = 1_000;
/// Bytes of one transaction, about, and pages of the log beside the new file.
const WRITTEN_AT_ONCE: usize = 1 << 20;
const LOG_PAGES: u32 = 128;
/// What else is needed of a history, the least replaceable first.
const FACTS: [&str; 18] = [
    "origin",
    "at_ms",
    "begun",
    "minutes_from",
    "rebuilt_until",
    "late_from",
    "whole_from",
    "runs_from",
    "second_peaks_since",
    "sent_until",
    "sent_since",
    "sent_span_end",
    "sent_bands",
    "sent_samples",
    "sent_refused",
    "sent_too_old",
    "sent_dropped",
    "sent_changed",
];
/// Roll-ups before what they were made of: they are small, and kept longer. When the disk is full, what comes
/// first is kept.
const TIERS: [Tier; 9] = [
    Tier::Days,
    Tier::Hours,
    Tier::DayBoard,
    Tier::HourBoard,
    Tier::Quarters,
    Tier::Fives,
    Tier::Minute,
    Tier::Hour,
    Tier::Day,
];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Salvaged {
    /// Tiles that are in the new file.
    pub tiles: u64,
    /// Tables of which some of the rows, or all, cannot be read.
    pub lossy: Vec<&'static str>,
    /// Whether the disk has no room for the rest.
    pub is_full: bool,
}

/// Copies what can be read of `from` into a new file.
pub(crate) fn salvage(from: &Path, to: &Path) -> Result<Salvaged, StoreError> {
    let mut new = Database::open(to)?;
    new.connection.execute_batch(&format!("PRAGMA wal_autocheckpoint = {LOG_PAGES}"))?;
    let replaced = first_page::replace(from, to, &new)?;
    let salvaged = copy_from(from, to, &mut new);
    if let Some(replaced) = replaced {
        replaced.put_back();
    }
    salvaged
}

fn copy_from(from: &Path, to: &Path, new: &mut Database) -> Result<Salvaged, StoreError> {
    let mut salvaged = Salvaged::default();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let old = match Connection::open_with_flags(from, flags) {
        Ok(old) => old,
        Err(_) => return Ok(salvaged),
    };
    old.busy_timeout(BUSY_TIMEOUT)?;
    match copy_all(&old, new, &Room::beside(to), &mut salvaged) {
        Err(StoreError::Full) => salvaged.is_full = true,
        copied => copied?,
    }
    // In one file, so that it can be renamed.
    new.empty_log()?;
    Ok(salvaged)
}

/// Room on the disk. A copy leaves others their reserve; of a disk that has less, half of what is free.
struct Room {
    folder: PathBuf,
    left: u64,
}

impl Room {
    fn beside(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(file).to_owned();
        let left = Disk::of(&folder).map_or(0, |disk| disk.reserve().min(disk.free / 2));
        Self { folder, left }
    }

    fn check(&self) -> Result<(), StoreError> {
        let has_room = Disk::of(&self.folder).is_none_or(|disk| disk.free >= self.left);
        if has_room { Ok(()) } else { Err(StoreError::Full) }
    }
}

fn copy_all(
    old: &Connection,
    new: &mut Database,
    room: &Room,
    salvaged: &mut Salvaged,
) -> Result<(), StoreError> {
    for fact in FACTS {
        let found: Option<Value> = old
            .query_row("SELECT value FROM fact WHERE name = ?1", [fact], |row| row.get(0))
            .optional()
            .unwrap_or(None);
        if let Some(value) = found {
            new.connection
                .execute("INSERT OR REPLACE INTO fact (name, value) VALUES (?1, ?2)", params![fact, value])?;
        }
    }
    let mut copy = Copy { old, new, room, salvaged };
    copy.table("series", "id", |_| true)?;
    copy.table("band", "id", |_| true)?;
    copy.table("membership", "id", |row| is_whole(row.get(3)))?;
    copy.table("account", "node", |row| is_whole(row.get(1)))?;
    copy.late()?;
    copy.set_aside()?;
    copy.forgotten()?;
    let known = copy.known_series()?;
    for tier in TIERS {
        let is_of_series = !matches!(tier, Tier::Minute | Tier::HourBoard | Tier::DayBoard);
        copy.salvaged.tiles += copy.table(tier.table(), "key", |row| {
            let Some(Value::Integer(key)) = row.first() else { return false };
            is_whole(row.get(1)) && (!is_of_series || known.contains(&parts(*key).1))
        })?;
    }
    Ok(())
}

fn is_whole(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Blob(bytes)) if Reader::new(bytes).is_ok())
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Blob(bytes) => bytes.len(),
        Value::Text(text) => text.len(),
        _ => 8,
    }
}

struct Copy<'a> {
    old: &'a Connection,
    new: &'a mut Database,
    room: &'a Room,
    salvaged: &'a mut Salvaged,
}

impl Copy<'_> {
    /// Copies a table by its whole-number key. Returns how many rows are copied.
    fn table(
        &mut self,
        table: &'static str,
        key: &str,
        is_good: impl Fn(&[Value]) -> bool,
    ) -> Result<u64, StoreError> {
        let mut copied = 0;
        let mut is_lossy = false;
        let mut from = Some(i64::MIN);
        while let Some(begin) = from {
            let (keys, next) = keys_from(self.old, table, key, begin);
            self.room.check()?;
            let mut tx = self.new.write()?;
            let mut written = 0;
            for at in keys {
                if written > WRITTEN_AT_ONCE {
                    tx.commit()?;
                    self.room.check()?;
                    tx = self.new.write()?;
                    written = 0;
                }
                match row(self.old, table, key, at) {
                    Some(values) if is_good(&values) => {
                        written += values.iter().map(bytes_of).sum::<usize>();
                        let marks = vec!["?"; values.len()].join(", ");
                        let sql = format!("INSERT OR IGNORE INTO {table} VALUES ({marks})");
                        copied +=
                            tx.transaction.prepare_cached(&sql)?.execute(params_from_iter(values))? as u64;
                    }
                    _ => is_lossy = true,
                }
            }
            tx.commit()?;
            from = match next {
                Next::End => None,
                Next::Key(next) => Some(next),
                Next::Damaged(after) => {
                    is_lossy = true;
                    readable_from(self.old, table, key, after)
                }
            };
        }
        if is_lossy {
            self.salvaged.lossy.push(table);
        }
        Ok(copied)
    }

    /// Which late samples were counted. Its key has several columns, so it is read from the beginning only.
    fn late(&mut self) -> Result<(), StoreError> {
        let tx = self.new.write()?;
        let insert = |values: [i64; 4]| -> Result<(), StoreError> {
            tx.transaction
                .prepare_cached("INSERT OR IGNORE INTO late VALUES (?1, ?2, ?3, ?4)")?
                .execute(values)?;
            Ok(())
        };
        let mut is_lossy = true;
        if let Ok(mut statement) = self.old.prepare("SELECT node, boot, seq, reported FROM late")
            && let Ok(mut rows) = statement.query([])
        {
            let mut before = None;
            while let Ok(row) = rows.next() {
                let Some(row) = row else {
                    is_lossy = false;
                    break;
                };
                let values =
                    (|| Ok::<_, rusqlite::Error>([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))();
                // A damaged page may lead back to an earlier one.
                match values {
                    Ok(values) if before.is_none_or(|before| before < values) => {
                        before = Some(values);
                        insert(values)?;
                    }
                    _ => break,
                }
            }
        }
        tx.commit()?;
        if is_lossy {
            self.salvaged.lossy.push("late");
        }
        Ok(())
    }

    /// Which tiles were lost before, of which only the place is kept; a mark is an empty tile.
    fn set_aside(&mut self) -> Result<(), StoreError> {
        let columns = "tier, key, CASE WHEN length(tile) = 0 THEN tile END";
        self.small_table("set_aside", columns, |row| matches!(row, [Value::Integer(_), Value::Integer(_), _]))
    }

    /// Which nodes were forgotten of late.
    fn forgotten(&mut self) -> Result<(), StoreError> {
        self.small_table("forgotten", "name, until, at_ms, groups", |row| is_whole(row.get(3)))
    }

    /// Copies a table whose key is no number, from the beginning only. A file of an earlier version may lack
    /// it.
    fn small_table(
        &mut self,
        table: &'static str,
        columns: &str,
        is_good: impl Fn(&[Value]) -> bool,
    ) -> Result<(), StoreError> {
        let Ok(mut statement) = self.old.prepare(&format!("SELECT {columns} FROM {table}")) else {
            return Ok(());
        };
        let width = statement.column_count();
        let insert = format!("INSERT OR IGNORE INTO {table} VALUES ({})", vec!["?"; width].join(", "));
        let tx = self.new.write()?;
        let mut is_lossy = false;
        let mut rows = statement.query([])?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(_) => {
                    is_lossy = true;
                    break;
                }
            };
            let values: Result<Vec<Value>, _> = (0..width).map(|column| row.get(column)).collect();
            match values {
                Ok(values) if is_good(&values) => {
                    tx.transaction.prepare_cached(&insert)?.execute(params_from_iter(values))?;
                }
                _ => is_lossy = true,
            }
        }
        tx.commit()?;
        if is_lossy {
            self.salvaged.lossy.push(table);
        }
        Ok(())
    }

    fn known_series(&self) -> Result<HashSet<u32>, StoreError> {
        let mut statement = self.new.connection.prepare("SELECT id FROM series")?;
        let known = statement.query_map([], |row| row.get(0))?;
        Ok(known.collect::<Result<_, _>>()?)
    }
}

/// What comes after some keys.
enum Next {
    End,
    Key(i64),
    /// From this key on nothing can be read.
    Damaged(i64),
}

/// The next keys from one on.
fn keys_from(old: &Connection, table: &str, key: &str, begin: i64) -> (Vec<i64>, Next) {
    let mut keys = Vec::new();
    let sql = format!("SELECT {key} FROM {table} WHERE {key} >= ?1 ORDER BY {key}");
    let after = |keys: &[i64]| keys.last().map_or(begin, |last| last.saturating_add(1));
    let Ok(mut statement) = old.prepare_cached(&sql) else { return (keys, Next::Damaged(begin)) };
    let Ok(mut rows) = statement.query([begin]) else { return (keys, Next::Damaged(begin)) };
    while keys.len() < AT_ONCE {
        match rows.next().and_then(|row| row.map(|row| row.get::<_, i64>(0)).transpose()) {
            // A damaged page may lead back to an earlier one.
            Ok(Some(found)) if found >= after(&keys) => keys.push(found),
            Ok(None) => return (keys, Next::End),
            _ => {
                let after = after(&keys);
                return (keys, Next::Damaged(after));
            }
        }
    }
    let next = after(&keys);
    (keys, Next::Key(next))
}

fn row(old: &Connection, table: &str, key: &str, at: i64) -> Option<Vec<Value>> {
    let sql = format!("SELECT * FROM {table} WHERE {key} = ?1");
    let mut statement = old.prepare_cached(&sql).ok()?;
    let columns = statement.column_count();
    statement.query_row([at], |row| (0..columns).map(|column| row.get(column)).collect()).ok()
}

/// The first key from `begin` on that can be reached; it is beyond a damaged page, so keys are tried at
/// growing distances, and then between the last two.
fn readable_from(old: &Connection, table: &str, key: &str, begin: i64) -> Option<i64> {
    let sql = format!("SELECT {key} FROM {table} WHERE {key} >= ?1 ORDER BY {key} LIMIT 1");
    let find = |from: i64| {
        let found = old
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row([from], |row| row.get::<_, i64>(0)).optional());
        found.ok().filter(|found| found.is_none_or(|found| found >= from))
    };
    // Keys and numbers of nodes are not negative.
    let begin = begin.max(0);
    if let Some(found) = find(begin) {
        return found;
    }
    let (mut fails, mut step) = (begin, 1_i64);
    let mut works = loop {
        let probe = begin.checked_add(step)?;
        if find(probe).is_some() {
            break probe;
        }
        fails = probe;
        step = step.checked_mul(2)?;
    };
    while works - fails > 1 {
        let middle = fails + (works - fails) / 2;
        if find(middle).is_some() {
            works = middle;
        } else {
            fails = middle;
        }
    }
    find(works).flatten()
}
