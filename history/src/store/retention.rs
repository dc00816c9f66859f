//! What is kept, by time and by size, and how far back it reaches.

use super::{Store, calendar::DAY};
use crate::database::{StoreError, Tier, Tx};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Days of minutes.
    pub minute_days: u32,
    /// Days of quarters of an hour.
    pub quarter_days: u32,
    /// The most bytes of the file.
    pub bytes: u64,
}

/// How far back the history reaches, as the first minute of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// By the minute.
    pub minutes: Option<u32>,
    /// By quarters of an hour.
    pub quarters: Option<u32>,
    /// By hours and days.
    pub hours: Option<u32>,
    /// Bytes of the file in use.
    pub used_bytes: u64,
}

/// Late samples are reported again within the two days that the stream keeps them.
const LATE_KEPT_MS: i64 = 3 * 86_400_000;

impl Store {
    /// Drops what is older than it is kept, and while the file is too large, the oldest day: of minutes
    /// first, then of quarters.
    pub(crate) fn retain(&mut self, keep: Keep) -> Result<(), StoreError> {
        self.transact(|tx, state| {
            let sql = "DELETE FROM late WHERE reported < ?1";
            tx.sql().prepare_cached(sql)?.execute([state.at_ms - LATE_KEPT_MS])?;
            let today = u32::try_from(state.at_ms / 86_400_000).unwrap_or(0);
            drop_minutes(tx, today.saturating_sub(keep.minute_days))?;
            tx.drop_before(Tier::Quarters, today.saturating_sub(keep.quarter_days))?;
            while tx.used_bytes()? > keep.bytes && drop_oldest(tx)? {}
            Ok(())
        })?;
        self.database.shrink()
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
        let hours = tx.fact("begun")?;
        Ok(Reach { minutes, quarters, hours, used_bytes: tx.used_bytes()? })
    }
}

/// The first minute of which there is a row.
fn minutes_from(tx: &Tx<'_>) -> Result<Option<u32>, StoreError> {
    let firsts = [
        tx.first(Tier::Day)?.map(|day| day * DAY),
        tx.first(Tier::Hour)?.map(|hour| hour * 60),
        tx.first(Tier::Minute)?,
    ];
    Ok(firsts.into_iter().flatten().min())
}

/// Drops the tiles of minutes of earlier days. Rows of these days are taken no more.
fn drop_minutes(tx: &Tx<'_>, day: u32) -> Result<(), StoreError> {
    if tx.fact::<u32>("minutes_from")?.unwrap_or(0) < day {
        tx.set_fact("minutes_from", day)?;
        tx.drop_before(Tier::Day, day)?;
        tx.drop_before(Tier::HourBoard, day * 24)?;
    }
    Ok(())
}

/// Drops the oldest day of minutes, or else of quarters; `false` when there is none.
fn drop_oldest(tx: &Tx<'_>) -> Result<bool, StoreError> {
    if let Some(day) = tx.first(Tier::Day)? {
        drop_minutes(tx, day + 1)?;
        return Ok(true);
    }
    let Some(day) = tx.first(Tier::Quarters)? else { return Ok(false) };
    tx.drop_before(Tier::Quarters, day + 1)?;
    Ok(true)
}
