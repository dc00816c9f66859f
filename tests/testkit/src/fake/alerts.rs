//! Made-up alerts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidemap_wire::{Alert, AlertState, AlertTarget, Severity, TargetKind};

use super::request::Request;

/// What fires and what did, as the API tells it.
#[derive(Clone, Debug, Default)]
pub struct FakeAlerts {
    /// How many rules are watched; nobody watches when absent.
    pub rules: Option<u64>,
    /// What the station has to say.
    pub warnings: Vec<String>,
    /// What fires, in the order of the answer.
    pub firing: Vec<Alert>,
    /// What is over, newest first.
    pub log: Vec<Alert>,
}

impl FakeAlerts {
    /// An alert about a node that began so many seconds before a moment, Unix milliseconds.
    pub fn about(node: &str, at_ms: i64, ago_s: i64) -> Alert {
        let since_ms = at_ms - ago_s * 1000;
        Alert {
            id: format!("{node}-{ago_s}"),
            rule: "nodes".to_owned(),
            severity: Severity::Warning,
            target: AlertTarget {
                kind: TargetKind::Node,
                id: node.to_owned(),
                name: node.to_owned(),
                labels: BTreeMap::new(),
            },
            state: AlertState::Firing,
            summary: "offline".to_owned(),
            value: None,
            peak: None,
            threshold: None,
            unit: String::new(),
            since_ms,
            fired_ms: Some(since_ms),
            resolved_ms: None,
            silenced_until_ms: None,
            resets_ms: None,
        }
    }

    /// The same when it was over after so many seconds.
    pub fn over(alert: Alert, after_s: i64) -> Alert {
        Alert { state: AlertState::Resolved, resolved_ms: Some(alert.since_ms + after_s * 1000), ..alert }
    }

    /// The stream's event.
    pub(super) fn counts(&self, at_ms: i64) -> Value {
        json!({
            "at_ms": at_ms, "firing": self.firing.len(), "pending": 0, "evaluator": self.rules.is_some(),
            "warnings": self.warnings.len(), "changed_ms": at_ms,
        })
    }

    pub(super) fn answer(&self, at_ms: i64, request: &Request) -> Value {
        let node = request.query("node");
        let limit = |name: &str| request.query(name).and_then(|limit| limit.parse::<usize>().ok());
        let chosen = |alerts: &[Alert]| -> Vec<Alert> {
            alerts
                .iter()
                .filter(|alert| node.as_ref().is_none_or(|node| alert.target.id == *node))
                .cloned()
                .collect()
        };
        let first = |alerts: Vec<Alert>, limit: usize| alerts.into_iter().take(limit).collect::<Vec<_>>();
        let (firing, log) = (chosen(&self.firing), chosen(&self.log));
        let most = limit("limit").unwrap_or(200);
        let is_asked = |state: &str| request.query("state").is_none_or(|asked| asked == state);
        json!({
            "at_ms": at_ms,
            "evaluator": self.rules.map(|rules| json!({ "id": "alerts-1", "since_ms": at_ms - 60_000, "rules": rules, "is_hearing": true })),
            "warnings": self.warnings,
            "counts": { "firing": firing.len(), "pending": 0, "log": log.len() },
            "firing": first(firing, if is_asked("firing") { most } else { 0 }),
            "pending": [],
            "log": first(log, if is_asked("resolved") { most } else { 0 }),
        })
    }
}
