use tidemap_wire::{CpuMinute, HostMinute, Minutes, NodeId};

use super::*;
use crate::store::{Batch, GroupKey};

const DAY_MS: i64 = 86_400_000;
const UNTIL_MS: i64 = 780_000;

fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

/// A node that moves 60 bytes a second down and 120 up in minutes 10, 11 and 13.
fn store(folder: &std::path::Path) -> Store {
    let mut store = Store::open(&folder.join("history")).unwrap();
    store.set_groups(&[(node("a"), vec![GroupKey::Provider("p".to_owned())])]).unwrap();
    let row = |minute| MinuteRow {
        minute,
        samples: 30,
        covered_ms: 30_000,
        rx_bytes: 1_800,
        tx_bytes: 3_600,
        ..MinuteRow::default()
    };
    let rows = [10, 11, 13].map(|minute| (node("a"), row(minute)));
    store.apply(&Batch { rows: rows.to_vec(), at_ms: 900_000, ..Batch::default() }).unwrap();
    store
}

fn asked(
    store: &mut Store,
    from_ms: i64,
    to_ms: i64,
    step_ms: Option<u64>,
) -> Result<Vec<RangeAnswer>, AnswerError> {
    range(
        store,
        &RangeRequest {
            of: HistorySeries::Node(node("a")),
            from_ms,
            to_ms,
            step_ms,
            host: false,
            recent: None,
        },
        UNTIL_MS,
        None,
    )
}

#[test]
fn a_hosts_metrics_are_answered_for_its_node_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let host = |mean, load| HostMinute {
        cpu: Some(CpuMinute { samples: 12, mean, max: 990 }),
        load_max: Some(load),
        ..HostMinute::default()
    };
    let row = |minute, host| MinuteRow { minute, samples: 31, host, ..MinuteRow::default() };
    let rows = vec![(node("a"), row(10, host(100, 5))), (node("a"), row(13, host(201, 7)))];
    store.apply(&Batch { rows, at_ms: 900_000, ..Batch::default() }).unwrap();
    // An owner knows of a newer minute.
    let mut recent = Minutes::new(1, 900_000);
    recent.push(&node("a"), &row(14, host(500, 600)));
    let mut ask = |of, step_ms, host| {
        let recent = Some(Box::new(recent.clone()));
        let request = RangeRequest { of, from_ms: 600_000, to_ms: 900_000, step_ms, host, recent };
        range(&mut store, &request, UNTIL_MS, None).unwrap().remove(0).host
    };
    let of_node = || HistorySeries::Node(node("a"));
    let hosts = ask(of_node(), Some(60_000), true).unwrap();
    assert_eq!(hosts.cpu, [Some(100), None, None, Some(201), Some(500)]);
    assert_eq!(hosts.cpu_max, [Some(990), None, None, Some(990), Some(990)]);
    assert_eq!(hosts.load_max, [Some(5), None, None, Some(7), Some(600)]);
    assert!(hosts.is_of(5) && hosts.memory_max == [None; 5]);
    let whole = ask(of_node(), Some(900_000), true).unwrap();
    assert_eq!((whole.cpu, whole.load_max), (vec![Some(267)], vec![Some(600)]));
    assert_eq!(ask(of_node(), Some(60_000), false), None);
    assert_eq!(ask(HistorySeries::Fleet, Some(60_000), true), None);
}

#[test]
fn a_range_is_whole_steps_and_what_is_not_covered_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let answer = asked(&mut store, 601_000, 821_000, Some(60_000)).unwrap().remove(0);
    assert_eq!((answer.from_ms, answer.step_ms, answer.tier_ms), (600_000, 60_000, 60_000));
    assert_eq!(answer.rx_bytes, [Some(1_800), Some(1_800), None, Some(1_800)]);
    assert_eq!(answer.tx_bps, [Some(120), Some(120), None, Some(120)]);
    assert_eq!(answer.covered_ms, [30_000, 30_000, 0, 30_000]);
    assert_eq!(answer.complete_until_ms, 780_000);
    let answer = asked(&mut store, 0, 900_000, Some(300_000)).unwrap().remove(0);
    assert_eq!(answer.rx_bytes, [None, None, Some(5_400)]);
    let of = HistorySeries::Provider("p".to_owned());
    let group = range(
        &mut store,
        &RangeRequest { of, from_ms: 0, to_ms: 900_000, step_ms: Some(900_000), host: false, recent: None },
        UNTIL_MS,
        None,
    )
    .unwrap();
    assert_eq!(
        (group[0].rx_bytes[0], group[0].rx_bps[0], group[0].rx_max_bps[0]),
        (Some(5_400), Some(60), Some(60))
    );
}

#[test]
fn the_step_follows_from_the_range() {
    let reach = Reach { minutes: Some(50_000), quarters: Some(20_000), hours: Some(0), ..Reach::default() };
    let of = |from, to| automatic_step(&(from..to), reach).0;
    assert_eq!([of(60_000, 60_060), of(60_000, 61_500), of(60_000, 61_501)], [1, 1, 2]);
    assert_eq!([of(60_000, 70_000), of(30_000, 30_060), of(0, 60)], [10, 15, 60]);
    assert_eq!([of(0, 525_600), of(0, 5_256_000)], [360, 7 * 1_440]);
    // Before the first day there is nothing to reach back to.
    assert_eq!(
        automatic_step(&(0..60_060), Reach { minutes: Some(60_000), hours: Some(60_000), ..reach }).0,
        60
    );
    assert_eq!(
        automatic_step(&(59_000..60_060), Reach { minutes: Some(60_000), hours: Some(60_000), ..reach }).0,
        1
    );
}

#[test]
fn what_cannot_be_reported_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let mut refused = |from_ms, to_ms, step_ms| match asked(&mut store, from_ms, to_ms, step_ms) {
        Err(AnswerError::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(5, 5 - DAY_MS, None), HistoryError::NoRange);
    assert_eq!(refused(0, i64::MAX, None), HistoryError::NoRange);
    assert_eq!(refused(i64::MAX - 1, i64::MAX, None), HistoryError::NoRange);
    for step in [0, 1, 59_999, 90_000, u64::MAX] {
        assert_eq!(refused(0, DAY_MS, Some(step)), HistoryError::NoSuchStep, "{step}");
    }
    assert_eq!(refused(0, 20_001 * 60_000, Some(60_000)), HistoryError::TooManySteps);
    assert_eq!(asked(&mut store, 0, 20_000 * 60_000, Some(60_000)).unwrap().len(), 10);
    let unknown = RangeRequest {
        of: HistorySeries::Node(node("b")),
        from_ms: 0,
        to_ms: DAY_MS,
        step_ms: None,
        host: false,
        recent: None,
    };
    assert!(matches!(
        range(&mut store, &unknown, UNTIL_MS, None),
        Err(AnswerError::Refused(HistoryError::UnknownSeries))
    ));
    let nobody = TopRequest { by: TopBy::Sum, from_ms: 0, to_ms: DAY_MS, limit: 0 };
    assert!(matches!(
        top(&mut store, &nobody, UNTIL_MS),
        Err(AnswerError::Refused(HistoryError::TooManyNodes))
    ));
}

#[test]
fn the_top_and_the_status_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let mut of = |from_ms, to_ms| {
        top(&mut store, &TopRequest { by: TopBy::Rx, from_ms, to_ms, limit: 5 }, UNTIL_MS).unwrap()
    };
    let most = of(600_001, 780_001);
    assert_eq!((most.from_ms, most.to_ms), (600_000, 840_000));
    assert_eq!(
        most.nodes,
        [TopNode {
            node: node("a"),
            rx_bytes: 5_400,
            tx_bytes: 10_800,
            covered_ms: 90_000,
            rx_max_bps: None,
            tx_max_bps: None,
        }]
    );
    assert_eq!(of(660_000, 780_000).nodes[0].rx_bytes, 1_800);
    assert_eq!(of(720_000, 780_000).nodes, []);
    let known = HistoryStatus { pending: 7, ..HistoryStatus::default() };
    let parts = answer(&mut store, &HistoryRequest::Status, &known, None).unwrap();
    let [HistoryReply { chunk: 0, chunks: 1, answer: HistoryAnswer::Status(status) }] = &parts[..] else {
        panic!("{parts:?}")
    };
    assert_eq!((status.pending, status.tiers[0]), (7, TierReach { step_ms: 60_000, from_ms: Some(600_000) }));
    assert!(status.used_bytes > 0);
}

#[test]
fn rows_that_are_not_stored_yet_are_part_of_a_nodes_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let row = |minute, bytes| MinuteRow {
        minute,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes: bytes,
        tx_bytes: bytes,
        ..MinuteRow::default()
    };
    let mut recent = Minutes::new(1, 16 * 60_000 + 5_000);
    // One that is stored with fewer samples, one as it is stored, two that are not, and another node's.
    for (name, minute, bytes) in
        [("a", 11, 7_000), ("a", 13, 1_800), ("a", 14, 500), ("a", 15, 40), ("b", 15, 9)]
    {
        recent.push(&node(name), &row(minute, bytes));
    }
    let mut ask = |of: &str, step_ms| {
        let of = HistorySeries::Node(node(of));
        let request = RangeRequest {
            of,
            from_ms: 0,
            to_ms: 960_000,
            step_ms: Some(step_ms),
            host: false,
            recent: Some(recent.clone().into()),
        };
        range(&mut store, &request, UNTIL_MS, None).unwrap().remove(0)
    };
    let minutes = ask("a", 60_000);
    assert_eq!(minutes.rx_bytes[10..], [Some(1_800), Some(7_000), None, Some(1_800), Some(500), Some(40)]);
    assert_eq!(minutes.complete_until_ms, 960_000);
    assert_eq!(ask("a", 900_000).rx_bytes, [Some(11_100), Some(40)]);
    // The history has never heard of this one.
    assert_eq!(ask("b", 900_000).rx_bytes, [None, Some(9)]);
    // Its owner knows too little of the time that is not stored.
    recent.at_ms += DAY_MS;
    let of = HistorySeries::Node(node("a"));
    let request = RangeRequest {
        of,
        from_ms: 0,
        to_ms: 960_000,
        step_ms: None,
        host: false,
        recent: Some(recent.into()),
    };
    assert_eq!(range(&mut store, &request, UNTIL_MS, None).unwrap()[0].complete_until_ms, 780_000);
}

/// A database that has 7 bytes in each step, or does not answer; with what it was asked for.
fn past(
    asked: &std::cell::RefCell<Vec<(Range<u32>, u32)>>,
    answers: bool,
) -> impl Fn(&NodeId, Range<u32>, Step) -> Option<BTreeMap<u32, Point>> {
    move |_, minutes, step| {
        asked.borrow_mut().push((minutes.clone(), step.0));
        let steps = (minutes.start / step.0 * step.0..minutes.end).step_by(step.0 as usize);
        let point = Point { rx_bytes: 7, covered_ms: 60_000, ..Point::default() };
        answers.then(|| steps.map(|minute| (minute, point)).collect())
    }
}

#[test]
fn what_is_kept_here_no_more_is_from_the_other_database_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let of = |step_ms, from_ms, series| RangeRequest {
        of: series,
        from_ms,
        to_ms: 900_000,
        step_ms,
        host: false,
        recent: None,
    };
    let node = || HistorySeries::Node(node("a"));
    let asked = std::cell::RefCell::default();
    let (known, away) = (past(&asked, true), past(&asked, false));
    let mut ask = |request: RangeRequest, past: Past<'_>| {
        range(&mut store, &request, UNTIL_MS, Some(past)).unwrap().remove(0)
    };

    let answer = ask(of(Some(60_000), 480_000, node()), &known);
    assert_eq!(answer.rx_bytes[..5], [Some(7), Some(7), Some(1_800), Some(1_800), None]);
    assert_eq!((answer.remote_until_ms, answer.warning), (Some(600_000), None));
    assert_eq!(asked.take(), [(8..10, 1)]);
    // A step of which a part is kept here.
    let answer = ask(of(Some(180_000), 0, node()), &known);
    assert_eq!(answer.rx_bytes, [Some(7), Some(7), Some(7), Some(7 + 3_600), Some(1_800)]);
    assert_eq!(asked.take(), [(0..10, 3)]);
    // Hours are kept for ever, and groups are not sent.
    assert_eq!(ask(of(Some(3_600_000), 0, node()), &known).remote_until_ms, None);
    assert_eq!(ask(of(Some(60_000), 0, HistorySeries::Fleet), &known).remote_until_ms, None);
    assert_eq!(asked.take(), []);

    let answer = ask(of(Some(60_000), 480_000, node()), &away);
    assert_eq!(answer.rx_bytes[..3], [None, None, Some(1_800)]);
    assert!(answer.remote_until_ms.is_none() && answer.warning.unwrap().contains("they are missing"));
    let answer = ask(of(None, 480_000, node()), &away);
    assert!(answer.warning.unwrap().contains("steps may be longer"));
    assert_eq!(asked.take().len(), 2);
}

#[test]
fn recent_rows_are_held_within_the_bounds_of_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let mut recent = Minutes::new(1, 16 * 60_000);
    for minute in [15, 10_000] {
        let row = MinuteRow {
            minute,
            samples: 1,
            covered_ms: u32::MAX,
            rx_bytes: u64::MAX,
            tx_bytes: u64::MAX,
            ..MinuteRow::default()
        };
        recent.push(&node("a"), &row);
    }
    let of = HistorySeries::Node(node("a"));
    let to_ms = 20_000 * 60_000;
    let request = RangeRequest {
        of,
        from_ms: 0,
        to_ms,
        step_ms: Some(5_000 * 60_000),
        host: false,
        recent: Some(recent.into()),
    };
    let answer = range(&mut store, &request, UNTIL_MS, None).unwrap().remove(0);
    assert_eq!(answer.rx_bytes[0], Some(5_400 + bounds::MINUTE_BYTES));
    assert_eq!(answer.rx_bytes[1..], [None, None, None], "a minute that is days ahead is ignored");
}
