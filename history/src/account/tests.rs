use super::*;

fn row(minute: u32, rx_bytes: u64, counters: &[(u64, u32, u64)]) -> Cell {
    let counters =
        counters.iter().map(|&(boot, since, rx_bytes)| RunCounters { boot, since, rx_bytes, tx_bytes: 0 });
    Cell {
        row: MinuteRow { minute, rx_bytes, counters: counters.collect(), ..MinuteRow::default() },
        late: Vec::new(),
    }
}

fn late(minute: u32, boot: u64, rx_bytes: u64) -> Cell {
    let row = MinuteRow { minute, ..MinuteRow::default() };
    Cell { row, late: vec![LateSum { boot, covered_ms: 1_000, rx_bytes, tx_bytes: 0 }] }
}

/// What is placed and what is not, by minute.
fn moved(origin: u32, cells: &[Cell]) -> Vec<(u64, u64)> {
    let mut account = Account::new(origin);
    cells.iter().map(|cell| account.pass(cell)).map(|point| (point.rx_bytes, point.unplaced_rx)).collect()
}

#[test]
fn what_moved_in_a_hole_is_reported_at_its_end() {
    let cells = [row(10, 5, &[(1, 10, 5)]), row(11, 5, &[(1, 10, 10)]), row(20, 5, &[(1, 10, 80)])];
    assert_eq!(moved(0, &cells), [(5, 0), (5, 0), (5, 65)]);
}

#[test]
fn a_run_from_before_the_history_begins_with_its_first_counters_and_a_later_one_with_0() {
    assert_eq!(moved(9, &[row(10, 5, &[(1, 8, 1_000)]), row(11, 5, &[(1, 8, 1_007)])]), [(5, 0), (5, 2)]);
    assert_eq!(moved(9, &[row(12, 5, &[(1, 10, 1_000)])]), [(5, 995)]);
}

#[test]
fn a_minute_of_two_runs_belongs_to_both() {
    let cells = [row(10, 5, &[(1, 10, 5)]), row(11, 9, &[(1, 10, 9), (2, 11, 5)]), row(12, 1, &[(2, 11, 7)])];
    assert_eq!(moved(0, &cells), [(5, 0), (9, 0), (1, 1)]);
}

#[test]
fn late_samples_are_placed_and_no_longer_missing() {
    let whole = [row(10, 5, &[(1, 10, 5)]), late(15, 1, 40), row(20, 5, &[(1, 10, 80)])];
    assert_eq!(moved(0, &whole), [(5, 0), (40, 0), (5, 30)]);
    // Its own minute's row has counted it already.
    let mut own = row(10, 5, &[(1, 10, 45)]);
    own.join(&late(10, 1, 40));
    assert_eq!(moved(0, &[own, row(11, 5, &[(1, 10, 50)])]), [(45, 0), (5, 0)]);
}

#[test]
fn late_samples_of_a_run_from_before_the_history_hide_nothing_of_others() {
    let cells = [late(8, 1, 40), row(10, 5, &[(1, 8, 1_000)]), row(11, 5, &[(2, 11, 50)])];
    assert_eq!(moved(9, &cells), [(40, 0), (5, 0), (5, 45)]);
}

#[test]
fn a_run_that_was_forgotten_is_not_counted_from_0_again() {
    let mut account = Account::new(0);
    for boot in 0..100 {
        let minute = u32::try_from(boot).unwrap();
        assert_eq!(account.pass(&row(minute, 5, &[(boot, minute, 5)])).unplaced_rx, 0);
    }
    assert_eq!(account.pass(&row(110, 1, &[(3, 3, 900)])).unplaced_rx, 0);
}

#[test]
fn an_account_comes_back_as_it_was() {
    let mut account = Account::new(7);
    [row(10, 5, &[(1, 8, 1_000)]), late(11, 9, 3)].iter().for_each(|cell| {
        account.pass(cell);
    });
    let mut writer = Writer::default();
    account.write(&mut writer);
    assert_eq!(Account::read(&mut Reader::new(&writer.finish()).unwrap()), Ok(account));
}

#[test]
fn a_crash_loop_over_an_edge_of_a_minute_keeps_the_run_that_goes_on() {
    let mut account = Account::new(0);
    for minute in 0..50_u32 {
        // Runs have random numbers, and the one that goes on may have the lowest.
        let boots = (0..bounds::RUNS as u64).map(|run| {
            (if run == 0 { 1 + u64::from(minute) } else { 1_000 + run + 64 * u64::from(minute) }, minute, 10)
        });
        let mut counters: Vec<(u64, u32, u64)> = boots.collect();
        let before = u64::from(minute);
        if minute > 0 {
            counters.pop();
            counters.insert(0, (before, minute - 1, 17));
        }
        let placed = counters.len() as u64 * 10 - if minute > 0 { 5 } else { 0 };
        // Of the run from the minute before, 5 bytes are placed and 2 are not.
        assert_eq!(account.pass(&row(minute, placed, &counters)).unplaced_rx, if minute > 0 { 2 } else { 0 });
    }
}

#[test]
fn late_samples_of_invented_runs_are_counted_and_take_no_room() {
    let (mut cell, mut account) = (Cell::default(), Account::new(0));
    for boot in 1..10_000 {
        cell.join(&late(7, boot * 7_919 % 10_007, 3));
    }
    assert_eq!((cell.late.len(), account.pass(&cell).rx_bytes), (bounds::RUNS + 1, 9_999 * 3));
    for minute in 8..1_000 {
        account.pass(&late(minute, 20_000 + u64::from(minute), 3));
        assert!(account.runs.len() <= MAX_RUNS);
    }
}

#[test]
fn counters_of_one_agent_cannot_spoil_sums() {
    let most = bounds::COUNTED_BYTES;
    let mut account = Account::new(9);
    let mut sum = 0_u64;
    for minute in 10..1_450_u32 {
        let boot = u64::from(minute);
        let mut cell = row(minute, bounds::MINUTE_BYTES, &[(boot, minute, most)]);
        cell.row.covered_ms = u32::MAX;
        for run in 1..40 {
            cell.join(&late(minute, run, u64::MAX));
        }
        let point = account.pass(&cell);
        assert!(point.covered_ms <= 125_535 && point.rx_bytes <= bounds::MINUTE_BYTES, "{point:?}");
        sum = sum.checked_add(point.rx_bytes).and_then(|sum| sum.checked_add(point.unplaced_rx)).unwrap();
    }
    // A day at the highest rate, twice: 50 such nodes do not overflow a day's sum.
    assert!(sum <= 3 * 1_440 * bounds::MINUTE_BYTES, "{sum}");
    assert!(u64::MAX / sum >= 50);
    // What moved while the agent was down for three days is within what can have moved.
    let after = account.pass(&row(1_449 + 4_320, 5, &[(9_999, 1_449 + 4_320, 1 << 50)]));
    assert_eq!(after.unplaced_rx, (1 << 50) - 5);
}
