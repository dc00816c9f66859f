//! Reading: a series over a range of time, and the nodes with the most traffic.

pub(super) mod live;
mod peaks;
pub(super) mod top;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use tidemap_wire::{MinuteRow, NodeId};

pub(crate) use self::top::TopOrder;
use super::{
    SeriesKey, Store,
    calendar::{DAY, DAYS_OF_A_TILE, FIVE, HOUR, HOURS_OF_A_TILE, QUARTER, minutes_of},
    effects::group_points,
    fives,
    settled::Sums,
    state::State,
    tiles,
};
use crate::{
    account::{Account, Cell},
    database::{StoreError, Tier, Tx},
    point::Point,
    tile::PointTile,
};

/// A length of time, in minutes, that consists of whole tiles' spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step(pub u32);

impl Step {
    /// The longest span that is stored with its extremes and of which this consists, in minutes.
    pub(crate) fn tier(self) -> u32 {
        [DAY, HOUR, QUARTER].into_iter().find(|span| self.0.is_multiple_of(*span)).unwrap_or(1)
    }

    /// Whether its sums are known where minutes are kept no more, and its extremes are not.
    pub(crate) fn has_fives(self) -> bool {
        self.tier() == 1 && self.0.is_multiple_of(FIVE)
    }
}

impl Store {
    /// All nodes, by their ids.
    pub(crate) fn nodes(&mut self) -> Result<BTreeSet<NodeId>, StoreError> {
        let tx = self.database.read()?;
        self.state.refresh(&tx)?;
        Ok(self.state.nodes.keys().cloned().collect())
    }

    /// The length of the stored spans of which these steps consist, in minutes.
    pub(crate) fn tier(&mut self, step: Step, minutes: &Range<u32>) -> Result<u32, StoreError> {
        let tx = self.database.read()?;
        let are_fives = step.has_fives() && minutes.start < fives::end(&tx)?;
        Ok(if are_fives { FIVE } else { step.tier() })
    }

    /// What moved in each step of a range of minutes, by the steps' first minutes and in their order; steps
    /// of which nothing is known are missing. To a node's rows, its `recent` ones are joined. `None` when the
    /// series is not known.
    pub(crate) fn range(
        &mut self,
        key: &SeriesKey,
        minutes: Range<u32>,
        step: Step,
        recent: &[MinuteRow],
    ) -> Result<Option<Vec<(u32, Point)>>, StoreError> {
        let settled = self.settled();
        let settled = settled.read();
        let tx = self.database.read()?;
        self.state.refresh(&tx)?;
        let state = &self.state;
        let series = match key {
            SeriesKey::Node(node) => state.nodes.get(node),
            SeriesKey::Group(group) => state.groups.get(&group.text()),
        };
        let series = series.copied();
        let is_group = matches!(key, SeriesKey::Group(_));
        if series.is_none() && (is_group || recent.is_empty()) {
            return Ok(None);
        }
        // Minutes come in their order.
        let mut steps: Vec<(u32, Point)> = Vec::new();
        let mut add = |minute: u32, point: &Point| {
            if minutes.contains(&minute) {
                let begin = minute / step.0 * step.0;
                match steps.last_mut() {
                    Some((last, sum)) if *last == begin => sum.add(point),
                    _ => steps.push((begin, *point)),
                }
            }
        };
        let mut rest = minutes.clone();
        if let Some(series) = series.filter(|_| step.tier() > 1) {
            let sealed = state.progress(series).days * DAY;
            for (minute, point) in spans(&tx, series, minutes.start..minutes.end.min(sealed), step.tier())? {
                add(minute, &point);
            }
            rest.start = rest.start.max(sealed);
        }
        if let Some(series) = series.filter(|_| step.has_fives()) {
            let end = fives::end(&tx)?;
            for (minute, point) in spans(&tx, series, minutes.start..minutes.end.min(end), FIVE)? {
                add(minute, &point);
            }
            rest.start = rest.start.max(end);
        }
        let rest = match series {
            Some(group) if is_group => {
                let sums = Sums::of(settled.as_deref(), &tx)?;
                group_minutes(&tx, state, sums, group, rest)?
            }
            Some(node) => node_minutes(&tx, state, node, rest, recent)?,
            // What a node that was forgotten had counted before is not counted again.
            None => {
                let runs_from = match key {
                    SeriesKey::Node(node) => state.forgotten.runs_from(node),
                    SeriesKey::Group(_) => 0,
                };
                // While nothing is stored, nobody knows what runs had counted before.
                let from = if state.at_ms > 0 { state.origin.max(runs_from) } else { u32::MAX };
                pass(Account::new(from), live_of(0..rest.end, BTreeMap::new(), recent), &rest)
            }
        };
        rest.iter().for_each(|(minute, point)| add(*minute, point));
        Ok(Some(steps))
    }
}

/// The stored spans of so many minutes that begin in a range, by their first minutes.
fn spans(tx: &Tx<'_>, series: u32, minutes: Range<u32>, span: u32) -> Result<Vec<(u32, Point)>, StoreError> {
    let (tier, length) = match span {
        FIVE => (Tier::Fives, DAY),
        QUARTER => (Tier::Quarters, DAY),
        HOUR => (Tier::Hours, HOURS_OF_A_TILE * HOUR),
        _ => (Tier::Days, DAYS_OF_A_TILE * DAY),
    };
    let mut found = Vec::new();
    for period in minutes.start / length..minutes.end.div_ceil(length) {
        let tile = tiles::points(tx, tier, period, series)?;
        let first = |key: u32| key * span;
        found.extend(tile.0.into_iter().map(|(key, point)| (first(key), point)));
    }
    found.retain(|(minute, _)| minutes.contains(minute));
    Ok(found)
}

/// A node's minutes, with its `recent` rows.
fn node_minutes(
    tx: &Tx<'_>,
    state: &State,
    node: u32,
    minutes: Range<u32>,
    recent: &[MinuteRow],
) -> Result<Vec<(u32, Point)>, StoreError> {
    let mut found = Vec::new();
    let progress = state.progress(node);
    for (tier, period) in progress.tiles_from(minutes.start) {
        if minutes_of(tier, period).start >= minutes.end {
            break;
        }
        if let Some(tile) = tiles::rows(tx, tier, period, node)? {
            found.extend(tile.points().0);
        }
    }
    found.retain(|(minute, _)| minutes.contains(minute));
    let open = progress.hours * HOUR..minutes.end;
    if !open.is_empty() {
        let mut stored = BTreeMap::new();
        live::each_row(tx, state, node / super::state::BAND, minutes.end, |entry| {
            if entry.node == node {
                stored.insert(entry.cell.row.minute, entry.cell.clone());
            }
        })?;
        found.extend(pass(state.account(tx, node)?, live_of(open, stored, recent), &minutes));
    }
    Ok(found)
}

/// The rows of minutes whose hour is open, stored and recent ones. Those of an hour that was closed are in
/// its tile.
fn live_of(open: Range<u32>, stored: BTreeMap<u32, Cell>, recent: &[MinuteRow]) -> BTreeMap<u32, Cell> {
    let mut live = stored;
    for row in recent.iter().filter(|row| open.contains(&row.minute)) {
        live.entry(row.minute).or_default().join(&Cell { row: row.clone(), late: Vec::new() });
    }
    live
}

/// What moved in some minutes of all these rows.
fn pass(mut account: Account, live: BTreeMap<u32, Cell>, minutes: &Range<u32>) -> Vec<(u32, Point)> {
    let mut found: Vec<_> = live.into_iter().map(|(minute, cell)| (minute, account.pass(&cell))).collect();
    found.retain(|(minute, _)| minutes.contains(minute));
    found
}

/// A group's minutes: those that were summed when their hour was over, those that have settled, and those of
/// nodes that only lie in tiles of a minute.
fn group_minutes(
    tx: &Tx<'_>,
    state: &State,
    sums: Option<&Sums>,
    group: u32,
    minutes: Range<u32>,
) -> Result<Vec<(u32, Point)>, StoreError> {
    let mut sum = PointTile::default();
    let progress = state.progress(group);
    let begin = minutes.start.max(progress.days * DAY);
    for day in minutes.start / DAY..progress.days.min(minutes.end.div_ceil(DAY)) {
        sum.0.extend(tiles::points(tx, Tier::Day, day, group)?.0);
    }
    // A node that was forgotten within its hour has left its share there.
    let last = state.bands.iter().map(|band| band.hours).max().unwrap_or(0);
    let last = last.max(live::newest(tx, state)?.div_ceil(HOUR));
    for hour in begin / HOUR..minutes.end.div_ceil(HOUR).min(last) {
        sum.0.extend(tiles::points(tx, Tier::Hour, hour, group)?.0);
    }
    for (minute, point) in sums.into_iter().flat_map(|sums| sums.group(group, minutes.clone())) {
        sum.0.entry(minute).or_default().add(&point);
    }
    live::each_unsettled(tx, state, sums, minutes.end, |node, minute, point| {
        if minutes.contains(&minute) && state.membership.at(node, minute).contains(&group) {
            sum.0.entry(minute).or_default().add(&point.sums());
        }
    })?;
    let mut found = group_points(&sum);
    found.retain(|(minute, _)| minutes.contains(minute));
    Ok(found)
}
