//! What holds notices back.

use std::cell::OnceCell;

use tidemap_wire::Alert;

use super::{
    Engine, ids,
    standing::Hold,
    target::{Body, Target},
};
use crate::rules::{Per, Rule, Subject};

/// What holds notices back at a moment: places among silences, and in the calendar.
pub(super) struct Calm {
    silences: Vec<usize>,
    quiet: Vec<usize>,
    maintenance: Vec<usize>,
}

impl Engine {
    pub(super) fn calm(&self, now_ms: i64) -> Calm {
        let calendar = &self.rules.calendar;
        let quiet = calendar.quiet.iter().enumerate().filter(|(_, one)| one.is_at(now_ms));
        let maintenance = calendar.maintenance.iter().enumerate().filter(|(_, one)| one.is_at(now_ms));
        let silences = self.silences.iter().enumerate().filter(|(_, one)| one.until_ms > now_ms);
        Calm {
            silences: silences.map(|(place, _)| place).collect(),
            quiet: quiet.map(|(place, _)| place).collect(),
            maintenance: maintenance.map(|(place, _)| place).collect(),
        }
    }

    /// Whether quiet hours hold a rule's notices back, and whether they drop them.
    pub(super) fn is_quiet(&self, rule: &Rule, calm: &Calm) -> Option<bool> {
        let those = calm.quiet.iter().map(|place| &self.rules.calendar.quiet[*place]);
        let those = those.filter(|quiet| quiet.is_of(&rule.name, rule.severity));
        those.map(|quiet| quiet.is_dropping).reduce(|one, other| one || other)
    }

    /// Why people are not notified now of an alert of a rule about a target, whose condition holds since
    /// `since_ms`.
    pub(super) fn held(&self, place: u32, rule_place: u32, since_ms: i64, calm: &Calm) -> Option<Hold> {
        let rule = &self.rules.rules[rule_place as usize];
        let target = self.targets[place as usize].as_ref()?;
        // Many silences may ask for it, and it is a hash.
        let id = OnceCell::new();
        let id = || id.get_or_init(|| ids::alert(&rule.name, &target.about, since_ms)).clone();
        let mut silences = calm.silences.iter().map(|one| &self.silences[*one]);
        if silences.any(|silence| silence.covers(&rule.name, &target.about, id)) {
            return Some(Hold::Silence);
        }
        let mut maintenance =
            calm.maintenance.iter().map(|one| &self.rules.calendar.maintenance[*one].filter);
        let is_in_maintenance = maintenance.any(|filter| match &target.body {
            Body::Node(node) => filter.matches(&node.id, node.hello.as_deref()),
            _ => filter.covers_group(&target.about.labels),
        });
        if is_in_maintenance {
            return Some(Hold::Maintenance);
        }
        if rule.depends_on.iter().any(|other| self.is_covered(target, *other as u32)) {
            return Some(Hold::DependsOn);
        }
        self.is_quiet(rule, calm).map(|_| Hold::Quiet)
    }

    /// Whether an alert of another rule, pending or firing, explains those of a target.
    fn is_covered(&self, target: &Target, other: u32) -> bool {
        if self.active[other as usize] == 0 {
            return false;
        }
        let rule = &self.rules.rules[other as usize];
        let is_about_others = rule.signal.measure.subject() != Subject::Nodes || rule.filter.nodes.is_some();
        let goes_on = |target: &Target| target.entry(other).is_some_and(|entry| entry.episode.is_some());
        match (&rule.per, &target.body) {
            _ if is_about_others => true,
            (Per::All, _) => true,
            (Per::Node, _) => goes_on(target),
            (Per::Group(_), Body::Node(node)) => node
                .contributions
                .iter()
                .filter_map(|one| one.group)
                .any(|group| self.targets[group as usize].as_ref().is_some_and(goes_on)),
            (Per::Group(_), _) => {
                let grouping = self.index.grouping_of[other as usize];
                let key = grouping.map(|grouping| (grouping, target.about.id.clone()));
                let group = key.and_then(|key| self.groups.get(&key));
                group.is_some_and(|group| self.targets[*group as usize].as_ref().is_some_and(goes_on))
            }
        }
    }

    /// Until when an alert is silenced.
    pub(super) fn silenced_until(&self, alert: &Alert) -> Option<i64> {
        let id = || alert.id.clone();
        let those = self.silences.iter().filter(|silence| silence.covers(&alert.rule, &alert.target, id));
        those.map(|silence| silence.until_ms).max()
    }
}
