//! `GET /api/alerts` and `GET /api/alerts/silences`.

use serde::{Deserialize, Serialize};

use crate::{Alert, Silence};

/// What alert rules have found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertsJson {
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// The station that judges; null while none is heard.
    pub evaluator: Option<EvaluatorJson>,
    /// What the operator should know about the rules.
    pub warnings: Vec<String>,
    /// How many alerts there are, before `limit`.
    pub counts: AlertCountsJson,
    /// What fires: the worst first, then the newest.
    pub firing: Vec<Alert>,
    /// What would fire soon, if `state=pending` asks for it.
    pub pending: Vec<Alert>,
    /// What is over, the newest first.
    pub log: Vec<Alert>,
}

/// The station that judges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluatorJson {
    /// Its id, another one whenever it is started.
    pub id: String,
    /// Since when it judges, Unix milliseconds.
    pub since_ms: i64,
    /// How many rules it judges.
    pub rules: u32,
    /// Whether it hears the whole fleet.
    pub is_hearing: bool,
}

/// How many alerts there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCountsJson {
    /// That fire.
    pub firing: u64,
    /// That would fire soon.
    pub pending: u64,
    /// That are over.
    pub log: u64,
}

/// What is silenced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilencesJson {
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// The silences that go on: the first to end comes first.
    pub silences: Vec<SilenceJson>,
}

/// A silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceJson {
    /// Its id.
    pub id: String,
    /// Which alerts, until when, and who wants it why; that is empty on a public page.
    #[serde(flatten)]
    pub silence: Silence,
    /// How many alerts that fire now it is about.
    pub firing: u64,
}
