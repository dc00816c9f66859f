//! Files, routes, texts and bodies of requests, with names as hostile as nodes can have.

mod bodies;
mod files;
mod texts;

use std::collections::BTreeMap;

use tidemap_wire::{Alert, AlertChange, AlertNotice, AlertState, AlertTarget, Severity, TargetKind};

use super::{Channels, Outgoing, Post, Setting, Style, Values};
use crate::AlertFile;

/// 29 November 2026, 14:02:00 in Berlin.
pub(crate) const SINCE_MS: i64 = 1_795_957_320_000;
pub(crate) const MINUTE_MS: i64 = 60_000;
/// A name with everything that has a meaning anywhere.
pub(crate) const HOSTILE: &str =
    "a\"b'\\<b>&amp;@everyone <!channel> *x* _y_ `z` [l](http://e)\r\nBcc: c@d.e\u{202e}😀";

pub(crate) fn parse(text: &str) -> Channels {
    AlertFile::parse(text).unwrap().channels
}

pub(crate) fn refusal(text: &str) -> String {
    AlertFile::parse(text).unwrap_err().to_string()
}

pub(crate) fn alert(name: &str) -> Alert {
    Alert {
        id: format!("id of {name}"),
        rule: "fast".to_owned(),
        severity: Severity::Warning,
        target: AlertTarget {
            kind: TargetKind::Node,
            id: name.to_owned(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
        },
        state: AlertState::Firing,
        summary: "download 941 Mbit/s for 5 min (limit 900 Mbit/s), 94 % of link".to_owned(),
        value: Some(117_625_000.0),
        peak: Some(123_125_000.0),
        threshold: Some(112_500_000.0),
        unit: "bps".to_owned(),
        since_ms: SINCE_MS,
        fired_ms: Some(SINCE_MS + 5 * MINUTE_MS),
        resolved_ms: None,
        silenced_until_ms: None,
        resets_ms: None,
    }
}

pub(crate) fn notice(change: AlertChange, alerts: Vec<Alert>) -> AlertNotice {
    AlertNotice {
        id: "n-1 \"é\"".to_owned(),
        change,
        at_ms: SINCE_MS + 5 * MINUTE_MS,
        rule: "fast".to_owned(),
        severity: Severity::Warning,
        count: u32::try_from(alerts.len()).unwrap(),
        alerts,
    }
}

pub(crate) fn style() -> Style {
    parse("time_zone = \"Europe/Berlin\"\npage_url = \"https://tide.example/map/\"").style().clone()
}

/// What the only channel of a file is sent, with a text of its own in place of each secret.
pub(crate) fn outgoing(text: &str, notice: &AlertNotice) -> Result<Outgoing, String> {
    let channels = parse(text);
    let channel = channels.named("c").unwrap();
    let mut values = Values::default();
    for (name, setting) in channel.settings() {
        values.set(
            name,
            match setting {
                Setting::Given(text) => text.clone(),
                Setting::File(path) => path.to_str().unwrap().to_owned(),
                Setting::Variable(variable) => variable.clone(),
            },
        );
    }
    channel.outgoing(&values, notice, &style())
}

pub(crate) fn post(lines: &str, notice: &AlertNotice) -> Post {
    match outgoing(&format!("[[channel]]\nname = \"c\"\n{lines}"), notice).unwrap() {
        Outgoing::Post(post) => post,
        Outgoing::Mail(_) => panic!("a mail"),
    }
}
