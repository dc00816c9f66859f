//! How time is cut, in minutes of Unix time.

use std::ops::Range;

use crate::database::Tier;

pub(crate) const HOUR: u32 = 60;
pub(crate) const DAY: u32 = 24 * HOUR;
pub(crate) const QUARTER: u32 = 15;
/// A slot of a percentile.
pub(crate) const FIVE: u32 = 5;
/// Hours in a tile of [`Tier::Hours`].
pub(crate) const HOURS_OF_A_TILE: u32 = 32 * 24;
/// Days in a tile of [`Tier::Days`].
pub(crate) const DAYS_OF_A_TILE: u32 = 128;

/// A host's clock may be ahead, but not by more minutes than this.
pub(crate) const AHEAD: u32 = 7 * DAY;
/// Rows of as many minutes before the first message of all may be in it: late ones of the days that the
/// stream keeps.
pub(crate) const BEFORE: u32 = 3 * DAY;

/// How far the rows of some series were cut into tiles of hours and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Earlier hours are in tiles of an hour or a day, later ones in tiles of a minute.
    pub hours: u32,
    /// Earlier days are in tiles of a day.
    pub days: u32,
}

impl Progress {
    /// The tiles of one series from the one of a minute on, without those of many series.
    pub(super) fn tiles_from(self, minute: u32) -> impl Iterator<Item = (Tier, u32)> {
        let days = (minute / DAY..self.days).map(|day| (Tier::Day, day));
        let first = (minute / HOUR).max(self.days * 24);
        days.chain((first..self.hours).map(|hour| (Tier::Hour, hour)))
    }

    /// The tile of one series in which a minute lies; in the future that of an hour.
    pub(super) fn tile_of(self, minute: u32) -> (Tier, u32) {
        if minute / DAY < self.days { (Tier::Day, minute / DAY) } else { (Tier::Hour, minute / HOUR) }
    }
}

/// The minutes of a tile of an hour or a day.
pub(super) fn minutes_of(tier: Tier, period: u32) -> Range<u32> {
    let length = if tier == Tier::Day { DAY } else { HOUR };
    period * length..(period + 1) * length
}
