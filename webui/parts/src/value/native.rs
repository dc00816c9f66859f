//! Values of `serde_json`, so that the readers are tested without a browser.

use serde_json::Value as Json;

use crate::value::Invalid;

/// A text.
pub type Text = str;

/// A value.
pub struct Value(Json);

impl Value {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// When it is not JSON.
    pub fn parse(text: &Text) -> Result<Self, Invalid> {
        serde_json::from_str(text).map(Self).map_err(|_| Invalid)
    }

    /// The field with this name; null when there is none.
    pub fn get(&self, name: &str) -> Self {
        Self(self.0.get(name).cloned().unwrap_or(Json::Null))
    }

    pub(super) fn is_null(&self) -> bool {
        self.0.is_null()
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        self.0.as_bool()
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        self.0.as_f64()
    }

    pub(super) fn as_text(&self) -> Option<String> {
        self.0.as_str().map(str::to_owned)
    }

    pub(super) fn items(&self) -> Option<impl Iterator<Item = Self>> {
        Some(self.0.as_array()?.iter().cloned().map(Self))
    }

    /// The numbers of a list of nothing but whole ones.
    pub(super) fn whole_numbers(&self) -> Option<Vec<f64>> {
        let number = |value: &Json| value.as_f64().filter(|number| number.fract() == 0.0);
        self.0.as_array()?.iter().map(number).collect()
    }

    pub(super) fn entries(&self) -> Option<impl Iterator<Item = (String, Self)>> {
        Some(self.0.as_object()?.iter().map(|(name, value)| (name.clone(), Self(value.clone()))))
    }
}
