//! Minutes in a checkpoint, and rows that wait: numbers of one to ten bytes.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tidemap_wire::{HostMinute, LateSample, MinuteRow};

use super::{
    CLOSED, MinuteRing, OPEN,
    aside::Aside,
    host_cell::{HostCell, put_cell, take_cell},
    label,
    packed_row::{
        pack_row, put_all, put_counters, put_host, put_peaks, put_row, take_as, take_counters, take_host,
        take_list, take_peaks, take_row, unpack_row,
    },
    slot,
    used::Used,
};
use crate::{
    varint::{put, take},
    window::Sum,
};

/// The ring's scalars, its slots from the first minute on, and what is aside: lists with their lengths. A
/// worker of an earlier version reads nothing after the ranges of minutes that were open; one before that
/// knows one such range, all before the second scalar, and reads nothing after the counters.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PackedRing(ByteBuf);

impl From<MinuteRing> for PackedRing {
    fn from(ring: MinuteRing) -> Self {
        let mut bytes = Vec::new();
        let MinuteRing { peaks, hosts, samples, untold, first, from, offset, run_first, run_end, aside } =
            ring;
        let used = aside.as_ref().map(|aside| aside.used.clone()).unwrap_or_default();
        let next = match from {
            _ if first == CLOSED => used.end(),
            from if from == begin_of(label(first, offset)) => 0,
            from => from,
        };
        let offset = u64::from(offset.cast_unsigned());
        put_all(&mut bytes, [u64::from(first), u64::from(next), offset, u64::from(run_first)]);
        put_all(&mut bytes, run_end);
        for place in minutes(first).map(slot) {
            let is_untold = u64::from(untold >> place & 1);
            put(&mut bytes, u64::from(samples[place]) << 1 | is_untold);
            if samples[place] > 0 {
                put_peaks(&mut bytes, peaks[place]);
            }
        }
        let aside = aside.map(|aside| *aside).unwrap_or_default();
        let rows: Vec<MinuteRow> = aside.rows.iter().filter_map(|row| unpack_row(row)).collect();
        put_aside(&mut bytes, &aside, &rows);
        let open = minutes(first).map(slot).filter(|place| samples[*place] > 0);
        let hosts: Vec<HostCell> = open.map(|place| hosts[place]).collect();
        let has_hosts =
            hosts.iter().any(|cell| !cell.is_empty()) || rows.iter().any(|row| !row.host.is_empty());
        put_used(&mut bytes, &used, has_hosts);
        if has_hosts {
            put_hosts(&mut bytes, &hosts, &rows);
        }
        Self(ByteBuf::from(bytes))
    }
}

/// Minutes that cannot be read begin again.
impl From<PackedRing> for MinuteRing {
    fn from(packed: PackedRing) -> Self {
        unpack(&mut packed.0.iter().copied()).unwrap_or_default()
    }
}

fn unpack(bytes: &mut impl Iterator<Item = u8>) -> Option<MinuteRing> {
    let (first, next): (u32, u32) = (take_as(bytes)?, take_as(bytes)?);
    let mut ring = MinuteRing { first, ..MinuteRing::default() };
    ring.offset = take_as::<u32>(bytes)?.cast_signed();
    if first != CLOSED {
        ring.from = if next == 0 { begin_of(label(first, ring.offset)) } else { next };
    }
    ring.run_first = take_as(bytes)?;
    if ring.run_first != CLOSED && !minutes(ring.first).any(|minute| minute == ring.run_first) {
        return None;
    }
    ring.run_end = [take(bytes)?, take(bytes)?];
    for place in minutes(ring.first).map(slot) {
        let counted: u32 = take_as(bytes)?;
        ring.samples[place] = u16::try_from(counted >> 1).ok()?;
        ring.untold |= u16::try_from(counted & 1).ok()? << place;
        if ring.samples[place] > 0 {
            ring.peaks[place] = take_peaks(bytes)?;
        }
    }
    let (mut aside, mut rows) = take_aside(bytes)?;
    aside.used = match take_list(bytes, |bytes| Some((take_as(bytes)?, take_as(bytes)?))) {
        Some(ranges) => Used::from_ranges(ranges),
        None if first == CLOSED => Used::from_ranges(vec![(0, next)]),
        None => Used::default(),
    };
    let open: Vec<usize> = minutes(first).map(slot).filter(|place| ring.samples[*place] > 0).collect();
    if let Some((cells, hosts)) = take_hosts(bytes, open.len(), rows.len()) {
        open.iter().zip(cells).for_each(|(place, cell)| ring.hosts[*place] = cell);
        rows.iter_mut().zip(hosts).for_each(|(row, host)| row.host = host);
    }
    aside.rows = rows.iter().map(pack_row).collect();
    ring.aside = (!aside.is_empty()).then(|| Box::new(aside));
    Some(ring)
}

/// Where what was open begins while nothing else is known.
fn begin_of(first: u32) -> u32 {
    Used::default().take_before(first)
}

/// Metrics of the open minutes that have samples, and of the rows that wait.
fn put_hosts(bytes: &mut Vec<u8>, cells: &[HostCell], rows: &[MinuteRow]) {
    let mut before = HostCell::default();
    for cell in cells {
        put_cell(bytes, before, *cell);
        before = *cell;
    }
    rows.iter().for_each(|row| put_host(bytes, row.host));
}

/// None where an earlier version has written it, or no host has reported any.
fn take_hosts(
    bytes: &mut impl Iterator<Item = u8>,
    cells: usize,
    rows: usize,
) -> Option<(Vec<HostCell>, Vec<HostMinute>)> {
    let mut before = HostCell::default();
    let mut next = || {
        before = take_cell(bytes, before)?;
        Some(before)
    };
    let cells = (0..cells).map(|_| next()).collect::<Option<_>>()?;
    Some((cells, (0..rows).map(|_| take_host(bytes)).collect::<Option<_>>()?))
}

/// Nothing where an earlier version's second scalar says it all, unless something follows.
fn put_used(bytes: &mut Vec<u8>, used: &Used, is_followed: bool) {
    if used.is_empty() && !is_followed {
        return;
    }
    put(bytes, used.ranges().len() as u64);
    for (from, end) in used.ranges() {
        put_all(bytes, [*from, *end].map(u64::from));
    }
}

/// The minutes that have slots.
fn minutes(first: u32) -> impl Iterator<Item = u32> {
    (0..OPEN).map_while(move |later| first.checked_add(later).filter(|_| first != CLOSED))
}

fn put_aside(bytes: &mut Vec<u8>, aside: &Aside, rows: &[MinuteRow]) {
    let Aside { rows: _, late, excluded, gaps, counters, used: _ } = aside;
    put(bytes, rows.len() as u64);
    rows.iter().for_each(|row| put_row(bytes, row));
    put(bytes, late.len() as u64);
    for late in late.iter() {
        put_all(bytes, [u64::from(late.minute), late.boot, late.seq, u64::from(late.covered_ms)]);
        put_all(bytes, [late.rx_bytes, late.tx_bytes]);
    }
    put(bytes, excluded.len() as u64);
    for (minute, sum) in excluded {
        put_all(bytes, [u64::from(*minute), sum.rx_bytes, sum.tx_bytes, sum.covered_ms]);
    }
    put(bytes, gaps.len() as u64);
    for (minute, [rx, tx]) in gaps {
        put_all(bytes, [u64::from(*minute), *rx, *tx]);
    }
    put(bytes, counters.len() as u64);
    for (minute, counters) in counters {
        put(bytes, u64::from(*minute));
        put_counters(bytes, *counters);
    }
}

/// What is aside, and its rows beside it.
fn take_aside(bytes: &mut impl Iterator<Item = u8>) -> Option<(Aside, Vec<MinuteRow>)> {
    let rows = take_list(bytes, take_row)?;
    let aside = Aside {
        rows: Vec::new(),
        late: take_list(bytes, |bytes| {
            Some(LateSample {
                minute: take_as(bytes)?,
                boot: take(bytes)?,
                seq: take(bytes)?,
                covered_ms: take_as(bytes)?,
                rx_bytes: take(bytes)?,
                tx_bytes: take(bytes)?,
            })
        })?
        .into_iter()
        .collect(),
        excluded: take_list(bytes, |bytes| {
            let minute = take_as(bytes)?;
            let (rx_bytes, tx_bytes, covered_ms) = (take(bytes)?, take(bytes)?, take(bytes)?);
            Some((minute, Sum { rx_bytes, tx_bytes, covered_ms }))
        })?,
        gaps: take_list(bytes, |bytes| Some((take_as(bytes)?, [take(bytes)?, take(bytes)?])))?,
        counters: take_list(bytes, |bytes| Some((take_as(bytes)?, take_counters(bytes)?)))?,
        used: Used::default(),
    };
    Some((aside, rows))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_earlier_version_reads_all_but_the_ranges_at_the_end() {
        let mut ring = MinuteRing::default();
        let aside = ring.aside.get_or_insert_default();
        aside.add_late(LateSample { minute: 7, boot: 1, seq: 2, covered_ms: 3, rx_bytes: 4, tx_bytes: 5 });
        aside.used = Used::from_ranges(vec![(30_000_000, 30_000_010), (30_100_000, 30_100_007)]);
        let (mut tail, used) = (Vec::new(), aside.used.clone());
        put_used(&mut tail, &used, false);
        let bytes = PackedRing::from(ring.clone()).0.into_vec();
        let known = bytes.strip_suffix(tail.as_slice()).unwrap();
        let read = unpack(&mut known.iter().copied()).unwrap();
        let (read, meant) = (read.aside.unwrap(), ring.aside.unwrap());
        assert_eq!((&read.rows, read.late.len(), &read.gaps), (&meant.rows, 1, &meant.gaps));
        assert_eq!(read.used.ranges(), [(0, used.end())], "all before the newest one was open");
    }

    #[test]
    fn metrics_come_back_and_an_earlier_version_reads_all_else() {
        let mut ring = MinuteRing { first: 30_000_000, ..MinuteRing::default() };
        ring.from = begin_of(ring.first);
        let host = |load| HostMinute { load_max: Some(load), memory_max: Some(7), ..HostMinute::default() };
        for (minute, load) in [(30_000_000, 12), (30_000_003, 900)] {
            ring.samples[slot(minute)] = 1;
            ring.hosts[slot(minute)].add(host(load));
        }
        let row = MinuteRow { minute: 29_999_999, samples: 3, host: host(5), ..MinuteRow::default() };
        let without = MinuteRow { minute: 29_999_998, samples: 3, ..MinuteRow::default() };
        let aside = ring.aside.get_or_insert_default();
        [&row, &without].into_iter().for_each(|row| assert_eq!(aside.add_row(row), 0));
        let bytes = PackedRing::from(ring.clone()).0.into_vec();
        let read = unpack(&mut bytes.iter().copied()).unwrap();
        assert_eq!((read.hosts, &read.aside), (ring.hosts, &ring.aside));

        let mut tail = Vec::new();
        put_used(&mut tail, &Used::default(), true);
        let cells = [30_000_000, 30_000_003].map(|minute| ring.hosts[slot(minute)]);
        put_hosts(&mut tail, &cells, &[row.clone(), without.clone()]);
        let known = bytes.strip_suffix(tail.as_slice()).unwrap();
        let read = unpack(&mut known.iter().copied()).unwrap();
        assert_eq!((read.samples, read.from), (ring.samples, ring.from));
        let rows: Vec<_> = read.aside.unwrap().rows.iter().map(|row| unpack_row(row).unwrap()).collect();
        assert_eq!(rows, [MinuteRow { host: HostMinute::default(), ..row }, without]);
        assert!(read.hosts.iter().all(|cell| cell.is_empty()));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in any::<Vec<u8>>()) {
            let ring = MinuteRing::from(PackedRing(ByteBuf::from(bytes)));
            let again = MinuteRing::from(PackedRing::from(ring.clone()));
            prop_assert_eq!(PackedRing::from(again).0, PackedRing::from(ring).0);
        }
    }
}
