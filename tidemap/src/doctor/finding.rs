//! What a check has found.

use std::fmt;

/// One line for people, and what to do when something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    subject: &'static str,
    found: String,
    remedy: Option<String>,
}

impl Finding {
    /// Nothing is wrong.
    pub(super) fn good(subject: &'static str, found: impl Into<String>) -> Self {
        Self { subject, found: found.into(), remedy: None }
    }

    /// Something is wrong, and what to do.
    pub(super) fn wrong(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.remedy.is_some()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_wrong() { "WRONG" } else { "ok" };
        write!(f, "{verdict:<5}  {:<12}  {}", self.subject, self.found)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n       {:<12}  do: {remedy}", ""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_says_what_to_do() {
        assert_eq!(
            Finding::good("disk", "12.0 GB are free").to_string(),
            "ok     disk          12.0 GB are free"
        );
        let wrong = Finding::wrong("disk", "it is full", "make room");
        assert_eq!(wrong.to_string(), "WRONG  disk          it is full\n                     do: make room");
    }
}
