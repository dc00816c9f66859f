//! `--count`, `--include` and `--exclude`.

use std::{fmt, str::FromStr};

/// Which of the interfaces that count are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Count {
    /// All of them.
    #[default]
    All,
    /// Those that carry a default route: of a router, the way out alone.
    Wan,
}

/// What the operator chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Which interfaces count unless they are included or excluded by name.
    pub count: Count,
    /// These count, whatever the topology.
    pub include: Vec<NamePattern>,
    /// These do not.
    pub exclude: Vec<NamePattern>,
}

impl Choice {
    /// The choice with each name of an interface besides its usual one as a pattern of the usual one.
    pub fn resolved(&self, names: &[(u32, Vec<String>)]) -> Self {
        let resolve = |patterns: &[NamePattern]| {
            let usual = |pattern: &NamePattern| -> Vec<NamePattern> {
                let other =
                    |(_, names): &&(u32, Vec<String>)| names.iter().skip(1).any(|name| pattern.matches(name));
                let usual = names.iter().filter(other).filter_map(|(_, names)| names.first());
                usual.map(|name| NamePattern(name.clone())).collect()
            };
            patterns.iter().flat_map(|pattern| [vec![pattern.clone()], usual(pattern)].concat()).collect()
        };
        Self { count: self.count, include: resolve(&self.include), exclude: resolve(&self.exclude) }
    }

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
    /// Whether it may match more than one name.
    pub fn is_open(&self) -> bool {
        self.0.contains('*')
    }

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
    fn a_name_of_an_interface_stands_for_all_its_names() {
        let names = [(2, vec!["eth0".to_owned(), "enp3s0".to_owned()]), (3, vec!["eth1".to_owned()])];
        let pattern = |text: &str| vec![text.parse::<NamePattern>().unwrap()];
        let check = |text: &str, included: [bool; 2]| {
            let choice = Choice { include: pattern(text), ..Choice::default() }.resolved(&names);
            assert_eq!(["eth0", "eth1"].map(|name| choice.overrides(name).is_some()), included, "{text}");
        };
        check("enp3s0", [true, false]);
        check("enp*", [true, false]);
        check("eth1", [false, true]);
        check("e*", [true, true]);
        check("wlan0", [false, false]);
    }

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
