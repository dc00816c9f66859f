//! The history, as its station and the API tell it.

use tidemap_wire::history_query::{HistoryStatus, RemoteStatus};

use super::{
    Exposition,
    Kind::{Counter, Gauge},
};

impl Exposition {
    /// Writes the history's families: `tidemap_history_*`. `status` is absent when no station answers.
    pub fn history(&mut self, status: Option<&HistoryStatus>) {
        self.family(Gauge, "tidemap_history_up", "1 while a history station answers.")
            .sample(&[], f64::from(u8::from(status.is_some())));
        let Some(status) = status else { return };
        let help = "0 while the station cannot store what it reads.";
        self.family(Gauge, "tidemap_history_storing", help)
            .sample(&[], f64::from(u8::from(status.trouble.is_none())));
        let help = "What is wrong while the station stores: damage, or a disk that is too small.";
        self.family(Gauge, "tidemap_history_warnings", help).sample(&[], status.warnings.len() as f64);
        let help = "Begin of what is kept, by the length of the steps.";
        let mut oldest = self.family(Gauge, "tidemap_history_oldest_timestamp_seconds", help);
        for tier in &status.tiers {
            if let Some(from_ms) = tier.from_ms {
                oldest.sample(&[("step", &step(tier.step_ms))], seconds(from_ms));
            }
        }
        let help = "Minutes that end later may still come.";
        let mut until = self.family(Gauge, "tidemap_history_complete_until_timestamp_seconds", help);
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
            self.family(Gauge, name, help).sample(&[], value as f64);
        }
        let help = "From when on every minute is there.";
        let mut whole = self.family(Gauge, "tidemap_history_whole_from_timestamp_seconds", help);
        if let Some(whole_from_ms) = status.whole_from_ms.or(status.since_ms) {
            whole.sample(&[], seconds(whole_from_ms));
        }
        let help = "Rows that the station has not stored: of minutes that cannot be right or are kept no more, \
                    and those of which storing failed.";
        self.family(Counter, "tidemap_history_refused_rows_total", help)
            .sample(&[], status.refused_rows as f64);
        remote(self, status.remote.as_ref());
    }
}

/// What is sent to another database. A station that sends nothing is never behind, so that alerts compare
/// something in every fleet.
fn remote(text: &mut Exposition, status: Option<&RemoteStatus>) {
    let sending = status.is_none_or(|status| status.trouble.is_none());
    let help = "0 while minutes cannot be sent to the other database (--remote-write).";
    text.family(Gauge, "tidemap_history_remote_sending", help).sample(&[], f64::from(u8::from(sending)));
    let behind_ms = status.map_or(0, |status| status.behind_ms);
    let help = "Time of which minutes could be sent and are not yet.";
    text.family(Gauge, "tidemap_history_remote_behind_seconds", help).sample(&[], behind_ms as f64 / 1_000.0);
    let help = "Values that the other database will never take.";
    let mut refused = text.family(Counter, "tidemap_history_remote_refused_samples_total", help);
    refused.sample(&[("reason", "too_old")], status.map_or(0, |status| status.too_old) as f64);
    refused.sample(&[("reason", "other")], status.map_or(0, |status| status.refused) as f64);
    let Some(status) = status else { return };
    let help = "Values that it has taken.";
    text.family(Counter, "tidemap_history_remote_samples_total", help).sample(&[], status.samples as f64);
    let help = "Rows that changed after they were sent.";
    text.family(Counter, "tidemap_history_remote_changed_rows_total", help)
        .sample(&[], status.changed_rows as f64);
    let help = "Minutes that the disk's budget dropped before they were sent.";
    text.family(Counter, "tidemap_history_remote_dropped_minutes_total", help)
        .sample(&[], status.dropped_minutes as f64);
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
        text.history(None);
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
        text.history(Some(&status));
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
                "tidemap_history_remote_sending 1",
                "tidemap_history_remote_behind_seconds 0",
                "tidemap_history_remote_refused_samples_total{reason=\"too_old\"} 0",
                "tidemap_history_remote_refused_samples_total{reason=\"other\"} 0",
            ]
        );
    }

    #[test]
    fn what_is_sent_and_what_is_refused_is_counted() {
        let remote = RemoteStatus {
            behind_ms: 90_500,
            samples: 7,
            refused: 2,
            too_old: 3,
            changed_rows: 4,
            dropped_minutes: 5,
            trouble: Some("away".to_owned()),
            ..RemoteStatus::default()
        };
        let mut text = Exposition::default();
        text.history(Some(&HistoryStatus { remote: Some(remote), ..HistoryStatus::default() }));
        let text = text.finish();
        let samples: Vec<&str> =
            text.lines().filter(|line| line.starts_with("tidemap_history_remote")).collect();
        assert_eq!(
            samples,
            [
                "tidemap_history_remote_sending 0",
                "tidemap_history_remote_behind_seconds 90.5",
                "tidemap_history_remote_refused_samples_total{reason=\"too_old\"} 3",
                "tidemap_history_remote_refused_samples_total{reason=\"other\"} 2",
                "tidemap_history_remote_samples_total 7",
                "tidemap_history_remote_changed_rows_total 4",
                "tidemap_history_remote_dropped_minutes_total 5",
            ]
        );
    }
}
