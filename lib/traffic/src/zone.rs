//! Time zones by their names.

use jiff::{
    Timestamp, ZonedDateTime,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// A time zone of the IANA database, such as `Europe/Zurich`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A name that is no zone's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no time zone: it must have a name such as Europe/Zurich or UTC")]
pub struct UnknownZone(String);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        // A path of a file would be looked up in the system's folder of zones.
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
        let found = is_name.then(|| TimeZone::get(name).ok()).flatten();
        found.map(Self).ok_or_else(|| UnknownZone(name.to_owned()))
    }

    /// The zone's name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What clocks show at a moment; `None` beyond the calendar.
    pub(crate) fn local(&self, ms: i64) -> Option<DateTime> {
        Some(self.0.to_datetime(Timestamp::from_millisecond(ms).ok()?))
    }

    /// The first moment at which clocks show this time or a later one, Unix milliseconds; `None` beyond the
    /// calendar. A time that is skipped is reached when clocks are put forward, and of a time that comes
    /// twice the first counts.
    pub(crate) fn first_at(&self, local: DateTime) -> Option<i64> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        let offset = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { before, .. } => {
                // Clocks that were not put forward would show it after the change.
                let after = before.to_timestamp(local).ok()?;
                let just_after = Timestamp::from_nanosecond(after.as_nanosecond() + 1).ok()?;
                let change = self.0.preceding(just_after).next()?;
                return Some(change.timestamp().as_millisecond());
            }
        };
        Some(offset.to_timestamp(local).ok()?.as_millisecond())
    }

    /// What clocks show at a moment: days since Monday, and minutes since midnight; `None` beyond the
    /// calendar.
    pub fn day_and_minute(&self, ms: i64) -> Option<(u8, u16)> {
        let local = self.local(ms)?;
        let day = u8::try_from(local.weekday().to_monday_zero_offset()).ok()?;
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
        Some((day, minute))
    }

    /// A moment as clocks of the zone show it, with the offset: `2026-12-01T00:00:00+01:00`; empty beyond the
    /// calendar.
    pub fn show(&self, ms: i64) -> String {
        self.show_as(ms, "%Y-%m-%dT%H:%M:%S%:z")
    }

    /// A moment as clocks of the zone show it, in a form of strftime; empty beyond the calendar.
    pub fn show_as(&self, ms: i64, form: &'static str) -> String {
        let Ok(moment) = Timestamp::from_millisecond(ms) else { return String::new() };
        ZonedDateTime::new(moment, self.0.clone()).strftime(form).to_string()
    }
}
