//! The bodies of requests. Each is JSON, so that no name can be anything but text.

use serde_json::{Map, Value, json};
use tidemap_wire::{Alert, AlertChange, AlertNotice, Severity};

use super::{
    Style,
    message::Message,
    wording::{clean, shorten},
};

/// ntfy makes a file of what has more bytes.
const NTFY_BYTES: usize = 4_096;
/// In units of UTF-16.
const TELEGRAM_UNITS: usize = 4_096;
/// In letters, of a block of Slack and of the parts of an embed of Discord.
const SLACK_LETTERS: usize = 3_000;
const DISCORD_TITLE: usize = 256;
const DISCORD_LETTERS: usize = 4_096;
const TITLE_LETTERS: usize = 250;
/// Alertmanager ends an alert by itself after this time. It hears when one ends, so this is for alerts of a
/// fleet that is gone.
const ALERTMANAGER_ENDS_MS: i64 = 30 * 86_400_000;
/// Until when it shows a test.
const TEST_MS: i64 = 5 * 60_000;

/// What a webhook is about.
pub(super) fn event(change: AlertChange) -> &'static str {
    match change {
        AlertChange::Fired | AlertChange::Repeated => "alert",
        AlertChange::Resolved => "resolved",
        AlertChange::Test => "test",
    }
}

/// The fields of a webhook's body, which are the names of templates.
pub(super) fn webhook(notice: &AlertNotice, message: &Message, style: &Style) -> Map<String, Value> {
    let first = notice.alerts.first();
    let targets: Vec<_> = notice.alerts.iter().map(|alert| &alert.target.name).collect();
    let fields = json!({
        "version": 1,
        "id": notice.id,
        "event": event(notice.change),
        "change": notice.change,
        "at": style.zone.show(notice.at_ms),
        "at_ms": notice.at_ms,
        "rule": notice.rule,
        "severity": notice.severity,
        "title": message.title,
        "text": message.body,
        "url": message.link,
        "count": notice.count,
        "target": first.map(|alert| &alert.target.name),
        "targets": targets,
        "summary": first.map(|alert| &alert.summary),
        "since": first.map(|alert| style.zone.show(alert.since_ms)),
        "value": first.and_then(|alert| alert.value),
        "peak": first.and_then(|alert| alert.peak),
        "threshold": first.and_then(|alert| alert.threshold),
        "unit": first.map(|alert| &alert.unit),
        "alerts": notice.alerts,
    });
    let Value::Object(fields) = fields else { return Map::new() };
    fields
}

pub(super) fn ntfy(topic: &str, notice: &AlertNotice, message: &Message) -> String {
    let (priority, tag) = match (notice.change, notice.severity) {
        (AlertChange::Resolved, _) => (3, "white_check_mark"),
        (AlertChange::Test, _) => (3, "bell"),
        (_, Severity::Info) => (2, "information_source"),
        (_, Severity::Warning) => (4, "warning"),
        (_, Severity::Critical) => (5, "rotating_light"),
    };
    let body = json!({
        "topic": topic,
        "title": shorten(&message.title, TITLE_LETTERS, one),
        "message": shorten(&message.body, NTFY_BYTES, char::len_utf8),
        "priority": priority,
        "tags": [tag],
        "click": message.link,
    });
    without_null(body)
}

/// Without markup, so that names are text.
pub(super) fn telegram(chat: &str, thread: Option<i64>, message: &Message) -> String {
    let link = message.link.as_ref().map(|link| format!("\n{link}")).unwrap_or_default();
    let room = TELEGRAM_UNITS.saturating_sub(link.encode_utf16().count());
    let title = format!("{}\n{}", message.title, message.body);
    let body = json!({
        "chat_id": chat.parse::<i64>().map_or_else(|_| json!(chat), |number| json!(number)),
        "message_thread_id": thread,
        "text": format!("{}{link}", shorten(&title, room, char::len_utf16)),
        "link_preview_options": { "is_disabled": true },
    });
    without_null(body)
}

/// A block of plain text: names are neither markup nor mentions. `text` is what notifications show, and
/// what services show that only resemble Slack.
pub(super) fn slack(message: &Message) -> String {
    let text = format!("{}\n{}", message.title, message.body);
    let text = shorten(&text, SLACK_LETTERS, one);
    let mut blocks = vec![json!({
        "type": "section",
        "text": { "type": "plain_text", "text": text, "emoji": false },
    })];
    let mut escaped = slack_text(&text);
    if let Some(link) = &message.link {
        let link = format!("<{}|Tidemap>", slack_text(link));
        escaped = format!("{escaped}\n{link}");
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": link } }));
    }
    json!({ "text": escaped, "blocks": blocks }).to_string()
}

/// The three letters with which mentions and links begin.
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn discord(notice: &AlertNotice, message: &Message) -> String {
    let color = match (notice.change, notice.severity) {
        (AlertChange::Resolved, _) => 0x2e_8b_57,
        (AlertChange::Test, _) | (_, Severity::Info) => 0x4a_6f_a5,
        (_, Severity::Warning) => 0xd9_a4_06,
        (_, Severity::Critical) => 0xc0_39_2b,
    };
    let embed = json!({
        "title": shorten(&discord_text(&message.title), DISCORD_TITLE, one),
        "description": shorten(&discord_text(&message.body), DISCORD_LETTERS, one),
        "url": message.link,
        "color": color,
    });
    without_null(json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } }))
}

/// Markdown's letters as themselves, and no mention.
fn discord_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\*_~`|>#[]()<@-:".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

pub(super) fn gotify(notice: &AlertNotice, message: &Message) -> String {
    let priority = match (notice.change, notice.severity) {
        (AlertChange::Resolved | AlertChange::Test, _) => 4,
        (_, Severity::Info) => 2,
        (_, Severity::Warning) => 5,
        (_, Severity::Critical) => 8,
    };
    let mut extras = json!({ "client::display": { "contentType": "text/plain" } });
    if let Some(link) = &message.link {
        extras["client::notification"] = json!({ "click": { "url": link } });
    }
    json!({ "title": message.title, "message": message.body, "priority": priority, "extras": extras })
        .to_string()
}

/// An alert of Alertmanager for each alert of the notice. An alert is identified by its labels, so they are
/// what does not change while it fires.
pub(super) fn alertmanager(notice: &AlertNotice, message: &Message, style: &Style) -> String {
    let alert = |alert: &Alert| {
        let ends_ms = match notice.change {
            AlertChange::Resolved => alert.resolved_ms.unwrap_or(notice.at_ms),
            AlertChange::Fired | AlertChange::Repeated => notice.at_ms.saturating_add(ALERTMANAGER_ENDS_MS),
            AlertChange::Test => notice.at_ms.saturating_add(TEST_MS),
        };
        let target = &alert.target;
        let or_fleet = |text: &str| if text.is_empty() { "fleet".to_owned() } else { clean(text) };
        let body = json!({
            "labels": {
                "alertname": clean(&alert.rule),
                "severity": alert.severity,
                "kind": target.kind,
                "instance": or_fleet(&target.id),
            },
            "annotations": {
                "summary": format!("{}: {}", or_fleet(&target.name), clean(&alert.summary)),
                "description": message.body,
                "alert_id": clean(&alert.id),
            },
            "startsAt": style.zone.show(alert.fired_ms.unwrap_or(alert.since_ms)),
            "endsAt": style.zone.show(ends_ms),
            "generatorURL": message.link,
        });
        let Value::Object(mut body) = body else { return Value::Null };
        body.retain(|_, value| !value.is_null());
        Value::Object(body)
    };
    Value::Array(notice.alerts.iter().map(alert).collect()).to_string()
}

fn one(_: char) -> usize {
    1
}

/// Without the fields that have no value.
fn without_null(mut body: Value) -> String {
    remove_null(&mut body);
    body.to_string()
}

fn remove_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(remove_null);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_null),
        _ => {}
    }
}
