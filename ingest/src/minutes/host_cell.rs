//! A few of a host's metrics over a minute in twelve bytes.

use tidemap_wire::{CpuMinute, HostMinute};

use super::{
    packed_row::{put_all, take_as},
    peaks,
};
use crate::varint::{put, signed, take, unsigned};

/// Samples of the processor's use of which the mean is made, at most: an agent that reads ten times a second
/// has 600 in a minute. So many shares of 101 % fit into the bits below their number.
const MOST_SAMPLES: u32 = (1 << (u32::BITS - SUM_BITS)) - 1;
const SUM_BITS: u32 = 22;
const SUM: u32 = (1 << SUM_BITS) - 1;

/// What samples of one minute tell. An absent maximum is 0, and others are larger by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HostCell {
    /// How many samples tell the processor's use, above the sum of these.
    cpu: u32,
    cpu_max: u16,
    memory_max: u16,
    disk_max: u16,
    /// In three digits, as [`peaks`] has rates.
    load_max: u16,
}

impl HostCell {
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Adds what a sample tells.
    pub(super) fn add(&mut self, sample: HostMinute) {
        let HostMinute { cpu, memory_max, disk_max, load_max } = sample;
        if let Some(CpuMinute { mean, .. }) = cpu {
            self.cpu_max = self.cpu_max.max(mean);
            if self.samples() < MOST_SAMPLES {
                self.cpu = (self.cpu + (1 << SUM_BITS)).saturating_add(u32::from(mean));
            }
        }
        let code = |load| peaks::code(u64::from(load), u64::div_ceil);
        self.memory_max = self.memory_max.max(stored(memory_max));
        self.disk_max = self.disk_max.max(stored(disk_max));
        self.load_max = self.load_max.max(stored(load_max.map(code)));
    }

    /// What they tell together.
    pub(super) fn minute(self) -> HostMinute {
        let samples = self.samples();
        let mean = ((self.cpu & SUM) + samples / 2).checked_div(samples);
        let cpu = mean.map(|mean| CpuMinute {
            samples: u16::try_from(samples).unwrap_or(u16::MAX),
            mean: u16::try_from(mean).unwrap_or(u16::MAX),
            max: self.cpu_max,
        });
        let load = |code| u32::try_from(peaks::value(code)).unwrap_or(u32::MAX);
        HostMinute {
            cpu,
            memory_max: known(self.memory_max),
            disk_max: known(self.disk_max),
            load_max: known(self.load_max).map(load),
        }
    }

    fn samples(self) -> u32 {
        self.cpu >> SUM_BITS
    }
}

fn stored(maximum: Option<u16>) -> u16 {
    maximum.map_or(0, |maximum| maximum.saturating_add(1))
}

fn known(stored: u16) -> Option<u16> {
    stored.checked_sub(1)
}

/// Appends a cell to a checkpoint: what changes little as what it differs by from the one `before`.
pub(super) fn put_cell(bytes: &mut Vec<u8>, before: HostCell, cell: HostCell) {
    put_all(bytes, [cell.samples(), cell.cpu & SUM].map(u64::from));
    let maxima = |cell: HostCell| [cell.cpu_max, cell.memory_max, cell.disk_max, cell.load_max];
    for (maximum, before) in maxima(cell).into_iter().zip(maxima(before)) {
        put(bytes, signed(u64::from(maximum), u64::from(before)));
    }
}

pub(super) fn take_cell(bytes: &mut impl Iterator<Item = u8>, before: HostCell) -> Option<HostCell> {
    let (samples, sum): (u32, u32) = (take_as(bytes)?, take_as(bytes)?);
    if samples > MOST_SAMPLES || sum > SUM {
        return None;
    }
    let mut maximum = |before: u16| u16::try_from(unsigned(take(bytes)?, u64::from(before))).ok();
    Some(HostCell {
        cpu: samples << SUM_BITS | sum,
        cpu_max: maximum(before.cpu_max)?,
        memory_max: maximum(before.memory_max)?,
        disk_max: maximum(before.disk_max)?,
        load_max: maximum(before.load_max)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemap_wire::{Host, bounds};

    use super::*;

    #[test]
    fn the_mean_is_rounded_and_the_load_has_three_digits() {
        let mut cell = HostCell::default();
        for (percent, load) in [(10.0, 0.5), (10.1, 12.341), (90.0, 3.0)] {
            let (cpu_percent, load_1) = (Some(percent), Some(load));
            cell.add(HostMinute::of_sample(&Host { cpu_percent, load_1, ..Host::default() }));
        }
        cell.add(HostMinute::of_sample(&Host::default()));
        let expected = HostMinute {
            cpu: Some(CpuMinute { samples: 3, mean: 367, max: 900 }),
            load_max: Some(1_240),
            ..HostMinute::default()
        };
        assert_eq!(cell.minute(), expected);
        assert!(HostCell::default().minute().is_empty());
    }

    #[test]
    fn so_many_samples_as_no_agent_has_do_not_overflow() {
        let mut cell = HostCell::default();
        let cpu = CpuMinute { samples: 1, mean: bounds::SHARE, max: bounds::SHARE };
        let most = Some(u16::MAX);
        let sample =
            HostMinute { cpu: Some(cpu), memory_max: most, disk_max: most, load_max: Some(bounds::LOAD) };
        (0..70_000).for_each(|_| cell.add(sample));
        let samples = u16::try_from(MOST_SAMPLES).unwrap();
        let expected = HostMinute {
            cpu: Some(CpuMinute { samples, ..cpu }),
            memory_max: Some(u16::MAX - 1),
            disk_max: Some(u16::MAX - 1),
            ..sample
        };
        assert_eq!(cell.minute(), expected);
    }

    proptest! {
        #[test]
        fn order_changes_nothing_and_a_cell_comes_back(
            percents in proptest::collection::vec(proptest::option::of(0.0..101.0), 1..30),
            rotated in any::<prop::sample::Index>(),
        ) {
            let cell = |percents: &[Option<f64>]| {
                let mut cell = HostCell::default();
                for percent in percents {
                    cell.add(HostMinute::of_sample(&Host { cpu_percent: *percent, load_1: *percent, ..Host::default() }));
                }
                cell
            };
            let whole = cell(&percents);
            let mut other = percents.clone();
            other.rotate_left(rotated.index(percents.len()));
            prop_assert_eq!(cell(&other), whole);
            // A part of the samples adds nothing to what all of them tell.
            let part = cell(&percents[..rotated.index(percents.len())]).minute();
            prop_assert_eq!(whole.minute().join(part), whole.minute());
            let mut bytes = Vec::new();
            put_cell(&mut bytes, cell(&other[..1]), whole);
            prop_assert_eq!(take_cell(&mut bytes.into_iter(), cell(&other[..1])), Some(whole));
        }
    }
}
