//! Forgetting a node.

use rusqlite::params;
use tidemap_wire::NodeId;

use super::{
    Store,
    calendar::{DAY, DAYS_OF_A_TILE, HOUR, HOURS_OF_A_TILE},
    effects::{BOARD, Effects},
    forgotten::Forgotten,
    groups::band,
    read::live,
    settle,
    state::{FORGOTTEN, State},
    tiles,
};
use crate::{
    database::{StoreError, Tier, Tx},
    tile::Entry,
};

/// A clock ahead of the broker's is not believed any further.
const AHEAD_MINUTES: i64 = 3 * 1_440;

impl Store {
    /// Removes a node's rows and what follows from them, its lines in boards, and its number; its name goes
    /// three days later. What it moved stays in the sums of groups, which say what these moved. Rows of
    /// minutes up to `now_ms`, the clock's time, that come later are not stored; with one of a later minute
    /// the node begins again, in the groups that it was in. Returns whether the node was known.
    pub(crate) fn forget(&mut self, node: &NodeId, now_ms: i64) -> Result<bool, StoreError> {
        self.transact(|tx, state| {
            note(tx, state, node, now_ms)?;
            let Some(number) = state.nodes.get(node).copied() else { return Ok(false) };
            settle::unsettle(tx, state, band(number), 0)?;
            let end = live::newest(tx, state)?.max(state.progress(number).hours * HOUR);
            leave_in_groups(tx, state, number)?;
            remove_minutes(tx, state, number, end)?;
            remove_tiles(tx, number, end)?;
            for (tier, length) in [(Tier::HourBoard, HOUR), (Tier::DayBoard, DAY)] {
                remove_from_boards(tx, tier, number, end.div_ceil(length))?;
            }
            let boards = [(Tier::HourBoard, number / BOARD), (Tier::DayBoard, number / BOARD)];
            let minutes = [(Tier::Minute, band(number))];
            tx.forget_series_set_aside(number, &[&boards[..], &minutes[..]].concat())?;
            for table in ["account", "late", "membership"] {
                tx.sql().execute(&format!("DELETE FROM {table} WHERE node = ?1"), [number])?;
            }
            let sql = "UPDATE series SET kind = ?2, name = ?3 WHERE id = ?1";
            tx.sql().execute(sql, params![number, FORGOTTEN, format!("forgotten-{number}")])?;
            state.reload(tx)?;
            Ok(true)
        })
    }
}

/// Notes that a node is forgotten, at the clock's time `now_ms`.
fn note(tx: &Tx<'_>, state: &mut State, node: &NodeId, now_ms: i64) -> Result<(), StoreError> {
    let (at, now) = (state.at_ms.div_euclid(60_000), now_ms.div_euclid(60_000));
    let latest = if at > 0 { at.max(now.min(at + AHEAD_MINUTES)) } else { now };
    let before = state.forgotten.get(node).cloned().unwrap_or_default();
    let groups = state.nodes.get(node).and_then(|number| state.membership.newest(*number));
    let forgotten = Forgotten {
        until: u32::try_from(latest + 1).unwrap_or(0).max(before.until),
        groups: groups.cloned().unwrap_or(before.groups),
    };
    state.forgotten.add(tx, node, &forgotten, state.at_ms.max(0))
}

/// Adds the minutes of hours that are not over to the groups' sums, which else follow from the node's rows.
fn leave_in_groups(tx: &Tx<'_>, state: &State, node: u32) -> Result<(), StoreError> {
    let mut rows: Vec<Entry> = Vec::new();
    live::each_row(tx, state, band(node), u32::MAX, |entry| {
        if entry.node == node {
            rows.push(entry.clone());
        }
    })?;
    let mut account = state.account(tx, node)?;
    let points: Vec<_> =
        rows.iter().map(|entry| (entry.cell.row.minute, account.pass(&entry.cell))).collect();
    let mut effects = Effects::default();
    effects.changed(state, node, &[], &points);
    effects.write(tx, state)
}

/// Removes a node's rows from tiles of many nodes.
fn remove_minutes(tx: &Tx<'_>, state: &State, node: u32, end: u32) -> Result<(), StoreError> {
    for minute in state.progress(node).hours * HOUR..end {
        let Some(mut tile) = tiles::rows(tx, Tier::Minute, minute, band(node))? else { continue };
        let before = tile.entries.len();
        tile.entries.retain(|entry| entry.node != node);
        if tile.entries.is_empty() {
            tx.remove(Tier::Minute, minute, band(node))?;
        } else if tile.entries.len() < before {
            tx.put(Tier::Minute, minute, band(node), &tile.encode())?;
        }
    }
    Ok(())
}

/// Removes the tiles that are the node's alone.
fn remove_tiles(tx: &Tx<'_>, node: u32, end: u32) -> Result<(), StoreError> {
    let begun = tx.fact::<u32>("begun")?.unwrap_or(0);
    let tiers = [
        (Tier::Hour, HOUR),
        (Tier::Day, DAY),
        (Tier::Quarters, DAY),
        (Tier::Fives, DAY),
        (Tier::Hours, HOURS_OF_A_TILE * HOUR),
        (Tier::Days, DAYS_OF_A_TILE * DAY),
    ];
    for (tier, length) in tiers {
        for period in begun / length..end.div_ceil(length) {
            tx.remove(tier, period, node)?;
        }
    }
    Ok(())
}

fn remove_from_boards(tx: &Tx<'_>, tier: Tier, node: u32, end: u32) -> Result<(), StoreError> {
    for period in tx.first(tier)?.unwrap_or(end)..end {
        let mut tile = tiles::points(tx, tier, period, node / BOARD)?;
        if tile.0.remove(&node).is_some() {
            tx.put(tier, period, node / BOARD, &tile.encode())?;
        }
    }
    Ok(())
}
