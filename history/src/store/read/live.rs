//! Rows that are not yet in tiles of an hour.

use std::{collections::HashMap, ops::Range};

use crate::{
    account::Account,
    database::{StoreError, Tier, Tx},
    point::Point,
    store::{
        calendar::{AHEAD, HOUR},
        state::{BAND, State},
        tiles,
    },
    tile::Entry,
};

/// Calls `take` with the rows of a band before `end`, minute by minute.
pub(in crate::store) fn each_row(
    tx: &Tx<'_>,
    state: &State,
    band: u32,
    end: u32,
    mut take: impl FnMut(&Entry),
) -> Result<(), StoreError> {
    for minute in minutes_of_band(tx, state, band, end)? {
        let Some(tile) = tiles::rows(tx, Tier::Minute, minute, band)? else { continue };
        tile.entries.iter().for_each(&mut take);
    }
    Ok(())
}

/// Calls `take` with each node's minutes before `end` and what moved in them, without the extremes.
pub(super) fn each_point(
    tx: &Tx<'_>,
    state: &State,
    end: u32,
    mut take: impl FnMut(u32, u32, &Point),
) -> Result<(), StoreError> {
    for band in 0..u32::try_from(state.bands.len()).unwrap_or(0) {
        let mut accounts = accounts_of(tx, state, band)?;
        for minute in minutes_of_band(tx, state, band, end)? {
            let Some(tile) = tiles::rows_for_sums(tx, Tier::Minute, minute, band)? else { continue };
            for entry in tile.entries {
                let account = accounts.entry(entry.node).or_insert_with(|| Account::new(state.origin));
                take(entry.node, entry.cell.row.minute, &account.pass(&entry.cell));
            }
        }
    }
    Ok(())
}

/// What is known of the runs of a band's nodes after all tiles of hours and days.
pub(in crate::store) fn accounts_of(
    tx: &Tx<'_>,
    state: &State,
    band: u32,
) -> Result<HashMap<u32, Account>, StoreError> {
    let sql = "SELECT node, state FROM account WHERE node >= ?1 AND node < ?2";
    let mut statement = tx.sql().prepare_cached(sql)?;
    let mut rows = statement.query([band * BAND, (band + 1) * BAND])?;
    let mut accounts = HashMap::new();
    while let Some(row) = rows.next()? {
        accounts.insert(row.get(0)?, state.read_account(&row.get::<_, Vec<u8>>(1)?));
    }
    Ok(accounts)
}

/// The minutes before `end` whose hour is not cut yet.
fn minutes_of_band(tx: &Tx<'_>, state: &State, band: u32, end: u32) -> Result<Range<u32>, StoreError> {
    Ok(state.progress(band * BAND).hours * HOUR..end.min(newest(tx, state)?))
}

/// The minute after the newest that has rows.
pub(in crate::store) fn newest(tx: &Tx<'_>, state: &State) -> Result<u32, StoreError> {
    let now = u32::try_from(state.at_ms / 60_000).unwrap_or(0);
    let last = tx.last(Tier::Minute)?.map_or(0, |minute| minute.saturating_add(1));
    Ok(last.min(now.saturating_add(AHEAD)))
}
