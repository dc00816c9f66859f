//! Alerts for tests.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use tidemap_client::{AlertBucket, AlertUpdate, Audience, record_key};
use tidemap_wire::{Alert, AlertChange, AlertState, AlertTarget, Severity, TargetKind};

pub(crate) fn target(node: &str) -> AlertTarget {
    AlertTarget {
        kind: TargetKind::Node,
        id: node.to_owned(),
        name: node.to_owned(),
        labels: BTreeMap::new(),
    }
}

/// A change of the alert `offline` of a node, with everybody as its audience.
pub(crate) fn update(node: &str, change: AlertChange, since_ms: i64) -> AlertUpdate {
    let is_over = change == AlertChange::Resolved;
    let alert = Alert {
        id: format!("{node}-{since_ms}"),
        rule: "offline".to_owned(),
        severity: Severity::Warning,
        target: target(node),
        state: if is_over { AlertState::Resolved } else { AlertState::Firing },
        summary: "offline".to_owned(),
        value: None,
        peak: None,
        threshold: None,
        unit: String::new(),
        since_ms,
        fired_ms: Some(since_ms),
        resolved_ms: is_over.then_some(since_ms + 1),
        silenced_until_ms: None,
        resets_ms: None,
    };
    let standing = (!is_over).then(|| json!({ "alert": alert, "change": change }));
    AlertUpdate { alert, change, audience: Audience { programs: true, people: true }, standing }
}

/// The key of that alert.
pub(crate) fn key(node: &str) -> String {
    record_key("offline", &target(node)).unwrap()
}

pub(crate) fn put(bucket: &mut AlertBucket, key: &str, value: &impl Serialize, revision: u64) {
    bucket.note(key, Some(&serde_json::to_vec(value).unwrap()), revision);
}
