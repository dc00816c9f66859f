//! Routes: which notices go to which channels.

use std::collections::BTreeMap;

use serde::Deserialize;
use tidemap_traffic::document::{Checked, problem};
use tidemap_wire::{AlertChange, AlertNotice, Severity};
use toml::Spanned;

use super::Channels;

/// Some notices, and where they go. What is not said holds for every notice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    channels: Vec<String>,
    /// The least severity.
    severity: Severity,
    changes: Option<Vec<AlertChange>>,
    rules: Option<Vec<String>>,
    /// All of them, on one alert of the notice.
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteToml {
    channels: Spanned<Vec<String>>,
    severity: Option<Severity>,
    changes: Option<Spanned<Vec<AlertChange>>>,
    rules: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl RouteToml {
    pub(crate) fn read(
        &self,
        table: &Spanned<Self>,
        channels: &Channels,
        is_rule: impl Fn(&str) -> bool,
    ) -> Checked<Route> {
        channels.check("channels", &self.channels)?;
        if let Some(names) = &self.rules
            && let Some(name) = names.get_ref().iter().find(|name| !is_rule(name))
        {
            return Err(problem(names, format!("rules: there is no rule {name}")));
        }
        let is_empty = self.channels.get_ref().is_empty()
            || self.changes.as_ref().is_some_and(|changes| changes.get_ref().is_empty())
            || self.rules.as_ref().is_some_and(|rules| rules.get_ref().is_empty());
        if is_empty {
            return Err(problem(table, "a list is empty, so the route leads nowhere".to_owned()));
        }
        Ok(Route {
            channels: self.channels.get_ref().clone(),
            severity: self.severity.unwrap_or(Severity::Info),
            changes: self.changes.as_ref().map(|changes| changes.get_ref().clone()),
            rules: self.rules.as_ref().map(|rules| rules.get_ref().clone()),
            labels: self.labels.clone(),
        })
    }
}

impl Route {
    pub(crate) fn names(&self, channel: &str) -> bool {
        self.channels.iter().any(|name| name == channel)
    }

    pub(crate) fn takes(&self, notice: &AlertNotice) -> bool {
        let has_labels = |labels: &BTreeMap<String, String>| {
            self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
        };
        notice.severity >= self.severity
            && self.changes.as_ref().is_none_or(|changes| changes.contains(&notice.change))
            && self.rules.as_ref().is_none_or(|rules| rules.contains(&notice.rule))
            && (self.labels.is_empty() || notice.alerts.iter().any(|alert| has_labels(&alert.target.labels)))
    }
}
