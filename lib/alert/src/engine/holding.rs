//! What holds notices back.

use tidemap_wire::{Alert, TargetKind};

use super::{
    Engine,
    standing::Hold,
    target::{Body, Target},
};
use crate::rules::{Per, Rule, Subject};

/// What holds notices back at a moment: places in the calendar.
pub(super) struct Calm {
    quiet: Vec<usize>,
    maintenance: Vec<usize>,
}

impl Engine {
    pub(super) fn calm(&self, now_ms: i64) -> Calm {
        let calendar = &self.rules.calendar;
        let quiet = calendar.quiet.iter().enumerate().filter(|(_, one)| one.is_at(now_ms));
        let maintenance = calendar.maintenance.iter().enumerate().filter(|(_, one)| one.is_at(now_ms));
        Calm {
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

    /// Why people are not notified of an alert now.
    pub(super) fn hold(
        &self,
        place: u32,
        rule_place: u32,
        alert: &Alert,
        calm: &Calm,
        now_ms: i64,
    ) -> Option<Hold> {
        self.silence(alert, now_ms).or_else(|| self.held(place, rule_place, calm))
    }

    pub(super) fn silence(&self, alert: &Alert, now_ms: i64) -> Option<Hold> {
        self.silenced_until(alert).filter(|until_ms| *until_ms > now_ms).map(|_| Hold::Silence)
    }

    /// Why people are not notified of what a rule finds about a target, silences aside.
    pub(super) fn held(&self, place: u32, rule_place: u32, calm: &Calm) -> Option<Hold> {
        let rule = &self.rules.rules[rule_place as usize];
        let target = self.targets[place as usize].as_ref()?;
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
        let is_node = |node: &String| alert.target.kind == TargetKind::Node && alert.target.id == *node;
        let matching = self.silences.iter().filter(|silence| {
            let is_any = silence.alert.is_some() || silence.rule.is_some() || silence.node.is_some();
            is_any
                && silence.alert.as_ref().is_none_or(|id| alert.id == *id)
                && silence.rule.as_ref().is_none_or(|rule| alert.rule == *rule)
                && silence.node.as_ref().is_none_or(is_node)
        });
        matching.map(|silence| silence.until_ms).max()
    }
}
