//! A made host whose devices and clock have every fault that real ones have. It knows the true traffic.

use std::collections::BTreeMap;

use crate::meter::{Counters, Nominal, Reading};

/// 100 Mbit/s: too little for traffic to come near 2³², so no reset can be mistaken for a wrap.
pub(super) const LIMIT_BPS: u64 = 12_500_000;
const WRAP: u64 = 1 << 32;
/// The meter forgets an uplink that is silent for longer than this.
pub(super) const FORGOTTEN_AFTER_MS: u64 = 10_000;
/// Readings between two faults of one device. Repeated failed readings would look like a reset.
const REST: u8 = 4;

/// A fault of one device, or of the host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The driver restarts at zero.
    Reset,
    /// Another device takes the name, with counters of its own.
    Replaced,
    /// Its counters cannot be read, for this many readings.
    Unreadable(u8),
    /// It is not listed, for this many readings, and returns with its old counters.
    Vanished(u8),
    /// It is not listed for longer than the meter waits.
    LongGone,
    /// It is renamed.
    Renamed,
    /// The two devices swap their names.
    Swapped,
    /// Its counters read zero, for this many readings.
    Zero(u8),
    /// One reading is far too high.
    WildUp,
    /// One reading is far too low.
    WildDown,
    /// The driver does not update its counters, for this many readings.
    LateDriver(u8),
    /// It is listed twice from now on.
    ListedTwice,
    /// The host sleeps for this many milliseconds.
    Suspended(i64),
    /// The host's clock is set.
    ClockSet(i64),
    /// Its 32-bit counter has wrapped. This is not chosen but happens by itself.
    Wrapped,
}

/// One interval: how long it lasts, how busy the devices are in percent, and what goes wrong with which of
/// them.
pub(super) type Interval = (u32, [u64; 2], Option<(usize, Fault)>);

#[derive(Clone, Debug)]
struct MadeDevice {
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
pub(super) struct MadeHost {
    devices: [MadeDevice; 2],
    next_index: u32,
    pub(super) monotonic_ms: u64,
    pub(super) wall_ms: i64,
    /// True traffic since the beginning.
    pub(super) traffic: [u64; 2],
    pub(super) befell: BTreeMap<&'static str, u32>,
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

impl MadeHost {
    pub(super) fn new(devices: [(bool, bool); 2]) -> Self {
        let device = |at: usize| {
            let (speed_is_known, wraps) = devices[at];
            // All that is moved is a multiple of 125 bytes, so no counter wraps to exactly zero and then
            // rests there: that looks like a reset.
            let start = if wraps { WRAP - 30_000_001 } else { WRAP * 3 };
            MadeDevice {
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

    pub(super) fn live(&mut self, (elapsed_ms, busy, fault): Interval) {
        self.monotonic_ms += u64::from(elapsed_ms);
        self.wall_ms += i64::from(elapsed_ms);
        for (device, percent) in self.devices.iter_mut().zip(busy) {
            let bytes = LIMIT_BPS / 100 * percent * u64::from(elapsed_ms) / 1000;
            for (way, moved) in [bytes, bytes / 375 * 125].into_iter().enumerate() {
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
            // There is no traffic during sleep, and the monotonic clock stands still.
            Fault::Suspended(ms) => self.wall_ms = self.wall_ms.saturating_add(ms),
            // One fault at a time for each device, with a pause between faults.
            _ if self.devices[at].fault.is_some() || self.devices[at].rest > 0 => return,
            // A small counter that reads zero for long looks like one that was reset.
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

    pub(super) fn readings(&self) -> Vec<Reading> {
        let listed = self.devices.iter().filter(|device| !device.is_absent());
        listed.flat_map(|device| vec![device.reading(); if device.twice { 2 } else { 1 }]).collect()
    }
}

impl MadeDevice {
    pub(super) fn live(&mut self, elapsed_ms: u32) {
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
                // Its first reading is rarely zero, but if it is, it looks like a failed reading.
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
            nominal: Nominal { speed_bps: self.speed_is_known.then_some(LIMIT_BPS), may_wrap: self.wraps },
        }
    }
}
