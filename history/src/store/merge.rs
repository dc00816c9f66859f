//! Joining rows into tiles.

use std::{collections::BTreeMap, ops::Range};

use rusqlite::params;
use tidemap_wire::{LateSample, MinuteRow, NodeId};

use super::{
    Batch, GroupKey, Store,
    calendar::{AHEAD, DAY, HOUR, minutes_of},
    effects::{Effects, roll_up},
    groups::{band, note},
    settle,
    state::State,
    tiles,
};
use crate::{
    account::{Account, Cell, LateSum},
    database::{StoreError, Tier, Tx},
    point::rounded,
    tile::RowTile,
};

/// A node's changed minutes.
type Changes = BTreeMap<u32, Cell>;

impl Store {
    /// Joins rows and late samples, and notes the place in the stream, in one transaction. Returns how many
    /// of them lie before the oldest minute that is kept, or in the future, and so are not.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<usize, StoreError> {
        self.transact(|tx, state| {
            if batch.at_ms > state.at_ms {
                state.at_ms = batch.at_ms;
                tx.set_fact("at_ms", state.at_ms)?;
            }
            if tx.fact::<u32>("origin")?.is_none() {
                state.origin = u32::try_from(batch.begun_ms / 60_000).unwrap_or(0);
                tx.set_fact("origin", state.origin)?;
                state.begin(tx)?;
            }
            let kept = kept_minutes(tx, state)?;
            note_begin(tx, batch, &kept)?;
            let mut changes: BTreeMap<u32, Changes> = BTreeMap::new();
            let mut dropped = 0;
            for (node, row) in &batch.rows {
                if !kept.contains(&row.minute) {
                    dropped += 1;
                    continue;
                }
                let node = number_with_groups(tx, state, node)?;
                let change = Cell { row: stored(row), late: Vec::new() };
                changes.entry(node).or_default().entry(row.minute).or_default().join(&change);
            }
            for (node, sample) in &batch.late {
                if !kept.contains(&sample.minute) {
                    dropped += 1;
                    continue;
                }
                if sample.minute < state.late_from {
                    continue;
                }
                let node = state.number_of_node(tx, node)?;
                if is_new(tx, state, node, sample)? {
                    let changes = changes.entry(node).or_default();
                    changes.entry(sample.minute).or_default().join(&late(sample));
                }
            }
            write(tx, state, changes)?;
            if state.place.as_ref() != Some(&batch.place) {
                tx.set_fact("place", &batch.place)?;
                state.place = Some(batch.place.clone());
            }
            Ok(dropped)
        })
    }
}

/// Minutes of which rows are stored, whatever nodes' clocks say: not those that are kept no more, none long
/// before the first message of all, and none that readers would not look for yet.
fn kept_minutes(tx: &Tx<'_>, state: &State) -> Result<Range<u32>, StoreError> {
    let oldest = tx.fact::<u32>("minutes_from")?.unwrap_or(0) * DAY;
    let now = u32::try_from(state.at_ms / 60_000).unwrap_or(0);
    Ok(oldest.max(state.first_minute())..now.saturating_add(AHEAD))
}

/// A node's number. Every node with rows belongs to the fleet, even if nothing else is known of it.
fn number_with_groups(tx: &Tx<'_>, state: &mut State, node: &NodeId) -> Result<u32, StoreError> {
    let node = state.number_of_node(tx, node)?;
    if state.membership.newest(node).is_none() {
        let fleet = state.number_of_group(tx, &GroupKey::Fleet.text())?;
        note(tx, state, node, &[fleet])?;
    }
    Ok(node)
}

/// Notes the oldest minute of all.
fn note_begin(tx: &Tx<'_>, batch: &Batch, kept: &Range<u32>) -> Result<(), StoreError> {
    let minutes = batch.rows.iter().map(|(_, row)| row.minute);
    let minutes = minutes.chain(batch.late.iter().map(|(_, sample)| sample.minute));
    let Some(first) = minutes.filter(|minute| kept.contains(minute)).min() else {
        return Ok(());
    };
    match tx.fact::<u32>("begun")? {
        Some(begun) if begun <= first => Ok(()),
        _ => tx.set_fact("begun", first),
    }
}

/// A row with its extremes in three digits.
fn stored(row: &MinuteRow) -> MinuteRow {
    MinuteRow { rates: row.rates.map(rounded), ..row.clone() }
}

fn late(sample: &LateSample) -> Cell {
    let sum = LateSum {
        boot: sample.boot,
        covered_ms: sample.covered_ms.into(),
        rx_bytes: sample.rx_bytes,
        tx_bytes: sample.tx_bytes,
    };
    Cell { row: MinuteRow { minute: sample.minute, ..MinuteRow::default() }, late: vec![sum] }
}

/// Whether a late sample was not reported before; it is now.
fn is_new(tx: &Tx<'_>, state: &State, node: u32, sample: &LateSample) -> Result<bool, StoreError> {
    let sql = "INSERT OR IGNORE INTO late (node, boot, seq, reported) VALUES (?1, ?2, ?3, ?4)";
    let (boot, seq) = (sample.boot.cast_signed(), sample.seq.cast_signed());
    Ok(tx.sql().prepare_cached(sql)?.execute(params![node, boot, seq, state.at_ms])? == 1)
}

fn write(tx: &Tx<'_>, state: &State, changes: BTreeMap<u32, Changes>) -> Result<(), StoreError> {
    let mut effects = Effects::default();
    let mut recent: BTreeMap<(u32, u32), Vec<(u32, Cell)>> = BTreeMap::new();
    for (node, mut older) in changes {
        for (minute, cell) in older.split_off(&(state.progress(node).hours * HOUR)) {
            recent.entry((minute, band(node))).or_default().push((node, cell));
        }
        if !older.is_empty() {
            reopen(tx, state, node, older, &mut effects)?;
        }
    }
    for ((minute, band), cells) in recent {
        settle::unsettle(tx, state, band, minute)?;
        let mut tile = tiles::rows(tx, Tier::Minute, minute, band)?.unwrap_or_default();
        let grown = cells.iter().filter(|(node, cell)| tile.join(*node, cell)).count();
        if grown > 0 {
            tx.put(Tier::Minute, minute, band, &tile.encode())?;
        }
    }
    effects.write(tx, state)
}

/// Joins rows into tiles of hours and days. What is not placed in later tiles may follow from them, too.
fn reopen(
    tx: &Tx<'_>,
    state: &State,
    node: u32,
    mut changes: Changes,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    let Some(first) = changes.keys().next().copied() else { return Ok(()) };
    // What is known of the node's runs after the tile before, if that has changed.
    let mut carried: Option<Account> = None;
    for (tier, period) in state.progress(node).tiles_from(first) {
        let later = changes.split_off(&minutes_of(tier, period).end);
        let mine = std::mem::replace(&mut changes, later);
        let found = tiles::rows(tx, tier, period, node)?;
        if mine.is_empty() && found.is_none() {
            continue;
        }
        let is_lost = tiles::is_lost(tx, state, tier, period, node, found.is_some())?;
        let before = match (carried.take(), &found) {
            (Some(carried), _) => carried,
            (None, Some(found)) => found.before.clone(),
            (None, None) => account_before(tx, state, node, minutes_of(tier, period).end)?,
        };
        let found = found.unwrap_or_default();
        let mut tile = RowTile { before, ..found.clone() };
        mine.values().for_each(|cell| {
            tile.join(node, cell);
        });
        if tile != found {
            let (new, after) = tile.points();
            tx.put(tier, period, node, &tile.encode())?;
            // What a lost tile contained was counted, so what comes again of it is not.
            if !is_lost {
                effects.changed(state, node, &found.points().0, &new);
                if tier == Tier::Day {
                    let whole = roll_up(tx, node, period, &new)?;
                    effects.board(Tier::DayBoard, period, node, whole);
                }
            }
            carried = Some(after);
        } else if changes.is_empty() {
            return Ok(());
        }
    }
    let Some(after) = carried else { return Ok(()) };
    settle::unsettle(tx, state, band(node), 0)?;
    state.save_account(tx, node, &after)
}

/// What is known of a node's runs before a tile that is not there yet: what the next one begins with.
fn account_before(tx: &Tx<'_>, state: &State, node: u32, end: u32) -> Result<Account, StoreError> {
    for (tier, period) in state.progress(node).tiles_from(end) {
        if let Some(tile) = tiles::rows(tx, tier, period, node)? {
            return Ok(tile.before);
        }
    }
    state.account(tx, node)
}
