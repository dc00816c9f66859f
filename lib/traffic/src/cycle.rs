//! Billing cycles: time in equal parts of the calendar, from an anchor on.
//!
//! Each boundary is computed from the anchor, never from the boundary before it: after 28 February the cycle
//! of an anchor on the 31st ends on 31 March again.

#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, str::FromStr};

use jiff::civil::{Date, DateTime};

use crate::zone::Zone;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// No cycle is longer than this many of its units.
const MAX_COUNT: u32 = 1_000;

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleUnit {
    /// 60 minutes, whatever clocks do meanwhile.
    Hour,
    /// From a time of the day to the same time of the next day.
    Day,
    /// Seven days.
    Week,
    /// To the same day of the next month, or to its last day if it has none.
    Month,
    /// Twelve months.
    Year,
}

/// How long a cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// In which unit.
    pub unit: CycleUnit,
    /// How many of them.
    pub count: NonZeroU32,
}

/// Cycles of one length, of which one begins at the anchor. They reach into the past as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    anchor: DateTime,
    /// The anchor as a moment, Unix milliseconds.
    anchor_ms: i64,
    length: Length,
    zone: Zone,
}

/// A span of time: from its begin up to, but not including, its end; Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Begin.
    pub from_ms: i64,
    /// End.
    pub to_ms: i64,
}

impl Period {
    /// How long it is.
    pub fn length_ms(self) -> i64 {
        self.to_ms - self.from_ms
    }

    /// Whether a moment lies in it.
    pub fn contains(self, ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&ms)
    }
}

impl CycleUnit {
    /// How it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// About how long it is; only whole days and hours are exactly so.
    fn about_ms(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
            Self::Month => 30 * DAY_MS,
            Self::Year => 365 * DAY_MS,
        }
    }
}

impl Length {
    /// One unit.
    pub fn one(unit: CycleUnit) -> Self {
        Self { unit, count: NonZeroU32::MIN }
    }

    /// How it is written: `month`, or `3 months`.
    pub fn text(self) -> String {
        match (self.count.get(), self.unit.as_str()) {
            (1, unit) => unit.to_owned(),
            (count, unit) => format!("{count} {unit}s"),
        }
    }
}

impl FromStr for Length {
    type Err = &'static str;

    /// `month`, `2 weeks`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "must be hour, day, week, month or year, or a number of them such as 2 weeks, at most 1000";
        let (count, unit) = match text.split_once(' ') {
            Some((count, unit)) => (count.parse().map_err(|_| wrong)?, unit),
            None => (NonZeroU32::MIN, text),
        };
        let unit = unit.strip_suffix('s').unwrap_or(unit);
        let all = [CycleUnit::Hour, CycleUnit::Day, CycleUnit::Week, CycleUnit::Month, CycleUnit::Year];
        let unit = all.into_iter().find(|known| known.as_str() == unit).ok_or(wrong)?;
        if count.get() > MAX_COUNT { Err(wrong) } else { Ok(Self { unit, count }) }
    }
}

impl Cycle {
    /// Cycles of which one begins when clocks of the zone first show the anchor; `None` when that is beyond
    /// the calendar.
    pub fn new(anchor: DateTime, length: Length, zone: Zone) -> Option<Self> {
        let anchor_ms = zone.first_at(anchor)?;
        Some(Self { anchor, anchor_ms, length, zone })
    }

    /// Those of the calendar: days, months and years from 2000 on, weeks from a Monday on. Hours are those
    /// that clocks show at `now_ms`: clocks of some zones are put forward by half an hour.
    pub fn calendar(length: Length, zone: Zone, now_ms: i64) -> Option<Self> {
        let anchor = match length.unit {
            CycleUnit::Hour => {
                let now = zone.local(now_ms)?;
                now.date().at(now.hour(), 0, 0, 0)
            }
            CycleUnit::Week => DateTime::constant(2001, 1, 1, 0, 0, 0, 0),
            _ => DateTime::constant(2000, 1, 1, 0, 0, 0, 0),
        };
        Self::new(anchor, length, zone)
    }

    /// How long they are.
    pub fn length(&self) -> Length {
        self.length
    }

    /// The cycle in which a moment lies; `None` at the ends of the calendar.
    pub fn at(&self, ms: i64) -> Option<Period> {
        self.period(self.number_at(ms)?)
    }

    /// The last cycles up to the one in which a moment lies, oldest first; none that
    /// was over before 1970.
    pub fn last(&self, count: usize, ms: i64) -> Vec<Period> {
        let Some(newest) = self.number_at(ms) else { return Vec::new() };
        let numbers = (0..count).filter_map(|back| newest.checked_sub(i64::try_from(back).ok()?));
        let periods = numbers.map_while(|number| self.period(number));
        let mut found: Vec<Period> = periods.take_while(|period| period.to_ms > 0).collect();
        found.reverse();
        found
    }

    fn period(&self, number: i64) -> Option<Period> {
        Some(Period { from_ms: self.boundary(number)?, to_ms: self.boundary(number.checked_add(1)?)? })
    }

    /// The number of the cycle in which a moment lies: of the last one that begins no later. The anchor's is
    /// 0.
    fn number_at(&self, ms: i64) -> Option<i64> {
        let about_ms = self.length.unit.about_ms() * i64::from(self.length.count.get());
        let mut number = (ms - self.anchor_ms).div_euclid(about_ms);
        // A guess is wrong by one in 60 for months, so each round leaves a sixtieth of what was missing.
        loop {
            let missing = (ms - self.boundary(number)?).div_euclid(about_ms);
            if (-1..=1).contains(&missing) {
                break;
            }
            number += missing;
        }
        while self.boundary(number)? > ms {
            number -= 1;
        }
        while self.boundary(number + 1)? <= ms {
            number += 1;
        }
        Some(number)
    }

    /// Where the cycle of this number begins, Unix milliseconds.
    fn boundary(&self, number: i64) -> Option<i64> {
        let units = number.checked_mul(i64::from(self.length.count.get()))?;
        match self.length.unit {
            CycleUnit::Hour => self.anchor_ms.checked_add(units.checked_mul(HOUR_MS)?),
            CycleUnit::Day => self.first_at(self.days_on(units)?),
            CycleUnit::Week => self.first_at(self.days_on(units.checked_mul(7)?)?),
            CycleUnit::Month => self.first_at(self.months_on(units)?),
            CycleUnit::Year => self.first_at(self.months_on(units.checked_mul(12)?)?),
        }
    }

    fn first_at(&self, date: Date) -> Option<i64> {
        self.zone.first_at(DateTime::from_parts(date, self.anchor.time()))
    }

    /// As many days after the anchor's date.
    fn days_on(&self, days: i64) -> Option<Date> {
        self.anchor.date().checked_add(jiff::SignedDuration::from_hours(days.checked_mul(24)?)).ok()
    }

    /// The anchor's day as many months later, or that month's last one.
    fn months_on(&self, months: i64) -> Option<Date> {
        let anchor = self.anchor.date();
        let months = (i64::from(anchor.year()) * 12 + i64::from(anchor.month()) - 1).checked_add(months)?;
        let year = i16::try_from(months.div_euclid(12)).ok()?;
        let first = Date::new(year, i8::try_from(months.rem_euclid(12) + 1).ok()?, 1).ok()?;
        Date::new(year, first.month(), anchor.day().min(first.days_in_month())).ok()
    }
}
