//! Rows that wait, and the numbers of which packed things consist: one to ten bytes each.

use tidemap_wire::{MinuteRow, RunCounters};

use super::Peaks;
use crate::varint::{put, take};

/// A row in few bytes.
pub(super) fn pack_row(row: &MinuteRow) -> Box<[u8]> {
    let mut bytes = Vec::new();
    put_all(&mut bytes, [row.minute, row.samples, row.covered_ms].map(u64::from));
    put_all(&mut bytes, [row.rx_bytes, row.tx_bytes]);
    put_peaks(&mut bytes, Peaks::of(row.rates));
    put(&mut bytes, row.counters.len() as u64);
    row.counters.iter().for_each(|counters| put_counters(&mut bytes, *counters));
    bytes.into_boxed_slice()
}

/// The row that was packed.
pub(super) fn unpack_row(bytes: &[u8]) -> Option<MinuteRow> {
    take_row(&mut bytes.iter().copied())
}

pub(super) fn take_row(bytes: &mut impl Iterator<Item = u8>) -> Option<MinuteRow> {
    Some(MinuteRow {
        minute: take_as(bytes)?,
        samples: take_as(bytes)?,
        covered_ms: take_as(bytes)?,
        rx_bytes: take(bytes)?,
        tx_bytes: take(bytes)?,
        rates: take_peaks(bytes)?.extremes(),
        counters: take_list(bytes, take_counters)?,
    })
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
