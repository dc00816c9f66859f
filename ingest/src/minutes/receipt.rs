//! What of a node the history lacks, and what it has.

use tidemap_wire::{LateSample, MinuteRow};

/// What became of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Added {
    /// It is part of its minute's row.
    InRow,
    /// It came too late for its row.
    Late(LateSample),
    /// Nothing tells its minute. Its bytes are known by its run's counters only.
    Unknown,
}

/// What identifies a row or a late sample, as it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// A row of this minute with so many samples, and the sum of its counters, which never fall.
    Row { minute: u32, samples: u32, counted: u64 },
    /// A late sample.
    Late { boot: u64, seq: u64 },
}

/// What of a node the history has not acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Untold {
    pub rows: Vec<MinuteRow>,
    pub late: Vec<LateSample>,
}

impl Untold {
    /// Whether the history has everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.late.is_empty()
    }
}

impl Receipt {
    /// Of a row as it is.
    pub fn of_row(row: &MinuteRow) -> Self {
        let counters = row.counters.iter().flat_map(|run| [run.boot, run.rx_bytes, run.tx_bytes]);
        let counted = counters.fold(0, u64::wrapping_add);
        Self::Row { minute: row.minute, samples: row.samples, counted }
    }

    /// Of a late sample.
    pub fn of_late(late: &LateSample) -> Self {
        Self::Late { boot: late.boot, seq: late.seq }
    }
}
