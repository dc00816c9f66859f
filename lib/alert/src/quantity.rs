//! What thresholds and values are measured in, and how they are written.

use tidemap_traffic::{Amount, Rate};

use crate::duration;

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Quantity {
    /// Something holds or does not.
    Truth,
    /// Bytes per second.
    Rate,
    /// Hundredths of a whole.
    Percent,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// Degrees Celsius.
    Celsius,
    /// A version as one number.
    Version,
}

/// How values of a rule are shown: in the unit in which its threshold was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) quantity: Quantity,
    /// The unit's name.
    name: String,
    /// How much one of the unit is.
    size: f64,
}

/// A version's parts are below this.
const VERSION_STEP: f64 = 1_000.0;

impl Quantity {
    /// The unit in an [`Alert`](tidemap_wire::Alert).
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Rate => "bps",
            Self::Percent => "percent",
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Celsius => "celsius",
            Self::Truth | Self::Count | Self::Version => "",
        }
    }

    /// The largest threshold that makes sense.
    fn most(self) -> f64 {
        match self {
            Self::Truth => 1.0,
            Self::Percent => 1e6,
            Self::Celsius => 1e3,
            Self::Rate => 1e18,
            _ => 1e19,
        }
    }

    /// How it is shown unless a threshold says so.
    pub(crate) fn shown(self) -> Shown {
        let (name, size) = match self {
            Self::Rate => ("Mbit/s", 125_000.0),
            Self::Percent => ("%", 1.0),
            Self::Millis => ("ms", 1.0),
            Self::Seconds => ("s", 1.0),
            Self::Bytes => ("GB", 1e9),
            Self::Celsius => ("°C", 1.0),
            Self::Truth | Self::Count | Self::Version => ("", 1.0),
        };
        Shown { quantity: self, name: name.to_owned(), size }
    }

    /// Reads a threshold, and how to show values beside it.
    pub(crate) fn read(self, text: &str) -> Result<(f64, Shown), String> {
        let text = text.trim();
        let read = match self {
            Self::Truth => return Err("has no threshold: it holds or does not".to_owned()),
            Self::Rate => {
                let rate: Rate = text.parse().map_err(|error| format!("{error}"))?;
                (rate.bps as f64, rate_unit(&rate.to_string()))
            }
            Self::Bytes => {
                let amount: Amount = text.parse().map_err(|error| format!("{error}"))?;
                let unit: Amount = format!("1 {}", amount.unit.name()).parse().map_err(|error| format!("{error}"))?;
                let name = amount.unit.name().to_owned();
                (amount.bytes as f64, Some(Shown { quantity: self, name, size: unit.bytes as f64 }))
            }
            Self::Millis | Self::Seconds => {
                let ms = duration::read(text).ok_or("must be a time with a unit, such as 500 ms or 2s")?;
                let value = if self == Self::Millis { ms as f64 } else { ms as f64 / 1_000.0 };
                (value, None)
            }
            Self::Percent => {
                let number = text.strip_suffix('%').ok_or("must be a percentage, such as 80 %")?;
                (number_of(number).ok_or("must be a percentage, such as 80 %")?, None)
            }
            Self::Celsius => {
                let number = text.trim_end_matches(['C', '°']);
                (number_of(number).ok_or("must be a number of degrees, such as 70")?, None)
            }
            Self::Count => (number_of(text).ok_or("must be a number")?, None),
            Self::Version => (version(text).ok_or("must be a version, such as 0.3.0")?, None),
        };
        if !(0.0..=self.most()).contains(&read.0.abs()) {
            return Err("is too large".to_owned());
        }
        Ok((read.0, read.1.unwrap_or_else(|| self.shown())))
    }
}

impl Shown {
    /// A value with its unit, with three digits or more.
    pub(crate) fn show(&self, value: f64) -> String {
        if self.quantity == Quantity::Version {
            return version_text(value);
        }
        let number = digits(value / self.size);
        if self.name.is_empty() { number } else { format!("{number} {}", self.name) }
    }
}

/// Three digits, or as many as a whole number has.
fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A finite number, also below 0.
fn number_of(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    text.parse().ok().filter(|number: &f64| is_plain && number.is_finite())
}

/// The unit of a rate as it was written.
fn rate_unit(text: &str) -> Option<Shown> {
    let (_, name) = text.split_once(' ')?;
    let thousand: Rate = format!("1000 {name}").parse().ok()?;
    Some(Shown { quantity: Quantity::Rate, name: name.to_owned(), size: thousand.bps as f64 / 1_000.0 })
}

/// A version as a number that orders as versions do: `0.3.0` is 3,000. What follows a `-` or `+` is ignored.
pub(crate) fn version(text: &str) -> Option<f64> {
    let plain = text.trim().trim_start_matches('v').split(['-', '+']).next()?;
    let mut parts = [0.0; 3];
    let mut given = plain.split('.');
    for part in &mut parts {
        match given.next() {
            Some(number) if number.len() <= 3 => *part = f64::from(number.parse::<u16>().ok()?),
            Some(_) => return None,
            None => break,
        }
    }
    given.next().is_none().then_some((parts[0] * VERSION_STEP + parts[1]) * VERSION_STEP + parts[2])
}

fn version_text(value: f64) -> String {
    let (rest, patch) = ((value / VERSION_STEP).floor(), value % VERSION_STEP);
    format!("{}.{}.{}", (rest / VERSION_STEP).floor(), rest % VERSION_STEP, patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(quantity: Quantity, text: &str) -> Result<String, String> {
        quantity.read(text).map(|(value, shown)| shown.show(value))
    }

    #[test]
    fn a_threshold_is_shown_in_the_unit_in_which_it_was_written() {
        for (quantity, text, expected) in [
            (Quantity::Rate, "900Mbit/s", "900 Mbit/s"),
            (Quantity::Rate, "1.25 Gbit/s", "1.25 Gbit/s"),
            (Quantity::Rate, "12 MB/s", "12 MB/s"),
            (Quantity::Percent, "80 %", "80 %"),
            (Quantity::Millis, "1.5", ""),
            (Quantity::Millis, "250ms", "250 ms"),
            (Quantity::Seconds, "2m", "120 s"),
            (Quantity::Bytes, "1.5 TiB", "1.5 TiB"),
            (Quantity::Count, "100", "100"),
            (Quantity::Celsius, "70 °C", "70 °C"),
            (Quantity::Celsius, "-5", "-5 °C"),
            (Quantity::Version, "v0.12.3", "0.12.3"),
        ] {
            assert_eq!(shown(quantity, text).unwrap_or_default(), expected, "{text}");
        }
        assert_eq!(Quantity::Rate.shown().show(117_625_000.0), "941 Mbit/s");
    }

    #[test]
    fn what_has_another_unit_is_refused() {
        for (quantity, text) in [
            (Quantity::Rate, "900"),
            (Quantity::Rate, "-1 Mbit/s"),
            (Quantity::Percent, "80"),
            (Quantity::Percent, "1e3 %"),
            (Quantity::Count, "inf"),
            (Quantity::Version, "1.2.3.4"),
            (Quantity::Version, "latest"),
            (Quantity::Truth, "1"),
        ] {
            assert!(shown(quantity, text).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let ordered = ["0.2.9", "0.2.10", "0.3", "1.0.0-rc1", "1.0.1"].map(version);
        assert!(ordered.is_sorted_by(|one, next| one < next), "{ordered:?}");
        assert_eq!(version("1.0.0-rc1"), version("1.0"));
    }
}
