//! Plans are judged, each in its present cycle: what fired in a cycle is over at its boundary, and may fire
//! again in the next one.

use std::collections::BTreeSet;

use tidemap_wire::TargetKind;

use super::{
    Ending, Engine,
    facts::PlanFacts,
    memory::Reading,
    target::{Body, PlanState},
};
use crate::{
    quantity::{Quantity, Shown},
    rules::{Comparison, Measure, NoData, Rule, Test},
};

/// What one alert of a rule and a plan is about.
struct Limit {
    /// The target's id.
    id: String,
    /// The plan's own limit, where the rule has none, and how values beside it are shown.
    own: Option<(Test, Shown)>,
}

/// The test that a plan's own limit stands for. A cycle's sum only grows, so a threshold of it needs no band
/// against flapping; what a window that moves used, and a percentile, also fall.
pub(super) fn own_test(rule: &Rule, limit: f64, is_rolling: bool) -> Test {
    match rule.signal.measure {
        // A quota is reached; an agreed rate must be exceeded.
        Measure::P95 => Test::new(Comparison::Above, limit),
        _ if is_rolling => Test::new(Comparison::AtLeast, limit),
        _ => Test::exact(Comparison::AtLeast, limit),
    }
}

impl Engine {
    /// Applies how all declared plans stand, also those of which nothing is known. Alerts of other plans,
    /// and of thresholds that a plan no longer has, are over.
    pub fn observe_plans(&mut self, now_ms: i64, plans: &[PlanFacts]) {
        let mut observed = BTreeSet::new();
        for rule in self.index.plans.clone() {
            for plan in plans {
                self.observe_plan(now_ms, rule, plan, &mut observed);
            }
        }
        self.end_unobserved(now_ms, TargetKind::Plan, &observed);
    }

    fn observe_plan(
        &mut self,
        now_ms: i64,
        place: u32,
        plan: &PlanFacts,
        observed: &mut BTreeSet<(u32, u32)>,
    ) {
        let rule = &self.rules.rules[place as usize];
        if rule.plan.as_ref().is_some_and(|name| *name != plan.name) {
            return;
        }
        let value = plan.value(rule.signal.measure);
        // In a window that moves, alerts go on as long as their condition holds.
        let from_ms = plan.cycle.map_or(i64::MIN, |cycle| cycle.from_ms);
        let counted_ms = plan.standing.as_ref().map_or(now_ms, |standing| standing.counted_ms);
        let since_ms = counted_ms.max(from_ms).min(now_ms);
        let fires_without_data = plan.is_missing && rule.no_data == NoData::Fire;
        let is_known = value.is_some() || fires_without_data;
        for Limit { id, own } in limits(rule, plan) {
            let target = self.other(TargetKind::Plan, &id, &format!("plan {}", plan.name), || Body::Other);
            if let Some(known) = self.targets[target as usize].as_mut() {
                // Several rules share it, and not each of them asks for the plan's own limit.
                let before = if let Body::Plan(before) = &mut known.body { before.own.take() } else { None };
                known.body = Body::Plan(Box::new(PlanState { own: own.or(before), ..state(plan) }));
            }
            observed.insert((target, place));
            self.end_former_cycle(target, place, from_ms, now_ms);
            self.settle(target, now_ms);
            self.apply(target, place, Reading::of(value), is_known, since_ms, None, now_ms);
            self.settle(target, now_ms);
            self.schedule(target);
        }
    }

    /// Ends what began before the present cycle.
    fn end_former_cycle(&mut self, target: u32, rule: u32, from_ms: i64, now_ms: i64) {
        let episode = |engine: &Self| {
            let entry = engine.targets[target as usize].as_ref()?.entry(rule)?;
            entry.episode.as_ref().map(|episode| (episode.since_ms, episode.fired_ms))
        };
        if episode(self).is_none_or(|(since_ms, _)| since_ms >= from_ms) {
            return;
        }
        self.settle(target, from_ms.min(now_ms));
        let fired_ms = episode(self).and_then(|(_, fired_ms)| fired_ms).unwrap_or(i64::MIN);
        self.end_entry(target, rule, from_ms.max(fired_ms).min(now_ms), Ending::CycleOver);
    }
}

/// The alerts that a rule may have about a plan; none where the plan has nothing that the rule measures.
fn limits(rule: &Rule, plan: &PlanFacts) -> Vec<Limit> {
    let has_it = if rule.signal.measure == Measure::P95 { plan.has_p95 } else { plan.thresholds.is_some() };
    if !has_it {
        return Vec::new();
    }
    let name = &plan.name;
    if rule.test.is_some() {
        return vec![Limit { id: name.clone(), own: None }];
    }
    let own = |limit: f64, shown: Shown| Some((own_test(rule, limit, plan.cycle.is_none()), shown));
    if rule.signal.measure == Measure::P95 {
        let commit = plan.commit.as_ref().and_then(|rate| Quantity::Rate.read(&rate.to_string()).ok());
        let limit = |(bps, shown)| Limit { id: name.clone(), own: own(bps, shown) };
        return commit.map(limit).into_iter().collect();
    }
    let thresholds = plan.thresholds.iter().flatten();
    let limit = |percent: &u16| Limit {
        id: format!("{name}@{percent}"),
        own: own(f64::from(*percent), Quantity::Percent.shown()),
    };
    thresholds.map(limit).collect()
}

/// What alerts about a plan say besides its value.
fn state(plan: &PlanFacts) -> PlanState {
    let exceeded_ms = plan.standing.as_ref().and_then(|standing| standing.exceeded_ms);
    let resets_ms = plan.cycle.map(|cycle| cycle.to_ms);
    let shown = |ms: i64| format!("{} {}", plan.zone.show_as(ms, "%-d %B %H:%M"), plan.zone.name());
    PlanState {
        own: None,
        resets_ms,
        resets: resets_ms.map(|ms| format!("resets {}", shown(ms))),
        used_up: exceeded_ms.map(|ms| format!("used up on {}", plan.zone.show_as(ms, "%-d %B"))),
    }
}
