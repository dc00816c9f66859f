//! Columns of numbers as one text of fixed-width codes.
//!
//! Numbers with commas would take twice the bytes, and every language can parse base 36. An unknown number is
//! a code of underscores.

use std::marker::PhantomData;

use serde::{
    Deserializer, Serializer,
    de::{Error, Visitor},
};

const BASE: u32 = 36;
/// Digits of a rate's code, which is exponent × 1000 + mantissa (three digits, base 36).
const RATE: usize = 3;
/// Digits of a share from 0 to 100.
const SHARE: usize = 2;

/// Reads a column of rates; `None` when the text is not one.
pub fn decode_rates(text: &str) -> Option<Vec<Option<u64>>> {
    decode(text, RATE, |code| 10_u64.checked_pow(code / 1_000)?.checked_mul(u64::from(code % 1_000)))
}

/// Reads a column of shares from 0 to 100; `None` when the text is not one.
pub fn decode_shares(text: &str) -> Option<Vec<Option<u8>>> {
    decode(text, SHARE, |code| u8::try_from(code).ok().filter(|share| *share <= 100))
}

/// Columns of rates in messages.
pub(super) mod rates {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        rates: &[Option<u64>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(rates, RATE, rate_code))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Option<u64>>, D::Error> {
        deserializer.deserialize_str(Text(decode_rates, PhantomData))
    }
}

/// Columns of shares in messages.
pub(super) mod shares {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        shares: &[Option<u8>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(shares, SHARE, u32::from))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Option<u8>>, D::Error> {
        deserializer.deserialize_str(Text(decode_shares, PhantomData))
    }
}

/// Deserializes a text with this function.
struct Text<T>(fn(&str) -> Option<T>, PhantomData<T>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text of codes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::custom("a code is wrong"))
    }
}

/// Digits beyond the third are cut off, as rates have been rounded before.
fn rate_code(rate: u64) -> u32 {
    let exponent = rate.checked_ilog10().unwrap_or(0).saturating_sub(2);
    let mantissa = rate / 10_u64.pow(exponent);
    // Below 1000 by the choice of the exponent.
    exponent * 1_000 + u32::try_from(mantissa).unwrap_or(0)
}

fn encode<T: Copy>(column: &[Option<T>], width: usize, code: fn(T) -> u32) -> String {
    let mut text = String::with_capacity(column.len() * width);
    for value in column {
        for place in (0..width).rev() {
            let digit = |value| code(value) / BASE.pow(place as u32) % BASE;
            text.push(value.and_then(|value| char::from_digit(digit(value), BASE)).unwrap_or('_'));
        }
    }
    text
}

fn decode<T>(text: &str, width: usize, value: fn(u32) -> Option<T>) -> Option<Vec<Option<T>>> {
    let codes = text.as_bytes().chunks_exact(width);
    if !codes.remainder().is_empty() {
        return None;
    }
    let mut column = Vec::with_capacity(codes.len());
    for code in codes {
        column.push(if code.iter().all(|digit| *digit == b'_') { None } else { Some(value(number(code)?)?) });
    }
    Some(column)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number * BASE + char::from(*digit).to_digit(BASE)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{HostRows, RateRows, round_rate};
    use proptest::prelude::*;

    fn rows(rx: Vec<Option<u64>>) -> RateRows {
        RateRows { i: Vec::new(), tx: rx.clone(), rx }
    }

    #[test]
    fn a_column_is_one_text() {
        let rates = rows(vec![Some(0), Some(999), Some(1_230), Some(125_000_000), None]);
        assert_eq!(
            serde_json::to_string(&rates).unwrap(),
            r#"{"i":[],"rx":"0000rr0v74q5___","tx":"0000rr0v74q5___"}"#
        );
        let host = HostRows { cpu: vec![Some(0), Some(37), None, Some(100)], ..HostRows::default() };
        assert!(serde_json::to_string(&host).unwrap().contains(r#""cpu":"0011__2s""#));
    }

    #[test]
    fn malformed_codes_are_refused() {
        for bad in ["0", "0000", "0_0", "-01", "0é", "zzz", "+00"] {
            assert_eq!(decode_rates(bad), None, "{bad}");
        }
        for bad in ["0", "2t", "zz", "é"] {
            assert_eq!(decode_shares(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_rounded_rate_is_read_as_it_was_written(rates: Vec<Option<u64>>) {
            let rounded = rates.iter().map(|rate| rate.map(|rate| round_rate(rate as f64)));
            let rows = rows(rounded.collect());
            let text = serde_json::to_string(&rows).unwrap();
            prop_assert_eq!(serde_json::from_str::<RateRows>(&text).unwrap(), rows);
        }

        #[test]
        fn a_share_is_read_as_it_was_written(cpu in proptest::collection::vec(proptest::option::of(0_u8..=100), 0..9)) {
            let rows = HostRows { cpu, ..HostRows::default() };
            let text = serde_json::to_string(&rows).unwrap();
            prop_assert_eq!(serde_json::from_str::<HostRows>(&text).unwrap(), rows);
        }

        #[test]
        fn no_text_makes_decoding_panic(text: String) {
            decode_rates(&text);
            decode_shares(&text);
        }
    }
}
