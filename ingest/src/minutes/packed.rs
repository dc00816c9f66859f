//! Minutes in a checkpoint, and rows that wait: numbers of one to ten bytes.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tidemap_wire::LateSample;

use super::{
    CLOSED, MinuteRing, OPEN,
    aside::Aside,
    label,
    packed_row::{
        pack_row, put_all, put_counters, put_peaks, take_as, take_counters, take_list, take_peaks, take_row,
    },
    slot,
    used::Used,
};
use crate::{
    varint::{put, take},
    window::Sum,
};

/// The ring's scalars, its slots from the first minute on, and what is aside: lists with their lengths. A
/// worker of an earlier version knows one range of minutes that were open, all before the second scalar, and
/// reads nothing after the counters.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PackedRing(ByteBuf);

impl From<MinuteRing> for PackedRing {
    fn from(ring: MinuteRing) -> Self {
        let mut bytes = Vec::new();
        let MinuteRing { peaks, samples, untold, first, from, offset, run_first, run_end, aside } = ring;
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
        put_aside(&mut bytes, &aside.map(|aside| *aside).unwrap_or_default());
        put_used(&mut bytes, &used);
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
    let mut aside = take_aside(bytes)?;
    aside.used = match take_list(bytes, |bytes| Some((take_as(bytes)?, take_as(bytes)?))) {
        Some(ranges) => Used::from_ranges(ranges),
        None if first == CLOSED => Used::from_ranges(vec![(0, next)]),
        None => Used::default(),
    };
    ring.aside = (!aside.is_empty()).then(|| Box::new(aside));
    Some(ring)
}

/// Where what was open begins while nothing else is known.
fn begin_of(first: u32) -> u32 {
    Used::default().take_before(first)
}

/// Nothing where an earlier version's second scalar says it all.
fn put_used(bytes: &mut Vec<u8>, used: &Used) {
    if used.is_empty() {
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

fn put_aside(bytes: &mut Vec<u8>, aside: &Aside) {
    let Aside { rows, late, excluded, gaps, counters, used: _ } = aside;
    put(bytes, rows.len() as u64);
    rows.iter().for_each(|row| bytes.extend_from_slice(row));
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

fn take_aside(bytes: &mut impl Iterator<Item = u8>) -> Option<Aside> {
    Some(Aside {
        rows: take_list(bytes, |bytes| take_row(bytes).map(|row| pack_row(&row)))?,
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
    })
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
        put_used(&mut tail, &used);
        let bytes = PackedRing::from(ring.clone()).0.into_vec();
        let known = bytes.strip_suffix(tail.as_slice()).unwrap();
        let read = unpack(&mut known.iter().copied()).unwrap();
        let (read, meant) = (read.aside.unwrap(), ring.aside.unwrap());
        assert_eq!((&read.rows, read.late.len(), &read.gaps), (&meant.rows, 1, &meant.gaps));
        assert_eq!(read.used.ranges(), [(0, used.end())], "all before the newest one was open");
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
