//! Rules, as a file declares them.

mod calendar;
mod dependencies;
mod filter;
mod measure;
mod plans;
mod read;
mod test;
mod words;

use tidemap_traffic::Direction;
use tidemap_wire::Severity;

pub(crate) use self::{
    calendar::{Calendar, MaintenanceToml, QuietToml, read as read_calendar},
    filter::{Filter, GroupKey, Per},
    measure::{Measure, Share, Subject},
    read::{RuleToml, read},
    test::{Comparison, Test, Verdict},
};
use crate::quantity::Shown;

/// What is judged, and when nobody is notified.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// In the order of the file; their names differ.
    pub(crate) rules: Vec<Rule>,
    /// Quiet hours and maintenance.
    pub(crate) calendar: Calendar,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// How much its alerts matter.
    pub severity: Severity,
    pub(crate) signal: Signal,
    pub(crate) filter: Filter,
    pub(crate) per: Per,
    /// The plan whose traffic it judges; all of them unless given.
    pub(crate) plan: Option<String>,
    /// `None`: the plan's own thresholds.
    pub(crate) test: Option<Test>,
    pub(crate) shown: Shown,
    pub(crate) for_ms: i64,
    pub(crate) keep_firing_ms: i64,
    pub(crate) no_data: NoData,
    pub(crate) repeat: Repeat,
    pub(crate) grouping: NoticeGroup,
    /// Places in [`Rules::rules`].
    pub(crate) depends_on: Vec<usize>,
}

/// What a rule measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Signal {
    pub(crate) measure: Measure,
    pub(crate) direction: Direction,
    /// Milliseconds; 0 is the newest value.
    pub(crate) window_ms: i64,
    pub(crate) aggregate: Aggregate,
}

/// What becomes of the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Mean,
    Max,
    Min,
}

/// What holds while a value is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoData {
    /// The condition does not hold.
    Ignore,
    /// It holds.
    Fire,
    /// What held before.
    Keep,
}

/// When people are notified again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Off,
    /// At this distance, milliseconds.
    Every(i64),
    /// First after so many milliseconds, then after twice the time, up to a day.
    Doubling(i64),
}

/// Which alerts are notified of together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoticeGroup {
    /// Those of targets with one place, provider or value of a label.
    By(GroupKey),
    /// All of the rule.
    Rule,
    /// Each alone.
    Alone,
}

/// The longest window that workers or this engine keep; beyond it, the history is asked.
pub(crate) const LIVE_WINDOW_MS: i64 = 15 * 60_000;
const DAY_MS: i64 = 86_400_000;

impl Signal {
    /// Whether only the history knows its values.
    pub(crate) fn is_of_history(&self) -> bool {
        self.window_ms > LIVE_WINDOW_MS && !matches!(self.measure, Measure::Counter(_))
    }
}

impl Repeat {
    /// Milliseconds from a notice to the next, after so many repeats.
    pub(crate) fn wait_ms(self, repeats: u32) -> Option<i64> {
        match self {
            Self::Off => None,
            Self::Every(ms) => Some(ms),
            Self::Doubling(ms) => Some(ms.saturating_mul(1 << repeats.min(20)).min(DAY_MS.max(ms))),
        }
    }
}

impl Rules {
    /// The rules, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The names of rules whose windows only the history knows.
    pub fn of_history(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.signal.is_of_history()).map(|rule| rule.name.as_str())
    }

    /// Each rule in words: a line of its name and what it means.
    pub fn words(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.words(self)).collect()
    }

    /// The rule of this name.
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// This rule alone, without what holds notices back: as it is tried against the past.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<Self> {
        let mut rule = self.named(name)?.clone();
        rule.depends_on.clear();
        Some(Self { rules: vec![rule], calendar: Calendar::default() })
    }

    /// No rules.
    pub fn none() -> Self {
        Self { rules: Vec::new(), calendar: Calendar::default() }
    }
}

/// Where there is no file: every node that is offline.
impl Default for Rules {
    fn default() -> Self {
        Self { rules: vec![Rule::offline()], calendar: Calendar::default() }
    }
}
