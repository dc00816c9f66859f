//! Rows that are not yet in tiles of an hour.

use std::collections::HashMap;

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
    for minute in state.progress(band * BAND).hours * HOUR..end.min(newest(tx, state)?) {
        let Some(tile) = tiles::rows(tx, Tier::Minute, minute, band)? else { continue };
        tile.entries.iter().for_each(&mut take);
    }
    Ok(())
}

/// Calls `take` with each node's minutes before `end` and what moved in them.
pub(super) fn each_point(
    tx: &Tx<'_>,
    state: &State,
    end: u32,
    mut take: impl FnMut(u32, u32, &Point),
) -> Result<(), StoreError> {
    for band in 0..u32::try_from(state.bands.len()).unwrap_or(0) {
        let mut rows: HashMap<u32, Vec<Entry>> = HashMap::new();
        each_row(tx, state, band, end, |entry| rows.entry(entry.node).or_default().push(entry.clone()))?;
        for (node, rows) in rows {
            let mut account: Account = state.account(tx, node)?;
            for entry in rows {
                take(node, entry.cell.row.minute, &account.pass(&entry.cell));
            }
        }
    }
    Ok(())
}

/// The minute after the newest that has rows.
pub(in crate::store) fn newest(tx: &Tx<'_>, state: &State) -> Result<u32, StoreError> {
    let now = u32::try_from(state.at_ms / 60_000).unwrap_or(0);
    let last = tx.last(Tier::Minute)?.map_or(0, |minute| minute.saturating_add(1));
    Ok(last.min(now.saturating_add(AHEAD)))
}
