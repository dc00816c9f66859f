use super::*;

const MINUTE: i64 = 60_000;

/// Minutes of download: mean, highest and lowest rate.
pub(crate) fn past_of(steps: &[Option<(f64, f64, f64)>]) -> Past {
    let side = Side {
        mean: steps.iter().map(|step| step.map(|(mean, ..)| mean)).collect(),
        most: steps.iter().map(|step| step.map(|(_, most, _)| most)).collect(),
        least: steps.iter().map(|step| step.map(|(.., least)| least)).collect(),
        known_ms: steps.iter().map(|step| if step.is_some() { 60_000.0 } else { 0.0 }).collect(),
        ..Side::default()
    };
    let (from_ms, to_ms) = (0, steps.len() as i64 * MINUTE);
    Past { from_ms, to_ms, step_ms: MINUTE, sides: [side.clone(), side], ..Past::default() }
}

/// Three minutes, the second unknown, the third not over.
pub(crate) fn answer() -> HistoryJson {
    HistoryJson {
        from_ms: 600_000,
        to_ms: 780_000,
        step_ms: 60_000,
        tier_ms: 60_000,
        complete_until_ms: 750_000,
        partial: true,
        rx_bytes: vec![Some(6_000_000), None, Some(3_000_000)],
        tx_bytes: vec![Some(0), None, Some(600)],
        rx_bps: vec![Some(100_000), None, Some(100_000)],
        tx_bps: vec![Some(0), None, Some(20)],
        rx_max_bps: vec![Some(900_000), None, Some(120_000)],
        tx_max_bps: vec![Some(0), None, Some(30)],
        rx_min_bps: vec![Some(1), None, Some(90_000)],
        tx_min_bps: vec![Some(0), None, Some(10)],
        covered_ms: vec![60_000, 0, 30_000],
        unplaced_rx_bytes: vec![0, 5_000, 7],
        unplaced_tx_bytes: vec![0, 0, 0],
        ..HistoryJson::default()
    }
}

fn read(json: &HistoryJson, is_nodes: bool) -> Past {
    Past::read(&serde_json::to_string(json).unwrap(), is_nodes).unwrap()
}

#[test]
fn a_nodes_answer_is_read_with_its_gaps_its_peak_and_its_bytes() {
    let past = read(&answer(), true);
    let [download, upload] = &past.sides;
    assert_eq!(download.mean, [Some(100_000.0), None, Some(100_000.0)]);
    assert_eq!(download.peak(), Some(Peak { step: 0, rate: 900_000.0 }));
    assert_eq!((download.bytes, download.unplaced_bytes), (9_000_000.0, 5_007.0));
    assert_eq!(download.mean_rate(), Some(100_000.0));
    assert_eq!((upload.bytes, upload.mean[0]), (600.0, Some(0.0)));
    assert_eq!((past.known, past.since_ms, past.to_ms), (0.6, Some(600_000), 780_000));
}

#[test]
fn a_fleets_mean_is_that_of_its_sum_not_of_a_node() {
    // Ten nodes: the sum of what they cover is ten times as long as the time.
    let json = HistoryJson {
        covered_ms: vec![600_000, 0, 300_000],
        rx_bps: vec![Some(10_000), None, Some(10_000)],
        ..answer()
    };
    let past = read(&json, false);
    assert_eq!(past.sides[0].mean, [Some(100_000.0), None, Some(100_000.0)]);
    assert_eq!((past.sides[0].mean_rate(), past.known), (Some(100_000.0), 0.6));
}

#[test]
fn minutes_that_are_known_before_they_are_complete_are_known() {
    // An hour of which only the last three minutes were heard, and only one of these is complete.
    let last = |value: u64| [vec![None; 57], vec![Some(value); 3]].concat();
    let json = HistoryJson {
        from_ms: 0,
        to_ms: 3_600_000,
        complete_until_ms: 58 * 60_000,
        rx_bytes: last(600),
        tx_bytes: last(60),
        rx_max_bps: last(20),
        tx_max_bps: last(2),
        rx_min_bps: last(5),
        tx_min_bps: last(0),
        covered_ms: [vec![0; 57], vec![60_000; 3]].concat(),
        unplaced_rx_bytes: vec![0; 60],
        unplaced_tx_bytes: vec![0; 60],
        ..answer()
    };
    for is_nodes in [true, false] {
        let past = read(&json, is_nodes);
        assert_eq!((past.known, past.sides[0].mean_rate()), (0.05, Some(10.0)));
    }
}

#[test]
fn a_fleets_mean_stays_between_the_extremes_where_a_step_is_known_in_part() {
    // A quarter of an hour whose last minute alone is known.
    let json = HistoryJson {
        step_ms: 900_000,
        to_ms: 3_300_000,
        complete_until_ms: 3_300_000,
        rx_min_bps: vec![Some(100_000), None, Some(0)],
        rx_max_bps: vec![Some(100_000), None, Some(120_000)],
        ..answer()
    };
    let side = &read(&json, false).sides[0];
    assert_eq!((side.mean[0], side.known_ms[0]), (Some(100_000.0), 60_000.0));
    assert_eq!((side.mean[2], side.known_ms[2]), (Some(3_000_000.0 / 900.0), 900_000.0));
}

#[test]
fn what_is_no_answer_is_refused() {
    let whole = |json: &HistoryJson| Past::read(&serde_json::to_string(json).unwrap(), true).is_ok();
    assert!(whole(&answer()));
    assert!(!whole(&HistoryJson { rx_max_bps: vec![], ..answer() }));
    assert!(!whole(&HistoryJson { step_ms: 0, ..answer() }));
    assert!(Past::read("{}", true).is_err() && Past::read("<p>", true).is_err());
    let empty = HistoryJson { step_ms: 1, ..HistoryJson::default() };
    let past = read(&empty, true);
    assert_eq!(
        (past.steps(), past.known, past.sides[0].mean_rate(), past.sides[0].peak()),
        (0, 0.0, None, None)
    );
}

#[test]
fn nothing_is_known_of_an_empty_time() {
    let json = HistoryJson { covered_ms: vec![0; 3], ..answer() };
    let json =
        HistoryJson { rx_bytes: vec![None; 3], rx_max_bps: vec![None; 3], rx_min_bps: vec![None; 3], ..json };
    let past = read(&json, true);
    assert_eq!(
        (past.since_ms, past.known, past.sides[0].mean_rate(), past.sides[0].peak()),
        (None, 0.0, None, None)
    );
}
