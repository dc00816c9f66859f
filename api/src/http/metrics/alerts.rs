//! What alert rules have found, and what became of notices.

use tidemap_client::ChannelCounts;
use tidemap_service::exposition::{
    Exposition,
    Kind::{Counter, Gauge},
};
use tidemap_wire::Severity;

use crate::alerts::AlertsView;

/// Nothing where no alert station has ever run.
pub(super) fn families(text: &mut Exposition, alerts: Option<&AlertsView>) {
    let Some(alerts) = alerts else { return };
    let mut family = text.family(Gauge, "tidemap_alerts", "Alerts by rule and state.");
    for ((rule, severity, state), count) in alerts.counts() {
        let severity = match severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        family.sample(&[("rule", rule), ("severity", severity), ("state", state)], count as f64);
    }
    let help = "Whether a station judges alert rules: 1, or 0 where none is heard.";
    text.family(Gauge, "tidemap_alerts_evaluator", help)
        .sample(&[], f64::from(u8::from(alerts.evaluator.is_some())));
    let Some(lease) = &alerts.evaluator else { return };
    text.family(Gauge, "tidemap_alerts_rules", "Alert rules that are judged.")
        .sample(&[], f64::from(lease.rules));
    type Count = fn(&ChannelCounts) -> u64;
    let counts: [(&str, &str, Count); 3] = [
        ("tidemap_alerts_notices_sent_total", "Notices that a channel has taken.", |counts| counts.sent),
        ("tidemap_alerts_notices_failed_total", "Attempts to notify that failed.", |counts| counts.failed),
        ("tidemap_alerts_notices_dropped_total", "Notices that were given up.", |counts| counts.dropped),
    ];
    for (name, help, count) in counts {
        let mut family = text.family(Counter, name, help);
        for (channel, counts) in &lease.channels {
            family.sample(&[("channel", channel)], count(counts) as f64);
        }
    }
}
