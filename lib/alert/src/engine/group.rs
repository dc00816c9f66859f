//! Sums over nodes: exact, so that what was added can be taken away again.

use super::{
    facts::NodeFacts,
    index::Grouping,
    memory::{Memory, Reading},
    values::{self, Carried},
};
use crate::rules::{Aggregate, Measure, Signal};
use tidemap_wire::Status;

/// Values are added as whole thousandths.
const SCALE: f64 = 1_000.0;

/// What a node adds to a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Contribution {
    /// The group, as a target; `None` where the node belongs to none.
    pub(super) group: Option<u32>,
    offline: bool,
    unknown: bool,
    /// Received and sent, and what links carry of each; or one value.
    values: Option<[i128; 4]>,
}

/// A sum.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) grouping: u32,
    pub(super) nodes: u32,
    offline: u32,
    unknown: u32,
    valued: u32,
    sums: [i128; 4],
    pub(super) memory: Option<Memory>,
}

impl Contribution {
    pub(super) fn new(
        group: Option<u32>,
        signal: Signal,
        facts: &NodeFacts<'_>,
        carried: Option<Carried>,
        memory: Option<&mut Memory>,
        now_ms: i64,
    ) -> Self {
        let unknown = facts.status == Status::Unknown;
        let values = match signal.measure {
            _ if unknown || facts.status == Status::Offline => None,
            Measure::Offline | Measure::OfflineShare => None,
            Measure::Rate => pair(values::rates(facts.latest, signal.window_ms)).map(|[rx, tx]| [rx, tx, 0.0, 0.0]),
            Measure::Utilisation => pair(values::rates(facts.latest, signal.window_ms))
                .zip(carried)
                .map(|([rx, tx], [rx_most, tx_most])| [rx, tx, rx_most, tx_most]),
            _ => values::of_node(signal, facts, carried, memory, now_ms).value.map(|value| [value, 0.0, 0.0, 0.0]),
        };
        Self {
            group,
            offline: facts.status == Status::Offline,
            unknown,
            values: values.map(|values| values.map(|value| (value * SCALE).round() as i128)),
        }
    }
}

fn pair([one, other]: [Option<f64>; 2]) -> Option<[f64; 2]> {
    Some([one?, other?])
}

impl Sum {
    pub(super) fn add(&mut self, one: &Contribution) {
        self.count(one, 1);
    }

    pub(super) fn take(&mut self, one: &Contribution) {
        self.count(one, -1);
    }

    fn count(&mut self, one: &Contribution, sign: i32) {
        let add = |count: &mut u32, is: bool| *count = count.saturating_add_signed(sign * i32::from(is));
        add(&mut self.nodes, true);
        add(&mut self.offline, one.offline);
        add(&mut self.unknown, one.unknown);
        add(&mut self.valued, one.values.is_some());
        for (sum, value) in self.sums.iter_mut().zip(one.values.unwrap_or_default()) {
            *sum += value * i128::from(sign);
        }
    }

    /// Whether all of its nodes are heard.
    pub(super) fn is_known(&self) -> bool {
        self.unknown == 0
    }

    pub(super) fn carried(&self) -> Option<Carried> {
        let [_, _, rx, tx] = self.sums.map(|sum| sum as f64 / SCALE);
        (rx > 0.0 || tx > 0.0).then_some([rx, tx])
    }

    /// The sum's value; a mean where a sum says nothing.
    pub(super) fn read(&mut self, grouping: &Grouping, now_ms: i64) -> Reading {
        let signal = grouping.signal;
        let value = self.value(signal);
        let carried = self.carried();
        match &mut self.memory {
            Some(Memory::Extreme(extreme)) => extreme.read(now_ms, value),
            Some(Memory::Past(past)) => {
                let rates = past.rates(signal.window_ms, now_ms);
                let value = rates.and_then(|rates| values::of_past(signal, rates, carried));
                Reading { value, is_partial: rates.is_none() }
            }
            _ => Reading::of(value),
        }
    }

    fn value(&self, signal: Signal) -> Option<f64> {
        let [a, b, rx_most, tx_most] = self.sums.map(|sum| sum as f64 / SCALE);
        let valued = (self.valued > 0).then_some(f64::from(self.valued));
        match signal.measure {
            Measure::Offline => (self.nodes > 0).then_some(f64::from(self.offline)),
            Measure::OfflineShare => (self.nodes > 0).then(|| f64::from(self.offline) / f64::from(self.nodes) * 100.0),
            Measure::Rate => valued.and_then(|_| values::directed(signal.direction, Some(a), Some(b))),
            Measure::Utilisation => valued.and_then(|_| values::used(signal.direction, [a, b], [rx_most, tx_most])),
            Measure::Counter(_) => valued.map(|_| a),
            _ => valued.map(|count| a / count),
        }
    }

    /// Whether it needs what the history says.
    pub(super) fn is_of_history(&self) -> bool {
        matches!(self.memory, Some(Memory::Past(_)))
    }
}

/// Whether a sum of this signal is judged by extremes of the sum itself.
pub(super) fn is_extreme(signal: Signal) -> bool {
    signal.aggregate != Aggregate::Mean && !signal.is_of_history()
}
