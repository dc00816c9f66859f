use std::collections::BTreeMap;

use proptest::prelude::*;
use tidemap_wire::stream::{PutRows, VERSION, encode_rows};

use super::*;

/// Columns of online nodes with these names, each downloading as many bytes per second as its position.
pub(crate) fn columns(names: &[&str]) -> Columns {
    let n = names.len();
    Columns {
        name: names.iter().map(|name| Some((*name).to_owned())).collect(),
        display_name: Vec::new(),
        location: vec![Some("Oslo".into()); n],
        provider: vec![None; n],
        lat: vec![Some(59.91); n],
        lon: vec![None; n],
        labels: vec![BTreeMap::from([("Role".to_owned(), "Edge".to_owned())]); n],
        status: vec![0; n],
        age_ms: vec![400; n],
        rx: (0..n as u64).map(Some).collect(),
        tx: vec![None; n],
        cpu: vec![Some(7); n],
        mem: vec![None; n],
        disk: vec![Some(100); n],
    }
}

pub(crate) fn fleet(names: &[&str]) -> Fleet {
    let mut fleet = Fleet::default();
    fleet.apply_snapshot(&SnapshotEvent { v: VERSION, at_ms: 10_000, nodes: columns(names) }).unwrap();
    fleet
}

#[test]
fn a_snapshot_replaces_everything() {
    let mut fleet = fleet(&["a", "b"]);
    let before = fleet.generation();
    fleet.apply_snapshot(&SnapshotEvent { v: VERSION, at_ms: 20_000, nodes: columns(&["c"]) }).unwrap();
    assert_eq!((fleet.len(), fleet.row_of("c"), fleet.row_of("a")), (1, Some(0), None));
    assert_eq!((fleet.at_ms(), fleet.snapshots()), (20_000, 2));
    assert!(fleet.generation() > before);
    assert_eq!(fleet.host_use(0), Use { cpu: Some(7), memory: None, disk: Some(100) });
    assert_eq!(fleet.haystack(0), "c\noslo\nrole=edge\n");
}

#[test]
fn unknown_stays_apart_from_zero() {
    let fleet = fleet(&["a"]);
    assert_eq!((fleet.rx_bps(0), fleet.tx_bps(0)), (Some(0.0), None));
    assert_eq!(fleet.rx_bps(7), None);
}

#[test]
fn a_delta_changes_the_rows_it_names() {
    let mut fleet = fleet(&["a", "b", "c"]);
    let generation = fleet.generation();
    fleet
        .apply_delta(&DeltaEvent {
            at_ms: 12_000,
            status: Some(StatusRows { i: vec![2], status: vec![2], age_ms: vec![31_000] }),
            rates: Some(RateRows { i: vec![0, 1], rx: vec![Some(9), None], tx: vec![Some(5), Some(6)] }),
            host: Some(HostRows { i: vec![1], cpu: vec![None], mem: vec![Some(3)], disk: vec![None] }),
            ..DeltaEvent::default()
        })
        .unwrap();
    assert_eq!((fleet.rx_bps(0), fleet.rx_bps(1), fleet.tx_bps(1)), (Some(9.0), None, Some(6.0)));
    assert_eq!((fleet.status(2), fleet.age_ms(2, 13_000)), (Status::Offline, Some(32_000)));
    assert_eq!(fleet.age_ms(0, 13_000), None, "a node that is online has no age");
    assert_eq!(fleet.host_use(1).memory, Some(3));
    assert_eq!(fleet.generation(), generation, "rates and statuses move nothing");
}

#[test]
fn rows_come_and_go() {
    let mut fleet = fleet(&["a", "b"]);
    fleet.record_trends();
    let put = PutRows { i: encode_rows([1, 2]), nodes: columns(&["new", "more"]) };
    fleet.apply_delta(&DeltaEvent { put: Some(put), gone: vec![0], ..DeltaEvent::default() }).unwrap();
    assert_eq!((fleet.len(), fleet.node_count()), (3, 2));
    assert_eq!((fleet.name(0), fleet.row_of("new"), fleet.row_of("more")), (None, Some(1), Some(2)));
    assert!(fleet.trends().of(1).all(|point| point.is_none()), "the past belongs to the node before");
}

#[test]
fn trends_hold_the_newest_minute_and_no_rate_of_a_silent_node() {
    let mut fleet = fleet(&["a", "b"]);
    for tick in 0..TREND_POINTS as u64 + 5 {
        let rates = RateRows { i: vec![1], rx: vec![Some(tick)], tx: vec![Some(0)] };
        fleet.apply_delta(&DeltaEvent { rates: Some(rates), ..DeltaEvent::default() }).unwrap();
        fleet.record_trends();
    }
    let silent = StatusRows { i: vec![1], status: vec![1], age_ms: vec![6000] };
    fleet.apply_delta(&DeltaEvent { status: Some(silent), ..DeltaEvent::default() }).unwrap();
    fleet.record_trends();
    let points: Vec<_> = fleet.trends().of(1).collect();
    assert_eq!((points.len(), points[0], points[TREND_POINTS - 1]), (TREND_POINTS, Some(6.0), None));
    let early = self::fleet(&["a"]);
    assert!(early.trends().of(0).eq([None; TREND_POINTS]));
}

#[test]
fn events_that_contradict_themselves_are_refused() {
    let mut uneven = columns(&["a", "b"]);
    uneven.tx.pop();
    let snapshot = SnapshotEvent { v: VERSION, at_ms: 0, nodes: uneven };
    assert!(Fleet::default().apply_snapshot(&snapshot).is_err());
    assert!(
        Fleet::default()
            .apply_snapshot(&SnapshotEvent { v: VERSION + 1, ..SnapshotEvent::default() })
            .is_err()
    );
    assert!(Fleet::default().apply_delta(&DeltaEvent::default()).is_err(), "nothing to change yet");

    let refused = |delta: DeltaEvent| fleet(&["a"]).apply_delta(&delta).is_err();
    assert!(refused(DeltaEvent { gone: vec![1], ..DeltaEvent::default() }));
    assert!(refused(DeltaEvent {
        put: Some(PutRows { i: vec![u32::MAX], nodes: columns(&["far"]) }),
        ..DeltaEvent::default()
    }));
    assert!(refused(DeltaEvent {
        status: Some(StatusRows { i: vec![0], status: vec![4], age_ms: vec![0] }),
        ..DeltaEvent::default()
    }));
    assert!(refused(DeltaEvent {
        rates: Some(RateRows { i: vec![0], rx: vec![], tx: vec![None] }),
        ..DeltaEvent::default()
    }));
}

proptest! {
    #[test]
    fn no_event_can_make_columns_differ_in_length(
        puts in proptest::collection::vec(proptest::collection::btree_set(0_u32..12, 0..6), 0..6),
        gone in proptest::collection::vec(0_u32..12, 0..4),
    ) {
        let mut fleet = fleet(&["a", "b", "c"]);
        for rows in puts {
            let names = vec!["x"; rows.len()];
            let put = PutRows { i: encode_rows(rows), nodes: columns(&names) };
            let _refused = fleet.apply_delta(&DeltaEvent { put: Some(put), ..DeltaEvent::default() });
        }
        let _refused = fleet.apply_delta(&DeltaEvent { gone, ..DeltaEvent::default() });
        fleet.record_trends();
        let n = fleet.len();
        prop_assert!(fleet.titles().len() == n && fleet.locations().len() == n && fleet.statuses().len() == n);
        prop_assert!(fleet.rates().0.len() == n && fleet.rates().1.len() == n && fleet.coordinates().1.len() == n);
    }
}
