//! JSON as plain values.

use std::collections::BTreeMap;

use super::{Invalid, parser};

/// A value. Numbers are floats: whole ones are exact up to 2⁵³, which is 285,000 years in milliseconds, or 9 PB.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// A list of nothing but numbers and nulls; not a number stands for null.
    Numbers(Vec<f64>),
    /// Any other list.
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// A type that a number can be.
pub(super) trait Whole: TryFrom<u64> {}

impl<T: TryFrom<u64>> Whole for T {}

impl Value {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        parser::parse(text)
    }

    /// The field with this name; null when there is none.
    pub(super) fn get(&self, name: &str) -> &Value {
        let fields = if let Self::Map(fields) = self { &**fields } else { &[] };
        fields.iter().find(|(field, _)| field == name).map_or(&Self::Null, |(_, value)| value)
    }

    /// The field with this name, unless it is null or missing.
    pub(super) fn known(&self, name: &str) -> Option<&Value> {
        Some(self.get(name)).filter(|value| **value != Self::Null)
    }

    pub(super) fn bool(&self) -> Result<bool, Invalid> {
        if let Self::Bool(value) = self { Ok(*value) } else { Err(Invalid) }
    }

    pub(super) fn number(&self) -> Result<f64, Invalid> {
        if let Self::Number(value) = self { Ok(*value) } else { Err(Invalid) }
    }

    pub(super) fn whole<T: Whole>(&self) -> Result<T, Invalid> {
        whole(self.number()?)
    }

    pub(super) fn signed(&self) -> Result<i64, Invalid> {
        let value = self.number()?;
        if value.fract() == 0.0 { Ok(value as i64) } else { Err(Invalid) }
    }

    pub(super) fn text(&self) -> Result<String, Invalid> {
        if let Self::Text(text) = self { Ok(text.clone()) } else { Err(Invalid) }
    }

    /// A list of whatever `item` reads.
    pub(super) fn list<T>(&self, item: impl Fn(&Value) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
        let mut list = Vec::new();
        match self {
            Self::List(values) => {
                for value in values {
                    list.push(item(value)?);
                }
            }
            Self::Numbers(values) => {
                for value in values {
                    list.push(item(&Self::from_column(*value))?);
                }
            }
            _ => return Err(Invalid),
        }
        Ok(list)
    }

    /// A list of numbers, each as `item` takes it; not a number stands for null.
    pub(super) fn numbers<T>(&self, item: impl Fn(f64) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
        let Self::Numbers(values) = self else { return Err(Invalid) };
        let mut numbers = Vec::with_capacity(values.len());
        for value in values {
            numbers.push(item(*value)?);
        }
        Ok(numbers)
    }

    /// A map of texts, say labels, or of whatever `item` reads.
    pub(super) fn map<T>(
        &self,
        item: impl Fn(&Value) -> Result<T, Invalid>,
    ) -> Result<BTreeMap<String, T>, Invalid> {
        let Self::Map(fields) = self else { return Err(Invalid) };
        // Collecting would bring sorts of its own.
        let mut map = BTreeMap::new();
        for (name, value) in fields {
            map.insert(name.clone(), item(value)?);
        }
        Ok(map)
    }

    fn from_column(value: f64) -> Self {
        if value.is_nan() { Self::Null } else { Self::Number(value) }
    }
}

/// A number that has no fraction and is in the range of `T`.
pub(super) fn whole<T: Whole>(value: f64) -> Result<T, Invalid> {
    let is_whole = value >= 0.0 && value.fract() == 0.0;
    T::try_from(value as u64).ok().filter(|_| is_whole).ok_or(Invalid)
}
