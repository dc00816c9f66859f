//! Rows that wait, and the numbers of which packed things consist: one to ten bytes each.

use tidemap_wire::{CpuMinute, HostMinute, MinuteRow, RunCounters};

use super::Peaks;
use crate::varint::{put, take};

/// A row in few bytes.
pub(super) fn pack_row(row: &MinuteRow) -> Box<[u8]> {
    let mut bytes = Vec::new();
    put_row(&mut bytes, row);
    if !row.host.is_empty() {
        put_host(&mut bytes, row.host);
    }
    bytes.into_boxed_slice()
}

/// A row without its host's metrics, as an earlier version has it.
pub(super) fn put_row(bytes: &mut Vec<u8>, row: &MinuteRow) {
    put_all(bytes, [row.minute, row.samples, row.covered_ms].map(u64::from));
    put_all(bytes, [row.rx_bytes, row.tx_bytes]);
    put_peaks(bytes, Peaks::of(row.rates));
    put(bytes, row.counters.len() as u64);
    row.counters.iter().for_each(|counters| put_counters(bytes, *counters));
}

/// The row that was packed.
pub(super) fn unpack_row(bytes: &[u8]) -> Option<MinuteRow> {
    let mut bytes = bytes.iter().copied();
    let row = take_row(&mut bytes)?;
    Some(MinuteRow { host: take_host(&mut bytes).unwrap_or_default(), ..row })
}

pub(super) fn take_row(bytes: &mut impl Iterator<Item = u8>) -> Option<MinuteRow> {
    Some(MinuteRow {
        minute: take_as(bytes)?,
        samples: take_as(bytes)?,
        covered_ms: take_as(bytes)?,
        rx_bytes: take(bytes)?,
        tx_bytes: take(bytes)?,
        rates: take_peaks(bytes)?.extremes(),
        host: HostMinute::default(),
        counters: take_list(bytes, take_counters)?,
    })
}

pub(super) fn put_host(bytes: &mut Vec<u8>, host: HostMinute) {
    let HostMinute { cpu, memory_max, disk_max, load_max } = host;
    let CpuMinute { samples, mean, max } = cpu.unwrap_or_default();
    put_all(bytes, [samples, mean, max].map(u64::from));
    let maxima = [memory_max.map(u64::from), disk_max.map(u64::from), load_max.map(u64::from)];
    put_all(bytes, maxima.map(|maximum| maximum.map_or(0, |maximum| maximum + 1)));
}

pub(super) fn take_host(bytes: &mut impl Iterator<Item = u8>) -> Option<HostMinute> {
    let (samples, mean, max) = (take_as(bytes)?, take_as(bytes)?, take_as(bytes)?);
    let cpu = (samples > 0).then_some(CpuMinute { samples, mean, max });
    let mut maximum = || take(bytes).map(|maximum| maximum.checked_sub(1));
    let (memory, disk, load) = (maximum()?, maximum()?, maximum()?);
    let share = |share: Option<u64>| share.map(u16::try_from).transpose().ok();
    let load_max = load.map(u32::try_from).transpose().ok()?;
    Some(HostMinute { cpu, memory_max: share(memory)?, disk_max: share(disk)?, load_max })
}

pub(super) fn put_peaks(bytes: &mut Vec<u8>, peaks: Peaks) {
    let Peaks { rx_max, tx_max, rx_min, tx_min } = peaks;
    put_all(bytes, [rx_max, tx_max, rx_min, tx_min].map(u64::from));
}

pub(super) fn take_peaks(bytes: &mut impl Iterator<Item = u8>) -> Option<Peaks> {
    let (rx_max, tx_max) = (take_as(bytes)?, take_as(bytes)?);
    Some(Peaks { rx_max, tx_max, rx_min: take_as(bytes)?, tx_min: take_as(bytes)? })
}

pub(super) fn put_counters(bytes: &mut Vec<u8>, counters: RunCounters) {
    put_all(bytes, [counters.boot, u64::from(counters.since), counters.rx_bytes, counters.tx_bytes]);
}

pub(super) fn take_counters(bytes: &mut impl Iterator<Item = u8>) -> Option<RunCounters> {
    let (boot, since) = (take(bytes)?, take_as(bytes)?);
    Some(RunCounters { boot, since, rx_bytes: take(bytes)?, tx_bytes: take(bytes)? })
}

pub(super) fn put_all<const N: usize>(bytes: &mut Vec<u8>, numbers: [u64; N]) {
    numbers.into_iter().for_each(|number| put(bytes, number));
}

pub(super) fn take_as<T: TryFrom<u64>>(bytes: &mut impl Iterator<Item = u8>) -> Option<T> {
    T::try_from(take(bytes)?).ok()
}

/// A list, which ends with the bytes at the latest, whatever its length says.
pub(super) fn take_list<T, B: Iterator<Item = u8>>(
    bytes: &mut B,
    item: impl Fn(&mut B) -> Option<T>,
) -> Option<Vec<T>> {
    let count = take(bytes)?;
    (0..count).map(|_| item(bytes)).collect()
}
