//! Which rules and groups a node belongs to.

use std::sync::Arc;

use tidemap_wire::{Hello, TargetKind};

use super::{
    Ending, Engine,
    group::{self, Contribution, Sum},
    index,
    target::{Body, Target, node_target, other_target},
    values,
};
use crate::rules::Per;

impl Engine {
    /// Notes how a node describes itself, if that has changed.
    pub(super) fn describe(&mut self, place: u32, now_ms: i64, hello: Option<&Arc<Hello>>) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        target.is_seen = true;
        let Body::Node(node) = &mut target.body else { return };
        let is_same = match (&node.hello, hello) {
            (Some(known), Some(given)) => Arc::ptr_eq(known, given),
            (None, None) => true,
            _ => false,
        };
        if is_same && node.class.is_some() {
            return;
        }
        node.hello = hello.map(Arc::clone);
        node.carried = hello.and_then(|hello| values::carried(hello));
        let id = node.id.clone();
        target.about = node_target(&id, hello.map(|hello| &**hello));
        let class = self.index.class(&self.rules, &id, hello.map(|hello| &**hello));
        self.leave_groups(place);
        self.join(place, now_ms, class);
    }

    /// Applies the rules of a class to a node from now on.
    fn join(&mut self, place: u32, now_ms: i64, class: u32) {
        let Some(Body::Node(node)) = self.targets[place as usize].as_ref().map(|target| &target.body) else {
            return;
        };
        let hello = node.hello.clone();
        let is_other = node.class != Some(class);
        let groupings: Vec<u32> = self.index.at(class).uses.iter().filter_map(|one| one.grouping).collect();
        let groups: Vec<Option<u32>> =
            groupings.into_iter().map(|grouping| self.group(grouping, hello.as_deref())).collect();
        let class_rules = self.index.at(class).rules.clone();
        let memories = is_other.then(|| self.index.at(class).memories());
        let mut left = Vec::new();
        if let Some(target) = self.targets[place as usize].as_mut() {
            left.extend(
                target.entries.iter().map(|entry| entry.rule).filter(|rule| !class_rules.contains(rule)),
            );
            if let Body::Node(node) = &mut target.body {
                node.class = Some(class);
                node.memories = memories.unwrap_or_else(|| std::mem::take(&mut node.memories));
                node.contributions = groups.iter().map(|group| Contribution::none(*group)).collect();
            }
        }
        for group in groups.into_iter().flatten() {
            if let Some(Body::Group(sum)) =
                self.targets[group as usize].as_mut().map(|target| &mut target.body)
            {
                sum.add(&Contribution::none(Some(group)));
                self.changed_groups.insert(group);
            }
        }
        for rule in left {
            self.end_entry(place, rule, now_ms, Ending::RuleGone);
        }
    }

    /// The group that a node belongs to, as a target; it is made if need be.
    fn group(&mut self, grouping: u32, hello: Option<&Hello>) -> Option<u32> {
        let one = &self.index.groupings[grouping as usize];
        let about = match &one.per {
            Per::Group(key) => {
                let value = key.of(hello?)?;
                let mut about = other_target(TargetKind::Group, &key.id(value), value);
                about.labels.insert(key.label().to_owned(), value.to_owned());
                about
            }
            _ if one.filter.is_empty() => other_target(TargetKind::Fleet, "", "the fleet"),
            _ => {
                let mut about = other_target(TargetKind::Group, &one.filter.id(), &one.filter.to_string());
                about.labels = one.filter.labels();
                about
            }
        };
        if let Some(known) = self.groups.get(&(grouping, about.id.clone())) {
            return Some(*known);
        }
        let body = Body::Group(Box::new(self.new_sum(grouping)));
        let rule = self.index.groupings[grouping as usize].rules[0];
        Some(self.insert(rule, Target::new(about, body)))
    }

    pub(super) fn new_sum(&self, grouping: u32) -> Sum {
        let signal = self.index.groupings[grouping as usize].signal;
        let needs_memory = group::is_extreme(signal) || signal.is_of_history();
        let memory = needs_memory.then(|| index::memory(signal)).flatten();
        Sum::new(grouping, memory)
    }

    /// Takes what a node adds away from all sums.
    pub(super) fn leave_groups(&mut self, place: u32) {
        let Some(Body::Node(node)) = self.targets[place as usize].as_mut().map(|target| &mut target.body)
        else {
            return;
        };
        for one in std::mem::take(&mut node.contributions) {
            let Some(group) = one.group else { continue };
            if let Some(Body::Group(sum)) =
                self.targets[group as usize].as_mut().map(|target| &mut target.body)
            {
                sum.take(&one);
                self.changed_groups.insert(group);
            }
        }
    }
}
