//! Histories of a made kernel with everything that counters and clocks do wrong, and what must be true of the samples
//! all the same. The kernel knows the true traffic, the meter sees what it shows.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tidemap_wire::Sample;

use super::counted_sample;
use crate::{
    meter::{Counters, Meter, Reading},
    timeline::Timeline,
};

/// 100 Mbit/s: far from enough to come near 2³² by traffic alone, so a reset cannot be mistaken for a wrap.
const LIMIT_BPS: u64 = 12_500_000;
const WRAP: u64 = 1 << 32;
/// An uplink that is silent for longer than this is counted anew.
const FORGOTTEN_AFTER_MS: u64 = 10_000;
/// Readings between two faults of one device. A failed reading that is repeated cannot be told from a reset.
const REST: u8 = 4;

/// What goes wrong with one device, or with the host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The driver starts anew from zero.
    Reset,
    /// Another device takes the name, with counters of its own.
    Replaced,
    /// Its counters cannot be read, for so many readings.
    Unreadable(u8),
    /// It is not listed, for so many readings, and comes back as it was.
    Vanished(u8),
    /// It is not listed for longer than anybody waits.
    LongGone,
    /// It gets another name.
    Renamed,
    /// The two devices swap their names.
    Swapped,
    /// Its counters read zero, for so many readings.
    Zero(u8),
    /// One reading is far too high.
    WildUp,
    /// One reading is far too low.
    WildDown,
    /// The driver does not update its counters, for so many readings.
    LateDriver(u8),
    /// It is listed twice from now on.
    ListedTwice,
    /// The host sleeps for so many milliseconds.
    Suspended(i64),
    /// Somebody sets the host's clock.
    ClockSet(i64),
    /// Its counter of 32 bits has gone round. This happens by itself.
    Wrapped,
}

/// One interval: how long it lasts, how busy the devices are in percent, and what goes wrong with which of them.
type Interval = (u32, [u64; 2], Option<(usize, Fault)>);

#[derive(Clone, Debug)]
struct Device {
    name: &'static str,
    index: u32,
    speed_is_known: bool,
    /// Where its counters wrap: 2³², or never.
    wraps: bool,
    /// The kernel's own counters since the driver began.
    counted: [u64; 2],
    /// What they showed when the driver last updated them.
    shown: [u64; 2],
    fault: Option<Fault>,
    readings_left: u8,
    rest: u8,
    twice: bool,
    gone_ms: u64,
}

/// A host with two devices.
#[derive(Clone, Debug)]
struct Kernel {
    devices: [Device; 2],
    next_index: u32,
    monotonic_ms: u64,
    wall_ms: i64,
    /// True traffic since the beginning.
    traffic: [u64; 2],
    befell: BTreeMap<&'static str, u32>,
}

/// One sample with the truth beside it.
struct Told {
    sample: Sample,
    elapsed_ms: u64,
    gap: bool,
    traffic: [u64; 2],
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Replaced => "replaced",
            Self::Unreadable(_) => "unreadable",
            Self::Vanished(_) => "vanished",
            Self::LongGone => "long gone",
            Self::Renamed => "renamed",
            Self::Swapped => "swapped",
            Self::Zero(_) => "zero",
            Self::WildUp => "wild up",
            Self::WildDown => "wild down",
            Self::LateDriver(_) => "late driver",
            Self::ListedTwice => "listed twice",
            Self::Suspended(_) => "suspended",
            Self::ClockSet(_) => "clock set",
            Self::Wrapped => "wrapped",
        }
    }
}

impl Kernel {
    fn new(devices: [(bool, bool); 2]) -> Self {
        let device = |at: usize| {
            let (speed_is_known, wraps) = devices[at];
            let start = if wraps { WRAP - 30_000_000 } else { WRAP * 3 };
            Device {
                name: ["eth0", "eth1"][at],
                index: at as u32 + 2,
                speed_is_known,
                wraps,
                counted: [start; 2],
                shown: [start; 2],
                fault: None,
                readings_left: 0,
                rest: REST,
                twice: false,
                gone_ms: 0,
            }
        };
        Self {
            devices: [device(0), device(1)],
            next_index: 4,
            monotonic_ms: 0,
            wall_ms: 1_700_000_000_000,
            traffic: [0; 2],
            befell: BTreeMap::new(),
        }
    }

    fn live(&mut self, (elapsed_ms, busy, fault): Interval) {
        self.monotonic_ms += u64::from(elapsed_ms);
        self.wall_ms += i64::from(elapsed_ms);
        for (device, percent) in self.devices.iter_mut().zip(busy) {
            let bytes = LIMIT_BPS / 100 * percent * u64::from(elapsed_ms) / 1000;
            for (way, moved) in [bytes, bytes / 3].into_iter().enumerate() {
                let before = device.counted[way];
                device.counted[way] += moved;
                self.traffic[way] += moved;
                if device.wraps && before < WRAP && before + moved >= WRAP {
                    *self.befell.entry(Fault::Wrapped.name()).or_default() += 1;
                }
            }
            device.live(elapsed_ms);
        }
        if let Some((at, fault)) = fault {
            self.befall(at, fault);
        }
        for device in &mut self.devices {
            if !matches!(device.fault, Some(Fault::LateDriver(_))) {
                device.shown = device.counted;
            }
        }
    }

    fn befall(&mut self, at: usize, fault: Fault) {
        match fault {
            Fault::ClockSet(ms) => self.wall_ms = self.wall_ms.saturating_add(ms),
            // No traffic while it sleeps, and its monotonic clock stands still.
            Fault::Suspended(ms) => self.wall_ms = self.wall_ms.saturating_add(ms),
            // One fault at a time for each device, and rest between them.
            _ if self.devices[at].fault.is_some() || self.devices[at].rest > 0 => return,
            // A small counter that shows zero for long cannot be told from one that began anew.
            Fault::Zero(3..) if self.devices[at].counted[0] < WRAP => return,
            Fault::Swapped => {
                let names = [self.devices[1].name, self.devices[0].name];
                (self.devices[0].name, self.devices[1].name) = (names[0], names[1]);
            }
            Fault::Replaced => {
                self.devices[at].index = self.next_index;
                self.devices[at].counted = [WRAP * 9; 2];
                self.devices[at].wraps = false;
                self.next_index += 1;
            }
            _ => self.devices[at].befall(fault),
        }
        *self.befell.entry(fault.name()).or_default() += 1;
    }

    fn readings(&self) -> Vec<Reading> {
        let listed = self.devices.iter().filter(|device| !device.is_absent());
        listed.flat_map(|device| vec![device.reading(); if device.twice { 2 } else { 1 }]).collect()
    }
}

impl Device {
    fn live(&mut self, elapsed_ms: u32) {
        self.rest = self.rest.saturating_sub(1);
        match self.fault {
            Some(Fault::LongGone) => {
                self.gone_ms += u64::from(elapsed_ms);
                if self.gone_ms > FORGOTTEN_AFTER_MS {
                    (self.fault, self.rest) = (None, REST);
                }
            }
            Some(_) => {
                self.readings_left = self.readings_left.saturating_sub(1);
                if self.readings_left == 0 {
                    (self.fault, self.rest) = (None, REST);
                }
            }
            None => {}
        }
    }

    fn befall(&mut self, fault: Fault) {
        match fault {
            Fault::Reset => {
                self.counted = [0; 2];
                // Its first reading is rarely at zero, and then it looks like a failed one.
                self.rest = 2 * REST;
                return;
            }
            Fault::Renamed => {
                self.name = if self.name.starts_with("eth") { "uplink" } else { "eth9" };
                return;
            }
            Fault::ListedTwice => {
                self.twice = true;
                return;
            }
            Fault::Unreadable(readings)
            | Fault::Vanished(readings)
            | Fault::Zero(readings)
            | Fault::LateDriver(readings) => self.readings_left = readings,
            _ => self.readings_left = 1,
        }
        self.gone_ms = 0;
        self.fault = Some(fault);
    }

    fn is_absent(&self) -> bool {
        matches!(self.fault, Some(Fault::Vanished(_) | Fault::LongGone))
    }

    fn reading(&self) -> Reading {
        let seen = |counter: u64| {
            let counter = if self.wraps { counter % WRAP } else { counter };
            match self.fault {
                Some(Fault::Zero(_)) => 0,
                Some(Fault::WildUp) => counter + (1 << 50),
                Some(Fault::WildDown) => counter / 2,
                _ => counter,
            }
        };
        let counters = Counters { rx_bytes: seen(self.shown[0]), tx_bytes: seen(self.shown[1]) };
        Reading {
            key: (self.name.to_owned(), self.index),
            counters: Some(counters).filter(|_| !matches!(self.fault, Some(Fault::Unreadable(_)))),
            limit_bps: self.speed_is_known.then_some(LIMIT_BPS),
        }
    }
}

/// The samples of a history, made as the sampler makes them.
fn samples(kernel: &mut Kernel, history: &[Interval]) -> Vec<Told> {
    let mut meter = Meter::default();
    let mut timeline = Timeline::new(0, kernel.wall_ms);
    meter.read(0, &kernel.readings());
    let mut sample = |(seq, interval): (u64, &Interval)| {
        kernel.live(*interval);
        let tick = timeline.tick(kernel.monotonic_ms, kernel.wall_ms);
        let moved = meter.read(tick.elapsed_ms, &kernel.readings());
        let sample = counted_sample(seq, tick, moved, meter.total());
        Told { sample, elapsed_ms: interval.0.into(), gap: tick.gap, traffic: kernel.traffic }
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
    // Not so busy that a late driver's bytes could never be made up for at the link's speed.
    let interval =
        (250_u32..1000, [0_u64..41, 0_u64..41], proptest::option::weighted(0.3, (0_usize..2, fault)));
    proptest::collection::vec(interval, 5..80)
}

/// Two devices: is the speed known, and has it counters of 32 bits?
fn devices() -> impl Strategy<Value = [(bool, bool); 2]> {
    [any::<(bool, bool)>(), any::<(bool, bool)>()]
}

/// Quiet at the end: what was late comes in.
fn and_rest(mut history: Vec<Interval>) -> Vec<Interval> {
    history.extend([(1000, [0, 0], None); 16]);
    history
}

fn check_samples(told: &[Told], speeds_are_known: bool) -> Result<(), TestCaseError> {
    let most = |ms: u64| 2 * LIMIT_BPS * ms / 1000;
    let (mut before, mut elapsed_ms) = (Sample::default(), 0);
    for Told { sample, elapsed_ms: interval_ms, gap, .. } in told {
        elapsed_ms += interval_ms;
        prop_assert!(sample.at_ms >= before.at_ms, "time never falls");
        prop_assert_eq!(u64::from(sample.elapsed_ms), *interval_ms);
        prop_assert!(sample.rx_bytes >= before.rx_bytes && sample.tx_bytes >= before.tx_bytes);
        let rose = [sample.rx_bytes - before.rx_bytes, sample.tx_bytes - before.tx_bytes];
        if speeds_are_known {
            prop_assert!(sample.rx_bytes <= most(elapsed_ms));
            prop_assert!(rose[0] <= most(FORGOTTEN_AFTER_MS + interval_ms));
        }
        prop_assert_eq!(sample.rx_bps.is_some(), sample.tx_bps.is_some());
        prop_assert!(!gap || sample.rx_bps.is_none(), "no rate over a time that nobody measured");
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
        let mut kernel = Kernel::new(devices);
        let told = samples(&mut kernel, &history);
        check_samples(&told, devices.iter().all(|(speed_is_known, _)| *speed_is_known))?;
    }

    #[test]
    fn whatever_happens_no_byte_is_counted_that_did_not_move(
        speeds_are_known in any::<[bool; 2]>(),
        history in history(any_fault()),
    ) {
        // A reset of a counter of 32 bits just below its end cannot be told from a wrap.
        let mut kernel = Kernel::new(speeds_are_known.map(|speed_is_known| (speed_is_known, false)));
        for told in samples(&mut kernel, &history) {
            let Told { sample, traffic, .. } = told;
            prop_assert!(sample.rx_bytes <= traffic[0] && sample.tx_bytes <= traffic[1]);
        }
    }

    #[test]
    fn when_nothing_is_lost_the_sums_are_the_true_traffic(devices in devices(), history in history(harmless())) {
        let mut kernel = Kernel::new(devices);
        let told = samples(&mut kernel, &and_rest(history));
        check_samples(&told, false)?;
        let last = &told.last().unwrap().sample;
        prop_assert_eq!([last.rx_bytes, last.tx_bytes], kernel.traffic);
        prop_assert!(last.rx_bps.is_some(), "and the rate is known again");
    }
}

#[test]
fn every_fault_is_among_the_histories() {
    let mut runner = TestRunner::deterministic();
    let mut befell = BTreeMap::new();
    for _ in 0..200 {
        let devices = devices().new_tree(&mut runner).unwrap().current();
        let history = history(any_fault()).new_tree(&mut runner).unwrap().current();
        let mut kernel = Kernel::new(devices);
        samples(&mut kernel, &history);
        for (name, times) in kernel.befell {
            *befell.entry(name).or_insert(0) += times;
        }
    }
    println!("{befell:?}");
    assert_eq!(befell.len(), 15, "{befell:?}");
    assert!(befell.values().all(|times| *times >= 20), "{befell:?}");
}
