use serde_json::{Value, json};
use tidemap_wire::{Alert, AlertChange, Severity};

use super::{HOSTILE, MINUTE_MS, SINCE_MS, alert, notice, outgoing, post};
use crate::channels::{Outgoing, Post};

fn body(post: &Post) -> Value {
    serde_json::from_str(&post.body).unwrap()
}

fn header<'a>(post: &'a Post, name: &str) -> &'a str {
    let found = post.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).unwrap()
}

fn hostile() -> Vec<Alert> {
    vec![alert(HOSTILE)]
}

/// The service of each type with the settings that it needs.
const ALL: [&str; 7] = [
    "url = \"https://h.example/\"",
    "type = \"ntfy\"\ntopic = \"t\"",
    "type = \"telegram\"\ntoken_env = \"1:A\"\nchat = \"@c\"",
    "url = \"slack://A/B/C\"",
    "url = \"discord://1/A\"",
    "type = \"gotify\"\nserver = \"https://g/\"\ntoken_env = \"T\"",
    "url = \"alertmanager://am:9093\"",
];

#[test]
fn hostile_names_and_long_lists_make_json_within_the_services_limits() {
    let long = "\u{1f600}\"<@1>*".repeat(40);
    let mut alerts: Vec<Alert> = (0..20).map(|node| alert(&format!("{long}{node}"))).collect();
    for (node, alert) in alerts.iter_mut().enumerate() {
        alert.summary = format!("{long} {node}");
    }
    for change in [AlertChange::Fired, AlertChange::Repeated, AlertChange::Resolved, AlertChange::Test] {
        for lines in ALL {
            for alerts in [hostile(), alerts.clone()] {
                let sent = post(lines, &notice(change, alerts));
                let body = body(&sent);
                for (_, value) in &sent.headers {
                    assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value:?}");
                }
                let letters = |value: &Value| value.as_str().unwrap().chars().count();
                match lines {
                    lines if lines.contains("ntfy") => {
                        assert!(body["message"].as_str().unwrap().len() <= 4_096);
                    }
                    lines if lines.contains("telegram") => {
                        assert!(body["text"].as_str().unwrap().encode_utf16().count() <= 4_096);
                        assert!(body.get("parse_mode").is_none());
                    }
                    lines if lines.contains("slack") => {
                        assert!(letters(&body["blocks"][0]["text"]["text"]) <= 3_000);
                    }
                    lines if lines.contains("discord") => {
                        let embed = &body["embeds"][0];
                        assert!(letters(&embed["title"]) <= 256 && letters(&embed["description"]) <= 4_096);
                        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_webhook_is_sent_all_that_is_known() {
    let sent = post(
        "url = \"https://h.example/\"\nsecret_env = \"s\"\nheaders = { X-Team = \"net\" }",
        &notice(AlertChange::Fired, hostile()),
    );
    assert_eq!(sent.secret.as_deref(), Some("s"));
    assert_eq!(header(&sent, "idempotency-key"), "n-1+20+22+c3+a9+22");
    assert_eq!(header(&sent, "x-tidemap-event"), "alert");
    assert_eq!(header(&sent, "X-Team"), "net");
    let body = body(&sent);
    assert_eq!(body["target"], HOSTILE);
    assert_eq!(body["at"], "2026-11-29T14:07:00+01:00");
    for (name, value) in [
        ("version", json!(1)),
        ("event", json!("alert")),
        ("change", json!("fired")),
        ("severity", json!("warning")),
        ("count", json!(1)),
        ("value", json!(117_625_000.0)),
        ("unit", json!("bps")),
        ("since", json!("2026-11-29T14:02:00+01:00")),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
    assert_eq!(body["alerts"][0]["target"]["name"], HOSTILE);
    let resolved = post("url = \"https://h.example/\"", &notice(AlertChange::Resolved, hostile()));
    assert_eq!(header(&resolved, "x-tidemap-event"), "resolved");
}

#[test]
fn a_template_takes_any_name() {
    let template = "template = '{\"a\": {{json target}}, \"b\": \"<{{ inner target }}>\", \"c\": \
                    \"https://x/?q={{url target}}\", \"n\": {{count}}, \"all\": {{json alerts}}, \"v\": {{json value}}}'";
    let sent = post(&format!("url = \"https://h/\"\n{template}"), &notice(AlertChange::Fired, hostile()));
    let body = body(&sent);
    assert_eq!(body["a"], HOSTILE);
    assert_eq!(body["b"], format!("<{HOSTILE}>"));
    assert!(body["c"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!((&body["n"], &body["v"]), (&json!(1), &json!(117_625_000.0)));
    assert_eq!(body["all"][0]["rule"], "fast");
    let plain = "url = \"https://h/\"\ncontent_type = \"text/plain\"\ntemplate = '{{severity}} {{target}}'";
    let sent = post(plain, &notice(AlertChange::Fired, hostile()));
    assert_eq!(
        (sent.body, header(&post(plain, &notice(AlertChange::Fired, hostile())), "content-type")),
        (format!("warning {HOSTILE}"), "text/plain")
    );
}

#[test]
fn ntfy_shows_severity_as_priority() {
    for (severity, change, priority, tag) in [
        (Severity::Info, AlertChange::Fired, 2, "information_source"),
        (Severity::Warning, AlertChange::Repeated, 4, "warning"),
        (Severity::Critical, AlertChange::Fired, 5, "rotating_light"),
        (Severity::Critical, AlertChange::Resolved, 3, "white_check_mark"),
    ] {
        let mut shown = notice(change, vec![alert("web-01")]);
        shown.severity = severity;
        let sent = post("type = \"ntfy\"\ntopic = \"t\"\ntoken_env = \"tk_1\"", &shown);
        assert_eq!((sent.url.as_str(), header(&sent, "authorization")), ("https://ntfy.sh/", "Bearer tk_1"));
        let body = body(&sent);
        assert_eq!(
            (&body["topic"], &body["priority"], &body["tags"]),
            (&json!("t"), &json!(priority), &json!([tag]))
        );
        assert_eq!(body["click"], "https://tide.example/map/?node=web-01");
    }
}

#[test]
fn telegram_is_sent_plain_text_into_a_thread() {
    let lines = "type = \"telegram\"\ntoken_env = \"1:A\"\nchat = -1001\nthread = 42";
    let body = body(&post(lines, &notice(AlertChange::Fired, hostile())));
    assert_eq!((&body["chat_id"], &body["message_thread_id"]), (&json!(-1001), &json!(42)));
    let text = body["text"].as_str().unwrap();
    assert!(
        text.starts_with("[warning] a\"b'\\<b>&amp;") && text.contains("\nhttps://tide.example/"),
        "{text}"
    );
}

#[test]
fn no_name_mentions_anybody_in_slack() {
    let body = body(&post("url = \"slack://A/B/C\"", &notice(AlertChange::Fired, hostile())));
    assert_eq!(body["blocks"][0]["text"]["type"], "plain_text");
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("&lt;!channel&gt;") && !text.contains("<!"), "{text}");
    let link = body["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(link.starts_with("<https://tide.example/map/?node=") && link.ends_with("|Tidemap>"), "{link}");
    assert_eq!(link.matches(['<', '>', '|']).count(), 3, "{link}");
}

#[test]
fn gotify_is_asked_with_its_token() {
    let lines = "type = \"gotify\"\nserver = \"https://g.example/sub\"\ntoken_env = \"T\"";
    let sent = post(lines, &notice(AlertChange::Fired, vec![alert("web-01")]));
    assert_eq!((sent.url.as_str(), header(&sent, "x-gotify-key")), ("https://g.example/sub/message", "T"));
    let body = body(&sent);
    assert_eq!(body["priority"], 5);
    assert_eq!(
        body["extras"]["client::notification"]["click"]["url"],
        "https://tide.example/map/?node=web-01"
    );
}

#[test]
fn an_alert_has_the_same_labels_in_alertmanager_until_it_ends() {
    let mut alerts = vec![alert("web-01"), alert(HOSTILE)];
    let lines = "url = \"alertmanager+http://am:9093/base\"";
    let fired = post(lines, &notice(AlertChange::Fired, alerts.clone()));
    assert_eq!(fired.url, "http://am:9093/base/api/v2/alerts");
    // What may change while it fires.
    "renamed".clone_into(&mut alerts[0].target.name);
    "other words".clone_into(&mut alerts[0].summary);
    alerts[0].target.labels.insert("rack".to_owned(), "1".to_owned());
    alerts[0].resolved_ms = Some(SINCE_MS + 60 * MINUTE_MS);
    let resolved = body(&post(lines, &notice(AlertChange::Resolved, alerts)));
    let fired = body(&fired);
    assert_eq!(fired[0]["labels"], resolved[0]["labels"]);
    assert_eq!(fired[0]["labels"]["alertname"], "fast");
    assert_eq!(fired[0]["startsAt"], "2026-11-29T14:07:00+01:00");
    assert_eq!(fired[0]["endsAt"], "2026-12-29T14:07:00+01:00");
    assert_eq!(resolved[0]["endsAt"], "2026-11-29T15:02:00+01:00");
}

#[test]
fn mails_of_one_alert_are_one_thread() {
    let lines = "[[channel]]\nname = \"c\"\ntype = \"smtp\"\nhost = \"h\"\nfrom = \"T <t@x.example>\"\nto = [\"a@b.c\"]";
    let mail = |change| match outgoing(lines, &notice(change, hostile())).unwrap() {
        Outgoing::Mail(mail) => mail,
        Outgoing::Post(_) => panic!("a request"),
    };
    let (fired, resolved) = (mail(AlertChange::Fired), mail(AlertChange::Resolved));
    assert_eq!(fired.message_id, "n-1+20+22+c3+a9+22.notice@x.example");
    assert_eq!(fired.thread, resolved.thread);
    for text in [&fired.message_id, &fired.thread] {
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte)), "{text}");
    }
    assert!(!fired.subject.contains(char::is_control), "{}", fired.subject);
    assert_eq!(fired.server.port, 587);
}
