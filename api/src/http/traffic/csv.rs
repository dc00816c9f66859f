//! Traffic as CSV (RFC 4180): a header, then a line for each period. Pure.

use tidemap_wire::http::{P95Json, QuotaJson, TrafficJson, TrafficPeriodJson};

use crate::http::history::csv::{finished, line, writer};

/// A column: its name, and what stands in it.
type Column = (&'static str, fn(&TrafficPeriodJson) -> Option<String>);

const COLUMNS: [Column; 21] = [
    ("from", |period| Some(period.from.clone())),
    ("to", |period| Some(period.to.clone())),
    ("partial", |period| Some(period.partial.to_string())),
    ("rx_bytes", |period| text(period.rx_bytes)),
    ("tx_bytes", |period| text(period.tx_bytes)),
    ("unplaced_rx_bytes", |period| text(Some(period.unplaced_rx_bytes))),
    ("unplaced_tx_bytes", |period| text(Some(period.unplaced_tx_bytes))),
    ("covered_ms", |period| text(Some(period.covered_ms))),
    ("expected_ms", |period| text(Some(period.expected_ms))),
    ("counted_bytes", |period| text(period.counted_bytes)),
    ("forecast_bytes", |period| text(period.forecast_bytes)),
    ("correction_bytes", |period| quota(period, |quota| Some(quota.correction_bytes))),
    ("used_bytes", |period| quota(period, |quota| Some(quota.used_bytes))),
    ("used_percent", |period| quota(period, |quota| Some(format!("{:.2}", quota.percent)))),
    ("p95_rx_bps", |period| p95(period, |p95| Some(p95.rx.p95_bps))),
    ("p95_tx_bps", |period| p95(period, |p95| Some(p95.tx.p95_bps))),
    ("p95_both_bps", |period| p95(period, |p95| Some(p95.both.p95_bps))),
    ("billed_bps", |period| p95(period, |p95| Some(p95.billed_bps))),
    ("overage_bps", |period| p95(period, |p95| p95.overage_bps)),
    ("expected_slots", |period| p95(period, |p95| Some(p95.expected_slots))),
    ("present_slots", |period| p95(period, |p95| Some(p95.present_slots))),
];

/// A line for each period, oldest first. What is null in JSON is empty.
pub(super) fn traffic(traffic: &TrafficJson) -> Vec<u8> {
    let mut lines = writer();
    line(&mut lines, COLUMNS.map(|(name, _)| name));
    for period in &traffic.periods {
        line(&mut lines, COLUMNS.map(|(_, of)| of(period).unwrap_or_default()));
    }
    finished(lines)
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn quota<T: ToString>(period: &TrafficPeriodJson, of: fn(&QuotaJson) -> Option<T>) -> Option<String> {
    text(period.quota.as_ref().and_then(of))
}

fn p95<T: ToString>(period: &TrafficPeriodJson, of: fn(&P95Json) -> Option<T>) -> Option<String> {
    text(period.p95.as_ref().and_then(of))
}
