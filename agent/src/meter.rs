//! Cumulative sums over the counted uplinks, whatever kernel counters do.
//!
//! Sums never fall. A rate is known only when each counted uplink told what it moved in exactly this interval; bytes
//! that moved in a longer time, known or not, make the rate of one sample unknown instead of wrong.

mod gauge;

use std::collections::BTreeMap;

pub use gauge::{Counters, Gauge, Step};
use tidemap_wire::{Bps, InterfaceRate};

/// One interface of one kernel device: a replaced device is another key, even under the same name.
pub type Key = (String, u32);

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
    gauges: BTreeMap<Key, Gauge>,
    total: Moved,
}

impl Meter {
    /// Takes one reading of each counted uplink, `elapsed_ms` after the one before.
    ///
    /// Returns what moved in that time; `None` when it is not known for all of them. When it is known, the sums have
    /// risen by exactly that.
    pub fn read(&mut self, elapsed_ms: u32, readings: &[Reading]) -> Option<Moved> {
        // An uplink that is gone takes its last bytes with it; nobody can tell how many there were.
        self.gauges.retain(|key, _| readings.iter().any(|reading| reading.key == *key));
        let mut moved = Moved::default();
        let (mut any, mut all) = (false, true);
        for reading in first_of_each(readings) {
            let gauge = self.gauges.entry(reading.key.clone()).or_default();
            match gauge.read(elapsed_ms, reading.counters, reading.limit_bps) {
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
    gauges: BTreeMap<Key, Gauge>,
}

impl InterfaceMeter {
    /// Takes one reading of each interface, `elapsed_ms` after the one before; returns the rates that are known.
    pub fn read(&mut self, elapsed_ms: u32, readings: &[Reading]) -> Vec<InterfaceRate> {
        self.gauges.retain(|key, _| readings.iter().any(|reading| reading.key == *key));
        first_of_each(readings)
            .filter_map(|reading| {
                let gauge = self.gauges.entry(reading.key.clone()).or_default();
                let Step::Moved(moved) = gauge.read(elapsed_ms, reading.counters, reading.limit_bps) else {
                    return None;
                };
                Some(InterfaceRate {
                    name: reading.key.0.clone(),
                    rx_bps: Bps::over(moved.rx_bytes, elapsed_ms.into())?,
                    tx_bps: Bps::over(moved.tx_bytes, elapsed_ms.into())?,
                })
            })
            .collect()
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
