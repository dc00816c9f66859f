//! Traffic as a table of text, like vnStat's. Pure.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use tidemap_traffic::{Unit, Zone};
use tidemap_wire::http::{P95Json, QuotaJson, TrafficJson, TrafficPeriodJson};

const SLOT_MINUTES: u64 = 5;

/// The table, with what is known of the last period below. Amounts are in `unit`, or in one that fits.
pub(super) fn table(traffic: &TrafficJson, unit: Option<Unit>, now_ms: i64) -> String {
    let zone = Zone::named(&traffic.time_zone).unwrap_or(Zone::UTC);
    let mut out = String::new();
    let mut put = |line: String| {
        out.push_str(&harmless(&line));
        out.push('\n');
    };
    let plan = traffic.plan.as_ref().map(|plan| format!("{plan}: ")).unwrap_or_default();
    put(format!("{plan}{}, by {} in {}", traffic.of, traffic.cycle, traffic.time_zone));
    for unknown in &traffic.unknown {
        put(format!("not counted, because the history has never heard of it: {unknown}"));
    }
    put(String::new());
    let counts = match &*traffic.direction {
        "both" => "total",
        direction => direction,
    };
    put(format!(
        "{:>16} | {:>12} | {:>12} | {counts:>12} | {:>14} | covered",
        "from", "in", "out", "mean of total"
    ));
    let rule = [17, 14, 14, 14, 16, 8].map(|width| "-".repeat(width)).join("+");
    put(rule.clone());
    for period in &traffic.periods {
        put(row(period, unit, traffic.complete_until_ms));
    }
    if let Some(last) = traffic.periods.last() {
        if let Some(bytes) = last.forecast_bytes {
            put(rule);
            put(format!("{:>16} | {:>12} | {:>12} | {:>12} |", "forecast", "", "", amount(bytes, unit)));
        }
        put(String::new());
        for line in below(traffic, last, unit, &zone, now_ms) {
            put(line);
        }
    }
    put(format!("counted until {}", minute(&zone.show(traffic.complete_until_ms))));
    out
}

fn row(period: &TrafficPeriodJson, unit: Option<Unit>, complete_until_ms: i64) -> String {
    let known = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| amount(bytes, unit));
    let seconds = (period.to_ms.min(complete_until_ms) - period.from_ms).max(0) / 1_000;
    let total = period.rx_bytes.zip(period.tx_bytes).map(|(rx, tx)| rx.saturating_add(tx));
    let mean = total.filter(|_| seconds > 0).map_or("-".to_owned(), |bytes| {
        rate(u64::try_from(u128::from(bytes) / u128::from(seconds.unsigned_abs())).unwrap_or(u64::MAX))
    });
    format!(
        "{:>16} | {:>12} | {:>12} | {:>12} | {mean:>14} | {:>7}",
        minute(&period.from),
        known(period.rx_bytes),
        known(period.tx_bytes),
        known(period.counted_bytes),
        share(period.covered_ms, period.expected_ms),
    )
}

/// What is said below the table of the last period.
fn below(
    traffic: &TrafficJson,
    last: &TrafficPeriodJson,
    unit: Option<Unit>,
    zone: &Zone,
    now_ms: i64,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(quota), Some(bytes)) = (&last.quota, traffic.quota_bytes) {
        let typed = unit.or_else(|| Unit::named(traffic.quota_unit.as_deref()?));
        lines.extend(of_quota(quota, bytes, &traffic.direction, typed, zone));
    }
    if !traffic.is_rolling() && last.to_ms > now_ms {
        let rest = span((last.to_ms - now_ms).unsigned_abs() / 60_000);
        lines.push(format!("resets in {rest}, {} {}", minute(&last.to), traffic.time_zone));
    }
    let of_each = traffic.periods.iter().filter_map(|period| Some((period, period.p95.as_ref()?)));
    lines.extend(of_each.flat_map(|(period, p95)| of_p95(period, p95)));
    let unplaced = last.unplaced_rx_bytes.saturating_add(last.unplaced_tx_bytes);
    if unplaced > 0 {
        lines.push(format!("{} of it moved at moments that are not known", amount(unplaced, unit)));
    }
    lines
}

fn of_quota(quota: &QuotaJson, bytes: u64, direction: &str, unit: Option<Unit>, zone: &Zone) -> Vec<String> {
    let shown = |bytes: u64| amount(bytes, unit);
    let mut first = format!(
        "quota {} ({direction}): {} used, {:.1} %, {} left",
        shown(bytes),
        shown(quota.used_bytes),
        quota.percent,
        shown(quota.left_bytes)
    );
    let correction = quota.correction_bytes;
    if correction != 0 {
        let sign = if correction < 0 { "-" } else { "+" };
        let _always_fits = write!(first, ", with a correction of {sign}{}", shown(correction.unsigned_abs()));
    }
    let forecast = quota.forecast_bytes.map(|bytes| format!("forecast {}", shown(bytes)));
    let exceeded = quota.exceeded_at_ms.map(|at_ms| format!("used up on {}", minute(&zone.show(at_ms))));
    let second = [forecast, exceeded].into_iter().flatten().collect::<Vec<_>>().join(", ");
    [first, second].into_iter().filter(|line| !line.is_empty()).collect()
}

fn of_p95(period: &TrafficPeriodJson, p95: &P95Json) -> Vec<String> {
    let mut lines = vec![format!(
        "95th percentile from {}: in {}, out {}, {} billed ({}); {} of {} slots",
        minute(&period.from),
        rate(p95.rx.p95_bps),
        rate(p95.tx.p95_bps),
        rate(p95.billed_bps),
        p95.direction,
        p95.present_slots,
        p95.expected_slots,
    )];
    if let (Some(commit), Some(overage)) = (p95.commit_bps, p95.overage_bps)
        && let (Some(used), Some(budget)) = (p95.burst_slots, p95.burst_budget_slots)
    {
        lines.push(format!(
            "  agreed {}: {} above it; {used} of {budget} slots used, {} of {}",
            rate(commit),
            rate(overage),
            span(used * SLOT_MINUTES),
            span(budget * SLOT_MINUTES),
        ));
    }
    lines
}

/// A text that leaves the terminal alone, whatever nodes and groups are called.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

pub(super) fn amount(bytes: u64, unit: Option<Unit>) -> String {
    unit.unwrap_or_else(|| Unit::of(bytes)).show(bytes)
}

/// Bytes per second, in bits.
pub(crate) fn rate(bps: u64) -> String {
    let bits = bps.saturating_mul(8);
    let units = [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000)];
    match units.into_iter().find(|(_, unit)| bits >= *unit) {
        Some((name, unit)) => format!("{:.2} {name}", bits as f64 / unit as f64),
        None => format!("{bits} bit/s"),
    }
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Rounded down, so that 100 % means all.
    let tenths = (u128::from(part) * 1_000 / u128::from(whole)).min(1_000);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A length of time in its two largest units.
fn span(minutes: u64) -> String {
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A moment without its seconds and offset.
pub(super) fn minute(moment: &str) -> String {
    moment.get(..16).unwrap_or(moment).replace('T', " ")
}
