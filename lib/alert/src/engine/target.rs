//! What alerts are about, and what goes on there.

use std::{collections::BTreeMap, sync::Arc};

use tidemap_wire::{Alert, AlertState, AlertTarget, Hello, NodeId, Status, TargetKind};

use super::{
    episode::{Due, Episode},
    group::{Contribution, Sum},
    ids,
    memory::Memory,
    values::Carried,
};
use crate::{
    quantity::{Quantity, Shown},
    rules::{Measure, Rule, Rules, Test},
};

/// Something that rules are about.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) about: AlertTarget,
    pub(super) body: Body,
    /// What goes on, by rule.
    pub(super) entries: Vec<Entry>,
    /// The place in the queue of what is due.
    pub(super) due_ms: Option<i64>,
    /// Whether it was heard of since the engine began.
    pub(super) is_seen: bool,
    /// Whether it no longer exists, and only waits for notices to be sent.
    pub(super) is_gone: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Node(Box<NodeState>),
    Group(Box<Sum>),
    Plan(Box<PlanState>),
    Other,
}

/// What is kept of a plan.
#[derive(Clone, Debug, Default)]
pub(super) struct PlanState {
    /// The limit of its own that this target stands for, and how values beside it are shown.
    pub(super) own: Option<(Test, Shown)>,
    /// When its cycle ends, Unix milliseconds.
    pub(super) resets_ms: Option<i64>,
    /// The same for people: `resets 1 June 00:00 Europe/Zurich`.
    pub(super) resets: Option<String>,
    /// When its quota will be used up: `used up on 23 May`.
    pub(super) used_up: Option<String>,
}

/// What is kept of a node.
#[derive(Clone, Debug)]
pub(super) struct NodeState {
    pub(super) id: NodeId,
    pub(super) hello: Option<Arc<Hello>>,
    pub(super) carried: Option<Carried>,
    /// `None` before the node was heard of.
    pub(super) class: Option<u32>,
    pub(super) status: Status,
    pub(super) memories: Vec<Memory>,
    /// By the places of those of the class's uses that are part of sums.
    pub(super) contributions: Vec<Contribution>,
}

/// What goes on between a rule and a target.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) rule: u32,
    pub(super) episode: Option<Episode>,
    /// An alert that was resolved, of which people will be notified when quiet hours end.
    pub(super) untold: Option<Alert>,
}

impl Target {
    pub(super) fn new(about: AlertTarget, body: Body) -> Self {
        Self { about, body, entries: Vec::new(), due_ms: None, is_seen: false, is_gone: false }
    }

    /// Whether it was heard of, and still is.
    pub(super) fn is_heard(&self) -> bool {
        let is_unknown = matches!(&self.body, Body::Node(node) if node.status == Status::Unknown);
        self.is_seen && !is_unknown
    }

    pub(super) fn entry(&self, rule: u32) -> Option<&Entry> {
        self.entries.binary_search_by_key(&rule, |entry| entry.rule).ok().map(|place| &self.entries[place])
    }

    pub(super) fn entry_mut(&mut self, rule: u32) -> Option<&mut Entry> {
        let place = self.entries.binary_search_by_key(&rule, |entry| entry.rule).ok()?;
        Some(&mut self.entries[place])
    }

    /// The entry of a rule, which is made if there is none.
    pub(super) fn made_entry(&mut self, rule: u32) -> &mut Entry {
        let place = match self.entries.binary_search_by_key(&rule, |entry| entry.rule) {
            Ok(place) => place,
            Err(place) => {
                self.entries.insert(place, Entry { rule, episode: None, untold: None });
                place
            }
        };
        &mut self.entries[place]
    }

    pub(super) fn drop_empty(&mut self) {
        self.entries.retain(|entry| entry.episode.is_some() || entry.untold.is_some());
    }

    /// When the first of its entries has something due.
    pub(super) fn next_due(&self, rules: &Rules) -> Option<i64> {
        let due = |entry: &Entry| entry.episode.as_ref()?.due(&rules.rules[entry.rule as usize]);
        self.entries.iter().filter_map(due).map(|(at_ms, _)| at_ms).min()
    }

    /// The first thing that is due by then: its rule, moment and kind. Repeats are not among them.
    pub(super) fn take_due(&self, rules: &Rules, until_ms: i64) -> Option<(u32, i64, Due)> {
        let due = |entry: &Entry| {
            let (at_ms, due) = entry.episode.as_ref()?.due(&rules.rules[entry.rule as usize])?;
            (due != Due::Repeat && at_ms <= until_ms).then_some((entry.rule, at_ms, due))
        };
        self.entries.iter().filter_map(due).min_by_key(|(_, at_ms, _)| *at_ms)
    }

    /// What a rule demands of this target; `None` where neither says it.
    pub(super) fn test(&self, rule: &Rule) -> Option<Test> {
        match &self.body {
            Body::Plan(plan) => rule.test.or(plan.own.as_ref().map(|(test, _)| *test)),
            _ => rule.test,
        }
    }

    pub(super) fn alert(&self, rule: &Rule, episode: &Episode, state: AlertState) -> Alert {
        let test = self.test(rule);
        let is_truth = rule.shown.quantity == Quantity::Truth;
        let threshold = test.map(|test| test.threshold).filter(|_| !is_truth);
        let worst =
            if state == AlertState::Resolved { episode.peak.or(episode.value) } else { episode.value };
        let for_ms = if state == AlertState::Pending { 0 } else { rule.for_ms };
        let shown = match &self.body {
            Body::Plan(plan) if rule.test.is_none() => plan.own.as_ref().map(|(_, shown)| shown),
            _ => None,
        };
        let mut summary = rule.summary(worst, threshold, for_ms, shown.unwrap_or(&rule.shown));
        if let (Measure::Rate, Some(carried), Some(value)) = (rule.signal.measure, self.carried(), worst) {
            let of_link = super::values::of_link(rule.signal.direction, value, carried);
            let is_upward = test.is_some_and(|test| test.comparison.is_upward());
            if let Some(percent) = of_link.filter(|_| is_upward) {
                summary = format!("{summary}, {percent:.0} % of link");
            }
        }
        let plan = match &self.body {
            Body::Plan(plan) if state != AlertState::Resolved => Some(plan),
            _ => None,
        };
        let used_up = plan.filter(|_| rule.signal.measure == Measure::Forecast);
        let used_up = used_up.and_then(|plan| plan.used_up.as_ref());
        for part in used_up.into_iter().chain(plan.and_then(|plan| plan.resets.as_ref())) {
            summary = format!("{summary} · {part}");
        }
        Alert {
            id: ids::alert(&rule.name, &self.about, episode.since_ms),
            rule: rule.name.clone(),
            severity: rule.severity,
            target: self.about.clone(),
            state,
            summary,
            value: episode.value.filter(|_| !is_truth),
            peak: episode.peak.filter(|_| !is_truth),
            threshold,
            unit: rule.shown.quantity.unit().to_owned(),
            since_ms: episode.since_ms,
            fired_ms: episode.fired_ms,
            resolved_ms: None,
            silenced_until_ms: None,
            resets_ms: plan.and_then(|plan| plan.resets_ms),
        }
    }

    fn carried(&self) -> Option<Carried> {
        match &self.body {
            Body::Node(node) => node.carried,
            _ => None,
        }
    }
}

impl NodeState {
    pub(super) fn new(id: NodeId) -> Self {
        Self {
            id,
            hello: None,
            carried: None,
            class: None,
            status: Status::Unknown,
            memories: Vec::new(),
            contributions: Vec::new(),
        }
    }
}

/// A node, as alerts name it.
pub(super) fn node_target(id: &NodeId, hello: Option<&Hello>) -> AlertTarget {
    let text = id.text();
    let given = hello.and_then(|hello| hello.display_name.clone()).filter(|name| !name.is_empty());
    let mut labels = hello.map(|hello| hello.labels.clone()).unwrap_or_default();
    let location = hello.and_then(|hello| hello.location.as_ref()?.label.clone());
    labels.extend(location.map(|location| ("location".to_owned(), location)));
    labels.extend(
        hello.and_then(|hello| hello.provider.clone()).map(|provider| ("provider".to_owned(), provider)),
    );
    AlertTarget { kind: TargetKind::Node, name: given.unwrap_or_else(|| text.clone()), id: text, labels }
}

/// Something without labels.
pub(super) fn other_target(kind: TargetKind, id: &str, name: &str) -> AlertTarget {
    AlertTarget { kind, id: id.to_owned(), name: name.to_owned(), labels: BTreeMap::new() }
}
