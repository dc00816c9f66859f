//! What is kept, by time and by size, and how far back it reaches.

use std::collections::HashSet;

use super::{
    Store,
    calendar::{BEFORE, DAY, HOUR},
    fives,
    state::State,
};
use crate::{
    database::{Size, StoreError, Tier, Tx},
    disk::Disk,
};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Days of minutes.
    pub minute_days: u32,
    /// Days of quarters of an hour.
    pub quarter_days: u32,
    /// Days of sums of five minutes, with those of minutes; none at 0.
    pub five_days: u32,
    /// The most bytes of the file.
    pub bytes: u64,
    /// Whether minutes are sent to another database, and none is dropped for its age before.
    pub until_sent: bool,
}

/// How far back the history reaches, as the first minute of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// By the minute.
    pub minutes: Option<u32>,
    /// By five minutes, as sums.
    pub fives: Option<u32>,
    /// By quarters of an hour.
    pub quarters: Option<u32>,
    /// By hours and days.
    pub hours: Option<u32>,
    /// Bytes of the file in use.
    pub used_bytes: u64,
    /// Peaks of groups are those of a second since then.
    pub second_peaks: Option<u32>,
    /// Tiles that were damaged, and are set aside.
    pub lost_tiles: i64,
}

impl Reach {
    /// With minutes from `since` on, which are kept elsewhere.
    pub(crate) fn with(self, since: u32) -> Self {
        let from = |first: Option<u32>| Some(first.map_or(since, |first| first.min(since)));
        Self { minutes: from(self.minutes), fives: from(self.fives), quarters: from(self.quarters), ..self }
    }
}

/// Late samples are reported again within the two days that the stream keeps them.
const LATE_KEPT_MS: i64 = 3 * 86_400_000;

/// Pages that are given back to the file system in one step: 32 MB of the log.
const STEP_PAGES: u32 = 4_096;
/// Likewise while there is hardly room for the log.
const SMALL_STEP_PAGES: u32 = 64;

/// What a step of tidying up has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tidied {
    /// Whether another step is due.
    pub is_more_due: bool,
    /// More is kept than should be, and only what is kept for ever is left: bytes in use.
    pub too_much: Option<u64>,
    /// Whether others have less of the disk than is left to them.
    pub is_disk_low: bool,
}

impl Store {
    /// Drops one day of what is older than it is kept, or while the file is too large, the oldest day: of
    /// minutes first, then of sums of five minutes, then of quarters. When there is nothing to drop, gives
    /// some room back to the file system.
    pub(crate) fn tidy(&mut self, keep: Keep, disk: Option<Disk>) -> Result<Tidied, StoreError> {
        let is_disk_low = disk.is_some_and(Disk::is_low);
        let mut too_much = None;
        let has_dropped = self.transact(|tx, state| {
            let sql = "DELETE FROM late WHERE reported < ?1";
            tx.sql().prepare_cached(sql)?.execute([state.at_ms - LATE_KEPT_MS])?;
            forget_lost(tx, state)?;
            state.forgotten.drop_old(tx, state.at_ms)?;
            if drop_old(tx, state, keep)? {
                return Ok(true);
            }
            let size = tx.size()?;
            if size.used <= limit(keep, size, is_disk_low) {
                return Ok(false);
            }
            let has_dropped = drop_oldest(tx, Some((state, keep)))?;
            too_much = (!has_dropped).then_some(size.used);
            Ok(has_dropped)
        })?;
        let size = self.database.size()?;
        let has_shrunk = !has_dropped && is_too_loose(keep, size, is_disk_low) && {
            self.database.shrink(STEP_PAGES)? > 0
        };
        Ok(Tidied { is_more_due: has_dropped || has_shrunk, too_much, is_disk_low })
    }

    /// Writes the log back, which begins again then and needs no more room.
    pub(crate) fn empty_log(&mut self) -> Result<(), StoreError> {
        self.database.write_log_back()
    }

    /// Gives so many bytes back while the disk is full. If the file itself has less, its oldest days go,
    /// unless it `may_drop` nothing.
    pub(crate) fn make_room(&mut self, bytes: u64, may_drop: bool) -> Result<(), StoreError> {
        self.empty_log()?;
        let free = |size: Size| size.file - size.used;
        while may_drop
            && free(self.database.size()?) < bytes
            && self.transact(|tx, _| drop_oldest(tx, None))?
        {}
        let end = self.database.size()?.file.saturating_sub(bytes);
        while self.database.size()?.file > end && self.database.shrink(SMALL_STEP_PAGES)? > 0 {}
        Ok(())
    }

    /// How far back the history reaches.
    pub(crate) fn reach(&mut self) -> Result<Reach, StoreError> {
        let tx = self.database.read()?;
        let minutes = minutes_from(&tx)?;
        let quarters = tx.first(Tier::Quarters)?.map(|day| day * DAY);
        let first = |one: Option<u32>, other: Option<u32>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let quarters = first(quarters, minutes);
        let fives = first(tx.first(Tier::Fives)?.map(|day| day * DAY), minutes);
        // Rows of a clock that was wrong do not move the begin.
        let origin = tx.fact::<u32>("origin")?.unwrap_or(0);
        let hours = tx.fact::<u32>("begun")?.map(|begun| begun.max(origin.saturating_sub(BEFORE)));
        Ok(Reach {
            minutes,
            fives,
            quarters,
            hours,
            used_bytes: tx.used_bytes()?,
            second_peaks: tx.fact("second_peaks_since")?,
            lost_tiles: tx.count_set_aside()?,
        })
    }
}

/// Forgets which tiles are lost where nothing can come for them any more: tiles of minutes and hours that
/// were put together since. An earlier program left hours of days that are sealed: these days are.
fn forget_lost(tx: &Tx<'_>, state: &State) -> Result<(), StoreError> {
    let (mut hours, mut days) = (u32::MAX, u32::MAX);
    for band in &state.bands {
        (hours, days) = (hours.min(band.hours), days.min(band.days));
    }
    if state.bands.is_empty() {
        return Ok(());
    }
    tx.forget_set_aside(Tier::Minute, hours * HOUR)?;
    let groups: HashSet<u32> = state.groups.values().copied().collect();
    for (hour, series) in tx.lost_of(Tier::Hour, 0..days * 24)? {
        if !groups.contains(&series) {
            tx.mark_lost(Tier::Day, hour / 24, series)?;
        }
    }
    tx.forget_set_aside(Tier::Hour, days * 24)
}

/// The first minute of which there is a row.
pub(super) fn minutes_from(tx: &Tx<'_>) -> Result<Option<u32>, StoreError> {
    let firsts = [
        tx.first(Tier::Day)?.map(|day| day * DAY),
        tx.first(Tier::Hour)?.map(|hour| hour * 60),
        tx.first(Tier::Minute)?,
    ];
    Ok(firsts.into_iter().flatten().min())
}

/// Drops the tiles of minutes of earlier days, of which sums may be kept. Rows of these days are taken no
/// more.
fn drop_minutes(tx: &Tx<'_>, day: u32, kept: Option<(&State, Keep)>) -> Result<(), StoreError> {
    if tx.fact::<u32>("minutes_from")?.unwrap_or(0) < day {
        if let Some((state, keep)) = kept
            && keep.five_days > 0
        {
            fives::keep(tx, state, day)?;
        }
        tx.set_fact("minutes_from", day)?;
        tx.drop_before(Tier::Day, day)?;
        tx.drop_before(Tier::HourBoard, day * 24)?;
    }
    Ok(())
}

/// The most bytes that may be in use. While others have too little of the disk, the file uses its own pages
/// again and needs some that are free.
fn limit(keep: Keep, size: Size, is_disk_low: bool) -> u64 {
    if is_disk_low { keep.bytes.min(size.file / 16 * 15) } else { keep.bytes }
}

/// Whether room goes back to the file system: what the file has beyond its bound, or when much of it is free.
/// What is dropped in a day is used again on the next.
fn is_too_loose(keep: Keep, size: Size, is_disk_low: bool) -> bool {
    let free = size.file - size.used;
    free > 0 && (size.file > keep.bytes || (!is_disk_low && free > size.file / 4))
}

/// Drops a day that is older than it is kept; `false` when there is none. A day is old when its date is, and
/// as many later days are kept: so a clock that was wrong once costs a day at most.
fn drop_old(tx: &Tx<'_>, state: &State, keep: Keep) -> Result<bool, StoreError> {
    let today = u32::try_from(state.at_ms / 86_400_000).unwrap_or(0);
    let old = |days: Vec<u32>, kept: u32| {
        let first = days.first().copied().filter(|first| *first < today.saturating_sub(kept));
        // The newest day is not among them: its tiles are not made yet.
        first.filter(|_| days.len() >= kept as usize)
    };
    let sent_until = tx.fact::<u32>("sent_until")?.unwrap_or(0);
    let is_sent = |day: &u32| !keep.until_sent || (day + 1) * DAY <= sent_until;
    if let Some(day) = old(tx.periods(Tier::Day)?, keep.minute_days).filter(is_sent) {
        drop_minutes(tx, day + 1, Some((state, keep)))?;
        return Ok(true);
    }
    // Days of minutes are those that come after them.
    let fives = tx.periods(Tier::Fives)?;
    if !fives.is_empty()
        && let Some(day) = old([fives, tx.periods(Tier::Day)?].concat(), keep.five_days)
    {
        tx.drop_before(Tier::Fives, day + 1)?;
        return Ok(true);
    }
    if let Some(day) = old(tx.periods(Tier::Quarters)?, keep.quarter_days) {
        tx.drop_before(Tier::Quarters, day + 1)?;
        return Ok(true);
    }
    Ok(false)
}

/// Drops the oldest day of minutes, or else of sums of five minutes, or else of quarters; `false` when there
/// is none. Of minutes, sums are `kept` unless a full disk has no room for these either.
fn drop_oldest(tx: &Tx<'_>, kept: Option<(&State, Keep)>) -> Result<bool, StoreError> {
    if let Some(day) = tx.first(Tier::Day)? {
        drop_minutes(tx, day + 1, kept)?;
        return Ok(true);
    }
    for tier in [Tier::Fives, Tier::Quarters] {
        if let Some(day) = tx.first(tier)? {
            tx.drop_before(tier, day + 1)?;
            return Ok(true);
        }
    }
    Ok(false)
}
