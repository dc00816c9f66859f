//! `--include` and `--exclude`.

use std::{fmt, str::FromStr};

/// The interfaces that the operator includes and excludes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These count, whatever the topology.
    pub include: Vec<NamePattern>,
    /// These do not.
    pub exclude: Vec<NamePattern>,
}

impl Choice {
    /// Whether the operator includes or excludes an interface, and by which flag; `None` leaves it to the
    /// topology.
    pub fn overrides(&self, name: &str) -> Option<(bool, &'static str)> {
        let any = |patterns: &[NamePattern]| patterns.iter().any(|pattern| pattern.matches(name));
        if any(&self.include) {
            Some((true, "--include"))
        } else {
            any(&self.exclude).then_some((false, "--exclude"))
        }
    }
}

/// A pattern of interface names; `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(String);

/// Why a pattern is malformed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interface's name must not be empty and holds no blank and no '/'")]
pub struct NamePatternError;

impl NamePattern {
    /// Whether a name matches.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        // The part before the first star, which is all of it where there is none.
        let head = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(head) else { return false };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        false
    }
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '/');
        if bad { Err(NamePatternError) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        let check = |pattern: &str, yes: &[&str], no: &[&str]| {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert!(yes.iter().all(|name| pattern.matches(name)), "{pattern} {yes:?}");
            assert!(!no.iter().any(|name| pattern.matches(name)), "{pattern} {no:?}");
        };
        check("eth0", &["eth0"], &["eth", "eth01", "xeth0", ""]);
        check("eth*", &["eth", "eth0", "eth0.5"], &["xeth0", "et"]);
        check("*.5", &["eth0.5", ".5"], &["eth0.50"]);
        check("e*h*0", &["eth0", "eh0", "ethh10"], &["eth1", "e0"]);
        check("*", &["lo", "anything"], &[]);
        check("a*a", &["aa", "aba"], &["a"]);
    }
}
