use proptest::prelude::*;
use tidemap_wire::{Alert, AlertChange, AlertNotice, Severity, TargetKind};

use super::{HOSTILE, MINUTE_MS, SINCE_MS, alert, notice, style};
use crate::channels::Message;

fn message(notice: &AlertNotice) -> Message {
    Message::of(notice, &style())
}

#[test]
fn one_alert_is_one_line() {
    let fired = message(&notice(AlertChange::Fired, vec![alert("web-01")]));
    let summary = "download 941 Mbit/s for 5 min (limit 900 Mbit/s), 94 % of link";
    assert_eq!(fired.title, format!("[warning] web-01 · {summary}"));
    assert_eq!(fired.body, format!("web-01 · {summary} · since 14:02 CET"));
    assert_eq!(fired.link.as_deref(), Some("https://tide.example/map/?node=web-01"));
    assert_eq!(fired.with_link(), format!("{}\nhttps://tide.example/map/?node=web-01\n", fired.body));

    let mut repeated = notice(AlertChange::Repeated, vec![alert("web-01")]);
    repeated.at_ms = SINCE_MS + 120 * MINUTE_MS;
    repeated.severity = Severity::Critical;
    let repeated = message(&repeated);
    assert_eq!(repeated.title, format!("[critical] web-01 · still, for 2 h · {summary}"));
    assert_eq!(repeated.body, format!("web-01 · still, for 2 h · {summary} · since 14:02 CET"));

    let mut resolved = notice(AlertChange::Resolved, vec![alert("web-01")]);
    resolved.alerts[0].resolved_ms = Some(SINCE_MS + 125 * MINUTE_MS);
    let resolved = message(&resolved);
    let words = format!("web-01 · resolved after 2 h 5 min, peak 985 Mbit/s · {summary}");
    assert_eq!((resolved.title, resolved.body), (format!("[resolved] {words}"), words));
}

#[test]
fn the_date_is_said_when_it_is_another_day() {
    let mut old = notice(AlertChange::Repeated, vec![alert("web-01")]);
    old.at_ms = SINCE_MS + 24 * 60 * MINUTE_MS;
    assert!(message(&old).body.ends_with("· since 29 Nov 14:02 CET"), "{}", message(&old).body);
}

fn offline(names: &[&str]) -> Vec<Alert> {
    let offline = |name: &&str| {
        let mut alert = alert(name);
        "offline".clone_into(&mut alert.summary);
        alert.target.labels.insert("location".to_owned(), "Berlin".to_owned());
        (alert.value, alert.peak) = (None, None);
        alert
    };
    names.iter().map(offline).collect()
}

#[test]
fn a_site_that_drops_is_one_sentence() {
    let mut fired = notice(AlertChange::Fired, offline(&["a", "b", "c", "d", "e"]));
    fired.count = 12;
    let text = message(&fired);
    assert_eq!(text.title, "[warning] 12 nodes of Berlin are offline: a, b, c and 9 more");
    assert_eq!(text.body, "12 nodes of Berlin are offline: a, b, c and 9 more · since 14:02 CET");
    assert_eq!(text.link.as_deref(), Some("https://tide.example/map/"));

    fired.change = AlertChange::Repeated;
    fired.at_ms = SINCE_MS + 60 * MINUTE_MS;
    let words = "12 nodes of Berlin are still offline: a, b, c and 9 more · still, for 1 h · since 14:02 CET";
    assert_eq!(message(&fired).body, words);

    fired.change = AlertChange::Resolved;
    fired.count = 5;
    fired.alerts.iter_mut().for_each(|alert| alert.resolved_ms = Some(SINCE_MS + 3 * MINUTE_MS));
    let text = message(&fired);
    assert_eq!(text.title, "[resolved] 5 nodes of Berlin are back: a, b, c and 2 more");
    let lines: Vec<_> = text.body.lines().collect();
    assert_eq!(lines[1], "• a · resolved after 3 min · offline");
    assert_eq!(lines.len(), 6);
}

#[test]
fn nodes_that_were_forgotten_are_not_back() {
    let mut over = notice(AlertChange::Resolved, offline(&["a", "b"]));
    over.alerts.iter_mut().for_each(|alert| alert.summary = "offline · it no longer exists".to_owned());
    let text = message(&over);
    assert_eq!(text.title, "[resolved] 2 nodes of Berlin · resolved: offline · it no longer exists: a, b");
}

#[test]
fn a_plan_says_when_it_begins_again() {
    let plan = |percent: u32| {
        let mut plan = alert("plan transit");
        plan.target.kind = TargetKind::Plan;
        plan.summary =
            format!("quota used 101 % (limit {percent} %) · resets 1 December 00:00 Europe/Zurich");
        plan.resets_ms = Some(SINCE_MS + 34 * 60 * MINUTE_MS + 5 * MINUTE_MS);
        plan
    };
    let one = message(&notice(AlertChange::Fired, vec![plan(90)]));
    let said = "quota used 101 % (limit 90 %) · resets 1 December 00:00 Europe/Zurich, in 1 d 10 h";
    assert_eq!(one.body, format!("plan transit · {said} · since 14:02 CET"));
    // Several thresholds at once.
    let two = message(&notice(AlertChange::Fired, vec![plan(90), plan(100)]));
    let lines: Vec<&str> = two.body.lines().collect();
    assert_eq!(lines[0], "2 alerts about plans · fast: plan transit · since 14:02 CET");
    assert_eq!(lines[1], format!("• plan transit · {said} · since 14:02 CET"));
    assert!(lines[2].contains("(limit 100 %)"), "{two:?}");
}

#[test]
fn alerts_that_differ_have_a_line_each() {
    let mut both = notice(AlertChange::Fired, vec![alert("a"), alert("b")]);
    "download 999 Mbit/s for 5 min (limit 900 Mbit/s)".clone_into(&mut both.alerts[1].summary);
    both.alerts[1].target.kind = TargetKind::Group;
    both.count = 30;
    let body = message(&both).body;
    let lines: Vec<_> = body.lines().collect();
    assert_eq!(lines[0], "30 alerts · fast: a, b and 28 more · since 14:02 CET");
    assert!(lines[2].starts_with("• b · download 999 Mbit/s"), "{body}");
    assert_eq!(lines[3], "• and 28 more");
}

#[test]
fn a_hostile_name_is_text_in_one_line() {
    let text = message(&notice(AlertChange::Fired, vec![alert(HOSTILE)]));
    assert!(!text.title.contains(char::is_control) && !text.body.contains(char::is_control), "{text:?}");
    assert!(!text.body.contains('\u{202e}') && text.body.contains("<b>&amp;@everyone"), "{text:?}");
    let link = text.link.unwrap();
    assert!(link.is_ascii() && !link.contains(['"', '<', ' ', '\r', '\n']), "{link}");
}

proptest! {
    /// Whatever names and times are, a notice has a text: one line as its title, no line more than alerts.
    #[test]
    fn every_notice_has_a_text(
        names in proptest::collection::vec(".{0,80}", 0..6),
        count in 0_u32..40,
        change in 0..4,
        since in any::<i64>(),
        at in any::<i64>(),
        peak in any::<f64>(),
    ) {
        let changes = [AlertChange::Fired, AlertChange::Repeated, AlertChange::Resolved, AlertChange::Test];
        let mut shown = notice(changes[change as usize], names.iter().map(|name| alert(name)).collect());
        shown.count = count;
        shown.at_ms = at;
        for (place, alert) in shown.alerts.iter_mut().enumerate() {
            alert.since_ms = since;
            alert.peak = Some(peak);
            alert.summary = names[(place + 1) % names.len()].clone();
        }
        let text = message(&shown);
        prop_assert!(!text.title.contains(char::is_control), "{:?}", text.title);
        prop_assert!(text.body.lines().count() <= names.len() + 2, "{:?}", text.body);
    }
}
