//! Building a history again from what can be read of a damaged one.

use std::{collections::HashSet, path::Path};

use rusqlite::params;
use tidemap_wire::NodeId;

use super::{
    Store,
    calendar::{DAY, DAYS_OF_A_TILE, HOUR, Progress},
    forgotten,
    state::{BAND, FORGOTTEN, NODE, State},
    tiles, whole,
};
use crate::{
    account::Account,
    database::{Database, Salvaged, StoreError, Tier, Tx, salvage},
};

impl Store {
    /// Writes a new file with what can be read of `from`. The place in the stream is not kept, so the stream
    /// is read from its beginning and fills what is missing.
    pub(crate) fn rebuild(from: &Path, to: &Path) -> Result<Salvaged, StoreError> {
        let salvaged = salvage(from, to)?;
        let mut database = Database::open(to)?;
        let tx = database.write()?;
        let mended = mend(&tx, &salvaged).and_then(|()| tx.commit());
        mended.and_then(|()| database.empty_log())?;
        Ok(salvaged)
    }
}

/// Fills in what other tables need. Where it cannot be known, counting begins again: sums may then be less
/// than what moved, and never more.
fn mend(tx: &Tx<'_>, salvaged: &Salvaged) -> Result<(), StoreError> {
    let newest = tx.last(Tier::Minute)?.map_or(0, i64::from) * 60_000;
    let at_ms = tx.fact::<i64>("at_ms")?.unwrap_or(newest);
    let now = u32::try_from(at_ms / 60_000).unwrap_or(0);
    let cut = mend_bands(tx, at_ms)?;
    if salvaged.tiles == 0 && at_ms == 0 {
        return Ok(());
    }
    tx.set_fact("at_ms", at_ms)?;
    if tx.fact::<u32>("origin")?.is_none() {
        tx.set_fact("origin", now)?;
    }
    if tx.fact::<u32>("begun")?.is_none() {
        let first = tx.first(Tier::Days)?.map(|tile| tile * DAYS_OF_A_TILE * DAY);
        tx.set_fact("begun", first.unwrap_or(now))?;
    }
    let is_lossy = |table: &str| salvaged.lossy.contains(&table);
    let has_unreadable = drop_unreadable_names(tx)?;
    if is_lossy("series") || has_unreadable {
        forget_unknown(tx)?;
    }
    if !salvaged.lossy.is_empty() || salvaged.is_full || has_unreadable {
        whole::lose_before(tx, now + 1)?;
    }
    if is_lossy("forgotten") {
        forgotten::count_runs_from(tx, now)?;
    }
    if is_lossy("late") {
        tx.set_fact("late_from", now)?;
    }
    // Of earlier minutes, what is missing may be in groups and roll-ups already.
    tx.set_fact("rebuilt_until", cut * HOUR)?;
    if is_lossy("account") || is_lossy("hour") || is_lossy("day") {
        mend_accounts(tx, now)?;
    }
    Ok(())
}

/// Bands follow one another without a hole. Returns how many hours the foremost has cut.
fn mend_bands(tx: &Tx<'_>, at_ms: i64) -> Result<u32, StoreError> {
    let last: u32 = tx.sql().query_row("SELECT coalesce(max(id), 0) FROM series", [], |row| row.get(0))?;
    let others = "SELECT max(hours), max(days) FROM band";
    let (hours, days): (Option<u32>, Option<u32>) =
        tx.sql().query_row(others, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let known = hours.zip(days).map(|(hours, days)| Progress { hours, days });
    let progress = known.unwrap_or_else(|| {
        let hours = u32::try_from(at_ms / 3_600_000).unwrap_or(0).saturating_sub(1);
        Progress { hours, days: hours / 24 }
    });
    for band in 0..=last / BAND {
        let sql = "INSERT OR IGNORE INTO band (id, hours, days) VALUES (?1, ?2, ?3)";
        tx.sql().execute(sql, [band, progress.hours, progress.days])?;
    }
    Ok(progress.hours)
}

/// Makes nodes whose names are no names numbers that are not given again. Returns whether there are any.
fn drop_unreadable_names(tx: &Tx<'_>) -> Result<bool, StoreError> {
    let mut unreadable = Vec::new();
    let mut statement = tx.sql().prepare("SELECT id, name FROM series WHERE kind = ?1")?;
    let mut rows = statement.query([NODE])?;
    while let Some(row) = rows.next()? {
        if NodeId::from_token(&row.get::<_, String>(1)?).is_err() {
            unreadable.push(row.get::<_, u32>(0)?);
        }
    }
    for id in &unreadable {
        let sql = "UPDATE series SET kind = ?2, name = ?3 WHERE id = ?1";
        tx.sql().execute(sql, params![id, FORGOTTEN, format!("forgotten-{id}")])?;
    }
    Ok(!unreadable.is_empty())
}

/// Leaves nodes whose name is lost out of the tiles of many nodes: a new node may get no other's traffic.
fn forget_unknown(tx: &Tx<'_>) -> Result<(), StoreError> {
    let mut known = HashSet::new();
    let mut statement = tx.sql().prepare("SELECT id FROM series")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        known.insert(row.get::<_, u32>(0)?);
    }
    for tier in [Tier::Minute, Tier::HourBoard, Tier::DayBoard] {
        for period in tx.periods(tier)? {
            for (_, series, _) in tx.all(tier, period..period + 1)? {
                let bytes = if tier == Tier::Minute {
                    let Some(mut tile) = tiles::rows(tx, tier, period, series)? else { continue };
                    tile.entries.retain(|entry| known.contains(&entry.node));
                    tile.encode()
                } else {
                    let mut tile = tiles::points(tx, tier, period, series)?;
                    tile.0.retain(|node, _| known.contains(node));
                    tile.encode()
                };
                tx.put(tier, period, series, &bytes)?;
            }
        }
    }
    Ok(())
}

/// What nodes' runs have counted is not known where it cannot be read.
fn mend_accounts(tx: &Tx<'_>, now: u32) -> Result<(), StoreError> {
    let mut state = State::default();
    state.refresh(tx)?;
    for node in state.nodes.values() {
        if !tx.sql().prepare_cached("SELECT 1 FROM account WHERE node = ?1")?.exists([node])? {
            state.save_account(tx, *node, &Account::new(now))?;
        }
    }
    Ok(())
}
