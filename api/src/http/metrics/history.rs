//! The history for Prometheus.

use tidemap_service::exposition::{
    Exposition,
    Kind::{Counter, Gauge},
};
use tidemap_wire::history_query::HistoryStatus;

/// `status` is absent when no station answers.
pub(super) fn families(text: &mut Exposition, status: Option<&HistoryStatus>) {
    text.family(Gauge, "tidemap_history_up", "1 while a history station answers.")
        .sample(&[], f64::from(u8::from(status.is_some())));
    let Some(status) = status else { return };
    let help = "0 while the station cannot store what it reads.";
    text.family(Gauge, "tidemap_history_storing", help)
        .sample(&[], f64::from(u8::from(status.trouble.is_none())));
    let help = "What is wrong while the station stores: damage, or a disk that is too small.";
    text.family(Gauge, "tidemap_history_warnings", help).sample(&[], status.warnings.len() as f64);
    let help = "Begin of what is kept, by the length of the steps.";
    let mut oldest = text.family(Gauge, "tidemap_history_oldest_timestamp_seconds", help);
    for tier in &status.tiers {
        if let Some(from_ms) = tier.from_ms {
            oldest.sample(&[("step", &step(tier.step_ms))], seconds(from_ms));
        }
    }
    let help = "Minutes that end later may still come.";
    let mut until = text.family(Gauge, "tidemap_history_complete_until_timestamp_seconds", help);
    if status.complete_until_ms > 0 {
        until.sample(&[], seconds(status.complete_until_ms));
    }
    for (name, help, value) in [
        ("tidemap_history_disk_used_bytes", "Bytes of the disk in use.", status.used_bytes),
        (
            "tidemap_history_disk_budget_bytes",
            "Bytes of the disk that the history may use.",
            status.budget_bytes,
        ),
        (
            "tidemap_history_pending_messages",
            "Messages from ingest that the station has not read yet.",
            status.pending,
        ),
    ] {
        text.family(Gauge, name, help).sample(&[], value as f64);
    }
    let help = "From when on every minute is there.";
    let mut whole = text.family(Gauge, "tidemap_history_whole_from_timestamp_seconds", help);
    if let Some(whole_from_ms) = status.whole_from_ms.or(status.since_ms) {
        whole.sample(&[], seconds(whole_from_ms));
    }
    let help = "Rows that the station has not stored: of minutes that cannot be right or are kept no more, \
                and those of which storing failed.";
    text.family(Counter, "tidemap_history_refused_rows_total", help).sample(&[], status.refused_rows as f64);
}

/// A length as in the API's `step`: `1m`, `15m`, `1h`, `1d`.
fn step(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m")];
    let unit = units.into_iter().find(|(unit, _)| ms.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use tidemap_wire::history_query::TierReach;

    use super::*;

    #[test]
    fn the_reach_of_each_tier_is_listed_and_without_a_station_nothing_is() {
        let mut text = Exposition::default();
        families(&mut text, None);
        let text = text.finish();
        assert!(text.ends_with("\ntidemap_history_up 0\n"), "{text}");
        let tier = |step_ms, from_ms| TierReach { step_ms, from_ms };
        let day = 86_400_000;
        let tiers = vec![tier(60_000, Some(90_500)), tier(900_000, Some(60_000)), tier(day, None)];
        let status = HistoryStatus {
            tiers,
            used_bytes: 5,
            budget_bytes: 7,
            pending: 3,
            complete_until_ms: 120_000,
            trouble: Some("no space".to_owned()),
            warnings: vec!["damage".to_owned()],
            since_ms: Some(90_000),
            whole_from_ms: Some(150_000),
            refused_rows: 2,
            ..HistoryStatus::default()
        };
        let mut text = Exposition::default();
        families(&mut text, Some(&status));
        let text = text.finish();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "tidemap_history_up 1",
                "tidemap_history_storing 0",
                "tidemap_history_warnings 1",
                "tidemap_history_oldest_timestamp_seconds{step=\"1m\"} 90.5",
                "tidemap_history_oldest_timestamp_seconds{step=\"15m\"} 60",
                "tidemap_history_complete_until_timestamp_seconds 120",
                "tidemap_history_disk_used_bytes 5",
                "tidemap_history_disk_budget_bytes 7",
                "tidemap_history_pending_messages 3",
                "tidemap_history_whole_from_timestamp_seconds 150",
                "tidemap_history_refused_rows_total 2",
            ]
        );
    }
}
