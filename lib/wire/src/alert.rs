//! What an alert rule found: `tidemap.v1.alert.<change>.<rule>`, and what `/api/alerts` lists.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Some of what a rule found at once, as people and programs are notified of it.
///
/// One site that drops is one notice with twenty alerts, not twenty notices. A notice that is delivered again
/// has the same id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertNotice {
    /// Identifies the notice, on every channel and at every attempt.
    pub id: String,
    /// What happened to the alerts.
    pub change: AlertChange,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// The rule's name.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// The first alerts, at most [`AlertNotice::MAX_ALERTS`].
    pub alerts: Vec<Alert>,
    /// How many alerts there are in all.
    pub count: u32,
}

impl AlertNotice {
    /// The most alerts that a notice lists. `count` says how many there are.
    pub const MAX_ALERTS: usize = 20;
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertChange {
    /// Its condition has held for as long as the rule demands.
    Fired,
    /// It is still firing.
    Repeated,
    /// Its condition no longer holds.
    Resolved,
    /// Nothing: somebody tries a channel.
    Test,
}

impl AlertChange {
    /// As it is written in messages and subjects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for AlertChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody must act.
    Critical,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its condition holds, but not yet for as long as the rule demands.
    Pending,
    /// It is firing.
    Firing,
    /// It is over.
    Resolved,
}

/// One rule's finding about one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Identifies this firing: it stays the same until the alert is resolved, and no other has it.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub target: AlertTarget,
    /// Where it stands.
    pub state: AlertState,
    /// The condition in words, without the target: `download 941 Mbit/s for 5 min (limit 900 Mbit/s)`.
    pub summary: String,
    /// The metric's value when this was written, in the rule's unit; absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The value farthest beyond the threshold since the condition holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<f64>,
    /// The rule's threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// What value, peak and threshold are measured in: `bps` (bytes per second), `percent`, `ms`, `s`,
    /// `bytes`, `celsius`, or empty for a number of things.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Since when the condition holds: broker time, Unix milliseconds.
    pub since_ms: i64,
    /// When it fired; absent while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_ms: Option<i64>,
    /// When it was resolved; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_ms: Option<i64>,
    /// Until when nobody is notified of it, because somebody silenced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_until_ms: Option<i64>,
    /// Of a plan, when the cycle ends in which it fires: Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_ms: Option<i64>,
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTarget {
    /// What kind of thing.
    pub kind: TargetKind,
    /// A node's id, a group as `location=Berlin`, `provider=…` or `label:site=fra`, a partition's number, a
    /// worker's id, a plan's name (`transit@80` for one of its thresholds); empty for the fleet and the
    /// broker.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// A node's labels, and its place and provider as `location` and `provider`: routes choose by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The kinds of [`AlertTarget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// One node.
    Node,
    /// The nodes of one place, provider or value of a label.
    Group,
    /// All nodes.
    Fleet,
    /// A partition of the fleet.
    Partition,
    /// An ingest worker.
    Worker,
    /// The broker.
    Broker,
    /// A plan of `traffic.toml`.
    Plan,
}
