//! The declared plans as a list, a line each. Pure.

use tidemap_traffic::Unit;
use tidemap_wire::http::{PlanJson, PlansJson, TrafficJson, TrafficPeriodJson};

use super::table::{amount, harmless, minute, rate};

/// Amounts are in `unit`, or in that of each quota.
pub(super) fn list(plans: &PlansJson, unit: Option<Unit>) -> String {
    let warning = plans.warning.as_ref().map(|warning| format!("not in force: {}\n", harmless(warning)));
    let warning = warning.unwrap_or_default();
    if plans.plans.is_empty() {
        return "the API has no plans: start it with --traffic FILE (docs/traffic.md)\n".to_owned()
            + &warning;
    }
    let longest = plans.plans.iter().map(|plan| plan.name.chars().count()).max().unwrap_or(0).max(4);
    let columns = |name: &str, [used, quota, percent, forecast, billed, end]: [&str; 6]| {
        let name = harmless(name);
        format!(
            "{name:<longest$} | {used:>12} | {quota:>12} | {percent:>7} | {forecast:>12} | {billed:>14} | {end:>16}\n"
        )
    };
    let mut out = columns("plan", ["used", "quota", "%", "forecast", "billed", "resets"]);
    let rule = [longest + 1, 14, 14, 9, 14, 16, 17].map(|width| "-".repeat(width)).join("+");
    out.push_str(&rule);
    out.push('\n');
    for PlanJson { name, present } in &plans.plans {
        let cycle = present.as_ref().and_then(|traffic| Some((traffic, traffic.periods.last()?)));
        let cells =
            cycle.map_or_else(|| ["-"; 6].map(str::to_owned), |(traffic, cycle)| cells(traffic, cycle, unit));
        out.push_str(&columns(name, cells.each_ref().map(String::as_str)));
    }
    out + &warning
}

fn cells(traffic: &TrafficJson, cycle: &TrafficPeriodJson, unit: Option<Unit>) -> [String; 6] {
    let typed = unit.or_else(|| Unit::named(traffic.quota_unit.as_deref()?));
    let known = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| amount(bytes, typed));
    let quota = cycle.quota.as_ref();
    let is_rolling = traffic.is_rolling();
    [
        known(quota.map(|quota| quota.used_bytes).or(cycle.counted_bytes)),
        known(traffic.quota_bytes),
        quota.map_or("-".to_owned(), |quota| format!("{:.1} %", quota.percent)),
        known(quota.map_or(cycle.forecast_bytes, |quota| quota.forecast_bytes)),
        cycle.p95.as_ref().map_or("-".to_owned(), |p95| rate(p95.billed_bps)),
        if is_rolling { "-".to_owned() } else { minute(&cycle.to) },
    ]
}

#[cfg(test)]
mod tests {
    use tidemap_wire::http::{P95Json, QuotaJson};

    use super::*;

    #[test]
    fn each_plan_has_a_line() {
        let quota = QuotaJson {
            used_bytes: 3 << 39,
            percent: 75.0,
            forecast_bytes: Some(1 << 41),
            ..QuotaJson::default()
        };
        let period = TrafficPeriodJson {
            to: "2026-12-01T00:00:00+01:00".to_owned(),
            quota: Some(quota),
            p95: Some(P95Json { billed_bps: 25_000_000, ..P95Json::default() }),
            ..TrafficPeriodJson::default()
        };
        let present = TrafficJson {
            cycle: "month".to_owned(),
            quota_bytes: Some(1 << 41),
            quota_unit: Some("TiB".to_owned()),
            periods: vec![period],
            ..TrafficJson::default()
        };
        let plans = vec![
            PlanJson { name: "transit".to_owned(), present: Some(present) },
            PlanJson { name: "x\u{7}".to_owned(), present: None },
        ];
        assert_eq!(
            list(&PlansJson { plans, warning: Some("line 4, column 9: x\u{7}".to_owned()) }, None),
            "plan    |         used |        quota |       % |     forecast |         billed |           resets\n\
             --------+--------------+--------------+---------+--------------+----------------+-----------------\n\
             transit |     1.50 TiB |     2.00 TiB |  75.0 % |     2.00 TiB |  200.00 Mbit/s | 2026-12-01 00:00\n\
             x?      |            - |            - |       - |            - |              - |                -\n\
             not in force: line 4, column 9: x?\n"
        );
        assert!(list(&PlansJson::default(), None).starts_with("the API has no plans"));
    }
}
