//! Cumulative sums over the counted uplinks, whatever kernel counters do.
//!
//! Sums never fall. A rate is known only when each counted uplink told what it moved in exactly this interval; bytes
//! that moved in a longer time, known or not, make the rate of one sample unknown instead of wrong.

mod gauge;

use std::collections::BTreeMap;

pub use gauge::{Counters, Gauge, Step};
use tidemap_wire::{Bps, InterfaceRate};

/// One interface of one kernel device, by its name and number: a replaced device is another key, even under the same name.
pub type Key = (String, u32);

/// The number of an interface where the system tells none.
pub const UNNUMBERED: u32 = 0;

/// What one interface's counters say at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Which interface.
    pub key: Key,
    /// Its counters; `None` when they could not be read.
    pub counters: Option<Counters>,
    /// Bytes per second that it cannot exceed, where known.
    pub limit_bps: Option<u64>,
}

/// Bytes that moved between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
}

/// The sums over all counted uplinks.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    gauges: Gauges,
    total: Moved,
}

impl Meter {
    /// Takes one reading of each counted uplink, `elapsed_ms` after the one before.
    ///
    /// Returns what moved in that time; `None` when it is not known for all of them. When it is known, the sums have
    /// risen by exactly that.
    pub fn read(&mut self, elapsed_ms: u32, readings: &[Reading]) -> Option<Moved> {
        let mut moved = Moved::default();
        let (mut any, mut all) = (false, true);
        for (_, step) in self.gauges.read(elapsed_ms, readings) {
            match step {
                Step::Moved(bytes) => {
                    any = true;
                    moved.add(bytes);
                }
                Step::Late(bytes) => {
                    all = false;
                    moved.add(bytes);
                }
                Step::Unknown => all = false,
                Step::Baseline | Step::Gone => {}
            }
        }
        self.total.add(moved);
        (any && all).then_some(moved)
    }

    /// The sums since the meter began.
    pub fn total(&self) -> Moved {
        self.total
    }
}

/// Rates of single interfaces, for display.
#[derive(Clone, Debug, Default)]
pub struct InterfaceMeter {
    gauges: Gauges,
}

impl InterfaceMeter {
    /// Takes one reading of each interface, `elapsed_ms` after the one before; returns the rates that are known.
    pub fn read(&mut self, elapsed_ms: u32, readings: &[Reading]) -> Vec<InterfaceRate> {
        let rate = |(reading, step): (&Reading, Step)| {
            let Step::Moved(moved) = step else { return None };
            Some(InterfaceRate {
                name: reading.key.0.clone(),
                rx_bps: Bps::over(moved.rx_bytes, elapsed_ms.into())?,
                tx_bps: Bps::over(moved.tx_bytes, elapsed_ms.into())?,
            })
        };
        self.gauges.read(elapsed_ms, readings).into_iter().filter_map(rate).collect()
    }
}

/// A gauge for each interface that was read lately.
#[derive(Clone, Debug, Default)]
struct Gauges(BTreeMap<Key, Gauge>);

impl Gauges {
    /// Hands each reading to its gauge; the second of two readings of one interface is left out.
    fn read<'a>(&mut self, elapsed_ms: u32, readings: &'a [Reading]) -> Vec<(&'a Reading, Step)> {
        let listed = |key: &Key| readings.iter().any(|reading| reading.key == *key);
        for reading in readings {
            self.follow_renamed(&reading.key, listed);
        }
        // An interface that is not listed holds up nobody's rate. One that is back within seconds goes on where it was.
        self.0.retain(|key, gauge| listed(key) || gauge.silence(elapsed_ms) != Step::Gone);
        let step = |reading: &'a Reading| {
            let gauge = self.0.entry(reading.key.clone()).or_default();
            (reading, gauge.read(elapsed_ms, reading.counters, reading.limit_bps))
        };
        first_of_each(readings).map(step).collect()
    }

    /// A kernel device that is listed under a new name keeps its gauge.
    fn follow_renamed(&mut self, key: &Key, listed: impl Fn(&Key) -> bool) {
        if key.1 == UNNUMBERED || self.0.contains_key(key) {
            return;
        }
        let renamed = self.0.keys().find(|known| known.1 == key.1 && !listed(known)).cloned();
        if let Some(gauge) = renamed.and_then(|known| self.0.remove(&known)) {
            self.0.insert(key.clone(), gauge);
        }
    }
}

/// Some systems list an interface twice; its bytes moved once.
fn first_of_each(readings: &[Reading]) -> impl Iterator<Item = &Reading> {
    readings
        .iter()
        .enumerate()
        .filter(|(at, reading)| !readings[..*at].iter().any(|before| before.key == reading.key))
        .map(|(_, reading)| reading)
}

impl Moved {
    fn add(&mut self, more: Moved) {
        self.rx_bytes = self.rx_bytes.saturating_add(more.rx_bytes);
        self.tx_bytes = self.tx_bytes.saturating_add(more.tx_bytes);
    }
}

#[cfg(test)]
mod tests;
