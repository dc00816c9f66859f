//! Numbers as the page writes them.
//!
//! All arithmetic is in whole numbers, because the standard library's float formatting would be larger than
//! the page's whole table.

pub mod lean;
mod rate;
mod time;

pub use rate::{Headline, Headliner, Unit};
pub use time::{age, duration, moments};

/// Shown for a value that is not known.
pub const UNKNOWN: &str = "–";

/// A number with two decimals, thousands apart: `1,234.50`.
pub fn fixed2(value: f64) -> String {
    fixed(value, 2)
}

/// A number with this many decimals, and with thousands separators.
pub fn fixed(value: f64, decimals: u32) -> String {
    let scale = 10_u64.pow(decimals);
    let scaled = (value.max(0.0) * scale as f64).round() as u64;
    let mut text = count(scaled / scale);
    if decimals > 0 {
        let fraction = (scaled % scale).to_string();
        text.push('.');
        text.extend(std::iter::repeat_n('0', decimals as usize - fraction.len()));
        text.push_str(&fraction);
    }
    text
}

/// A whole number with thousands separators: `12,345`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in whole percent: `42 %`.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| fixed(value, 0) + " %")
}

/// Two digits and more: `0.42 ms`, `18 ms`.
pub fn milliseconds(value: f64) -> String {
    fixed(value, if value < 9.95 { 2 } else { 0 }) + " ms"
}

/// An amount of bytes in decimal units, three digits: `1.23 TB`.
pub fn bytes(value: f64) -> String {
    scaled(value, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// An amount of memory in binary units, three digits: `15.6 GiB`.
pub fn memory(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// Three digits and the suitable unit; the first unit has no decimals.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let (mut value, mut unit) = (value, 0);
    // 999.5 and more would be rounded to 1000.
    while value >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let decimals = match unit {
        0 => 0,
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    fixed(value, decimals) + " " + units[unit]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_and_thousands_set_apart() {
        for (value, text) in [
            (0.0, "0.00"),
            (0.004, "0.00"),
            (0.006, "0.01"),
            (9.999, "10.00"),
            (1234.5, "1,234.50"),
            (1_234_567.0, "1,234,567.00"),
            (-3.0, "0.00"),
        ] {
            assert_eq!(fixed2(value), text);
        }
        assert_eq!(fixed(41.6, 0), "42");
    }

    #[test]
    fn amounts_take_the_unit_that_suits_them() {
        for (value, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (999.6, "1.00 kB"),
            (12_340.0, "12.3 kB"),
            (999_999.0, "1.00 MB"),
            (1.5e18, "1.50 EB"),
        ] {
            assert_eq!(bytes(value), text);
        }
        assert_eq!(memory(16.0 * 1024.0 * 1024.0 * 1024.0), "16.0 GiB");
    }

    #[test]
    fn unknown_values_are_not_zero() {
        assert_eq!(percent(None), "–");
        assert_eq!(percent(Some(0.0)), "0 %");
    }
}
