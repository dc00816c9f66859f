mod damage;
mod fives;
mod forgets;
mod hosts;
mod life;
mod lost;
mod orders;
mod room;
mod ruin;
mod seconds;
mod sends;
mod settled;
mod tops;

use tidemap_wire::{CpuMinute, Extremes, HostMinute, LateSample, MinuteRow, NodeId, RunCounters};

use super::*;
use crate::{
    database::Tier,
    disk::Disk,
    host_span::HostSpan,
    point::Point,
    tile::{PointTile, RowTile},
};

pub(super) fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

/// A row of one run; what was sent is twice of what was received.
pub(super) fn row(minute: u32, bytes: u64, boot: u64, since: u32, counted: u64) -> MinuteRow {
    MinuteRow {
        minute,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes: bytes,
        tx_bytes: 2 * bytes,
        rates: Some(Extremes { rx_max: bytes, tx_max: 2 * bytes, rx_min: bytes / 100, tx_min: bytes / 50 }),
        counters: vec![RunCounters { boot, since, rx_bytes: counted, tx_bytes: 2 * counted }],
        ..MinuteRow::default()
    }
}

pub(super) fn late(minute: u32, bytes: u64, boot: u64, seq: u64) -> LateSample {
    LateSample { minute, boot, seq, covered_ms: 1_000, rx_bytes: bytes, tx_bytes: 2 * bytes }
}

pub(super) fn batch(minute: u32, rows: Vec<(NodeId, MinuteRow)>) -> Batch {
    Batch {
        rows,
        at_ms: i64::from(minute) * 60_000,
        place: minute.to_le_bytes().to_vec(),
        ..Batch::default()
    }
}

impl Store {
    pub(super) fn compact_all(&mut self) {
        while self.compact().unwrap() {}
    }

    pub(super) fn tidy_all(&mut self, keep: Keep, disk: Option<Disk>) -> Tidied {
        loop {
            let tidied = self.tidy(keep, disk).unwrap();
            if !tidied.is_more_due {
                return tidied;
            }
        }
    }

    pub(super) fn points(
        &mut self,
        key: &SeriesKey,
        minutes: std::ops::Range<u32>,
        step: u32,
    ) -> Vec<(u32, Point)> {
        self.range(key, minutes, Step(step), &[]).unwrap().unwrap().into_iter().collect()
    }
}
