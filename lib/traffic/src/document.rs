//! Files that people write in TOML, and where they are wrong.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use toml::Spanned;

/// What is wrong in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct FileError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

/// A problem at a byte of the text.
#[derive(Debug)]
pub struct Problem {
    /// Bytes before it.
    pub at: usize,
    /// What is wrong.
    pub what: String,
}

/// What was read of a part of a file, or the problem with it.
pub type Checked<T> = Result<T, Problem>;

/// Reads the tables of a text, and makes of them what they mean.
///
/// # Errors
///
/// When the text has other tables, or `check` finds a problem; says where and why.
pub fn read<F: DeserializeOwned, T>(
    text: &str,
    check: impl FnOnce(&F) -> Checked<T>,
) -> Result<T, FileError> {
    let tables = toml::from_str(text).map_err(|error| Problem {
        at: error.span().map_or(0, |span| span.start),
        what: error.message().lines().collect::<Vec<_>>().join(" "),
    });
    tables.and_then(|tables| check(&tables)).map_err(|Problem { at, what }| {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rfind('\n').map_or(before, |end| &before[end + 1..]);
        FileError { line: before.matches('\n').count() + 1, column: line.chars().count() + 1, problem: what }
    })
}

/// Reads the text of the field `name`, which the problem names.
///
/// # Errors
///
/// When `read` does not accept it.
pub fn field<T, E: Display>(
    name: &str,
    text: &Spanned<String>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Checked<T> {
    read(text.get_ref()).map_err(|error| problem(text, format!("{name}: {error}")))
}

/// A problem where something stands.
pub fn problem<T>(at: &Spanned<T>, what: String) -> Problem {
    Problem { at: at.span().start, what }
}
