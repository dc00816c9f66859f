//! The engine: judges rules as facts come in. Pure: time is an argument, Unix milliseconds of the broker's
//! clock.
//!
//! Facts are applied as they come ([`Engine::observe`]); [`Engine::judge`] says what changed up to a moment.
//! What fires, and when, is a function of the facts and their times, not of how often it is judged. A rule
//! and a target have at most one [`episode`] at a time.

mod asking;
mod episode;
mod facts;
mod group;
mod holding;
mod ids;
mod index;
mod judging;
mod membership;
mod memory;
mod observing;
mod plans;
mod standing;
mod target;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidemap_wire::{Alert, AlertChange, AlertState, AlertTarget, NodeId, Silence, TargetKind};

use self::{
    episode::Episode,
    index::Index,
    judging::Change,
    target::{Body, Entry, NodeState, PlanState, Target},
};
pub use self::{
    facts::{NodeFacts, PartitionFacts, PastRates, PlanFacts, PlanStanding, SystemFacts, Want},
    standing::{AlertStanding, ClearSince, Ending, Hold, Transition},
};
use crate::rules::Rules;

/// Judges rules.
#[derive(Debug)]
pub struct Engine {
    rules: Rules,
    index: Index,
    /// A target keeps its place while anything goes on there; places are used again.
    targets: Vec<Option<Target>>,
    free: Vec<u32>,
    nodes: HashMap<NodeId, u32>,
    /// Groups by their sum and key.
    groups: HashMap<(u32, String), u32>,
    /// Partitions, plans and the broker.
    others: BTreeMap<(TargetKind, String), u32>,
    /// When something is due, and of which target.
    due: BTreeSet<(i64, u32)>,
    /// Groups with a sum that has changed.
    changed_groups: BTreeSet<u32>,
    /// Changes since they were last said, in the order in which they happened. Bounded by the number of facts
    /// between two judgements.
    changes: Vec<Change>,
    /// What was ended while the engine was made, to be said at once.
    ready: Vec<Transition>,
    /// Targets and rules with something that people are not notified of yet.
    waiting: BTreeSet<(u32, u32)>,
    /// By rule: how many episodes go on.
    active: Vec<u32>,
    silences: Vec<Silence>,
    /// Whether all nodes have been observed, so that sums are whole.
    is_complete: bool,
    timers_version: u64,
    /// Where the next questions to the history begin.
    cursor: u32,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounts {
    /// Rules.
    pub rules: usize,
    /// Nodes.
    pub nodes: usize,
    /// Alerts whose condition does not hold for long enough yet.
    pub pending: usize,
    /// Alerts that fire.
    pub firing: usize,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        let active = vec![0; rules.rules.len()];
        Self {
            index: Index::new(&rules),
            rules,
            targets: Vec::new(),
            free: Vec::new(),
            nodes: HashMap::new(),
            groups: HashMap::new(),
            others: BTreeMap::new(),
            due: BTreeSet::new(),
            changed_groups: BTreeSet::new(),
            changes: Vec::new(),
            ready: Vec::new(),
            waiting: BTreeSet::new(),
            active,
            silences: Vec::new(),
            is_complete: false,
            timers_version: 0,
            cursor: 0,
        }
    }

    /// The rules that it judges.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Goes on with what another evaluator left, which was last alive at `judged_ms`. An alert stays as it is
    /// until its target is observed. Alerts whose rule is gone are resolved.
    pub fn restore(&mut self, judged_ms: i64, standings: Vec<AlertStanding>) {
        for standing in standings {
            let name = &standing.alert.rule;
            match self.rules.rules.iter().position(|rule| rule.name == *name) {
                Some(rule) => self.take_over(rule as u32, judged_ms, &standing),
                None => self.end_without_rule(judged_ms, standing),
            }
        }
    }

    /// Judges other rules from now on. A rule of the same name that measures the same keeps its alerts; other
    /// alerts are resolved. Afterwards everything must be observed again, and [`Engine::complete`] called.
    pub fn reload(&mut self, now_ms: i64, rules: Rules) {
        // What happened under the rules before is said under them.
        let said = self.judge(now_ms);
        let standings = self.standings(|_| true);
        let before = std::mem::replace(self, Self::new(rules));
        self.silences = before.silences;
        self.ready = said;
        self.timers_version = before.timers_version + 1;
        for standing in standings {
            let name = &standing.alert.rule;
            let (old, new) = (before.rules.named(name), self.rules.named(name));
            let is_same = old.zip(new).is_some_and(|(old, new)| {
                let direction = |rule: &crate::Rule| rule.test.map(|test| test.comparison.is_upward());
                old.signal.measure == new.signal.measure
                    && old.signal.direction == new.signal.direction
                    && old.per == new.per
                    && direction(old) == direction(new)
            });
            match self.rules.rules.iter().position(|rule| is_same && rule.name == *name) {
                Some(rule) => self.take_over(rule as u32, now_ms, &standing),
                None => self.end_without_rule(now_ms, standing),
            }
        }
    }

    /// Replaces all silences.
    pub fn set_silences(&mut self, silences: Vec<Silence>) {
        self.silences = silences;
    }

    /// Takes what another evaluator has stored of a rule and a target instead of what is known here. Says
    /// nothing of it.
    pub fn adopt(&mut self, now_ms: i64, rule: &str, about: &AlertTarget, standing: Option<AlertStanding>) {
        let Some(place) = self.rules.rules.iter().position(|known| known.name == *rule) else { return };
        let place = place as u32;
        if let Some(target) = self.find(place, about) {
            self.remove_entry(target, place);
            self.changes.retain(|change| !change.is_of(target, place));
        }
        let Some(standing) = standing.filter(|standing| standing.alert.rule == rule) else { return };
        self.take_over(place, now_ms, &standing);
        let Some(target) = self.find(place, about) else { return };
        let known = self.targets[target as usize].as_mut().filter(|known| known.is_heard());
        if let Some(episode) = known.and_then(|known| known.entry_mut(place)?.episode.as_mut()) {
            // A target that does not change is not observed again.
            episode.go_on();
            self.schedule(target);
        }
    }

    /// Alerts whose condition does not hold for long enough yet.
    pub fn pending(&self) -> Vec<AlertStanding> {
        self.standings(|entry| entry.episode.as_ref().is_some_and(|one| one.fired_ms.is_none()))
    }

    /// Alerts that fire on although their condition is over.
    pub fn clear(&self) -> Vec<AlertStanding> {
        let is_clear = |one: &Episode| one.fired_ms.is_some() && one.clear_ms.is_some();
        self.standings(|entry| entry.episode.as_ref().is_some_and(is_clear))
    }

    /// Another number whenever [`Engine::pending`] or [`Engine::clear`] may be different.
    pub fn timers_version(&self) -> u64 {
        self.timers_version
    }

    /// Alerts that fire, and those of whose end people are not notified yet.
    pub fn firing(&self) -> Vec<AlertStanding> {
        self.standings(|entry| entry.episode.as_ref().is_none_or(|one| one.fired_ms.is_some()))
    }

    /// Alerts that are pending or fire, with their present values.
    pub fn alerts(&self) -> impl Iterator<Item = Alert> {
        let targets = self.targets.iter().flatten();
        targets.flat_map(|target| target.entries.iter().map(move |entry| (target, entry))).filter_map(
            |(target, entry)| {
                let rule = &self.rules.rules[entry.rule as usize];
                let episode = entry.episode.as_ref()?;
                let state = if episode.fired_ms.is_some() { AlertState::Firing } else { AlertState::Pending };
                let mut alert = target.alert(rule, episode, state);
                alert.silenced_until_ms = self.silenced_until(&alert);
                Some(alert)
            },
        )
    }

    /// How much there is.
    pub fn counts(&self) -> EngineCounts {
        let mut counts = EngineCounts {
            rules: self.rules.rules.len(),
            nodes: self.nodes.len(),
            ..EngineCounts::default()
        };
        let episodes = self.targets.iter().flatten().flat_map(|target| &target.entries);
        for episode in episodes.filter_map(|entry| entry.episode.as_ref()) {
            match episode.fired_ms {
                Some(_) => counts.firing += 1,
                None => counts.pending += 1,
            }
        }
        counts
    }

    fn standings(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<AlertStanding> {
        let targets = self.targets.iter().flatten();
        let all = targets.flat_map(|target| target.entries.iter().map(move |entry| (target, entry)));
        let standings = all.filter(|(_, entry)| is_wanted(entry)).filter_map(|(target, entry)| {
            AlertStanding::of(entry, target, &self.rules.rules[entry.rule as usize])
        });
        standings.collect()
    }

    /// Goes on with an alert of the rule in this place.
    fn take_over(&mut self, rule: u32, judged_ms: i64, standing: &AlertStanding) {
        let about = &standing.alert.target;
        let target = match self.find(rule, about) {
            Some(target) => target,
            None => {
                let Some(body) = self.body(rule, standing) else {
                    return self.end_without_rule(judged_ms, standing.clone());
                };
                self.insert(rule, Target::new(about.clone(), body))
            }
        };
        self.remove_entry(target, rule);
        let entry = standing.entry(rule, judged_ms);
        self.active[rule as usize] += u32::from(entry.episode.is_some());
        if entry.untold.is_some() || entry.episode.as_ref().is_some_and(judging::is_waiting) {
            self.waiting.insert((target, rule));
        }
        if let Some(known) = self.targets[target as usize].as_mut() {
            *known.made_entry(rule) = entry;
        }
        self.timers_version += 1;
    }

    /// The body of a target of which only an alert is known; `None` when the rule has no such targets.
    fn body(&self, rule: u32, standing: &AlertStanding) -> Option<Body> {
        let about = &standing.alert.target;
        match about.kind {
            TargetKind::Node => {
                NodeId::from_text(&about.id).ok().map(|id| Body::Node(Box::new(NodeState::new(id))))
            }
            TargetKind::Group | TargetKind::Fleet => {
                let grouping = self.index.grouping_of[rule as usize]?;
                Some(Body::Group(Box::new(self.new_sum(grouping))))
            }
            TargetKind::Plan => {
                let rule = &self.rules.rules[rule as usize];
                let own = |limit| (plans::own_test(rule, limit, false), rule.shown.clone());
                let own = standing.alert.threshold.map(own);
                Some(Body::Plan(Box::new(PlanState { own, ..PlanState::default() })))
            }
            TargetKind::Partition | TargetKind::Worker | TargetKind::Broker => Some(Body::Other),
        }
    }

    /// The target of a rule's alert.
    fn find(&self, rule: u32, about: &AlertTarget) -> Option<u32> {
        match about.kind {
            TargetKind::Node => self.nodes.get(&NodeId::from_text(&about.id).ok()?).copied(),
            TargetKind::Group | TargetKind::Fleet => {
                let grouping = self.index.grouping_of.get(rule as usize).copied().flatten()?;
                self.groups.get(&(grouping, about.id.clone())).copied()
            }
            _ => self.others.get(&(about.kind, about.id.clone())).copied(),
        }
    }

    fn insert(&mut self, rule: u32, target: Target) -> u32 {
        let (kind, id) = (target.about.kind, target.about.id.clone());
        let node = match &target.body {
            Body::Node(node) => Some(node.id.clone()),
            _ => None,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.targets[place as usize] = Some(target);
                place
            }
            None => {
                self.targets.push(Some(target));
                self.targets.len() as u32 - 1
            }
        };
        let grouping = self.index.grouping_of.get(rule as usize).copied().flatten();
        match (node, kind, grouping) {
            (Some(node), ..) => {
                self.nodes.insert(node, place);
            }
            (None, TargetKind::Group | TargetKind::Fleet, Some(grouping)) => {
                self.groups.insert((grouping, id), place);
            }
            _ => {
                self.others.insert((kind, id), place);
            }
        }
        place
    }

    fn remove_entry(&mut self, target: u32, rule: u32) {
        self.waiting.remove(&(target, rule));
        if let Some(known) = self.targets[target as usize].as_mut() {
            let had = known.entry(rule).is_some_and(|entry| entry.episode.is_some());
            self.active[rule as usize] -= u32::from(had);
            known.entries.retain(|entry| entry.rule != rule);
        }
    }

    /// Says that an alert is over whose rule nobody judges any more.
    fn end_without_rule(&mut self, now_ms: i64, standing: AlertStanding) {
        let is_notified = standing.is_notified();
        let mut alert = standing.alert;
        let was_firing = alert.state == AlertState::Firing;
        let is_left = alert.state == AlertState::Resolved;
        if !was_firing && !is_left {
            self.timers_version += 1;
            return;
        }
        alert.state = AlertState::Resolved;
        alert.resolved_ms = alert.resolved_ms.or(Some(now_ms));
        if was_firing {
            alert.resets_ms = None;
            Ending::RuleGone.note(&mut alert);
        }
        self.ready.push(Transition {
            change: AlertChange::Resolved,
            is_new: was_firing,
            notify: is_left || is_notified,
            held: None,
            ending: Some(Ending::RuleGone),
            group: judging::group_of(None, &alert.target),
            alert,
            standing: None,
        });
    }
}
