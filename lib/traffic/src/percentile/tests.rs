use proptest::prelude::*;

use super::*;

/// 100 Mbit/s for five minutes.
const SLOT_OF_100_MBIT: u64 = 12_500_000 * 300;

fn slots(values: &[(u64, u64)]) -> Slots {
    let mut slots = Slots::empty(values.len());
    values.iter().enumerate().for_each(|(slot, (rx, tx))| slots.add(slot, Bytes { rx: *rx, tx: *tx }));
    slots
}

#[test]
fn of_8640_slots_the_432_highest_are_discarded() {
    let mut values: Vec<u64> = (1..=8_640).rev().collect();
    assert_eq!(of(&mut values), Some(8_208));
    // The 433rd highest.
    values.sort_unstable_by(|one, two| two.cmp(one));
    assert_eq!(values[432], 8_208);
}

#[test]
fn the_rank_is_that_of_months_of_28_to_31_days() {
    assert_eq!([8_064, 8_352, 8_640, 8_928].map(rank), [7_661, 7_935, 8_208, 8_482]);
    assert_eq!([0, 1, 2, 19, 20, 21].map(rank), [0, 1, 2, 19, 19, 20]);
    assert_eq!(of(&mut []), None);
}

#[test]
fn two_nodes_of_100_mbit_in_one_bill_are_200() {
    let mut bill = Slots::empty(8_640);
    for _node in 0..2 {
        for slot in 0..8_640 {
            bill.add(slot, Bytes { rx: SLOT_OF_100_MBIT / 10, tx: SLOT_OF_100_MBIT });
        }
    }
    let bill = bill.bill(8_640, Direction::Larger, Some(25_000_000)).unwrap();
    assert_eq!(
        (bill.billed_bps * 8, bill.tx.p95_bps * 8, bill.rx.p95_bps * 8),
        (200_000_000, 200_000_000, 20_000_000)
    );
    // Exactly the agreed rate is no overage and no burst.
    let used = bill.commit.unwrap();
    assert_eq!((used.overage_bps, used.burst_slots, used.burst_budget), (0, 0, 432));
}

#[test]
fn percentiles_of_nodes_that_burst_at_different_times_do_not_add_up() {
    // Each of two nodes is busy in 4 % of the slots: alone, neither is billed, together they are.
    let busy = |from: usize| (0..100).map(move |slot| u64::from((from..from + 4).contains(&slot)) * 300);
    let mut alone: Vec<u64> = busy(0).collect();
    assert_eq!(of(&mut alone), Some(0));
    let mut bill = Slots::empty(100);
    for from in [0, 50] {
        busy(from).enumerate().for_each(|(slot, rx)| bill.add(slot, Bytes { rx, tx: 0 }));
    }
    assert_eq!(bill.bill(100, Direction::In, None).unwrap().billed_bps, 1);
}

#[test]
fn missing_slots_are_left_out_and_said() {
    let mut some = Slots::empty(40);
    (0..20).for_each(|slot| some.add(slot, Bytes { rx: 300 * (slot as u64 + 1), tx: 0 }));
    let bill = some.bill(40, Direction::In, None).unwrap();
    // Of 20 values one is discarded; with 20 zeros beside them it would have been two.
    assert_eq!((bill.expected, bill.present, bill.billed_bps), (40, 20, 19));
    assert_eq!(Slots::empty(40).bill(40, Direction::In, None), None);
}

#[test]
fn each_direction_bills_its_percentile() {
    // Received 10 in even slots, sent 10 in odd ones: the sum is always 10.
    let alternating: Vec<_> =
        (0..100).map(|slot| if slot % 2 == 0 { (3_000, 0) } else { (0, 3_600) }).collect();
    let billed = |direction| slots(&alternating).bill(100, direction, None).unwrap().billed_bps;
    assert_eq!(Direction::ALL.map(billed), [12, 12, 10, 12, 10]);
    let bill = slots(&alternating).bill(100, Direction::Both, None).unwrap();
    assert_eq!((bill.both.min_bps, bill.both.mean_bps, bill.both.max_bps), (10, 11, 12));
}

#[test]
fn the_burst_budget_counts_slots_above_the_agreed_rate() {
    // The first quarter of a month of 30 days is over, 211 of its slots are above 100 Mbit/s.
    let mut bill = Slots::empty(8_640);
    for slot in 0..2_160 {
        let above = u64::from(slot < 211);
        bill.add(slot, Bytes { rx: 0, tx: SLOT_OF_100_MBIT + above * 300 });
    }
    let bill = bill.bill(2_160, Direction::Larger, Some(12_500_000)).unwrap();
    let used = bill.commit.unwrap();
    assert_eq!((used.burst_slots, used.burst_budget), (211, 432));
    assert_eq!((bill.billed_bps, used.overage_bps), (12_500_001, 1));
}

#[test]
fn what_is_not_over_yet_does_not_count() {
    let mut bill = slots(&[(300, 300); 10]);
    bill.add(9, Bytes { rx: 1 << 40, tx: 0 });
    assert_eq!(bill.bill(9, Direction::Larger, None).unwrap().rx.max_bps, 1);
}

#[test]
fn a_slot_belongs_to_the_period_in_which_it_begins() {
    let period = |from: i64, to: i64| Period { from_ms: from * 60_000, to_ms: to * 60_000 };
    assert_eq!(SlotRange::of(period(0, 43_200)), SlotRange { from_ms: 0, count: 8_640 });
    let [before, after] = [period(0, 37), period(37, 60)].map(SlotRange::of);
    assert_eq!((before.count, after.from_ms, after.count), (8, 40 * 60_000, 4));
    assert_eq!(
        [0, 40, 44, 45, 59, 60, 90].map(|minute| after.over_by(minute * 60_000)),
        [0, 0, 0, 1, 3, 4, 4]
    );
    assert_eq!((after.number(50 * 60_000), after.number(0)), (Some(2), None));
}

proptest! {
    #[test]
    fn the_percentile_is_that_of_a_sorted_list(values in proptest::collection::vec(0_u64..50, 1..300)) {
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let naive = sorted[(sorted.len() * 95).div_ceil(100) - 1];
        prop_assert_eq!(of(&mut values.clone()), Some(naive));
        // As many as may be are above it, and no more.
        prop_assert!(values.iter().filter(|value| **value > naive).count() <= values.len() / 20);
    }

    #[test]
    fn a_commit_is_exceeded_when_more_slots_are_above_it_than_the_budget_has(
        values in proptest::collection::vec((0_u64..9, 0_u64..9), 1..200),
        commit in 0_u64..9,
    ) {
        let values: Vec<_> = values.into_iter().map(|(rx, tx)| (rx * 300, tx * 300)).collect();
        for direction in Direction::ALL {
            let bill = slots(&values).bill(values.len(), direction, Some(commit)).unwrap();
            let used = bill.commit.unwrap();
            prop_assert_eq!(used.overage_bps > 0, used.burst_slots > used.burst_budget, "{:?}", direction);
        }
    }
}
