//! Rates in the unit that the reader chose.

use super::{UNKNOWN, fixed2, scaled};

/// How rates are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Millions of bytes per second.
    #[default]
    MegaBytes,
    /// Millions of bits per second.
    MegaBits,
    /// Bytes per second, with a suitable prefix for each value.
    Auto,
}

/// A large number and the unit beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// `1,234.50`
    pub value: String,
    /// `MB/s`
    pub unit: &'static str,
}

/// Formats one headline after another. It changes to the larger unit at 1000 and back only below 900, so that
/// a rate near 1000 does not change its unit all the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headliner {
    is_large: bool,
}

impl Unit {
    /// All of them, as the reader may choose.
    pub const ALL: [Unit; 3] = [Self::MegaBytes, Self::MegaBits, Self::Auto];

    /// The unit's name, also in the address.
    pub fn label(self) -> &'static str {
        match self {
            Self::MegaBytes => "MB/s",
            Self::MegaBits => "Mbit/s",
            Self::Auto => "auto",
        }
    }

    /// The unit with this name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.label() == label)
    }

    /// The unit for a column's heading; none when each number has its own.
    pub fn heading(self) -> &'static str {
        if self == Self::Auto { "" } else { self.label() }
    }

    /// A rate without its unit, unless the unit varies: `12.34`, `–`.
    pub fn bare(self, bytes_per_second: Option<f64>) -> String {
        match (bytes_per_second, self) {
            (None, _) => UNKNOWN.to_owned(),
            (Some(rate), Self::Auto) => auto(rate),
            (Some(rate), _) => fixed2(rate * self.per_byte()),
        }
    }

    /// A rate with its unit: `12.34 MB/s`, `–`.
    pub fn full(self, bytes_per_second: Option<f64>) -> String {
        match (bytes_per_second, self) {
            (Some(_), Self::MegaBytes | Self::MegaBits) => self.bare(bytes_per_second) + " " + self.label(),
            _ => self.bare(bytes_per_second),
        }
    }

    /// A rate with a suitable unit and three digits, so that a small rate is not shown as `0.00`, and no
    /// digit is shown that is not known.
    pub fn exact(self, bytes_per_second: Option<f64>) -> String {
        match (bytes_per_second, self) {
            (None, _) => UNKNOWN.to_owned(),
            (Some(rate), Self::MegaBits) => scaled(rate * 8.0, 1000.0, &BIT_RATES),
            (Some(rate), _) => auto(rate),
        }
    }

    /// A round value at an axis, in the number that [`Unit::counted`] returns.
    pub fn tick(self, value: f64) -> String {
        let text = scaled(value, 1000.0, if self == Self::MegaBits { &BIT_RATES } else { &RATES });
        let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
        let number =
            if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
        if value == 0.0 { "0".to_owned() } else { [number, " ", unit].concat() }
    }

    /// The rate in bytes or in bits, so that axes have round values in the chosen unit.
    pub fn counted(self, bytes_per_second: f64) -> f64 {
        if self == Self::MegaBits { bytes_per_second * 8.0 } else { bytes_per_second }
    }

    fn per_byte(self) -> f64 {
        if self == Self::MegaBits { 8e-6 } else { 1e-6 }
    }
}

impl Headliner {
    /// Writes a rate.
    pub fn write(&mut self, bytes_per_second: Option<f64>, unit: Unit) -> Headline {
        let Some(rate) = bytes_per_second else {
            return Headline { value: UNKNOWN.to_owned(), unit: unit.heading() };
        };
        let value = rate * unit.per_byte();
        self.is_large = value >= if self.is_large { 900.0 } else { 1000.0 };
        match (unit, self.is_large) {
            (Unit::Auto, _) => small(rate),
            (Unit::MegaBytes, true) => Headline { value: fixed2(value / 1000.0), unit: "GB/s" },
            (Unit::MegaBits, true) => Headline { value: fixed2(value / 1000.0), unit: "Gbit/s" },
            (_, false) => Headline { value: fixed2(value), unit: unit.label() },
        }
    }
}

const BIT_RATES: [&str; 6] = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s"];
const RATES: [&str; 6] = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"];

fn auto(rate: f64) -> String {
    scaled(rate, 1000.0, &RATES)
}

fn small(rate: f64) -> Headline {
    let text = auto(rate);
    let (value, name) = text.split_once(' ').unwrap_or((&text, ""));
    let unit = RATES.into_iter().find(|rate| *rate == name).unwrap_or("");
    Headline { value: value.to_owned(), unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_writes_idle_and_unknown_apart() {
        let check = |unit: Unit, rate, text: &str| assert_eq!(unit.full(rate), text);
        check(Unit::MegaBytes, Some(12_345_678.0), "12.35 MB/s");
        check(Unit::MegaBits, Some(12_345_678.0), "98.77 Mbit/s");
        check(Unit::Auto, Some(12_345.0), "12.3 kB/s");
        check(Unit::MegaBytes, Some(0.0), "0.00 MB/s");
        check(Unit::Auto, Some(0.0), "0 B/s");
        check(Unit::MegaBytes, None, "–");
    }

    #[test]
    fn small_rates_and_ticks_have_the_digits_they_need() {
        for (unit, rate, exact, tick) in [
            (Unit::MegaBytes, 1500.0, "1.50 kB/s", "1.5 kB/s"),
            (Unit::MegaBytes, 200_000_000.0, "200 MB/s", "200 MB/s"),
            (Unit::MegaBits, 125_000.0, "1.00 Mbit/s", "1 Mbit/s"),
            (Unit::Auto, 0.0, "0 B/s", "0"),
            (Unit::Auto, 60.0, "60 B/s", "60 B/s"),
        ] {
            assert_eq!((&*unit.exact(Some(rate)), &*unit.tick(unit.counted(rate))), (exact, tick));
        }
        assert_eq!(Unit::MegaBytes.exact(None), "–");
    }

    #[test]
    fn a_headline_changes_its_unit_at_1000_and_back_at_900() {
        let mut headliner = Headliner::default();
        let mut check = |mega: f64, value: &str, unit: &str| {
            let headline = headliner.write(Some(mega * 1e6), Unit::MegaBytes);
            assert_eq!((&*headline.value, headline.unit), (value, unit));
        };
        check(999.0, "999.00", "MB/s");
        check(1000.0, "1.00", "GB/s");
        check(950.0, "0.95", "GB/s");
        check(899.0, "899.00", "MB/s");
        check(950.0, "950.00", "MB/s");
    }

    #[test]
    fn labels_name_their_unit() {
        for unit in Unit::ALL {
            assert_eq!(Unit::from_label(unit.label()), Some(unit));
        }
        assert_eq!(Unit::from_label("furlongs"), None);
    }
}
