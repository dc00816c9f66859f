//! Cumulative sums over the counted uplinks that stay correct whatever the kernel's counters do.
//!
//! Sums never fall. A rate is known only if every counted uplink's bytes are known for exactly this interval.
//! Bytes that moved over a longer time, or that are not known, make a sample's rate unknown instead of wrong.

mod counter_tracker;
mod counters;
mod limits;
mod refresh;
mod resumed;
mod spread;

use std::collections::BTreeMap;

pub(crate) use counter_tracker::{CounterTracker, Standing, Step};
pub(crate) use counters::{Counters, Nominal};
pub(crate) use resumed::CarriedOver;
use resumed::Resumed;
use serde::{Deserialize, Serialize};
use tidemap_wire::{Bps, InterfaceRate};

/// An interface of one kernel device, by name and number: a replaced device has another key, even under the
/// same name.
pub(crate) type Key = (String, u32);

/// The number of an interface on systems that assign none.
pub(crate) const UNNUMBERED: u32 = 0;

/// One interface's counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Which interface.
    pub(crate) key: Key,
    /// Its counters; `None` when they could not be read.
    pub(crate) counters: Option<Counters>,
    /// What is known of its device besides.
    pub(crate) nominal: Nominal,
}

/// Bytes that moved between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Bytes received.
    pub(crate) rx_bytes: u64,
    /// Bytes sent.
    pub(crate) tx_bytes: u64,
}

/// The sums over all counted uplinks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    trackers: Trackers,
    total: Moved,
    resumed: Resumed,
}

impl Meter {
    /// Goes on from where an earlier run stood `ago_ms` ago, with a reading of each counted uplink. The sums
    /// begin with what no sample of that run contains.
    pub(crate) fn resume(left: CarriedOver, ago_ms: u64, readings: &[Reading]) -> Self {
        let mut meter = Self { total: left.total, ..Self::default() };
        let held = left.devices.iter().map(|(_, standing)| standing.held());
        let held = held.fold(Moved::default(), Moved::plus);
        for (key, standing) in left.devices {
            let now = readings.iter().find(|reading| reading.key == key).and_then(|reading| reading.counters);
            if !now.is_some_and(|now| standing.may_return(now)) {
                meter.trackers.0.insert(key, CounterTracker::resume(&standing, ago_ms));
            }
        }
        meter.resumed = Resumed::new(meter.trackers.0.keys().cloned(), left.contained);
        meter.total.add(meter.resumed.beyond(held));
        meter.read(0, readings);
        meter
    }

    /// Where the interfaces stand whose readings these are.
    pub(crate) fn standings(&self, readings: &[Reading]) -> Vec<(Key, Standing)> {
        let standing = |reading: &Reading| {
            let tracker = self.trackers.0.get(&reading.key)?;
            Some((reading.key.clone(), tracker.standing()?))
        };
        first_of_each(readings).filter_map(standing).collect()
    }

    /// Takes one reading of each counted uplink, `elapsed_ms` after the one before.
    ///
    /// Returns the bytes that moved in that time, or `None` if they are not known for all uplinks. If known,
    /// the sums have risen by exactly these bytes.
    pub(crate) fn read(&mut self, elapsed_ms: u32, readings: &[Reading]) -> Option<Moved> {
        let mut moved = Moved::default();
        let (mut any, mut all) = (false, true);
        let (steps, late) = self.trackers.read(elapsed_ms, readings);
        if late != Moved::default() {
            all = false;
            moved.add(self.resumed.beyond(late));
        }
        for (_, step) in &steps {
            match *step {
                Step::Moved(bytes) => {
                    any = true;
                    moved.add(bytes);
                }
                Step::Late(bytes) => {
                    all = false;
                    moved.add(self.resumed.beyond(bytes));
                }
                Step::Unknown => all = false,
                Step::Baseline | Step::Gone => {}
            }
        }
        let settled = steps.iter().filter(|(_, step)| *step != Step::Unknown);
        self.resumed.settle(settled.map(|(reading, _)| &reading.key));
        self.total.add(moved);
        (any && all).then_some(moved)
    }

    /// Whether an uplink has moved more than it can, as far as is known: perhaps its link has a new speed.
    pub(crate) fn exceeds(&self, elapsed_ms: u32, readings: &[Reading]) -> bool {
        readings.iter().any(|reading| {
            let tracker = self.trackers.0.get(&reading.key);
            tracker.is_some_and(|it| it.exceeds(elapsed_ms, reading.counters, reading.nominal))
        })
    }

    /// The interfaces whose counters are updated less often than they are read, and how often.
    pub(crate) fn periods(&self) -> impl Iterator<Item = (&Key, u64)> {
        self.trackers.0.iter().filter_map(|(key, tracker)| Some((key, tracker.period_ms()?)))
    }

    /// What the interfaces that have not gone on yet have moved that samples of earlier runs contain.
    pub(crate) fn contained(&self) -> Moved {
        self.resumed.contained()
    }

    /// The sums since the meter began.
    pub(crate) fn total(&self) -> Moved {
        self.total
    }
}

/// Rates of single interfaces, for display only.
#[derive(Clone, Debug, Default)]
pub(crate) struct InterfaceMeter {
    trackers: Trackers,
}

impl InterfaceMeter {
    /// Takes one reading of each interface, `elapsed_ms` after the one before; returns the rates that are
    /// known.
    pub(crate) fn read(&mut self, elapsed_ms: u32, readings: &[Reading]) -> Vec<InterfaceRate> {
        let rate = |(reading, step): (&Reading, Step)| {
            let Step::Moved(moved) = step else { return None };
            Some(InterfaceRate {
                name: reading.key.0.clone(),
                rx_bps: Bps::over(moved.rx_bytes, elapsed_ms.into())?,
                tx_bps: Bps::over(moved.tx_bytes, elapsed_ms.into())?,
            })
        };
        let (steps, _) = self.trackers.read(elapsed_ms, readings);
        steps.into_iter().filter_map(rate).collect()
    }
}

/// A tracker for each interface that was read lately.
#[derive(Clone, Debug, Default)]
struct Trackers(BTreeMap<Key, CounterTracker>);

impl Trackers {
    /// Passes each reading to its tracker. If an interface has two readings, the second is ignored. Also
    /// returns bytes of interfaces that are no longer listed.
    fn read<'a>(&mut self, elapsed_ms: u32, readings: &'a [Reading]) -> (Vec<(&'a Reading, Step)>, Moved) {
        let listed = |key: &Key| readings.iter().any(|reading| reading.key == *key);
        for reading in readings {
            self.follow_renamed(&reading.key, listed);
        }
        // An interface that is no longer listed does not make the rate unknown. If it is back within seconds,
        // it continues with its old counters.
        let mut late = Moved::default();
        self.0.retain(|key, tracker| {
            let step = if listed(key) { Step::Baseline } else { tracker.silence(elapsed_ms) };
            if let Step::Late(moved) = step {
                late.add(moved);
            }
            step != Step::Gone
        });
        let step = |reading: &'a Reading| {
            let tracker = self.0.entry(reading.key.clone()).or_default();
            (reading, tracker.read(elapsed_ms, reading.counters, reading.nominal))
        };
        (first_of_each(readings).map(step).collect(), late)
    }

    /// A kernel device that is listed under a new name keeps its tracker.
    fn follow_renamed(&mut self, key: &Key, listed: impl Fn(&Key) -> bool) {
        if key.1 == UNNUMBERED || self.0.contains_key(key) {
            return;
        }
        let renamed = self.0.keys().find(|known| known.1 == key.1 && !listed(known)).cloned();
        if let Some(tracker) = renamed.and_then(|known| self.0.remove(&known)) {
            self.0.insert(key.clone(), tracker);
        }
    }
}

/// Some systems list an interface twice, although its bytes moved once.
fn first_of_each(readings: &[Reading]) -> impl Iterator<Item = &Reading> {
    readings
        .iter()
        .enumerate()
        .filter(|(at, reading)| !readings[..*at].iter().any(|before| before.key == reading.key))
        .map(|(_, reading)| reading)
}

impl Moved {
    /// The greater of both.
    fn most(self) -> u64 {
        self.rx_bytes.max(self.tx_bytes)
    }

    /// The greater of both as bytes per second.
    fn most_bps(self, over_ms: u64) -> u64 {
        let bps = u128::from(self.most()) * 1000 / u128::from(over_ms.max(1));
        u64::try_from(bps).unwrap_or(u64::MAX)
    }

    /// What of both is more than of `other`.
    pub(crate) fn less(self, other: Self) -> Self {
        Self {
            rx_bytes: self.rx_bytes.saturating_sub(other.rx_bytes),
            tx_bytes: self.tx_bytes.saturating_sub(other.tx_bytes),
        }
    }

    pub(crate) fn plus(self, more: Self) -> Self {
        Self {
            rx_bytes: self.rx_bytes.saturating_add(more.rx_bytes),
            tx_bytes: self.tx_bytes.saturating_add(more.tx_bytes),
        }
    }

    fn add(&mut self, more: Moved) {
        *self = self.plus(more);
    }
}

#[cfg(test)]
mod tests;
