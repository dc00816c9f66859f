//! A metric's value, and the types that it can have.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Bps, field_reader::FieldReader};

/// The value of any metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricValue {
    /// A whole number.
    Whole(u64),
    /// Any other number.
    Real(f64),
}

/// A type that a metric can have.
pub(super) trait MetricType: Copy {
    /// Whether it has no fractions.
    const IS_WHOLE: bool;

    fn value(self) -> MetricValue;

    /// `None` when the type has no such value.
    fn from_value(value: MetricValue) -> Option<Self>;

    /// Reads it as [`crate::ReceivedReport`] does.
    fn read(rest: &mut FieldReader<'_>) -> Option<Self>;
}

/// Sets a metric, unless its type has no such value.
pub(super) fn set<T: MetricType>(metric: &mut Option<T>, value: MetricValue) -> bool {
    let value = T::from_value(value);
    if value.is_some() {
        *metric = value;
    }
    value.is_some()
}

pub(super) fn optional<'de, D: Deserializer<'de>, T: MetricType + Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let Some(metric) = Option::<T>::deserialize(deserializer)? else { return Ok(None) };
    match T::from_value(metric.value()) {
        Some(metric) => Ok(Some(metric)),
        None => Err(de::Error::custom("a metric is finite")),
    }
}

impl MetricValue {
    /// The value as a float: exact up to 2⁵³.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}

impl MetricType for f64 {
    const IS_WHOLE: bool = false;

    fn value(self) -> MetricValue {
        MetricValue::Real(self)
    }

    fn from_value(value: MetricValue) -> Option<Self> {
        Some(value.as_f64()).filter(|value| value.is_finite())
    }

    fn read(rest: &mut FieldReader<'_>) -> Option<Self> {
        rest.finite()
    }
}

impl MetricType for Bps {
    const IS_WHOLE: bool = false;

    fn value(self) -> MetricValue {
        MetricValue::Real(self.get())
    }

    fn from_value(value: MetricValue) -> Option<Self> {
        Self::new(value.as_f64())
    }

    fn read(rest: &mut FieldReader<'_>) -> Option<Self> {
        rest.rate()
    }
}

impl MetricType for u64 {
    const IS_WHOLE: bool = true;

    fn value(self) -> MetricValue {
        MetricValue::Whole(self)
    }

    fn from_value(value: MetricValue) -> Option<Self> {
        match value {
            MetricValue::Whole(value) => Some(value),
            MetricValue::Real(value) => (value >= 0.0 && value.fract() == 0.0).then_some(value as u64),
        }
    }

    fn read(rest: &mut FieldReader<'_>) -> Option<Self> {
        rest.unsigned()
    }
}

impl MetricType for u32 {
    const IS_WHOLE: bool = true;

    fn value(self) -> MetricValue {
        MetricValue::Whole(self.into())
    }

    fn from_value(value: MetricValue) -> Option<Self> {
        u64::from_value(value)?.try_into().ok()
    }

    fn read(rest: &mut FieldReader<'_>) -> Option<Self> {
        rest.small()
    }
}

impl Serialize for MetricValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(value) => serializer.serialize_u64(*value),
            Self::Real(value) => serializer.serialize_f64(*value),
        }
    }
}

impl<'de> Deserialize<'de> for MetricValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyNumber;

impl de::Visitor<'_> for AnyNumber {
    type Value = MetricValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, value: u64) -> Result<MetricValue, E> {
        Ok(MetricValue::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<MetricValue, E> {
        Ok(u64::try_from(value).map_or(MetricValue::Real(value as f64), MetricValue::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<MetricValue, E> {
        Ok(MetricValue::Real(value))
    }
}
