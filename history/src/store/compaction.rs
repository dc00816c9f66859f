//! Cutting rows of minutes into tiles of a node's hour, and these into tiles of its day.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Store,
    calendar::{DAY, HOUR},
    effects::{Effects, group_points, roll_up},
    settle,
    state::{BAND, State},
    tiles,
};
use crate::{
    database::{StoreError, Tier, Tx},
    tile::{PointTile, RowTile},
};

/// An hour's rows usually change until this many minutes after it.
const HOUR_SETTLES: i64 = 20;
/// A day's tiles are made so many minutes after it: until then its hours are read.
const DAY_SETTLES: i64 = 60;
/// Steps in one transaction: enough that few are waited for, and few enough that a batch can be stored
/// between them.
const STEPS: usize = 16;

impl Store {
    /// Cuts what is due, a few steps of it. Returns whether more is due.
    pub(crate) fn compact(&mut self) -> Result<bool, StoreError> {
        self.transact(|tx, state| {
            let minute = state.at_ms.div_euclid(60_000);
            let mut effects = Effects::default();
            let bands = u32::try_from(state.bands.len()).unwrap_or(0);
            let mut left = STEPS;
            for band in 0..bands {
                while left > 0 && step(tx, state, band, minute, &mut effects)? {
                    left -= 1;
                }
            }
            effects.write(tx, state)?;
            Ok(left == 0)
        })
    }
}

/// One step of one band; `false` when none is due.
fn step(
    tx: &Tx<'_>,
    state: &mut State,
    band: u32,
    now: i64,
    effects: &mut Effects,
) -> Result<bool, StoreError> {
    let progress = state.progress(band * BAND);
    let day_end = (progress.days + 1) * DAY;
    let hour_end = (progress.hours + 1) * HOUR;
    if progress.hours * HOUR >= day_end && now >= i64::from(day_end) + DAY_SETTLES {
        // Groups' tiles of this day must be there before they are put together.
        std::mem::take(effects).write(tx, state)?;
        seal_day(tx, state, band, effects)?;
        state.bands[band as usize].days += 1;
    } else if now >= i64::from(hour_end) + HOUR_SETTLES {
        cut_hour(tx, state, band, effects)?;
        state.bands[band as usize].hours += 1;
    } else {
        return Ok(false);
    }
    state.save_band(tx, band)?;
    Ok(true)
}

fn cut_hour(tx: &Tx<'_>, state: &State, band: u32, effects: &mut Effects) -> Result<(), StoreError> {
    let hour = state.progress(band * BAND).hours;
    settle::unsettle(tx, state, band, 0)?;
    let mut nodes: BTreeMap<u32, RowTile> = BTreeMap::new();
    for minute in hour * HOUR..(hour + 1) * HOUR {
        let Some(tile) = tiles::rows(tx, Tier::Minute, minute, band)? else { continue };
        for entry in tile.entries {
            nodes.entry(entry.node).or_default().entries.push(entry);
        }
        tx.remove(Tier::Minute, minute, band)?;
    }
    for (node, mut tile) in nodes {
        tile.before = state.account(tx, node)?;
        let (points, after) = tile.points();
        tx.put(Tier::Hour, hour, node, &tile.encode())?;
        state.save_account(tx, node, &after)?;
        effects.changed(state, node, &[], &points);
    }
    Ok(())
}

fn seal_day(tx: &Tx<'_>, state: &State, band: u32, effects: &mut Effects) -> Result<(), StoreError> {
    let day = state.progress(band * BAND).days;
    let groups: BTreeSet<u32> = state.groups_of_band(band).into_iter().collect();
    for series in band * BAND..(band + 1) * BAND {
        if groups.contains(&series) {
            seal_group(tx, day, series)?;
        } else {
            seal_node(tx, state, day, series, effects)?;
        }
    }
    // What a node's lost hour contained is in groups. A group's own can be added to: what is missing in it
    // makes its sums less, and never more.
    for (hour, series) in tx.lost_of(Tier::Hour, day * 24..(day + 1) * 24)? {
        if series / BAND != band {
            continue;
        }
        if !groups.contains(&series) {
            tx.mark_lost(Tier::Day, day, series)?;
        }
        tx.unmark_lost(Tier::Hour, hour, series)?;
    }
    Ok(())
}

fn seal_node(
    tx: &Tx<'_>,
    state: &State,
    day: u32,
    node: u32,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    let mut whole: Option<RowTile> = None;
    let mut may_lack = false;
    for hour in day * 24..(day + 1) * 24 {
        let Some(tile) = tiles::rows(tx, Tier::Hour, hour, node)? else {
            may_lack |= tiles::may_be_missing(state, Tier::Hour, hour, false);
            continue;
        };
        match &mut whole {
            Some(whole) => whole.entries.extend(tile.entries),
            None => whole = Some(tile),
        }
        tx.remove(Tier::Hour, hour, node)?;
    }
    let Some(whole) = whole else { return Ok(()) };
    if may_lack {
        tx.mark_lost(Tier::Day, day, node)?;
    }
    tx.put(Tier::Day, day, node, &whole.encode())?;
    let point = roll_up(tx, node, day, &whole.points().0)?;
    effects.board(Tier::DayBoard, day, node, point);
    Ok(())
}

fn seal_group(tx: &Tx<'_>, day: u32, group: u32) -> Result<(), StoreError> {
    let mut whole = PointTile::default();
    for hour in day * 24..(day + 1) * 24 {
        whole.0.extend(tiles::points(tx, Tier::Hour, hour, group)?.0);
        tx.remove(Tier::Hour, hour, group)?;
    }
    if !whole.0.is_empty() {
        tx.put(Tier::Day, day, group, &whole.encode())?;
        roll_up(tx, group, day, &group_points(&whole))?;
    }
    Ok(())
}
