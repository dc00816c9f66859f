//! Amounts of bytes and rates, as people write them: `20 TB`, `1.5 TiB`, `200 Mbit/s`.

use std::{fmt, str::FromStr};

/// Units of bytes with how many bytes each is; the larger one of equal names last.
const UNITS: [(&str, u64); 12] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
];
/// Units of rates with how many bits per second each is.
const RATES: [(&str, u64); 7] = [
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("kB/s", 8_000),
    ("MB/s", 8_000_000),
    ("GB/s", 8_000_000_000),
    ("B/s", 8),
];

/// A unit of bytes, in which other amounts are shown as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    name: &'static str,
    bytes: u64,
}

/// An amount of bytes, possibly less than none, and the unit in which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Bytes.
    pub bytes: i64,
    /// Its unit.
    pub unit: Unit,
}

/// A rate, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes per second.
    pub bps: u64,
    text: String,
}

/// What cannot be read as an amount or a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongAmount {
    /// As an amount.
    #[error("must be an amount with a unit, such as 500 GB, 20 TB or 1.5 TiB")]
    Bytes,
    /// As a rate.
    #[error("must be a rate with a unit, such as 200 Mbit/s, 1 Gbit/s or 25 MB/s")]
    Rate,
}

impl Unit {
    /// The unit of this name.
    pub fn named(name: &str) -> Option<Self> {
        let (name, bytes) = *UNITS.iter().find(|(known, _)| *known == name)?;
        Some(Self { name, bytes })
    }

    /// The decimal unit in which so many bytes have one to three digits before the point.
    pub fn of(bytes: u64) -> Self {
        let is_decimal = |name: &str| !name.contains('i') && name != "KB";
        let mut units = UNITS.iter().filter(|(name, unit)| is_decimal(name) && *unit <= bytes.max(1));
        let (name, bytes) = units.next_back().copied().unwrap_or(UNITS[0]);
        Self { name, bytes }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// So many bytes in this unit, rounded to two digits after the point.
    pub fn show(self, bytes: u64) -> String {
        if self.bytes == 1 {
            return format!("{bytes} B");
        }
        format!("{:.2} {}", bytes as f64 / self.bytes as f64, self.name)
    }
}

impl FromStr for Amount {
    type Err = WrongAmount;

    fn from_str(text: &str) -> Result<Self, WrongAmount> {
        let (is_negative, amount) = match text.strip_prefix('-') {
            Some(amount) => (true, amount),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, name) = split(amount).ok_or(WrongAmount::Bytes)?;
        let unit = Unit::named(name).ok_or(WrongAmount::Bytes)?;
        let bytes = times(number, unit.bytes).and_then(|bytes| i64::try_from(bytes).ok());
        let bytes = bytes.ok_or(WrongAmount::Bytes)?;
        Ok(Self { bytes: if is_negative { -bytes } else { bytes }, unit })
    }
}

impl FromStr for Rate {
    type Err = WrongAmount;

    fn from_str(text: &str) -> Result<Self, WrongAmount> {
        let (number, name) = split(text).ok_or(WrongAmount::Rate)?;
        let (name, bits) = RATES.iter().find(|(known, _)| *known == name).ok_or(WrongAmount::Rate)?;
        let bits = times(number, *bits).ok_or(WrongAmount::Rate)?;
        Ok(Self {
            bps: u64::try_from(bits / 8).map_err(|_| WrongAmount::Rate)?,
            text: format!("{number} {name}"),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A number and a unit, with or without a space between them.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(end);
    Some((number, unit.strip_prefix(' ').unwrap_or(unit)))
}

/// A decimal number times a unit, rounded down; no digit is lost on the way.
fn times(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let unit = u128::from(unit);
    let digits = u32::try_from(fraction.len()).ok()?;
    let part = fraction.parse::<u128>().ok()? * unit / 10_u128.pow(digits);
    Some(whole.parse::<u128>().ok()? * unit + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_units_of_a_thousand_and_of_1024() {
        for (text, bytes, shown) in [
            ("1 TB", 1_000_000_000_000, "1.00 TB"),
            ("1 TiB", 1_099_511_627_776, "1.00 TiB"),
            ("1.5TB", 1_500_000_000_000, "1.50 TB"),
            ("20 kB", 20_000, "20.00 kB"),
            ("512 KiB", 524_288, "512.00 KiB"),
            ("7 B", 7, "7 B"),
            ("0.000000000001 TB", 1, "0.00 TB"),
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!((amount.bytes, &*amount.unit.show(amount.bytes as u64)), (bytes, shown), "{text}");
        }
        assert_eq!("-120 GB".parse::<Amount>().unwrap().bytes, -120_000_000_000);
        assert_eq!("+1 B".parse::<Amount>().unwrap().bytes, 1);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in
            ["", "1", "TB", "1 tb", "1  TB", "1.TB", ".5 TB", "1,5 TB", "1e3 TB", "--1 TB", "1 Mbit/s"]
        {
            assert_eq!(text.parse::<Amount>(), Err(WrongAmount::Bytes), "{text}");
        }
        assert!("9300 PB".parse::<Amount>().is_err() && "9200 PB".parse::<Amount>().is_ok());
        for text in ["", "200", "200 Mbit", "200 TB", "-1 Mbit/s"] {
            assert_eq!(text.parse::<Rate>(), Err(WrongAmount::Rate), "{text}");
        }
    }

    #[test]
    fn rates_are_read_in_bits_and_in_bytes() {
        let bps = |text: &str| text.parse::<Rate>().unwrap().bps;
        assert_eq!(
            (bps("200 Mbit/s"), bps("1.5Gbit/s"), bps("25 MB/s")),
            (25_000_000, 187_500_000, 25_000_000)
        );
        assert_eq!("200Mbit/s".parse::<Rate>().unwrap().to_string(), "200 Mbit/s");
    }

    #[test]
    fn the_unit_of_an_amount_leaves_few_digits() {
        let shown = |bytes: u64| Unit::of(bytes).show(bytes);
        assert_eq!(
            [0, 999, 1_000, 999_999, 1_500_000, u64::MAX].map(shown),
            ["0 B", "999 B", "1.00 kB", "1000.00 kB", "1.50 MB", "18446.74 PB"]
        );
    }
}
