//! What follows from changed rows of nodes: roll-ups of days, boards, and the sums of groups.

use std::collections::BTreeMap;

use tidemap_wire::Extremes;

use super::{
    calendar::{DAY, DAYS_OF_A_TILE, HOUR, HOURS_OF_A_TILE, QUARTER},
    state::{CHANGED, State},
    tiles,
};
use crate::{
    database::{StoreError, Tier, Tx},
    point::{Change, Point, joined, mean, rounded},
    tile::PointTile,
};

/// Nodes in a tile of a board.
pub(super) const BOARD: u32 = 4_096;

/// What must be changed besides the rows themselves.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// What a node's hour or day came to, by board.
    boards: BTreeMap<(u8, u32, u32), BTreeMap<u32, Point>>,
    /// What groups' minutes gained.
    groups: BTreeMap<u32, BTreeMap<u32, Change>>,
    /// How many rows changed after they were sent to another database.
    changed_after: i64,
}

impl Effects {
    /// Notes that a node's minutes came to `new` where they came to `old`.
    pub(super) fn changed(&mut self, state: &State, node: u32, old: &[(u32, Point)], new: &[(u32, Point)]) {
        let old: BTreeMap<u32, &Point> = old.iter().map(|(minute, point)| (*minute, point)).collect();
        let nothing = Point::default();
        for (minute, point) in new {
            let gain = point.beyond(old.get(minute).unwrap_or(&&nothing));
            if gain.is_empty() {
                continue;
            }
            for group in state.membership.at(node, *minute) {
                self.groups.entry(*group).or_default().entry(*minute).or_default().add(&gain);
            }
        }
        for (hour, point) in sums(new, HOUR) {
            self.board(Tier::HourBoard, hour, node, point);
        }
    }

    /// Notes the highest rates of a group's minute, whatever its sums are.
    pub(super) fn peak(&mut self, group: u32, minute: u32, peak: Extremes) {
        let rates = Some(rounded(peak));
        let gain = self.groups.entry(group).or_default().entry(minute).or_default();
        gain.rates = joined(gain.rates, rates);
    }

    /// Notes that so many nodes' rows of this minute changed.
    pub(super) fn rows_changed(&mut self, state: &State, minute: u32, rows: usize) {
        if state.sent_until.is_some_and(|sent| minute < sent) {
            self.changed_after += i64::try_from(rows).unwrap_or(i64::MAX);
        }
    }

    /// Notes what a node's hour or day came to.
    pub(super) fn board(&mut self, tier: Tier, period: u32, node: u32, point: Point) {
        let board = (u8::from(tier == Tier::DayBoard), period, node / BOARD);
        self.boards.entry(board).or_default().insert(node, point.sums());
    }

    /// Writes it.
    pub(super) fn write(self, tx: &Tx<'_>, state: &State) -> Result<(), StoreError> {
        for ((is_day, period, board), points) in self.boards {
            let tier = if is_day == 1 { Tier::DayBoard } else { Tier::HourBoard };
            let mut tile = tiles::points(tx, tier, period, board)?;
            let before = tile.clone();
            tile.0.extend(points);
            if tile != before {
                tx.put(tier, period, board, &tile.encode())?;
            }
        }
        for (group, gains) in self.groups {
            write_group(tx, state, group, gains)?;
        }
        if self.changed_after > 0 {
            let before = tx.fact::<i64>(CHANGED)?.unwrap_or(0);
            tx.set_fact(CHANGED, before.saturating_add(self.changed_after))?;
        }
        Ok(())
    }
}

fn write_group(
    tx: &Tx<'_>,
    state: &State,
    group: u32,
    gains: BTreeMap<u32, Change>,
) -> Result<(), StoreError> {
    let progress = state.progress(group);
    let mut tiles_of_group: BTreeMap<u32, (Tier, u32, PointTile)> = BTreeMap::new();
    for (minute, gain) in gains {
        let (tier, period) = progress.tile_of(minute);
        let begin = if tier == Tier::Day { period * DAY } else { period * HOUR };
        let tile = match tiles_of_group.get_mut(&begin) {
            Some((_, _, tile)) => tile,
            None => {
                let tile = tiles::points(tx, tier, period, group)?;
                // What a lost tile contained cannot be added to; what was rolled up of it can.
                if tiles::is_lost(tx, state, tier, period, group, !tile.0.is_empty())? {
                    if tier == Tier::Day {
                        change_rolled_up(tx, group, minute, &gain)?;
                    }
                    continue;
                }
                &mut tiles_of_group.entry(begin).or_insert((tier, period, tile)).2
            }
        };
        tile.0.entry(minute).or_default().change(&gain);
    }
    for (tier, period, tile) in tiles_of_group.into_values() {
        tx.put(tier, period, group, &tile.encode())?;
        if tier == Tier::Day {
            roll_up(tx, group, period, &group_points(&tile))?;
        }
    }
    Ok(())
}

/// Changes the roll-ups of a minute whose tile is lost. How much of it is covered is not known from sums.
fn change_rolled_up(tx: &Tx<'_>, group: u32, minute: u32, gain: &Change) -> Result<(), StoreError> {
    let gain = gain.without_covered();
    let day = minute / DAY;
    for (tier, period, span) in [
        (Tier::Quarters, day, minute / QUARTER),
        (Tier::Hours, day * 24 / HOURS_OF_A_TILE, minute / HOUR),
        (Tier::Days, day / DAYS_OF_A_TILE, day),
    ] {
        let mut tile = tiles::points(tx, tier, period, group)?;
        tile.0.entry(span).or_default().change(&gain);
        tx.put(tier, period, group, &tile.encode())?;
    }
    Ok(())
}

/// A group's minutes. Peaks of nodes do not add up, so a group's highest rates are those of sums by the
/// second, where these were published, and at least the mean; its lowest are the mean.
pub(super) fn group_points(tile: &PointTile) -> Vec<(u32, Point)> {
    tile.0.iter().map(|(minute, point)| (*minute, with_mean(*point))).collect()
}

/// A group's minute, of which the nodes' covered times were summed: the time that any of them covers, with
/// the mean in it among its extremes.
fn with_mean(point: Point) -> Point {
    let covered_ms = point.covered_ms.min(60_000);
    let (rx, tx) = (mean(point.rx_bytes, covered_ms), mean(point.tx_bytes, covered_ms));
    let mean = Extremes { rx_max: rx, tx_max: tx, rx_min: rx, tx_min: tx };
    let peak = point.rates.map_or(mean, |peak| Extremes {
        rx_max: rx.max(peak.rx_max),
        tx_max: tx.max(peak.tx_max),
        ..mean
    });
    Point { covered_ms, rates: (covered_ms > 0).then_some(rounded(peak)), ..point }
}

/// Writes the quarters and hours of a series' day, and the day, and returns the day.
pub(super) fn roll_up(
    tx: &Tx<'_>,
    series: u32,
    day: u32,
    minutes: &[(u32, Point)],
) -> Result<Point, StoreError> {
    let quarters = PointTile(sums(minutes, QUARTER));
    tx.put(Tier::Quarters, day, series, &quarters.encode())?;
    let tile = day * 24 / HOURS_OF_A_TILE;
    let mut hours = tiles::points(tx, Tier::Hours, tile, series)?;
    hours.0.extend(sums(minutes, HOUR));
    tx.put(Tier::Hours, tile, series, &hours.encode())?;
    let tile = day / DAYS_OF_A_TILE;
    let mut days = tiles::points(tx, Tier::Days, tile, series)?;
    let whole = sums(minutes, DAY).remove(&day).unwrap_or_default();
    days.0.insert(day, whole);
    tx.put(Tier::Days, tile, series, &days.encode())?;
    Ok(whole)
}

/// Sums by spans of so many minutes, by the number of the span.
pub(super) fn sums(minutes: &[(u32, Point)], length: u32) -> BTreeMap<u32, Point> {
    let mut sums: BTreeMap<u32, Point> = BTreeMap::new();
    for (minute, point) in minutes {
        sums.entry(minute / length).or_default().add(point);
    }
    sums
}
