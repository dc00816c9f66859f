//! One run of an agent, from its start to its end.

use serde::{Deserialize, Serialize};
use tidemap_wire::Sample;

use crate::dedup::{Dedup, Novelty};

/// What a node remembers of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The run's random number.
    pub(crate) boot: u64,
    /// When its first sample was read: the host's clock, Unix milliseconds.
    pub(crate) first_at_ms: i64,
    /// Bytes received since the run began.
    pub(crate) rx_bytes: u64,
    /// Bytes sent since the run began.
    pub(crate) tx_bytes: u64,
    #[serde(rename = "seen")]
    dedup: Dedup,
}

impl Run {
    /// A run without samples.
    pub(crate) fn new(boot: u64, first_at_ms: i64) -> Self {
        Self { boot, first_at_ms, rx_bytes: 0, tx_bytes: 0, dedup: Dedup::default() }
    }

    /// Whether a sample with this number was observed. Numbers too old to tell count as observed.
    pub(crate) fn has_seen(&self, seq: u64) -> bool {
        self.dedup.contains(seq)
    }

    /// The highest number of a sample that was observed; 0 before the first.
    pub(crate) fn newest_seq(&self) -> u64 {
        self.dedup.highest()
    }

    /// Observes a sample. Counters never decrease within a run, so the highest is the newest.
    pub(crate) fn observe(&mut self, sample: &Sample) -> Novelty {
        self.first_at_ms = self.first_at_ms.min(sample.at_ms);
        self.rx_bytes = self.rx_bytes.max(sample.rx_bytes);
        self.tx_bytes = self.tx_bytes.max(sample.tx_bytes);
        self.dedup.mark(sample.seq)
    }
}
