//! A channel's settings: given in the file, or by another file or a variable.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where the text of a setting comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Setting {
    /// It is in the file itself.
    Given(String),
    /// It is the text of another file, without the end of its line.
    File(PathBuf),
    /// It is the value of a variable of the environment.
    Variable(String),
}

/// Without what is given: an address may be a secret.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Variable(name) => f.debug_tuple("Variable").field(name).finish(),
        }
    }
}

/// The texts of all settings, by their names. It contains secrets, so it is not shown.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<String, String>);

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongSetting {
    /// Its name; empty for the whole channel.
    pub(crate) field: String,
    /// Why, without its text.
    pub(crate) what: String,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.field, self.what)
        }
    }
}

pub(crate) fn wrong(field: &str, what: impl Into<String>) -> WrongSetting {
    WrongSetting { field: field.to_owned(), what: what.into() }
}

/// What begins the name of a header's setting.
pub(crate) const HEADER: &str = "headers.";

impl Values {
    /// Sets a text.
    pub fn set(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), text);
    }

    /// All texts: what no message may repeat.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn needed(&self, name: &str) -> Result<&str, WrongSetting> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| wrong(name, "is missing"))
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, WrongSetting> {
        let number = self.text(name).map(|text| text.trim().parse());
        number.transpose().map_err(|_| wrong(name, "must be a whole number"))
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(HEADER)?, value.as_str())))
    }
}
