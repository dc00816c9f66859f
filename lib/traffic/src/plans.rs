//! The file that declares which nodes are billed how: `traffic.toml`.

mod file;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::{Direction, FileError, Quota, Rate, Schedule, Unit, Zone};

/// All that a file declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Plans {
    /// By which clocks months begin unless something else is said.
    pub zone: Zone,
    /// In the order of the file; their names differ.
    pub plans: Vec<Plan>,
}

/// How some nodes are billed together.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Which nodes.
    pub scope: Scope,
    /// When a new cycle begins.
    pub schedule: Schedule,
    /// By which clocks moments are shown.
    pub zone: Zone,
    /// Which bytes count, if that was said.
    pub direction: Option<Direction>,
    /// How much a cycle may use, and the unit in which it was written.
    pub quota: Option<(Quota, Unit)>,
    /// What the provider counted beyond what was measured, or less.
    pub corrections: Vec<Correction>,
    /// Whether the 95th percentile is billed.
    pub p95: bool,
    /// The rate that is agreed for the 95th percentile.
    pub commit: Option<Rate>,
}

/// Whose traffic is summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// That of all nodes.
    Fleet,
    /// That of the nodes of these names.
    Nodes(Vec<String>),
    /// That of the nodes in one place.
    Location(String),
    /// That of one provider's nodes.
    Provider(String),
    /// That of the nodes with one value of a label: name and value.
    Label(String, String),
}

/// Bytes that count in the cycle in which a moment lies, beside what was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// A moment of the cycle, Unix milliseconds.
    pub at_ms: i64,
    /// Bytes, possibly less than none.
    pub bytes: i64,
}

impl Plans {
    /// No plans: months are those of UTC.
    pub fn none() -> Self {
        Self { zone: Zone::UTC, plans: Vec::new() }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// When it is not one; says where and why.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        file::parse(text)
    }

    /// The plan of this name.
    pub fn named(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }
}

impl Plan {
    /// Which bytes a quota counts: both directions unless something else is said.
    pub fn quota_direction(&self) -> Direction {
        self.direction.unwrap_or(Direction::Both)
    }

    /// Which percentile is billed: the larger one unless something else is said.
    pub fn p95_direction(&self) -> Direction {
        self.direction.unwrap_or(Direction::Larger)
    }

    /// The sum of the corrections of one period.
    pub fn correction(&self, period: crate::Period) -> i64 {
        let those = self.corrections.iter().filter(|correction| period.contains(correction.at_ms));
        those.fold(0, |sum, correction| sum.saturating_add(correction.bytes))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("the fleet"),
            Self::Nodes(nodes) => f.write_str(&nodes.join(", ")),
            Self::Location(value) => write!(f, "location {value}"),
            Self::Provider(value) => write!(f, "provider {value}"),
            Self::Label(name, value) => write!(f, "label {name}={value}"),
        }
    }
}
