//! Joining rows into tiles.

use std::{collections::BTreeMap, ops::Range};

use rusqlite::params;
use tidemap_wire::{LateSample, MinuteRow, NodeId};

use super::{
    Batch, GroupKey, Store,
    calendar::{AHEAD, DAY, HOUR, minutes_of},
    effects::{Effects, roll_up},
    groups::{band, note},
    seconds, settle,
    state::State,
    tiles, whole,
};
use crate::{
    account::{Account, Cell, LateSum},
    database::{StoreError, Tier, Tx},
    point::{Point, rounded},
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
            whole::note(tx, state, batch)?;
            let kept = kept_minutes(tx, state)?;
            note_begin(tx, batch, &kept)?;
            let mut changes: BTreeMap<u32, Changes> = BTreeMap::new();
            let mut dropped = 0;
            for (node, row) in &batch.rows {
                if !kept.contains(&row.minute) {
                    dropped += 1;
                    continue;
                }
                if state.forgotten.has(node, row.minute) {
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
                if sample.minute < state.late_from || state.forgotten.has(node, sample.minute) {
                    continue;
                }
                let node = state.number_of_node(tx, node)?;
                if is_new(tx, state, node, sample)? {
                    let changes = changes.entry(node).or_default();
                    changes.entry(sample.minute).or_default().join(&late(sample));
                }
            }
            write(tx, state, changes)?;
            seconds::apply(tx, state, &batch.seconds, &kept, batch.at_ms)?;
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

/// A node's number. Every node with rows belongs to the fleet, even if nothing else is known of it; one that
/// was forgotten, to the groups of before until others are known.
fn number_with_groups(tx: &Tx<'_>, state: &mut State, node: &NodeId) -> Result<u32, StoreError> {
    let number = state.number_of_node(tx, node)?;
    if state.membership.newest(number).is_none() {
        let fleet = state.number_of_group(tx, &GroupKey::Fleet.text())?;
        let mut groups = state.forgotten.get(node).map_or_else(Vec::new, |before| before.groups.clone());
        if !groups.contains(&fleet) {
            groups.insert(0, fleet);
        }
        note(tx, state, number, &groups)?;
    }
    Ok(number)
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
            effects.rows_changed(state, minute, grown);
            tx.put(Tier::Minute, minute, band, &tile.encode())?;
        }
    }
    effects.write(tx, state)
}

/// A tile of one node that has changed.
struct Changed {
    tier: Tier,
    period: u32,
    old: Vec<(u32, Point)>,
    new: Vec<(u32, Point)>,
}

/// What follows from changed tiles in the next one.
struct Carried {
    /// What is known of the node's runs after them.
    after: Account,
    /// The tiles whose changes follow from one another and are to be counted together, or not at all.
    changed: Vec<Changed>,
    /// Whether a tile is lost between them and the next one.
    is_apart: bool,
}

/// Joins rows into tiles of hours and days. What is not placed in later tiles may follow from them, too.
///
/// What a lost tile contained was counted, so what comes again of it is not. Nor are changes before it from
/// which its own would follow: it may have had the same bytes as unplaced ones, and they can be taken from it
/// no more. What the tile after it knows of the runs is of them all, so it never knows less.
fn reopen(
    tx: &Tx<'_>,
    state: &State,
    node: u32,
    mut changes: Changes,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    let Some(first) = changes.keys().next().copied() else { return Ok(()) };
    let mut carried: Option<Carried> = None;
    for (tier, period) in state.progress(node).tiles_from(first) {
        let later = changes.split_off(&minutes_of(tier, period).end);
        let mine = std::mem::replace(&mut changes, later);
        let found = tiles::rows(tx, tier, period, node)?;
        if mine.is_empty() && found.is_none() && carried.is_none() {
            continue;
        }
        let is_lost = if mine.is_empty() {
            let is_missing = tiles::may_be_missing(state, tier, period, found.is_some());
            is_missing || tx.is_lost(tier, period, node)?
        } else {
            tiles::is_lost(tx, state, tier, period, node, found.is_some())?
        };
        if is_lost && let Some(carried) = &mut carried {
            carried.is_apart = true;
            for Changed { tier, period, .. } in carried.changed.drain(..) {
                tx.mark_lost(tier, period, node)?;
            }
        }
        if mine.is_empty() && found.is_none() {
            continue;
        }
        let known = match &found {
            Some(found) => found.before.clone(),
            None => account_before(tx, state, node, minutes_of(tier, period).end)?,
        };
        let before = match &carried {
            Some(carried) if carried.is_apart => carried.after.clone().joined(&known),
            Some(carried) => carried.after.clone(),
            None => known.clone(),
        };
        let found = found.unwrap_or(RowTile { before: known, entries: Vec::new() });
        let mut tile = RowTile { before, ..found.clone() };
        for (minute, cell) in &mine {
            if tile.join(node, cell) {
                effects.rows_changed(state, *minute, 1);
            }
        }
        let mut chain = carried.take().map_or_else(Vec::new, |carried| carried.changed);
        if tile == found {
            count(tx, state, node, chain, effects)?;
            if changes.is_empty() {
                return Ok(());
            }
            continue;
        }
        tx.put(tier, period, node, &tile.encode())?;
        let ((old, after_old), (new, after)) = (found.points(), tile.points());
        if !is_lost {
            chain.push(Changed { tier, period, old, new });
        }
        if after == after_old {
            count(tx, state, node, chain, effects)?;
        } else {
            carried = Some(Carried { after, changed: chain, is_apart: is_lost });
        }
    }
    let Some(Carried { after, changed, is_apart }) = carried else { return Ok(()) };
    count(tx, state, node, changed, effects)?;
    settle::unsettle(tx, state, band(node), 0)?;
    let after = if is_apart { after.joined(&state.account(tx, node)?) } else { after };
    state.save_account(tx, node, &after)
}

/// Counts changes in roll-ups, boards and groups.
fn count(
    tx: &Tx<'_>,
    state: &State,
    node: u32,
    changed: Vec<Changed>,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    for Changed { tier, period, old, new } in changed {
        effects.changed(state, node, &old, &new);
        if tier == Tier::Day {
            let whole = roll_up(tx, node, period, &new)?;
            effects.board(Tier::DayBoard, period, node, whole);
        }
    }
    Ok(())
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
