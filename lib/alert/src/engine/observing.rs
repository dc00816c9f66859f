//! Facts come in.

use std::collections::BTreeSet;

use tidemap_wire::{NodeId, Status, TargetKind};

use super::{
    Ending, Engine,
    episode::Episode,
    facts::{NodeFacts, SystemFacts},
    group::Contribution,
    memory::Reading,
    target::{Body, NodeState, Target, node_target, other_target},
    values,
};
use crate::rules::{Measure, Rule, Verdict};

impl Engine {
    /// Applies what is known of a node that changed.
    pub fn observe(&mut self, now_ms: i64, facts: &NodeFacts<'_>) {
        let place = match self.nodes.get(facts.id) {
            Some(place) => *place,
            None => {
                let body = Body::Node(Box::new(NodeState::new(facts.id.clone())));
                self.insert(u32::MAX, Target::new(node_target(facts.id, None), body))
            }
        };
        self.settle(place, now_ms);
        self.describe(place, now_ms, facts.hello);
        self.read_node(place, now_ms, facts);
        self.settle(place, now_ms);
        self.schedule(place);
    }

    /// Removes a node. Its alerts are resolved.
    pub fn forget(&mut self, now_ms: i64, id: &NodeId) {
        if let Some(place) = self.nodes.remove(id) {
            self.settle(place, now_ms);
            self.leave_groups(place);
            self.end(place, now_ms, Ending::Forgotten);
        }
    }

    /// Says that every node was observed since the engine began or its rules changed. From now on groups are
    /// judged, and restored alerts of nodes that no longer exist are resolved.
    pub fn complete(&mut self, now_ms: i64) {
        if std::mem::replace(&mut self.is_complete, true) {
            return;
        }
        let unseen = self.nodes.iter().filter(|(_, place)| {
            self.targets[**place as usize].as_ref().is_some_and(|target| !target.is_seen)
        });
        for id in unseen.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.forget(now_ms, &id);
        }
        self.changed_groups.extend(self.groups.values());
    }

    /// Applies what is known of the system itself.
    pub fn observe_system(&mut self, now_ms: i64, facts: &SystemFacts) {
        let broker = self.index.broker.clone();
        if !broker.is_empty() {
            let place = self.other(TargetKind::Broker, "", "the broker", || Body::Other);
            let is_away = f64::from(u8::from(!facts.is_broker_reached));
            self.apply_all(place, &broker, now_ms, |_| (Reading::of(Some(is_away)), true));
        }
        let mut observed = BTreeSet::new();
        let rules = self.index.partitions.clone();
        for partition in facts.partitions.iter().filter(|_| !rules.is_empty()) {
            let name = match partition.worker.as_str() {
                "" => format!("partition {}", partition.partition),
                worker => format!("partition {} ({worker})", partition.partition),
            };
            let id = partition.partition.to_string();
            let place = self.other(TargetKind::Partition, &id, &name, || Body::Other);
            observed.extend(rules.iter().map(|rule| (place, *rule)));
            let seconds = |ms: Option<u64>| Reading::of(ms.map(|ms| ms as f64 / 1_000.0));
            self.apply_all(place, &rules, now_ms, |rule| match rule.signal.measure {
                // A worker that is silent says nothing of its lag.
                Measure::WorkerLag => (seconds(partition.lag_ms), facts.is_broker_reached),
                _ => (seconds(partition.silent_ms), facts.is_broker_reached),
            });
        }
        // Those beyond the number of partitions are gone since the fleet was divided again.
        self.end_unobserved(now_ms, TargetKind::Partition, &observed);
    }

    /// Ends what goes on at targets of a kind, but for the observed targets and rules.
    pub(super) fn end_unobserved(&mut self, now_ms: i64, kind: TargetKind, observed: &BTreeSet<(u32, u32)>) {
        let those = self.others.iter().filter(|((of, _), _)| *of == kind);
        let those: Vec<_> = those.map(|(key, place)| (key.clone(), *place)).collect();
        for (key, place) in those {
            if observed.range((place, 0)..=(place, u32::MAX)).next().is_none() {
                self.others.remove(&key);
                self.settle(place, now_ms);
                self.end(place, now_ms, Ending::Forgotten);
                continue;
            }
            let entries = self.targets[place as usize].iter().flat_map(|target| &target.entries);
            let rules = entries.map(|entry| entry.rule).filter(|rule| !observed.contains(&(place, *rule)));
            for rule in rules.collect::<Vec<_>>() {
                self.end_entry(place, rule, now_ms, Ending::RuleGone);
            }
        }
    }

    /// Reads all that is judged of a node.
    fn read_node(&mut self, place: u32, now_ms: i64, facts: &NodeFacts<'_>) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        let Body::Node(node) = &mut target.body else { return };
        let Some(class) = node.class else { return };
        node.status = facts.status;
        let is_known = facts.status != Status::Unknown;
        let since_ms = facts.latest.seen_ms;
        let is_calm_target = target.entries.is_empty();
        let mut applied: Vec<(usize, Reading)> = Vec::new();
        let mut sums: Vec<(u32, Contribution, Contribution)> = Vec::new();
        for (use_place, one) in self.index.at(class).uses.iter().enumerate() {
            let memory = one.memory.and_then(|memory| node.memories.get_mut(memory));
            if one.grouping.is_some() {
                let Some(before) = node.contributions.get(one.contribution).copied() else { continue };
                let Some(group) = before.group else { continue };
                let after = Contribution::new(Some(group), one.signal, facts, node.carried, memory, now_ms);
                if after != before {
                    node.contributions[one.contribution] = after;
                    sums.push((group, before, after));
                }
                continue;
            }
            let reading = values::of_node(one.signal, facts, node.carried, memory, now_ms);
            if !(is_calm_target && (!is_known || one.is_calm(reading.value))) {
                applied.push((use_place, reading));
            }
        }
        for (group, before, after) in sums {
            if let Some(Body::Group(sum)) =
                self.targets[group as usize].as_mut().map(|target| &mut target.body)
            {
                sum.take(&before);
                sum.add(&after);
                self.changed_groups.insert(group);
            }
        }
        for (use_place, reading) in applied {
            let one = &self.index.at(class).uses[use_place];
            let is_offline = one.signal.measure == Measure::Offline;
            let status_since_ms = is_offline.then_some(facts.since_ms);
            for index in 0..one.rules.len() {
                let rule = self.index.at(class).uses[use_place].rules[index];
                self.apply(
                    place,
                    rule,
                    reading,
                    is_known,
                    status_since_ms.unwrap_or(since_ms),
                    status_since_ms,
                    now_ms,
                );
            }
        }
    }

    /// Reads a group whose sum has changed.
    pub(super) fn read_group(&mut self, place: u32, now_ms: i64) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        let Body::Group(sum) = &mut target.body else { return };
        target.is_seen = true;
        let grouping = &self.index.groupings[sum.grouping as usize];
        let (is_known, is_empty) = (sum.is_known(), sum.nodes == 0);
        let reading = sum.read(grouping, now_ms);
        let rules = grouping.rules.clone();
        self.settle(place, now_ms);
        if is_empty {
            // The next node of the group makes it again.
            let grouping = match self.targets[place as usize].as_ref().map(|target| &target.body) {
                Some(Body::Group(sum)) => sum.grouping,
                _ => return,
            };
            let id = self.targets[place as usize].as_ref().map(|target| target.about.id.clone());
            self.groups.remove(&(grouping, id.unwrap_or_default()));
            return self.end(place, now_ms, Ending::Forgotten);
        }
        self.apply_all(place, &rules, now_ms, |_| (reading, is_known));
    }

    /// A target that is no node or group; it is made if need be.
    pub(super) fn other(
        &mut self,
        kind: TargetKind,
        id: &str,
        name: &str,
        body: impl FnOnce() -> Body,
    ) -> u32 {
        if let Some(known) = self.others.get(&(kind, id.to_owned())) {
            let known = *known;
            if let Some(target) = self.targets[known as usize].as_mut() {
                target.is_seen = true;
                if target.about.name != name {
                    target.about.name = name.to_owned();
                }
            }
            return known;
        }
        self.insert(u32::MAX, Target::new(other_target(kind, id, name), body()))
    }

    /// Applies a reading for each of some rules.
    pub(super) fn apply_all(
        &mut self,
        place: u32,
        rules: &[u32],
        now_ms: i64,
        read: impl Fn(&Rule) -> (Reading, bool),
    ) {
        self.settle(place, now_ms);
        for rule in rules {
            let (reading, is_known) = read(&self.rules.rules[*rule as usize]);
            self.apply(place, *rule, reading, is_known, now_ms, None, now_ms);
        }
        self.settle(place, now_ms);
        self.schedule(place);
    }

    /// Applies a reading of a target to a rule.
    #[expect(clippy::too_many_arguments, reason = "they are one reading")]
    pub(super) fn apply(
        &mut self,
        place: u32,
        rule_place: u32,
        reading: Reading,
        is_known: bool,
        since_ms: i64,
        status_since_ms: Option<i64>,
        now_ms: i64,
    ) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        let rule = &self.rules.rules[rule_place as usize];
        let Some(test) = target.test(rule) else { return };
        let verdict = values::verdict(reading, is_known, &test, rule.signal, rule.no_data);
        let Some(entry) = target.entry_mut(rule_place) else {
            if verdict == Verdict::Holds {
                self.begin(place, rule_place, reading.value, since_ms, now_ms);
            }
            return;
        };
        let Some(episode) = &mut entry.episode else {
            if verdict == Verdict::Holds {
                self.begin(place, rule_place, reading.value, since_ms, now_ms);
            }
            return;
        };
        let timers = (episode.clear_ms, episode.frozen_ms);
        if !episode.apply(verdict, reading.value, &test, status_since_ms, now_ms) {
            entry.episode = None;
            target.drop_empty();
            self.active[rule_place as usize] -= 1;
            self.timers_version += 1;
        } else if timers != (episode.clear_ms, episode.frozen_ms) {
            self.timers_version += 1;
        }
    }

    fn begin(&mut self, place: u32, rule: u32, value: Option<f64>, since_ms: i64, now_ms: i64) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        let mut episode = Episode::new(since_ms, now_ms);
        (episode.value, episode.peak) = (value, value);
        target.made_entry(rule).episode = Some(episode);
        self.active[rule as usize] += 1;
        self.timers_version += 1;
    }
}
