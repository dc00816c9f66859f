//! The tables of tiles.

/// Which tiles: how they are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Rows of 128 nodes' minute, until an hour is over.
    Minute,
    /// The minutes of a series' hour, until the day is over.
    Hour,
    /// The minutes of a series' day.
    Day,
    /// The quarters of an hour of a series' day.
    Quarters,
    /// The hours of a series, 32 days of them.
    Hours,
    /// The days of a series, 128 of them.
    Days,
    /// What many nodes' hour came to.
    HourBoard,
    /// What many nodes' day came to.
    DayBoard,
    /// The sums of five minutes of a series' day, once its minutes are dropped.
    Fives,
}

impl Tier {
    pub(crate) const ALL: [Self; 9] = [
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Quarters,
        Self::Hours,
        Self::Days,
        Self::HourBoard,
        Self::DayBoard,
        Self::Fives,
    ];

    /// Those of which each file has a table; a file of an earlier program gets the others when it is opened.
    pub(crate) fn oldest() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|tier| *tier != Self::Fives)
    }

    /// Whether its tiles hold rows of minutes, unless they are a group's.
    pub(crate) fn has_rows(self) -> bool {
        matches!(self, Self::Minute | Self::Hour | Self::Day)
    }

    /// How it is written down where a tile of any of them is named.
    pub(super) fn number(self) -> i64 {
        Self::ALL.iter().position(|tier| *tier == self).map_or(-1, |place| place as i64)
    }

    /// The table with its tiles, empty.
    pub(super) fn creation(self) -> String {
        let table = self.table();
        format!("CREATE TABLE IF NOT EXISTS {table} (key INTEGER PRIMARY KEY, tile BLOB NOT NULL) STRICT;")
    }

    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Quarters => "quarters",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::HourBoard => "hour_board",
            Self::DayBoard => "day_board",
            Self::Fives => "fives",
        }
    }
}
