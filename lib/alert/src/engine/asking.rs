//! Questions to the history, about windows that are longer than what workers keep.

use tidemap_wire::{Status, history_query::HistorySeries};

use super::{
    Engine,
    facts::{PastRates, Want},
    memory::{Memory, Past, Reading},
    target::Body,
    values,
};
use crate::rules::{GroupKey, Per, Signal};

impl Engine {
    /// At most so many questions to the history that should be asked now. Each is asked again after a
    /// sixtieth of its window, from a minute to a quarter of an hour; those that waited longest come first.
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
        let Some(target) = self.targets.get(place as usize).and_then(Option::as_ref) else {
            return Vec::new();
        };
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
                    (Per::Group(GroupKey::Label(name)), Some(value)) => {
                        Some(HistorySeries::Label(name.clone(), value))
                    }
                    (Per::All, _) => grouping.filter.series(),
                    _ => None,
                };
                series.map(|series| (0, grouping.signal, series)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn past_mut(&mut self, place: u32, use_place: usize) -> Option<&mut Past> {
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
}
