//! Rows that are not yet in tiles of an hour.

use std::ops::Range;

use tidemap_wire::Extremes;

use crate::{
    database::{StoreError, Tier, Tx},
    point::{Point, joined},
    store::{
        calendar::{AHEAD, HOUR},
        settle::{accounts_of, each_point},
        settled::Sums,
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

/// Calls `take` with each node's minutes before `end` that are not in `sums`, and what moved in them, without
/// the extremes.
pub(super) fn each_unsettled(
    tx: &Tx<'_>,
    state: &State,
    sums: Option<&Sums>,
    end: u32,
    mut take: impl FnMut(u32, u32, &Point),
) -> Result<(), StoreError> {
    for band in 0..u32::try_from(state.bands.len()).unwrap_or(0) {
        let settled = sums.and_then(|sums| sums.band(band));
        let mut minutes = minutes_of_band(tx, state, band, end)?;
        minutes.start = minutes.start.max(settled.map_or(0, |band| band.until));
        let mut accounts = match settled {
            _ if minutes.is_empty() => continue,
            Some(settled) => settled.accounts.clone(),
            None => accounts_of(tx, state, band)?,
        };
        for minute in minutes {
            let Some(tile) = tiles::rows_for_sums(tx, Tier::Minute, minute, band)? else { continue };
            each_point(&tile, state, &mut accounts, |node, point| take(node, minute, point));
        }
    }
    Ok(())
}

/// What moved in some minutes of a band that are not cut yet, by the nodes' place in it.
pub(super) fn sums_of_band(
    tx: &Tx<'_>,
    state: &State,
    band: u32,
    ranges: &[Range<u32>],
) -> Result<Vec<Point>, StoreError> {
    let mut sums = vec![Point::default(); BAND as usize];
    let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    each_point_of_band(tx, state, band, end, |minute, node, point| {
        if ranges.iter().any(|range| range.contains(&minute)) {
            sums[(node % BAND) as usize].add(point);
        }
    })?;
    Ok(sums)
}

/// Calls `take` with each minute before `end` of a band that is not cut yet, each node, and what moved.
pub(in crate::store) fn each_point_of_band(
    tx: &Tx<'_>,
    state: &State,
    band: u32,
    end: u32,
    mut take: impl FnMut(u32, u32, &Point),
) -> Result<(), StoreError> {
    let mut accounts = accounts_of(tx, state, band)?;
    for minute in minutes_of_band(tx, state, band, end)? {
        let Some(tile) = tiles::rows(tx, Tier::Minute, minute, band)? else { continue };
        each_point(&tile, state, &mut accounts, |node, point| take(minute, node, point));
    }
    Ok(())
}

/// The extremes in some minutes of a band that are not cut yet, by the nodes' place in it.
pub(super) fn extremes_of_band(
    tx: &Tx<'_>,
    state: &State,
    band: u32,
    ranges: &[Range<u32>],
) -> Result<Vec<Option<Extremes>>, StoreError> {
    let mut extremes = vec![None; BAND as usize];
    for range in ranges {
        let open = minutes_of_band(tx, state, band, range.end)?;
        for minute in open.start.max(range.start)..open.end {
            let Some(tile) = tiles::rows(tx, Tier::Minute, minute, band)? else { continue };
            for entry in &tile.entries {
                let place = (entry.node % BAND) as usize;
                extremes[place] = joined(extremes[place], entry.cell.row.rates);
            }
        }
    }
    Ok(extremes)
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
