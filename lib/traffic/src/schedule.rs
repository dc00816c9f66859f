//! When a new sum begins: cycles of the calendar, or a window that moves.

use std::num::NonZeroU32;

use jiff::{Timestamp, civil::DateTime};

use crate::{Cycle, Length, Period, Zone};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The longest window that moves.
const MAX_HOURS: u32 = 31 * 24;

/// What is summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Cycles of the calendar.
    Cycle(Cycle),
    /// The last hours, up to the present minute.
    Rolling {
        /// How many.
        hours: NonZeroU32,
    },
}

/// Why there is no such schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongSchedule {
    /// What is written as the cycle.
    #[error(
        "must be hour, day, week, month or year, a number of them such as 2 weeks, or rolling 24h or rolling 7d, at most \
         31 days"
    )]
    Cycle,
    /// What is written as the anchor.
    #[error(
        "must be a date from 1970 to 2099 such as 2026-01-31, with a time 2026-01-31 22:30, or with an offset \
         2026-01-31T22:30:00+01:00, in whole minutes"
    )]
    Anchor,
    /// An anchor beside a window that moves.
    #[error("a window that moves has none")]
    NoAnchor,
}

impl Schedule {
    /// Reads a cycle such as `month`, `2 weeks`, `rolling 24h`, and where one of them begins, if that was
    /// said. Hours without an anchor are those that clocks show at `now_ms`.
    ///
    /// # Errors
    ///
    /// When there is none such.
    pub fn read(cycle: &str, anchor: Option<&str>, zone: &Zone, now_ms: i64) -> Result<Self, WrongSchedule> {
        if let Some(window) = cycle.strip_prefix("rolling").and_then(|rest| rest.strip_prefix([' ', '-'])) {
            return match (rolling_hours(window), anchor) {
                (Some(hours), None) => Ok(Self::Rolling { hours }),
                (None, _) => Err(WrongSchedule::Cycle),
                (_, Some(_)) => Err(WrongSchedule::NoAnchor),
            };
        }
        let length: Length = cycle.parse().map_err(|_| WrongSchedule::Cycle)?;
        let cycle = match anchor {
            Some(text) => {
                let anchor = local(text, zone).ok_or(WrongSchedule::Anchor)?;
                Cycle::new(anchor, length, zone.clone()).ok_or(WrongSchedule::Anchor)
            }
            None => Cycle::calendar(length, zone.clone(), now_ms).ok_or(WrongSchedule::Cycle),
        };
        cycle.map(Self::Cycle)
    }

    /// The last periods up to a moment, oldest first. A window that moves has one, of whole minutes.
    pub fn last(&self, count: usize, ms: i64) -> Vec<Period> {
        match self {
            Self::Cycle(cycle) => cycle.last(count, ms),
            Self::Rolling { hours } => {
                let to_ms = ms - ms.rem_euclid(MINUTE_MS);
                vec![Period { from_ms: to_ms - i64::from(hours.get()) * HOUR_MS, to_ms }]
            }
        }
    }

    /// Whether it is a window that moves.
    pub fn is_rolling(&self) -> bool {
        matches!(self, Self::Rolling { .. })
    }

    /// How it is written: `month`, `2 weeks`, `rolling 24h`.
    pub fn text(&self) -> String {
        match self {
            Self::Cycle(cycle) => cycle.length().text(),
            Self::Rolling { hours } if hours.get().is_multiple_of(24) && hours.get() > 24 => {
                format!("rolling {}d", hours.get() / 24)
            }
            Self::Rolling { hours } => format!("rolling {hours}h"),
        }
    }
}

impl Zone {
    /// The first moment at which clocks show what somebody has written, Unix milliseconds: a date, with or
    /// without a time, with or without an offset, in whole minutes; `None` if it is none.
    pub fn moment(&self, text: &str) -> Option<i64> {
        self.first_at(local(text, self)?)
    }
}

/// `24h` or `7d`, in hours.
fn rolling_hours(text: &str) -> Option<NonZeroU32> {
    let (number, unit) = match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 24),
        _ => return None,
    };
    let hours = number.parse::<u32>().ok()?.checked_mul(unit)?;
    NonZeroU32::new(hours).filter(|hours| hours.get() <= MAX_HOURS)
}

/// What clocks of the zone show at a moment that somebody has written: a date, with or without a time, with
/// or without an offset; `None` if it is none.
pub(crate) fn local(text: &str, zone: &Zone) -> Option<DateTime> {
    let local = match text.parse::<Timestamp>() {
        Ok(moment) => zone.local(moment.as_millisecond())?,
        Err(_) => text.parse::<DateTime>().ok()?,
    };
    let is_whole = local.second() == 0 && local.subsec_nanosecond() == 0;
    (is_whole && (1970..2100).contains(&local.year())).then_some(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cycle: &str, anchor: Option<&str>) -> Result<String, WrongSchedule> {
        Ok(Schedule::read(cycle, anchor, &Zone::UTC, 0)?.text())
    }

    #[test]
    fn windows_that_move_end_with_the_last_whole_minute() {
        let rolling = Schedule::read("rolling 24h", None, &Zone::UTC, 0).unwrap();
        assert_eq!(
            rolling.last(12, 90 * HOUR_MS + 42_000),
            [Period { from_ms: 66 * HOUR_MS, to_ms: 90 * HOUR_MS }]
        );
        assert!(rolling.is_rolling());
    }

    #[test]
    fn schedules_are_read_as_they_are_written() {
        for text in ["hour", "2 weeks", "month", "rolling 24h", "rolling 7d", "rolling 31d"] {
            assert_eq!(read(text, None).as_deref(), Ok(text));
        }
        assert_eq!(read("rolling-168h", None).as_deref(), Ok("rolling 7d"));
        for wrong in ["", "rolling", "rolling 0h", "rolling 32d", "rolling 1w", "rolling -1h", "rollinghour"]
        {
            assert_eq!(read(wrong, None), Err(WrongSchedule::Cycle), "{wrong}");
        }
        assert_eq!(read("rolling 24h", Some("2026-01-01")), Err(WrongSchedule::NoAnchor));
        for wrong in ["", "17", "2026-02-30", "2026-01-01 00:00:30", "1969-12-31", "2100-01-01", "today"] {
            assert_eq!(read("month", Some(wrong)), Err(WrongSchedule::Anchor), "{wrong}");
        }
        assert_eq!(read("month", Some("2026-01-31T22:30+01:00")).as_deref(), Ok("month"));
    }
}
