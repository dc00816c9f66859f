//! Forgetting a node.

use rusqlite::params;
use tidemap_wire::NodeId;

use super::{
    Store,
    calendar::{DAY, DAYS_OF_A_TILE, HOUR, HOURS_OF_A_TILE},
    effects::{BOARD, Effects},
    groups::band,
    read::live,
    settle,
    state::{FORGOTTEN, State},
};
use crate::{
    database::{StoreError, Tier, Tx},
    tile::{Entry, PointTile, RowTile},
};

impl Store {
    /// Removes a node's rows and what follows from them, its lines in boards, and its name. What it moved
    /// stays in the sums of groups, which say what these moved. Returns whether the node was known; one of
    /// which rows come later begins again.
    pub(crate) fn forget(&mut self, node: &NodeId) -> Result<bool, StoreError> {
        self.transact(|tx, state| {
            let Some(number) = state.nodes.get(node).copied() else { return Ok(false) };
            settle::unsettle(tx, state, band(number), 0)?;
            let end = live::newest(tx, state)?.max(state.progress(number).hours * HOUR);
            leave_in_groups(tx, state, number)?;
            remove_minutes(tx, state, number, end)?;
            remove_tiles(tx, number, end)?;
            for (tier, length) in [(Tier::HourBoard, HOUR), (Tier::DayBoard, DAY)] {
                remove_from_boards(tx, tier, number, end.div_ceil(length))?;
            }
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
        let Some(bytes) = tx.get(Tier::Minute, minute, band(node))? else { continue };
        let mut tile = RowTile::decode(&bytes)?;
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
        let Some(bytes) = tx.get(tier, period, node / BOARD)? else { continue };
        let mut tile = PointTile::decode(&bytes)?;
        if tile.0.remove(&node).is_some() {
            tx.put(tier, period, node / BOARD, &tile.encode())?;
        }
    }
    Ok(())
}
