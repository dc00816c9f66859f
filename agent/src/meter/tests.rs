use proptest::prelude::*;

use super::*;

const GIGABIT_BPS: u64 = 125_000_000;

fn reading(name: &str, counters: Option<(u64, u64)>, limit_bps: Option<u64>) -> Reading {
    let counters = counters.map(|(rx_bytes, tx_bytes)| Counters { rx_bytes, tx_bytes });
    let nominal = Nominal { speed_bps: limit_bps, may_wrap: true };
    Reading { key: (name.to_owned(), 1), counters, nominal }
}

/// Feeds one uplink one reading a second; each item is a reading, and the received bytes that the meter must
/// report for it.
fn check(limit_bps: Option<u64>, steps: &[(Option<u64>, Option<u64>)], total: u64) {
    let mut meter = Meter::default();
    for (at, (rx_bytes, moved)) in steps.iter().enumerate() {
        let moved_now = meter.read(1000, &[reading("eth0", rx_bytes.map(|rx| (rx, 7)), limit_bps)]);
        assert_eq!(moved_now.map(|moved| moved.rx_bytes), *moved, "reading {at}");
    }
    assert_eq!(meter.total().rx_bytes, total);
}

#[test]
fn an_uplink_is_counted_from_its_second_reading_on() {
    check(None, &[(Some(1000), None), (Some(1500), Some(500)), (Some(1500), Some(0))], 500);
}

#[test]
fn a_reset_is_no_spike() {
    check(None, &[(Some(9_000_000_000), None), (Some(400), None), (Some(900), Some(500))], 500);
}

#[test]
fn a_drop_to_zero_is_a_failed_reading_until_it_lasts() {
    check(
        None,
        &[(Some(50_000), None), (Some(0), None), (Some(51_000), None), (Some(51_100), Some(100))],
        1100,
    );
    let zero = (Some(0), None);
    check(None, &[(Some(50_000), None), zero, zero, zero, (Some(70), Some(70))], 70);
}

#[test]
fn a_counter_of_32_bits_wraps_but_a_reset_close_to_it_does_not() {
    let top = (1 << 32) - 1000;
    check(None, &[(Some(top), None), (Some(500), Some(1500))], 1500);
    check(None, &[(Some(3_000_000_000), None), (Some(500), None)], 0);
    check(Some(1000), &[(Some(top), None), (Some(500), None)], 0);
}

#[test]
fn a_wrap_in_a_late_update_counts_once_the_next_reading_goes_on_from_it() {
    let top = (1 << 32) - 1000;
    let late = |bytes| {
        let stands =
            [(Some(top - 1000), None), (Some(top), Some(1000)), (Some(top), Some(0)), (Some(top), Some(0))];
        [&stands[..], &[(Some(bytes - 1000), None), (Some(bytes - 100), None), (Some(bytes), Some(100))]]
            .concat()
    };
    check(Some(1000), &late(3000), 5000);
    // It was not quiet for long enough.
    let reset = [&late(9000)[..5], &[(Some(8900), Some(900))]].concat();
    check(Some(1000), &reset, 1900);
}

#[test]
fn bytes_after_a_silence_are_summed_but_make_no_rate() {
    check(None, &[(Some(100), None), (None, None), (Some(900), None), (Some(1000), Some(100))], 900);
}

#[test]
fn a_rise_above_the_stated_speed_counts_once_the_next_reading_goes_on_from_it() {
    let second = GIGABIT_BPS;
    check(
        Some(second),
        &[
            (Some(0), None),
            (Some(2 * second), None),
            (Some(2 * second), None),
            (Some(2 * second + 7), Some(7)),
        ],
        2 * second + 7,
    );
    // It was one wrong reading.
    check(
        Some(second),
        &[(Some(0), None), (Some(2 * second), None), (Some(50), None), (Some(60), Some(10))],
        60,
    );
    // Nothing moves as fast as that, and counters do jump.
    check(
        Some(second),
        &[(Some(0), None), (Some(63_000_000_000), None), (Some(63_000_000_100), Some(100))],
        100,
    );
}

#[test]
fn a_device_that_is_faster_than_its_driver_states_is_believed() {
    for (stated_bps, bps) in [(12_500_000, 60_000_000), (GIGABIT_BPS, 187_500_000), (1_250_000, 900_000_000)]
    {
        let mut meter = Meter::default();
        let rates: Vec<_> = (0..20)
            .map(|second| meter.read(1000, &[reading("eth0", Some((second * bps, 7)), Some(stated_bps))]))
            .collect();
        assert_eq!(meter.total().rx_bytes, 19 * bps, "{stated_bps}");
        assert!(rates[3..].iter().all(|moved| moved.is_some_and(|moved| moved.rx_bytes == bps)), "{rates:?}");
    }
}

/// Counters that move `bps` and are updated every `period` seconds, `phase` seconds after the first reading:
/// the rates that are shown, and how many bytes are not reported at the end.
fn seldom(period: u64, phase: u64, bps: u64, limit_bps: Option<u64>) -> (Vec<Option<u64>>, u64) {
    let mut meter = Meter::default();
    let shown = |second: u64| (second + period - phase) / period * period * bps;
    let rates = (0..100)
        .map(|second| meter.read(1000, &[reading("eth0", Some((shown(second), 7)), limit_bps)]))
        .map(|moved| moved.map(|moved| moved.rx_bytes))
        .collect();
    assert!(meter.total().rx_bytes <= shown(99) - shown(0));
    (rates, shown(99) - shown(0) - meter.total().rx_bytes)
}

#[test]
fn counters_that_are_updated_seldom_lose_nothing_and_are_spread() {
    for (period, phase) in
        [2, 3, 5].into_iter().flat_map(|period| (0..period).map(move |phase| (period, phase)))
    {
        for bps in [12, 1_000_000, 100_000_000, 110_000_000] {
            for limit_bps in [Some(GIGABIT_BPS), None] {
                let (rates, behind) = seldom(period, phase, bps, limit_bps);
                let what = format!("every {period} s, from {phase}, {bps}");
                assert!(behind <= (period + 1) * bps, "{what}: {behind} are not reported");
                let settled = &rates[usize::try_from(14 * period).unwrap()..];
                let near = |rate: &Option<u64>| rate.is_some_and(|rate| rate.abs_diff(bps) <= bps / 10 + 1);
                assert!(settled.iter().all(near), "{what}: {rates:?}");
            }
        }
    }
}

/// What is found of counters that rise by these bytes, read each second.
fn periods(rises: impl IntoIterator<Item = (u64, u64)>) -> (Meter, Vec<u64>) {
    let mut meter = Meter::default();
    let (mut rx, mut tx) = (1 << 33, 1 << 33);
    for (rx_bytes, tx_bytes) in rises {
        (rx, tx) = (rx + rx_bytes, tx + tx_bytes);
        meter.read(1000, &[reading("eth0", Some((rx, tx)), Some(GIGABIT_BPS))]);
    }
    let periods = meter.periods().map(|(_, period_ms)| period_ms).collect();
    (meter, periods)
}

#[test]
fn a_driver_that_updates_one_direction_seldom_has_a_period() {
    let rises = (0..100).map(|second| (if second % 5 == 3 { 500_000_000 } else { 0 }, 1_000_000));
    let (mut meter, periods) = periods(rises);
    assert_eq!(periods, [5_000]);
    let moved = meter
        .read(1000, &[reading("eth0", Some(((1 << 33) + 10_000_000_000, (1 << 33) + 101_000_000)), None)]);
    assert!(moved.is_some_and(|moved| (80_000_000..120_000_000).contains(&moved.rx_bytes)), "{moved:?}");
    assert_eq!(moved.unwrap().tx_bytes, 1_000_000);
}

#[test]
fn a_period_that_changes_is_found_again() {
    let seldom =
        |period: u64| move |second: u64| (if second % period == 1 { period * 110_000_000 } else { 0 }, 7);
    assert_eq!(periods((0..60).map(seldom(2)).chain((0..200).map(seldom(5)))).1, [5_000]);
    assert_eq!(periods((0..60).map(seldom(5)).chain((0..200).map(seldom(2)))).1, [2_000]);
    assert_eq!(periods((0..60).map(seldom(5)).chain((0..20).map(|_| (110_000_000, 7)))).1, [0_u64; 0]);
}

#[test]
fn a_packet_now_and_then_is_no_seldom_update() {
    let every = |period: u64| {
        (0..600).map(move |second: u64| (if second.is_multiple_of(period) { 66 } else { 0 }, 0))
    };
    for period in [10, 20, 30] {
        assert_eq!(periods(every(period)).1, [0_u64; 0], "{period}");
    }
}

#[test]
fn a_large_counter_that_falls_goes_on_from_there() {
    let ten_tb = 10_000_000_000_000;
    let fallen = ten_tb - 9_000_000_000;
    check(
        Some(GIGABIT_BPS),
        &[
            (Some(ten_tb), None),
            (Some(fallen), None),
            (Some(fallen + 5), Some(5)),
            // A few packets less, for good.
            (Some(fallen - 3_000), Some(0)),
            (Some(fallen - 2_990), Some(0)),
            (Some(fallen - 2_980), Some(0)),
            (Some(fallen - 2_970), Some(10)),
        ],
        15,
    );
}

#[test]
fn one_wrong_reading_counts_for_nothing_at_any_interval() {
    for interval_ms in [10_000, 60_000] {
        for wrong in [0, 50_000_000_000 + 8_000_000_000, 1 << 50] {
            let mut meter = Meter::default();
            for rx_bytes in [50_000_000_000, 50_000_000_100, wrong, 50_000_000_300, 50_000_000_400] {
                meter.read(interval_ms, &[reading("eth0", Some((rx_bytes, 7)), Some(GIGABIT_BPS))]);
            }
            assert_eq!(meter.total().rx_bytes, 400, "{wrong} every {interval_ms} ms");
        }
    }
}

#[test]
fn a_counter_of_32_bits_that_is_updated_seldom_wraps_without_loss() {
    for period in [2, 3, 5] {
        let mut meter = Meter::default();
        let shown = |second: u64| second / period * period * 100_000_000;
        for second in 0..200 {
            meter.read(1000, &[reading("eth0", Some((shown(second) % (1 << 32), 7)), Some(GIGABIT_BPS))]);
        }
        let behind = shown(199) - meter.total().rx_bytes;
        assert!(behind <= (period + 1) * 100_000_000, "every {period} s: {behind}");
    }
}

proptest! {
    #[test]
    fn whatever_a_device_states_and_however_seldom_it_counts_no_byte_is_lost(
        stated_mbps in prop_oneof![Just(None), prop_oneof![Just(10_u64), Just(100), Just(1_000), Just(10_000)].prop_map(Some)],
        magnitude in 3.0..8.8_f64,
        interval_ms in prop_oneof![Just(250_u32), Just(1_000), Just(2_000), Just(5_000)],
        period_ms in 0_u64..5_500,
        phases in proptest::collection::vec((5_u64..40, any::<bool>()), 1..6),
    ) {
        let bps = 10_f64.powf(magnitude) as u64;
        let stated_bps = stated_mbps.map(|mbps| mbps * 125_000);
        let mut meter = Meter::default();
        let (mut now_ms, mut moved, mut shown, mut updated_ms) = (0, 1_u64 << 33, 1 << 33, 0);
        let begin = moved;
        let mut read = |meter: &mut Meter, busy: bool| {
            for _ in 0..interval_ms {
                now_ms += 1;
                moved += if busy { bps / 1000 } else { 0 };
                if now_ms >= updated_ms + period_ms {
                    (shown, updated_ms) = (moved, now_ms);
                }
            }
            meter.read(interval_ms, &[reading("eth0", Some((shown, 7)), stated_bps)]);
            moved
        };
        read(&mut meter, false);
        for (readings, busy) in phases {
            (0..readings).for_each(|_| { read(&mut meter, busy); });
        }
        // Long enough for what is doubtful or spread.
        let moved = (0..100).map(|_| read(&mut meter, false)).last().unwrap();
        prop_assert_eq!(meter.total().rx_bytes, moved - begin);
    }
}

#[test]
fn a_pause_of_the_traffic_is_no_seldom_update() {
    let mut meter = Meter::default();
    let mut rx = 0;
    for (second, bytes) in [5_u64, 0, 0, 9, 4, 0, 7, 0, 0, 0, 3, 3, 0, 8, 0, 2].into_iter().enumerate() {
        rx += bytes;
        let moved = meter.read(1000, &[reading("eth0", Some((rx, 7)), None)]);
        assert_eq!(moved.map(|moved| moved.rx_bytes), (second > 0).then_some(bytes));
    }
    assert_eq!(meter.periods().count(), 0);
}

#[test]
fn a_small_step_back_is_none_and_a_reset_is_no_wrap() {
    const FAST_BPS: Option<u64> = Some(5_000_000_000);
    let before = 3_717_616_438;
    check(FAST_BPS, &[(Some(before), None), (Some(3_717_611_343), Some(0)), (Some(before + 9), Some(9))], 9);
    check(FAST_BPS, &[(Some(3_500_000_000), None), (Some(5_000), None), (Some(5_100), Some(100))], 100);
    // On a 64-bit kernel nothing wraps, and neither does what was above 32 bits once.
    let mut meter = Meter::default();
    let wide = |rx| Reading {
        nominal: Nominal { speed_bps: None, may_wrap: false },
        ..reading("eth0", Some((rx, 7)), None)
    };
    let moved = [(1 << 32) - 10, 20, 30].map(|rx| meter.read(1000, &[wide(rx)]).map(|moved| moved.rx_bytes));
    assert_eq!(moved, [None, None, Some(10)]);
    let (top, over) = ((1 << 32) - 10, (1 << 32) + 5);
    check(None, &[(Some(over), None), (Some(top), Some(0)), (Some(20), None), (Some(30), Some(10))], 10);
}

#[test]
fn a_silent_uplink_holds_up_the_others_for_ten_seconds_only() {
    let mut meter = Meter::default();
    let mut read = |second: u64, broken: Option<(u64, u64)>| {
        meter.read(1000, &[reading("good", Some((second * 10, 0)), None), reading("broken", broken, None)])
    };
    assert_eq!(read(0, Some((5, 5))), None);
    assert_eq!((1..10).filter_map(|second| read(second, None)).count(), 0);
    assert_eq!(read(10, None), Some(Moved { rx_bytes: 10, tx_bytes: 0 }));
    assert_eq!(read(11, Some((900, 900))), Some(Moved { rx_bytes: 10, tx_bytes: 0 }));
}

#[test]
fn an_uplink_that_comes_or_goes_or_is_listed_twice_makes_no_spike() {
    let mut meter = Meter::default();
    let eth0 = |rx| reading("eth0", Some((rx, 0)), None);
    let usb0 = |rx, index| Reading { key: ("usb0".into(), index), ..reading("usb0", Some((rx, 0)), None) };
    meter.read(1000, &[eth0(0)]);
    let mut moved = |readings: &[Reading]| meter.read(1000, readings).map(|moved| moved.rx_bytes);
    assert_eq!(moved(&[eth0(10), usb0(1 << 40, 3)]), Some(10));
    assert_eq!(moved(&[eth0(20), eth0(20), usb0((1 << 40) + 5, 3)]), Some(15));
    assert_eq!(moved(&[eth0(30)]), Some(10));
    assert_eq!(moved(&[eth0(40), usb0(1 << 41, 4)]), Some(10));
    assert_eq!(moved(&[]), None);
}

#[test]
fn an_uplink_that_is_back_within_ten_seconds_keeps_its_counters() {
    let total_after = |seconds: u32| {
        let mut meter = Meter::default();
        meter.read(1000, &[reading("eth0", Some((100, 0)), None)]);
        for _ in 1..seconds {
            assert_eq!(meter.read(1000, &[]), None);
        }
        assert_eq!(meter.read(1000, &[reading("eth0", Some((900, 0)), None)]), None);
        meter.total().rx_bytes
    };
    assert_eq!((total_after(9), total_after(11)), (800, 0));
}

/// Everything that a kernel's counters may do: rise, jump, fall, fail, return as another device.
fn wild_readings() -> impl Strategy<Value = Vec<(u32, Vec<Reading>)>> {
    let counter = prop_oneof![3 => 0_u64..1 << 20, 2 => (1_u64 << 32) - (1 << 20)..1 << 32, 1 => any::<u64>(), 1 => Just(0)];
    let counters = proptest::option::weighted(0.85, (counter.clone(), counter));
    let name = prop_oneof![Just("eth0"), Just("eth1")];
    let one = (name, 1_u32..3, counters).prop_map(|(name, index, counters)| Reading {
        key: (name.to_owned(), index),
        ..reading(name, counters, Some(GIGABIT_BPS))
    });
    proptest::collection::vec((250_u32..5000, proptest::collection::vec(one, 0..4)), 1..40)
}

proptest! {
    #[test]
    fn whatever_counters_do_sums_never_fall_nor_jump_and_rates_are_their_change(steps in wild_readings()) {
        let mut meter = Meter::default();
        let mut elapsed_total_ms = 0;
        for (elapsed_ms, readings) in steps {
            let before = meter.total();
            let moved_now = meter.read(elapsed_ms, &readings);
            let after = meter.total();
            elapsed_total_ms += u64::from(elapsed_ms);
            prop_assert!(after.rx_bytes >= before.rx_bytes && after.tx_bytes >= before.tx_bytes);
            // At most four devices, each limited by what is believed of one since it was last read.
            let most = |ms: u64| 4 * 10 * GIGABIT_BPS * ms / 1000;
            prop_assert!(after.rx_bytes <= most(elapsed_total_ms));
            if let Some(moved) = moved_now {
                prop_assert_eq!(moved.rx_bytes, after.rx_bytes - before.rx_bytes);
                prop_assert_eq!(moved.tx_bytes, after.tx_bytes - before.tx_bytes);
                prop_assert!(moved.rx_bytes <= most(elapsed_ms.into()));
                let rate = Bps::over(moved.rx_bytes, elapsed_ms.into()).unwrap();
                prop_assert_eq!(rate.bytes_in(elapsed_ms), after.rx_bytes - before.rx_bytes);
            }
        }
    }

    #[test]
    fn when_nothing_goes_wrong_the_sums_are_the_traffic(
        start in prop_oneof![0_u64..1 << 33, (1_u64 << 32) - (1 << 28)..1 << 32],
        seconds in proptest::collection::vec((250_u32..3000, 1_u64..40_000), 1..60),
        bits in prop_oneof![Just(32), Just(64)],
        limit_bps in prop_oneof![Just(None), Just(Some(GIGABIT_BPS))],
    ) {
        let shown = |counter: u64| if bits == 32 { counter % (1 << 32) } else { counter };
        // A drop to exactly zero counts as a failed reading, even if it is a wrap.
        let mut counter = start;
        let mut meter = Meter::default();
        meter.read(0, &[reading("eth0", Some((shown(counter), 1)), limit_bps)]);
        for (elapsed_ms, kilobytes_per_s) in seconds {
            let bytes = kilobytes_per_s * u64::from(elapsed_ms);
            counter += bytes;
            let moved_now = meter.read(elapsed_ms, &[reading("eth0", Some((shown(counter), 1)), limit_bps)]);
            prop_assert_eq!(moved_now, Some(Moved { rx_bytes: bytes, tx_bytes: 0 }));
        }
        prop_assert_eq!(meter.total().rx_bytes, counter - start);
    }
}
