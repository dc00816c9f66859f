//! Which rules are about which nodes, found once for all nodes that have the same.

use std::collections::HashMap;

use tidemap_wire::{Hello, NodeId};

use super::memory::{Extreme, Memory, Past, Rise};
use crate::rules::{Aggregate, Filter, LIVE_WINDOW_MS, Measure, Per, Rule, Rules, Signal, Subject};

/// The rules by what they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    classes: Vec<Class>,
    /// By the rules of the class, ascending.
    class_of: HashMap<Vec<u32>, u32>,
    pub(super) groupings: Vec<Grouping>,
    /// By the rule's place: its grouping.
    pub(super) grouping_of: Vec<Option<u32>>,
    pub(super) partitions: Vec<u32>,
    pub(super) broker: Vec<u32>,
    pub(super) plans: Vec<u32>,
    /// Whether the history has to be asked.
    pub(super) is_of_history: bool,
}

/// All that is judged of nodes that the same rules are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Class {
    pub(super) rules: Vec<u32>,
    pub(super) uses: Vec<Use>,
    /// How many uses have a memory.
    pub(super) memories: usize,
}

/// A signal, and for what it is needed.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) signal: Signal,
    /// The place of its memory.
    pub(super) memory: Option<usize>,
    /// The rules about single nodes.
    pub(super) rules: Vec<u32>,
    /// The sum that it is part of.
    pub(super) grouping: Option<u32>,
    /// Between these, no rule begins to hold.
    low: f64,
    high: f64,
    fires_without_data: bool,
}

/// A sum over nodes that several rules share.
#[derive(Clone, Debug)]
pub(super) struct Grouping {
    pub(super) filter: Filter,
    pub(super) per: Per,
    pub(super) signal: Signal,
    pub(super) rules: Vec<u32>,
}

impl Index {
    pub(super) fn new(rules: &Rules) -> Self {
        let mut index = Self { grouping_of: vec![None; rules.rules.len()], ..Self::default() };
        for (place, rule) in (0_u32..).zip(&rules.rules) {
            index.is_of_history |= rule.signal.is_of_history();
            match rule.signal.measure.subject() {
                Subject::Partitions => index.partitions.push(place),
                Subject::Broker => index.broker.push(place),
                Subject::Plans => index.plans.push(place),
                Subject::Nodes if rule.per == Per::Node => {}
                Subject::Nodes => {
                    let grouping = index.grouping(place, rule);
                    index.grouping_of[place as usize] = Some(grouping);
                }
            }
        }
        index
    }

    fn grouping(&mut self, place: u32, rule: &Rule) -> u32 {
        let is_same = |one: &Grouping| {
            one.filter == rule.filter && one.per == rule.per && one.signal == rule.signal
        };
        if let Some(known) = self.groupings.iter().position(is_same) {
            self.groupings[known].rules.push(place);
            return known as u32;
        }
        self.groupings.push(Grouping {
            filter: rule.filter.clone(),
            per: rule.per.clone(),
            signal: rule.signal,
            rules: vec![place],
        });
        self.groupings.len() as u32 - 1
    }

    /// The class of a node that describes itself so.
    pub(super) fn class(&mut self, rules: &Rules, id: &NodeId, hello: Option<&Hello>) -> u32 {
        let is_about = |rule: &Rule| {
            rule.signal.measure.subject() == Subject::Nodes && rule.filter.matches(id, hello)
        };
        let those = (0_u32..).zip(&rules.rules).filter(|(_, rule)| is_about(rule)).map(|(place, _)| place);
        let those: Vec<u32> = those.collect();
        if let Some(known) = self.class_of.get(&those) {
            return *known;
        }
        let class = Class::new(&those, rules, &self.grouping_of);
        self.classes.push(class);
        let place = self.classes.len() as u32 - 1;
        self.class_of.insert(those, place);
        place
    }

    pub(super) fn at(&self, class: u32) -> &Class {
        &self.classes[class as usize]
    }
}

impl Class {
    fn new(those: &[u32], rules: &Rules, grouping_of: &[Option<u32>]) -> Self {
        let mut class = Self { rules: those.to_vec(), ..Self::default() };
        for place in those {
            let rule = &rules.rules[*place as usize];
            let grouping = grouping_of[*place as usize];
            let known = class.uses.iter().position(|one| match grouping {
                Some(_) => one.grouping == grouping,
                None => one.grouping.is_none() && one.signal == rule.signal,
            });
            let known = known.unwrap_or_else(|| {
                let signal = if grouping.is_some() { part_of_sum(rule.signal) } else { rule.signal };
                let memory = needs_memory(signal).then_some(class.memories);
                class.memories += usize::from(memory.is_some());
                class.uses.push(Use::new(signal, memory, grouping));
                class.uses.len() - 1
            });
            if grouping.is_none() {
                class.uses[known].add(*place, rule);
            }
        }
        class
    }

    pub(super) fn memories(&self) -> Vec<Memory> {
        self.uses.iter().filter(|one| one.memory.is_some()).filter_map(|one| memory(one.signal)).collect()
    }
}

impl Use {
    fn new(signal: Signal, memory: Option<usize>, grouping: Option<u32>) -> Self {
        Self {
            signal,
            memory,
            rules: Vec::new(),
            grouping,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            fires_without_data: false,
        }
    }

    fn add(&mut self, place: u32, rule: &Rule) {
        self.rules.push(place);
        self.fires_without_data |= rule.no_data == crate::rules::NoData::Fire;
        match &rule.test {
            Some(test) if test.comparison.is_upward() => self.low = self.low.min(test.threshold),
            Some(test) => self.high = self.high.max(test.threshold),
            None => {}
        }
    }

    /// Whether no rule begins to hold at this value.
    pub(super) fn is_calm(&self, value: Option<f64>) -> bool {
        match value {
            Some(value) => value < self.low && value > self.high,
            None => !self.fires_without_data,
        }
    }
}

/// What a node adds to a sum: extremes are those of the sum, and the past of a sum is the history's.
fn part_of_sum(signal: Signal) -> Signal {
    let is_live_mean = signal.aggregate == Aggregate::Mean && signal.window_ms <= LIVE_WINDOW_MS;
    if is_live_mean { signal } else { Signal { aggregate: Aggregate::Mean, window_ms: 0, ..signal } }
}

fn needs_memory(signal: Signal) -> bool {
    memory(signal).is_some()
}

/// What has to be kept of a signal's values.
pub(super) fn memory(signal: Signal) -> Option<Memory> {
    match (signal.measure, signal.aggregate) {
        (Measure::Counter(_), _) => Some(Memory::Counter(Rise::new(signal.window_ms))),
        _ if signal.is_of_history() => Some(Memory::Past(Past::default())),
        (_, Aggregate::Mean) => None,
        (_, aggregate) => Some(Memory::Extreme(Extreme::new(signal.window_ms, aggregate == Aggregate::Max))),
    }
}
