//! Facts come in.

use std::sync::Arc;

use tidemap_wire::{AlertTarget, Hello, NodeId, Status, TargetKind, history_query::HistorySeries};

use super::{
    Engine, Ending,
    episode::Episode,
    facts::{NodeFacts, PastRates, PlanFacts, SystemFacts, Want},
    group::{self, Contribution, Sum},
    index,
    memory::{Memory, Reading},
    target::{Body, NodeState, Target, node_target, other_target},
    values,
};
use crate::rules::{Comparison, GroupKey, Measure, Per, Rule, Signal, Test, Verdict};

/// The test that a plan's own threshold stands for.
pub(super) fn own_test(rule: &Rule, threshold: f64) -> Test {
    // A quota is reached; an agreed rate must be exceeded.
    let comparison = if rule.signal.measure == Measure::P95 { Comparison::Above } else { Comparison::AtLeast };
    Test::exact(comparison, threshold)
}

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
            let place = self.other(TargetKind::Broker, "", "the broker", Body::Other);
            let is_away = f64::from(u8::from(!facts.is_broker_reached));
            self.apply_all(place, &broker, now_ms, |_| (Reading::of(Some(is_away)), true));
        }
        let rules = self.index.partitions.clone();
        for partition in facts.partitions.iter().filter(|_| !rules.is_empty()) {
            let name = match partition.worker.as_str() {
                "" => format!("partition {}", partition.partition),
                worker => format!("partition {} ({worker})", partition.partition),
            };
            let place = self.other(TargetKind::Partition, &partition.partition.to_string(), &name, Body::Other);
            let seconds = |ms: Option<u64>| Reading::of(ms.map(|ms| ms as f64 / 1_000.0));
            self.apply_all(place, &rules, now_ms, |rule| match rule.signal.measure {
                // A worker that is silent says nothing of its lag.
                Measure::WorkerLag => (seconds(partition.lag_ms), facts.is_broker_reached),
                _ => (seconds(partition.silent_ms), facts.is_broker_reached),
            });
        }
    }

    /// Applies how all plans stand.
    pub fn observe_plans(&mut self, now_ms: i64, plans: &[PlanFacts]) {
        let rules = self.index.plans.clone();
        for rule in rules {
            for plan in plans {
                self.observe_plan(now_ms, rule, plan);
            }
        }
    }

    fn observe_plan(&mut self, now_ms: i64, place: u32, plan: &PlanFacts) {
        let rule = &self.rules.rules[place as usize];
        if rule.plan.as_ref().is_some_and(|name| *name != plan.name) {
            return;
        }
        let measure = rule.signal.measure;
        let value = match measure {
            Measure::Quota => plan.percent,
            Measure::Forecast => plan.forecast_percent,
            _ => plan.p95_bps,
        };
        let own: Vec<f64> = match measure {
            _ if rule.test.is_some() => Vec::new(),
            Measure::P95 => plan.commit_bps.into_iter().collect(),
            _ => plan.thresholds.iter().map(|percent| f64::from(*percent)).collect(),
        };
        let reading = Reading { value, is_partial: false };
        if rule.test.is_some() {
            let target = self.other(TargetKind::Plan, &plan.name, &plan.name, Body::Plan(None));
            return self.apply_all(target, &[place], now_ms, |_| (reading, value.is_some()));
        }
        let tests: Vec<_> = own.into_iter().map(|threshold| (threshold, own_test(rule, threshold))).collect();
        for (threshold, test) in tests {
            let id = if measure == Measure::Quota { format!("{}@{threshold}", plan.name) } else { plan.name.clone() };
            let target = self.other(TargetKind::Plan, &id, &plan.name, Body::Plan(Some(test)));
            if let Some(known) = self.targets[target as usize].as_mut() {
                known.body = Body::Plan(Some(test));
            }
            self.apply_all(target, &[place], now_ms, |_| (reading, value.is_some()));
        }
    }

    /// At most so many questions to the history that should be asked now. Each is asked again after a sixtieth
    /// of its window, from a minute to a quarter of an hour; those that waited longest come first.
    pub fn wanted(&mut self, now_ms: i64, most: usize) -> Vec<Want> {
        let mut wants = Vec::new();
        if !self.index.is_of_history || self.targets.is_empty() {
            return wants;
        }
        let count = self.targets.len() as u32;
        for step in 0..count {
            let place = (self.cursor + step) % count;
            for (use_place, signal, of) in self.questions(place) {
                if wants.len() == most {
                    self.cursor = place;
                    return wants;
                }
                let Some(past) = self.past_mut(place, use_place) else { continue };
                if past.next_ms(signal.window_ms) <= now_ms {
                    past.asked_ms = Some(now_ms);
                    wants.push(Want { of, window_ms: signal.window_ms, target: place, place: use_place });
                }
            }
        }
        wants
    }

    /// Applies what the history says to a question; `None` where it knows nothing.
    pub fn observe_past(&mut self, now_ms: i64, want: &Want, rates: Option<PastRates>) {
        let asked = self.questions(want.target).into_iter().find(|(place, ..)| *place == want.place);
        let Some((_, signal, of)) = asked else { return };
        if of != want.of || signal.window_ms != want.window_ms {
            return;
        }
        let Some(past) = self.past_mut(want.target, want.place) else { return };
        past.answer = rates.map(|rates| (now_ms, rates));
        self.settle(want.target, now_ms);
        let target = self.targets[want.target as usize].as_ref();
        match target.map(|target| &target.body) {
            Some(Body::Group(_)) => {
                self.changed_groups.insert(want.target);
            }
            Some(Body::Node(node)) => {
                let (status, class) = (node.status, node.class);
                let carried = node.carried;
                let value = rates.filter(|_| matches!(status, Status::Online | Status::Warning));
                let value = value.and_then(|rates| values::of_past(signal, rates, carried));
                let Some(class) = class else { return };
                let rules = self.index.at(class).uses[want.place].rules.clone();
                let is_known = status != Status::Unknown;
                self.apply_all(want.target, &rules, now_ms, |_| (Reading::of(value), is_known));
            }
            _ => {}
        }
    }

    /// The questions of a target: which of its uses, and whose traffic.
    fn questions(&self, place: u32) -> Vec<(usize, Signal, HistorySeries)> {
        let Some(target) = self.targets.get(place as usize).and_then(Option::as_ref) else { return Vec::new() };
        match &target.body {
            Body::Node(node) => {
                let Some(class) = node.class else { return Vec::new() };
                let uses = self.index.at(class).uses.iter().enumerate();
                let those = uses.filter(|(_, one)| one.signal.is_of_history());
                those.map(|(place, one)| (place, one.signal, HistorySeries::Node(node.id.clone()))).collect()
            }
            Body::Group(sum) if sum.is_of_history() => {
                let grouping = &self.index.groupings[sum.grouping as usize];
                let value = target.about.labels.values().next().cloned();
                let series = match (&grouping.per, value) {
                    (Per::Group(GroupKey::Location), Some(value)) => Some(HistorySeries::Location(value)),
                    (Per::Group(GroupKey::Provider), Some(value)) => Some(HistorySeries::Provider(value)),
                    (Per::Group(GroupKey::Label(name)), Some(value)) => Some(HistorySeries::Label(name.clone(), value)),
                    (Per::All, _) => grouping.filter.series(),
                    _ => None,
                };
                series.map(|series| (0, grouping.signal, series)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn past_mut(&mut self, place: u32, use_place: usize) -> Option<&mut super::memory::Past> {
        let target = self.targets.get_mut(place as usize)?.as_mut()?;
        let memory = match &mut target.body {
            Body::Node(node) => {
                let one = self.index.at(node.class?).uses.get(use_place)?;
                node.memories.get_mut(one.memory?)?
            }
            Body::Group(sum) => sum.memory.as_mut()?,
            _ => return None,
        };
        match memory {
            Memory::Past(past) => Some(past),
            _ => None,
        }
    }

    /// Notes how a node describes itself, if that has changed.
    fn describe(&mut self, place: u32, now_ms: i64, hello: Option<&Arc<Hello>>) {
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
        let Some(Body::Node(node)) = self.targets[place as usize].as_ref().map(|target| &target.body) else { return };
        let hello = node.hello.clone();
        let is_other = node.class != Some(class);
        let uses = self.index.at(class).uses.iter().map(|one| one.grouping).collect::<Vec<_>>();
        let groups: Vec<Option<u32>> =
            uses.iter().map(|grouping| self.group(place, (*grouping)?, hello.as_deref())).collect();
        let class_rules = self.index.at(class).rules.clone();
        let memories = is_other.then(|| self.index.at(class).memories());
        let mut left = Vec::new();
        if let Some(target) = self.targets[place as usize].as_mut() {
            left.extend(target.entries.iter().map(|entry| entry.rule).filter(|rule| !class_rules.contains(rule)));
            if let Body::Node(node) = &mut target.body {
                node.class = Some(class);
                node.memories = memories.unwrap_or_else(|| std::mem::take(&mut node.memories));
                node.contributions =
                    groups.iter().map(|group| Contribution { group: *group, ..Contribution::default() }).collect();
            }
        }
        let contributions = groups.into_iter().flatten();
        for group in contributions {
            if let Some(Body::Group(sum)) = self.targets[group as usize].as_mut().map(|target| &mut target.body) {
                sum.add(&Contribution { group: Some(group), ..Contribution::default() });
            }
        }
        for rule in left {
            self.end_entry(place, rule, now_ms, Ending::RuleGone);
        }
    }

    /// The group that a node belongs to, as a target; it is made if need be.
    fn group(&mut self, _node: u32, grouping: u32, hello: Option<&Hello>) -> Option<u32> {
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
        Sum { grouping, memory, ..Sum::default() }
    }

    /// Takes what a node adds away from all sums.
    fn leave_groups(&mut self, place: u32) {
        let Some(Body::Node(node)) = self.targets[place as usize].as_mut().map(|target| &mut target.body) else { return };
        for one in std::mem::take(&mut node.contributions) {
            let Some(group) = one.group else { continue };
            if let Some(Body::Group(sum)) = self.targets[group as usize].as_mut().map(|target| &mut target.body) {
                sum.take(&one);
                self.changed_groups.insert(group);
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
                let before = node.contributions[use_place];
                let Some(group) = before.group else { continue };
                let after = Contribution::new(Some(group), one.signal, facts, node.carried, memory, now_ms);
                if after != before {
                    node.contributions[use_place] = after;
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
            if let Some(Body::Group(sum)) = self.targets[group as usize].as_mut().map(|target| &mut target.body) {
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
                self.apply(place, rule, reading, is_known, status_since_ms.unwrap_or(since_ms), status_since_ms, now_ms);
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
    fn other(&mut self, kind: TargetKind, id: &str, name: &str, body: Body) -> u32 {
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
        self.insert(u32::MAX, Target::new(AlertTarget { ..other_target(kind, id, name) }, body))
    }

    /// Applies a reading for each of some rules.
    fn apply_all(
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
    fn apply(
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
        let was_clear = episode.clear_ms;
        if !episode.apply(verdict, reading.value, &test, status_since_ms, now_ms) {
            entry.episode = None;
            target.drop_empty();
            self.active[rule_place as usize] -= 1;
            self.pending_version += 1;
        } else if was_clear != episode.clear_ms {
            self.pending_version += 1;
        }
    }

    fn begin(&mut self, place: u32, rule: u32, value: Option<f64>, since_ms: i64, now_ms: i64) {
        let Some(target) = self.targets[place as usize].as_mut() else { return };
        let mut episode = Episode::new(since_ms, now_ms);
        (episode.value, episode.peak) = (value, value);
        target.made_entry(rule).episode = Some(episode);
        self.active[rule as usize] += 1;
        self.pending_version += 1;
    }
}
