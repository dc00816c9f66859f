use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tidemap_wire::{Alert, AlertState, AlertTarget, Severity, TargetKind};

use super::*;

const UTC: Zone<'static> = &|_| 0;
/// 27 November 2026, 14:05:10.
const NOW_MS: i64 = 1_795_788_310_000;
const HOUR_MS: i64 = 3_600_000;

fn alert() -> Alert {
    Alert {
        id: "a1".to_owned(),
        rule: "busy uplink".to_owned(),
        severity: Severity::Critical,
        target: AlertTarget {
            kind: TargetKind::Node,
            id: "web-lon=2F1".to_owned(),
            name: "Web-LON/1".to_owned(),
            labels: std::collections::BTreeMap::new(),
        },
        state: AlertState::Firing,
        summary: "download 941 Mbit/s for 5 min (limit 900 Mbit/s)".to_owned(),
        value: Some(117_625_000.0),
        peak: Some(123_125_000.0),
        threshold: Some(112_500_000.0),
        unit: "bps".to_owned(),
        since_ms: NOW_MS - 310_000,
        fired_ms: Some(NOW_MS - 10_000),
        resolved_ms: None,
        silenced_until_ms: None,
        resets_ms: None,
    }
}

fn about(kind: TargetKind, id: &str, name: &str) -> Alert {
    let target = AlertTarget { kind, id: id.to_owned(), name: name.to_owned(), ..alert().target };
    Alert { target, ..alert() }
}

fn finding(alert: &Alert) -> Finding {
    Finding::read(&Value::parse(&json!(alert).to_string()).unwrap()).unwrap()
}

fn line(alert: &Alert) -> Line {
    finding(alert).line(NOW_MS, "?view=events&unit=Mbit%2Fs", Unit::MegaBits, UTC)
}

fn answer(firing: &[Alert], log: &[Alert]) -> Json {
    json!({
        "at_ms": NOW_MS, "evaluator": { "id": "e", "since_ms": 5, "rules": 3 }, "warnings": ["history is away"],
        "counts": { "firing": 1000, "log": 1 }, "firing": firing, "log": log,
    })
}

fn read(answer: &Json) -> Result<Events, Invalid> {
    Events::read(&answer.to_string())
}

#[test]
fn a_firing_alert_says_who_what_and_since_when() {
    assert_eq!(
        line(&alert()),
        Line {
            sign: Sign::Critical,
            name: "Web-LON/1".to_owned(),
            query: Some("?view=events&unit=Mbit%2Fs&node=web-lon%2F1".to_owned()),
            summary: "download 941 Mbit/s for 5 min (limit 900 Mbit/s)".to_owned(),
            when: "5 min".to_owned(),
            exact: "27 Nov 2026 14:00:00".to_owned(),
            notes: "busy uplink · since 14:00 · peak 985 Mbit/s".to_owned(),
        }
    );
    let silenced = Alert { silenced_until_ms: Some(NOW_MS + 24 * HOUR_MS), peak: None, ..alert() };
    assert_eq!(line(&silenced).notes, "busy uplink · since 14:00 · silenced until 28 Nov 14:05");
    let past = Alert { silenced_until_ms: Some(NOW_MS - 1), peak: None, ..alert() };
    assert_eq!(line(&past).notes, "busy uplink · since 14:00", "a silence that is over is not said");
    let ahead = Alert { since_ms: NOW_MS + 5000, ..alert() };
    assert_eq!(line(&ahead).when, "0 s");
}

#[test]
fn one_that_is_over_says_when_how_long_and_how_bad_it_was() {
    let over = Alert {
        rule: "offline".to_owned(),
        summary: "offline".to_owned(),
        since_ms: NOW_MS - 26 * HOUR_MS,
        resolved_ms: Some(NOW_MS - 24 * HOUR_MS + 300_000),
        state: AlertState::Resolved,
        ..alert()
    };
    let said = line(&over);
    assert_eq!((said.sign, &*said.when), (Sign::Over, "26 Nov 14:10"));
    assert_eq!(said.notes, "lasted 2 h 5 min · peak 985 Mbit/s");
    assert_eq!(said.exact, "26 Nov 2026 12:05:10 – 26 Nov 2026 14:10:10");
    // A length that only grows has no peak of its own.
    let length = Alert { unit: "s".to_owned(), peak: Some(7500.0), ..over };
    assert_eq!(line(&length).notes, "lasted 2 h 5 min");
}

#[test]
fn peaks_are_in_the_rules_unit() {
    for (value, unit, said) in [
        (97.25, "percent", "97.3 %"),
        (120.0, "percent", "120 %"),
        (41.55, "ms", "41.6 ms"),
        (12.0, "", "12"),
        (1234.0, "", "1,234"),
        (1.0, "bps", "8 bit/s"),
        (3.0, "apples", "3 apples"),
    ] {
        assert_eq!(amount(value, unit, Unit::MegaBits), said, "{value} {unit}");
    }
}

#[test]
fn groups_lead_to_their_nodes_plans_to_the_traffic_and_others_nowhere() {
    let query = |kind, id: &str| {
        finding(&about(kind, id, "n")).query("?view=events&state=firing&q=x&node=a&range=1h&unit=auto")
    };
    assert_eq!(
        query(TargetKind::Group, "location=São Paulo").unwrap(),
        "?range=1h&unit=auto&group=location&is=S%C3%A3o%20Paulo"
    );
    assert_eq!(
        query(TargetKind::Group, "label:site=a=b").unwrap(),
        "?range=1h&unit=auto&group=label%3Asite&is=a%3Db"
    );
    assert_eq!(query(TargetKind::Group, "provider=").unwrap(), "?range=1h&unit=auto&group=provider");
    assert_eq!(query(TargetKind::Plan, "transit").unwrap(), "?range=1h&unit=auto&view=traffic");
    for kind in [TargetKind::Fleet, TargetKind::Partition, TargetKind::Worker, TargetKind::Broker] {
        assert_eq!(query(kind, "3"), None, "{kind:?}");
    }
    assert_eq!(line(&about(TargetKind::Partition, "3", "")).name, "Partition 3");
    assert_eq!(line(&about(TargetKind::Fleet, "", "")).name, "Fleet");
    assert_eq!(line(&about(TargetKind::Worker, "w-7", "")).name, "w-7");
}

#[test]
fn an_answer_says_who_watches_and_how_many_more_fire() {
    let mut answer = answer(&vec![alert(); 200], &[alert()]);
    let events = read(&answer).unwrap();
    assert_eq!((events.firing.len(), events.log.len(), &*events.more()), (200, 1, "and 800 more"));
    assert_eq!((&*events.watch(), events.calm()), ("3 rules are watched.", "Nothing is firing."));
    assert_eq!(events.warnings, ["history is away"]);
    answer["evaluator"]["is_hearing"] = json!(false);
    let events = read(&answer).unwrap();
    assert!(events.watch().starts_with("Not the whole fleet is heard"), "{}", events.watch());
    assert_ne!(events.calm(), "Nothing is firing.", "some are not judged");
    answer["evaluator"] = Json::Null;
    let events = read(&answer).unwrap();
    assert!(events.watch().starts_with("Nobody watches"), "{}", events.watch());
    assert_ne!(events.calm(), "Nothing is firing.", "nobody knows");
    // Whoever lists all of them and counts none says as much.
    answer["firing"] = json!(vec![alert(); 1000]);
    answer["counts"] = Json::Null;
    assert_eq!(read(&answer).unwrap().more(), "and 800 more");
    answer["firing"] = json!([]);
    answer["warnings"] = Json::Null;
    assert_eq!(read(&answer).unwrap().more(), "");
    assert_eq!(read(&json!({ "detail": "no" })), Err(Invalid));
}

#[test]
fn what_a_later_version_adds_is_no_error() {
    let mut answer = answer(&[alert()], &[]);
    answer["firing"][0]["severity"] = json!("doom");
    answer["firing"][0]["target"]["kind"] = json!("moon");
    answer["more"] = json!([1]);
    let events = read(&answer).unwrap();
    let said = events.firing[0].line(NOW_MS, "", Unit::Auto, UTC);
    assert_eq!((said.sign, said.query), (Sign::Warning, None));
}

#[test]
fn limits_are_drawn_in_the_direction_that_passed_them() {
    let limits = |summary: &str, unit: &str| {
        finding(&Alert { summary: summary.to_owned(), unit: unit.to_owned(), ..alert() })
            .limits()
            .map(|limit| limit.is_some())
    };
    assert_eq!(limits("download 941 Mbit/s for 5 min (limit 900 Mbit/s)", "bps"), [true, false]);
    assert_eq!(limits("upload 941 Mbit/s (limit 900 Mbit/s)", "bps"), [false, true]);
    assert_eq!(limits("traffic 941 Mbit/s (limit 900 Mbit/s)", "bps"), [true, true]);
    assert_eq!(limits("download and upload 941 Mbit/s", "bps"), [false, false], "a sum is no rate of one");
    assert_eq!(limits("download of the link 94 %", "percent"), [false, false]);
    assert_eq!(limits("no download for 5 min", "bps"), [false, false]);
}

#[test]
fn charts_get_an_alerts_times_and_the_limit_that_was_passed() {
    let over = finding(&Alert { resolved_ms: Some(NOW_MS), ..alert() });
    let marks = AlertMarks::within(&[over.span(), finding(&alert()).span()], 0, NOW_MS + 1, |limit| limit);
    assert_eq!(marked(&marks).as_deref(), Some("Alerts: 2 fired (▼), 1 over (▽)."));
    assert_eq!(marks.limits, [vec![112_500_000.0], vec![]]);
    assert_eq!(marked(AlertMarks::NONE), None);
}

#[test]
fn addresses_ask_for_one_node_or_all() {
    assert_eq!(url(None), "api/alerts?limit=200");
    assert_eq!(url(Some("a b")), "api/alerts?limit=200&node=a%20b");
}

proptest! {
    /// Whatever a target is called, its link is one query string that names exactly it.
    #[test]
    fn a_link_names_its_node(name in "[^A-Z]{1,20}") {
        let id = NodeId::from_text(&name);
        prop_assume!(id.is_ok());
        let query = finding(&about(TargetKind::Node, id.unwrap().as_str(), &name)).query("?view=events").unwrap();
        let named = range::Asked::parse(&query).node;
        prop_assert_eq!(named.as_deref(), Some(&*name));
    }
}
