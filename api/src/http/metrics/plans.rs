//! What the present cycles of declared plans came to.

use tidemap_service::exposition::{Exposition, Kind::Gauge};
use tidemap_wire::http::{TrafficJson, TrafficPeriodJson};

/// A value of a plan and its present cycle.
type Value = fn(&TrafficJson, &TrafficPeriodJson) -> Option<f64>;

const FAMILIES: [(&str, &str, Value); 8] = [
    ("tidemap_plan_used_bytes", "Bytes that count in the present cycle, with the correction.", |_, cycle| {
        cycle.quota.as_ref().map(|quota| quota.used_bytes).or(cycle.counted_bytes).map(|bytes| bytes as f64)
    }),
    ("tidemap_plan_quota_bytes", "What a cycle may use.", |plan, _| {
        plan.quota_bytes.map(|bytes| bytes as f64)
    }),
    ("tidemap_plan_forecast_bytes", "Bytes at the end of the cycle if it goes on like this.", |_, cycle| {
        let forecast = cycle.quota.as_ref().map_or(cycle.forecast_bytes, |quota| quota.forecast_bytes);
        forecast.map(|bytes| bytes as f64)
    }),
    ("tidemap_plan_coverage_ratio", "How much of the time in the cycle samples cover.", |_, cycle| {
        (cycle.expected_ms > 0).then(|| (cycle.covered_ms as f64 / cycle.expected_ms as f64).min(1.0))
    }),
    ("tidemap_plan_cycle_end_timestamp_seconds", "When the present cycle ends.", |plan, cycle| {
        (!plan.is_rolling()).then_some(cycle.to_ms as f64 / 1_000.0)
    }),
    ("tidemap_plan_billed_bytes_per_second", "The 95th percentile that is billed, so far.", |_, cycle| {
        cycle.p95.as_ref().map(|p95| p95.billed_bps as f64)
    }),
    ("tidemap_plan_commit_bytes_per_second", "The rate that is agreed for the percentile.", |_, cycle| {
        cycle.p95.as_ref()?.commit_bps.map(|bps| bps as f64)
    }),
    ("tidemap_plan_burst_slots", "Slots of five minutes above the agreed rate.", |_, cycle| {
        cycle.p95.as_ref()?.burst_slots.map(|slots| slots as f64)
    }),
];

/// One series for each plan; families of which no plan has a value are left out.
pub(super) fn families(text: &mut Exposition, plans: &[TrafficJson]) {
    let present: Vec<_> =
        plans.iter().filter_map(|plan| Some((plan, plan.plan.as_ref()?, plan.periods.last()?))).collect();
    for (name, help, value) in FAMILIES {
        let known = present.iter().filter_map(|(plan, label, cycle)| Some((label, value(plan, cycle)?)));
        let known: Vec<_> = known.collect();
        if known.is_empty() {
            continue;
        }
        let mut family = text.family(Gauge, name, help);
        for (label, value) in known {
            family.sample(&[("plan", label)], value);
        }
    }
}
