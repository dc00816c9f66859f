//! Reads what the API says, into the types that `wire` shares with it.
//!
//! A reader of our own because of its size: `serde_json` can say exactly what was wrong and where, and carries a
//! quarter of what this whole page may weigh to do so. The page does not care: whatever is wrong with an answer, it asks
//! anew. Only numbers with a fraction are read less exactly, by one unit in the last place when they are very long.

mod number;
mod reader;

use std::fmt;

use serde::de::{self, DeserializeOwned, Expected, Unexpected};

use reader::Reader;

/// The text is not JSON, or not of the wanted type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Reads a whole text.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Invalid> {
    let mut reader = Reader::new(text);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not what was expected")
    }
}

impl std::error::Error for Invalid {}

// Each of these would write a sentence: that is the weight.
impl de::Error for Invalid {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }

    fn missing_field(_: &'static str) -> Self {
        Self
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use tidemap_wire::http::{ErrorJson, StatsJson};
    use tidemap_wire::{LocationSource, Status};

    #[test]
    fn texts_become_the_types_of_the_wire() {
        assert_eq!(read::<ErrorJson>(r#" {"detail": "n\u00f6 \ud83d\ude00\n", "new": [{"a": null}]} "#).unwrap().detail, "nö 😀\n");
        assert_eq!(read::<Vec<Option<u64>>>("[1, null,18446744073709551615]").unwrap(), [Some(1), None, Some(u64::MAX)]);
        assert_eq!(read::<Status>(r#""warning""#), Ok(Status::Warning));
        assert_eq!(read::<LocationSource>(r#""time-zone""#), Ok(LocationSource::TimeZone));
        let stats = StatsJson { avg_cpu_percent: 12.34, timestamp: 1_700_000_000.123, ..StatsJson::default() };
        assert_eq!(read::<StatsJson>(&serde_json::to_string(&stats).unwrap()), Ok(stats));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(read::<Status>(r#""dizzy""#).is_err());
        assert!(read::<StatsJson>("{}").is_err());
        assert!(read::<u8>("256").is_err());
        assert!(read::<u8>("1 2").is_err());
        assert!(read::<f64>("1e999").is_err());
        assert!(read::<Value>(&"[".repeat(100_000)).is_err(), "depth is bounded");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1_000_000_000_i64..1_000_000_000, 1_u32..6)
                .prop_map(|(mantissa, decimals)| Value::from(mantissa as f64 / 10_f64.powi(decimals as i32))),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_as_it_was_written(value in values()) {
            prop_assert_eq!(read::<Value>(&value.to_string()), Ok(value.clone()));
            prop_assert_eq!(read::<Value>(&serde_json::to_string_pretty(&value).unwrap()), Ok(value));
        }

        #[test]
        fn a_text_is_json_here_when_it_is_elsewhere(text in r#"[0-9eE.+\-\[\]{},:" nulltrefas\\/u]{0,10}"#) {
            prop_assert_eq!(read::<Value>(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn long_fractions_are_near_enough(number: f64) {
            prop_assume!(number.is_finite() && (number == 0.0 || number.abs() > 1e-290));
            let read = read::<f64>(&serde_json::to_string(&number).unwrap()).unwrap();
            prop_assert!((read - number).abs() <= number.abs() * 1e-14, "{} {}", read, number);
        }
    }
}
