//! What somebody has silenced: alerts of which nobody is notified until a moment.

use serde::{Deserialize, Serialize};

use crate::{AlertTarget, TargetKind, bounds};

/// Holds the notices of some alerts back until a moment, because somebody knows about them. An alert is
/// silenced if all that is given fits it; with nothing given and without `all`, none is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// A rule's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// A node's id, as in [`AlertTarget::id`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The place of nodes, or of a group of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Their provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// A label of theirs: `NAME=VALUE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// One firing, by its alert's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// All alerts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// When it was made or last changed: broker time, Unix milliseconds.
    pub made_ms: i64,
    /// When it ends, likewise.
    pub until_ms: i64,
    /// Who made it.
    pub who: String,
    /// Why.
    pub why: String,
}

impl Silence {
    /// The most that there are at a time.
    pub const MAX: usize = 200;
    /// The longest time that one lasts: it is meant to end.
    pub const MAX_MS: i64 = 366 * 24 * 3_600_000;
    /// The longest text of who or what is silenced, in bytes: a label's name and value.
    pub const MAX_NAME_BYTES: usize = 2 * bounds::TEXT_BYTES + 1;
    /// The longest reason, in bytes.
    pub const MAX_WHY_BYTES: usize = 500;

    /// Whether it fits an alert of `rule` about `target`, at whatever time. `id` is the alert's.
    pub fn covers(&self, rule: &str, target: &AlertTarget, id: impl FnOnce() -> String) -> bool {
        let is_labelled = |name: &str, value: &str| target.labels.get(name).is_some_and(|of| of == value);
        let has =
            |name: &str, value: &Option<String>| value.as_ref().is_none_or(|value| is_labelled(name, value));
        (self.all || self.names_any())
            && self.rule.as_ref().is_none_or(|name| name == rule)
            && self.node.as_ref().is_none_or(|node| target.kind == TargetKind::Node && target.id == *node)
            && has("location", &self.location)
            && has("provider", &self.provider)
            && self.label.as_ref().is_none_or(|label| {
                label.split_once('=').is_some_and(|(name, value)| is_labelled(name, value))
            })
            && self.alert.as_ref().is_none_or(|alert| *alert == id())
    }

    /// Whether it says which alerts.
    pub fn names_any(&self) -> bool {
        let named = [&self.rule, &self.node, &self.location, &self.provider, &self.label, &self.alert];
        named.iter().any(|name| name.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn target(kind: TargetKind, id: &str, labels: &[(&str, &str)]) -> AlertTarget {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        AlertTarget { kind, id: id.to_owned(), name: id.to_owned(), labels: labels.collect() }
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let node = target(
            TargetKind::Node,
            "web-01.example",
            &[("site", "fra"), ("eq", "a=b"), ("location", "Frankfurt"), ("provider", "Hetzner")],
        );
        let group = target(TargetKind::Group, "location=Frankfurt", &[("location", "Frankfurt")]);
        let fleet = target(TargetKind::Fleet, "", &[]);
        let given = |json: &str| -> Silence {
            let mut fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap();
            for name in ["made_ms", "until_ms"] {
                fields.insert(name.to_owned(), 1.into());
            }
            for name in ["who", "why"] {
                fields.insert(name.to_owned(), "x".into());
            }
            serde_json::from_value(serde_json::to_value(fields).unwrap()).unwrap()
        };
        for (json, covered) in [
            ("{}", [false, false, false]),
            (r#"{"all": true}"#, [true, true, true]),
            (r#"{"rule": "busy"}"#, [true, true, true]),
            (r#"{"rule": "other"}"#, [false, false, false]),
            (r#"{"node": "web-01.example"}"#, [true, false, false]),
            (r#"{"node": "web-01"}"#, [false, false, false]),
            (r#"{"location": "Frankfurt"}"#, [true, true, false]),
            (r#"{"provider": "Hetzner"}"#, [true, false, false]),
            (r#"{"label": "site=fra"}"#, [true, false, false]),
            (r#"{"label": "eq=a=b"}"#, [true, false, false]),
            (r#"{"label": "site"}"#, [false, false, false]),
            (r#"{"label": "site=fra", "rule": "other"}"#, [false, false, false]),
            (r#"{"alert": "7"}"#, [true, true, true]),
            (r#"{"alert": "8"}"#, [false, false, false]),
        ] {
            let silence = given(json);
            let is = [&node, &group, &fleet].map(|about| silence.covers("busy", about, || "7".to_owned()));
            assert_eq!(is, covered, "{json}");
        }
    }
}
