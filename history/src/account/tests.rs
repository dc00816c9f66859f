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
    assert_eq!(moved(9, &[row(8, 5, &[(1, 8, 1_000)]), row(9, 5, &[(1, 8, 1_005)])]), [(5, 995), (5, 0)]);
}

#[test]
fn a_run_that_begins_with_what_moved_before_it_has_that_unplaced() {
    // The second run began in minute 12 with 700 bytes; the first run's last sample comes after it.
    let before = row(10, 5, &[(1, 10, 5)]);
    let last = row(11, 20, &[(1, 10, 25)]);
    let after = [row(12, 5, &[(2, 12, 705)]), row(13, 5, &[(2, 12, 710)])];
    let cells = [vec![before.clone(), last], after.to_vec()].concat();
    assert_eq!(moved(0, &cells), [(5, 0), (20, 0), (5, 700), (5, 0)]);
    // In the same minute, and in a station's first one.
    let both = row(10, 10, &[(1, 10, 5), (2, 10, 705)]);
    assert_eq!(moved(11, &[both]), [(10, 700)]);
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
    for boot in 0..40 {
        let minute = u32::try_from(boot).unwrap();
        assert_eq!(account.pass(&row(minute, 5, &[(boot, minute, 5)])).unplaced_rx, 0);
    }
    assert_eq!(account.pass(&row(50, 1, &[(3, 3, 900)])).unplaced_rx, 0);
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
