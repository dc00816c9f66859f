//! Generated histories of a made host with every fault of counters and clocks, and what must hold for the
//! samples.

mod made_host;

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tidemap_wire::Sample;

use super::counted_sample;
use crate::{meter::Meter, timeline::Timeline};
use made_host::{FORGOTTEN_AFTER_MS, Fault, Interval, LIMIT_BPS, MadeHost};

/// One sample, with the true traffic.
struct Observed {
    sample: Sample,
    elapsed_ms: u64,
    gap: bool,
    traffic: [u64; 2],
}

/// The samples of a history, computed as the sampler computes them.
fn samples(host: &mut MadeHost, history: &[Interval]) -> Vec<Observed> {
    let mut meter = Meter::default();
    let mut timeline = Timeline::new(0, host.wall_ms);
    meter.read(0, &host.readings());
    let mut sample = |(seq, interval): (u64, &Interval)| {
        host.live(*interval);
        let tick = timeline.tick(host.monotonic_ms, host.wall_ms);
        let moved = meter.read(tick.elapsed_ms, &host.readings());
        let sample = counted_sample(seq, tick, moved, meter.total());
        Observed { sample, elapsed_ms: interval.0.into(), gap: tick.gap, traffic: host.traffic }
    };
    (1..).zip(history).map(&mut sample).collect()
}

fn harmless() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (1_u8..5).prop_map(Fault::Unreadable),
        (1_u8..5).prop_map(Fault::Vanished),
        Just(Fault::Renamed),
        Just(Fault::Swapped),
        (1_u8..3).prop_map(Fault::Zero),
        Just(Fault::WildUp),
        Just(Fault::WildDown),
        (1_u8..3).prop_map(Fault::LateDriver),
        Just(Fault::ListedTwice),
        (3_000_i64..1 << 40).prop_map(Fault::Suspended),
        (-1_i64 << 40..1 << 40).prop_map(Fault::ClockSet),
    ]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let losing = prop_oneof![
        2 => Just(Fault::Reset),
        1 => Just(Fault::Replaced),
        1 => Just(Fault::LongGone),
        1 => (3_u8..6).prop_map(Fault::Zero),
    ];
    prop_oneof![2 => harmless(), 1 => losing]
}

fn history(fault: impl Strategy<Value = Fault>) -> impl Strategy<Value = Vec<Interval>> {
    // Limited, so that a late driver's bytes can still be made up for at the link's speed.
    let interval =
        (250_u32..1000, [0_u64..41, 0_u64..41], proptest::option::weighted(0.3, (0_usize..2, fault)));
    proptest::collection::vec(interval, 5..80)
}

/// Two devices: whether the speed is known, and whether the counters have 32 bits.
fn devices() -> impl Strategy<Value = [(bool, bool); 2]> {
    [any::<(bool, bool)>(), any::<(bool, bool)>()]
}

/// Appends a quiet end, in which late bytes are counted.
fn and_rest(mut history: Vec<Interval>) -> Vec<Interval> {
    history.extend([(1000, [0, 0], None); 16]);
    history
}

fn check_samples(observed: &[Observed], speeds_are_known: bool) -> Result<(), TestCaseError> {
    let most = |ms: u64| 2 * LIMIT_BPS * ms / 1000;
    let (mut before, mut elapsed_ms) = (Sample::default(), 0);
    for Observed { sample, elapsed_ms: interval_ms, gap, .. } in observed {
        elapsed_ms += interval_ms;
        prop_assert!(sample.at_ms >= before.at_ms || sample.rx_bps.is_none(), "time falls only in a gap");
        prop_assert_eq!(u64::from(sample.elapsed_ms), *interval_ms);
        prop_assert!(sample.rx_bytes >= before.rx_bytes && sample.tx_bytes >= before.tx_bytes);
        let rose = [sample.rx_bytes - before.rx_bytes, sample.tx_bytes - before.tx_bytes];
        if speeds_are_known {
            prop_assert!(sample.rx_bytes <= most(elapsed_ms));
            prop_assert!(rose[0] <= most(FORGOTTEN_AFTER_MS + interval_ms));
        }
        prop_assert_eq!(sample.rx_bps.is_some(), sample.tx_bps.is_some());
        prop_assert!(!gap || sample.rx_bps.is_none(), "no rate over a time that was not measured");
        for (rate, rose) in [sample.rx_bps, sample.tx_bps].into_iter().zip(rose) {
            let Some(rate) = rate else { continue };
            prop_assert_eq!(rate.bytes_in(sample.elapsed_ms), rose, "a rate is the change of the sum");
            prop_assert!(!speeds_are_known || rose <= most(*interval_ms), "no rate above the link's speed");
        }
        before = sample.clone();
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_happens_sums_never_fall_nor_jump(devices in devices(), history in history(any_fault())) {
        let mut host = MadeHost::new(devices);
        let observed = samples(&mut host, &history);
        check_samples(&observed, devices.iter().all(|(speed_is_known, _)| *speed_is_known))?;
    }

    #[test]
    fn whatever_happens_only_bytes_that_moved_are_counted(
        speeds_are_known in any::<[bool; 2]>(),
        history in history(any_fault()),
    ) {
        // A reset of a 32-bit counter just below its end looks like a wrap, so all counters have 64 bits
        // here.
        let mut host = MadeHost::new(speeds_are_known.map(|speed_is_known| (speed_is_known, false)));
        for observed in samples(&mut host, &history) {
            let Observed { sample, traffic, .. } = observed;
            prop_assert!(sample.rx_bytes <= traffic[0] && sample.tx_bytes <= traffic[1]);
        }
    }

    #[test]
    fn when_nothing_is_lost_the_sums_are_the_true_traffic(devices in devices(), history in history(harmless())) {
        let mut host = MadeHost::new(devices);
        let observed = samples(&mut host, &and_rest(history));
        check_samples(&observed, false)?;
        let last = &observed.last().unwrap().sample;
        prop_assert_eq!([last.rx_bytes, last.tx_bytes], host.traffic);
        prop_assert!(last.rx_bps.is_some(), "and the rate is known again");
    }
}

#[test]
fn the_histories_include_every_fault() {
    let mut runner = TestRunner::deterministic();
    let mut befell = BTreeMap::new();
    for _ in 0..200 {
        let devices = devices().new_tree(&mut runner).unwrap().current();
        let history = history(any_fault()).new_tree(&mut runner).unwrap().current();
        let mut host = MadeHost::new(devices);
        samples(&mut host, &history);
        for (name, times) in host.befell {
            *befell.entry(name).or_insert(0) += times;
        }
    }
    println!("{befell:?}");
    assert_eq!(befell.len(), 15, "{befell:?}");
    assert!(befell.values().all(|times| *times >= 20), "{befell:?}");
}
