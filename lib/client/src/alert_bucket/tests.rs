use serde_json::{Value, json};
use tidemap_wire::{Alert, AlertChange, AlertNotice, AlertTarget, Severity, TargetKind};

use super::*;

fn alert(target: &str, state: AlertState) -> Alert {
    let target = AlertTarget {
        kind: TargetKind::Node,
        id: target.to_owned(),
        name: target.to_owned(),
        labels: BTreeMap::new(),
    };
    Alert {
        id: format!("{}-1", target.id),
        rule: "offline".to_owned(),
        severity: Severity::Critical,
        target,
        state,
        summary: "offline".to_owned(),
        value: None,
        peak: None,
        threshold: None,
        unit: String::new(),
        since_ms: 1_000,
        fired_ms: Some(2_000),
        resolved_ms: (state == AlertState::Resolved).then_some(3_000),
        silenced_until_ms: None,
        resets_ms: None,
    }
}

fn update(target: &str, change: AlertChange) -> AlertUpdate {
    let state = if change == AlertChange::Resolved { AlertState::Resolved } else { AlertState::Firing };
    let audience = Audience { programs: true, people: true };
    AlertUpdate { alert: alert(target, state), change, audience, standing: None }
}

fn put(bucket: &mut AlertBucket, key: &str, value: &impl Serialize, revision: u64) {
    bucket.note(key, Some(&serde_json::to_vec(value).unwrap()), revision);
}

fn message(key: &str, value: &[u8], sequence: u64, pending: u64) -> Record {
    Record {
        subject: streams::bucket_subject(streams::ALERTS, key).into(),
        payload: value.to_vec().into(),
        headers: None,
        sequence,
        pending,
        published_ns: 0,
    }
}

#[test]
fn a_record_that_its_notice_does_not_tell_is_untold() {
    let mut bucket = AlertBucket::default();
    let key = |target: &str| record_key("offline", &alert(target, AlertState::Firing).target).unwrap();
    let record = |target| AlertRecord::after(None, update(target, AlertChange::Fired), "x".to_owned());
    put(&mut bucket, &key("a"), &record("a"), 1);
    put(&mut bucket, &key("b"), &record("b"), 2);
    assert_eq!(bucket.untold().get("x").map(Vec::len), Some(2));
    let notice = AlertNotice {
        id: "x".to_owned(),
        change: AlertChange::Fired,
        at_ms: 1,
        rule: "offline".to_owned(),
        severity: Severity::Critical,
        alerts: Vec::new(),
        count: 1,
    };
    let notified = NoticeRecord::new(notice, [member(&key("a"))].into(), ["ops".to_owned()].into());
    put(&mut bucket, &notice_key("x"), &notified, 3);
    assert_eq!(bucket.untold().into_iter().collect::<Vec<_>>(), [("x", vec![key("b").as_str()])]);
    // It is kept for an hour after the last channel had it, and not before.
    assert_eq!(bucket.expired(i64::MAX, false), Vec::<String>::new());
    put(&mut bucket, &notice_key("x"), &notified.without("ops", true, 5_000), 4);
    assert_eq!(bucket.expired(5_000 + NOTICE_KEPT_MS, false), Vec::<String>::new());
    assert_eq!(bucket.expired(5_001 + NOTICE_KEPT_MS, false), [notice_key("x")]);
    assert_eq!(bucket.expired(5_000 + NOTICE_KEPT_FULL_MS, true), Vec::<String>::new());
    assert_eq!(bucket.expired(5_001 + NOTICE_KEPT_FULL_MS, true), [notice_key("x")]);
    // A backlog of notices does not keep silences that are over.
    put(
        &mut bucket,
        &silence_key("q7"),
        &SilenceRecord::new(Silence { until_ms: 5_000, ..Silence::default() }),
        5,
    );
    assert_eq!(bucket.expired(5_001 + SILENCE_KEPT_MS, false), [silence_key("q7"), notice_key("x")]);
}

#[test]
fn a_record_keeps_earlier_firings_and_counts_changes() {
    let fired = AlertRecord::after(None, update("a", AlertChange::Fired), "1".to_owned());
    let resolved = AlertRecord::after(Some(&fired), update("a", AlertChange::Resolved), "2".to_owned());
    assert_eq!((resolved.changes, resolved.past.len()), (2, 0));
    let mut again = update("a", AlertChange::Fired);
    again.alert.id = "a-2".to_owned();
    let again = AlertRecord::after(Some(&resolved), again, "3".to_owned());
    assert_eq!((again.changes, again.past.as_slice()), (3, &[resolved.alert][..]));
}

#[test]
fn values_of_other_versions_and_damaged_ones_are_skipped_and_named() {
    let mut bucket = AlertBucket::default();
    let record = AlertRecord::after(None, update("a", AlertChange::Fired), "x".to_owned());
    put(&mut bucket, "a.offline.1", &AlertRecord { v: 9, ..record.clone() }, 1);
    bucket.note("a.offline.2", Some(b"{"), 2);
    put(&mut bucket, "a.offline.3", &record, 3);
    put(&mut bucket, "later.kind", &record, 4);
    assert_eq!(bucket.records.keys().collect::<Vec<_>>(), ["a.offline.3"]);
    assert_eq!(bucket.skipped.keys().collect::<Vec<_>>(), ["a.offline.1", "a.offline.2"]);
    put(&mut bucket, "a.offline.2", &record, 5);
    assert_eq!(bucket.skipped.len(), 1);
}

#[test]
fn what_is_missing_after_the_bucket_was_read_again_is_notified() {
    let mut bucket = AlertBucket::default();
    let value =
        serde_json::to_vec(&AlertRecord::after(None, update("a", AlertChange::Fired), "x".to_owned()));
    let value = value.unwrap();
    let opened = |last, created_ns| LogEvent::Opened { last, created_ns };
    assert_eq!(bucket.apply(opened(8, 1)), AlertNews::None);
    let both = vec![message("a.r.1", &value, 7, 1), message("a.r.2", &value, 8, 0)];
    let news = bucket.apply(LogEvent::Messages(both));
    assert_eq!(news, AlertNews::Read { missing: Vec::new(), is_new: false });
    assert!(bucket.has_read(8) && !bucket.has_read(9));
    bucket.apply(LogEvent::Recreated);
    assert_eq!(bucket.apply(opened(1, 2)), AlertNews::None);
    assert!(!bucket.is_caught_up());
    let news = bucket.apply(LogEvent::Messages(vec![message("a.r.1", &value, 1, 0)]));
    assert_eq!(news, AlertNews::Read { missing: vec!["a.r.2".to_owned()], is_new: true });
    assert_eq!(bucket.revision("a.r.1"), Some(1));
    // An empty bucket is read at once.
    let news = bucket.apply(opened(0, 3));
    assert_eq!(news, AlertNews::Read { missing: vec!["a.r.1".to_owned(), "a.r.2".to_owned()], is_new: true });
}

#[test]
fn keys_of_a_later_version_are_read_over_and_neither_skipped_nor_removed() {
    let mut bucket = AlertBucket::default();
    bucket.apply(LogEvent::Opened { last: 4, created_ns: 1 });
    let later = ["x.1", "s", "silences.1", "c2.0"];
    let messages = (1..).zip(later).map(|(at, key)| message(key, b"{\"v\":7}", at, 4 - at));
    let news = bucket.apply(LogEvent::Messages(messages.collect()));
    assert_eq!(news, AlertNews::Read { missing: Vec::new(), is_new: false });
    assert!(bucket.skipped.is_empty(), "{:?}", bucket.skipped);
    assert_eq!(bucket.expired(i64::MAX, false), Vec::<String>::new());
    assert!(bucket.write_again("x.1").unwrap().is_none());
}

#[test]
fn a_silence_is_known_by_its_id_and_kept_for_an_hour_after_its_end() {
    let mut bucket = AlertBucket::default();
    let silence = Silence { all: true, until_ms: 5_000, who: "me".to_owned(), ..Silence::default() };
    put(&mut bucket, &silence_key("q7"), &SilenceRecord::new(silence.clone()), 3);
    assert_eq!(bucket.silences_at(4_999).collect::<Vec<_>>(), [("q7", &silence)]);
    assert_eq!(bucket.silences_at(5_000).count(), 0);
    assert_eq!(bucket.expired(5_000 + SILENCE_KEPT_MS, false), Vec::<String>::new());
    assert_eq!(bucket.expired(5_001 + SILENCE_KEPT_MS, false), ["s.q7"]);
    // What a later version understands by it is not known.
    let later = SilenceRecord { v: 2, silence };
    put(&mut bucket, &silence_key("q8"), &later, 4);
    assert_eq!((bucket.silences.len(), bucket.skipped.len()), (1, 1));
    for number in 0..AlertBucket::MAX_SILENCES {
        put(&mut bucket, &silence_key(&number.to_string()), &SilenceRecord::new(Silence::default()), 5);
    }
    assert_eq!(
        (bucket.silences.len(), bucket.skipped.len()),
        (AlertBucket::MAX_SILENCES, 2),
        "memory is bounded"
    );
}

#[test]
fn what_the_broker_has_lost_is_written_again_whatever_it_is() {
    let mut bucket = AlertBucket::default();
    let record = AlertRecord::after(None, update("a", AlertChange::Fired), "x".to_owned());
    let silence = SilenceRecord::new(Silence { until_ms: 1, ..Silence::default() });
    put(&mut bucket, "a.offline.1", &record, 1);
    put(&mut bucket, "p.0", &PendingRecord::new(Vec::new()), 2);
    put(&mut bucket, "c.0", &ClearRecord::new(vec![Clear::default()]), 3);
    put(&mut bucket, "s.1", &silence, 4);
    bucket.note(LEASE_KEY, Some(b"{\"owner\":\"me\"}"), 5);
    bucket.apply(LogEvent::Opened { last: 0, created_ns: 9 });
    let keys: Vec<String> = bucket.keys().collect();
    let again = |key: &String| bucket.write_again(key).unwrap().is_some();
    assert_eq!(keys.iter().filter(|key| again(key)).count(), 4, "all but the lease of {keys:?}");
    assert!(keys.iter().all(|key| bucket.revision(key) == Some(0)));
}

#[test]
fn parts_of_what_does_not_fire_yet_fit_into_messages_whatever_their_labels() {
    for (count, length) in [(0, 0), (1, 10), (3_000, 100), (500, 3_000), (3, 900_000)] {
        let all: Vec<Value> = (0..count).map(|number| json!([number, "x".repeat(length)])).collect();
        let parts = PendingRecord::parts(all.clone());
        assert_eq!(parts.concat(), all);
        for part in &parts {
            let bytes = serde_json::to_vec(&PendingRecord::new(part.clone())).unwrap().len();
            assert!(part.len() == 1 || bytes < 500_000, "{} have {bytes} bytes", part.len());
        }
        assert!(parts.len() <= 1 + count * (length + 10) / 200_000, "{} parts", parts.len());
    }
}
