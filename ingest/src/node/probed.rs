//! What a node's probes found in the last minute.

use serde::{Deserialize, Serialize};
use tidemap_wire::Probe;

use crate::packed_metadata::PackedMetadata;

/// A minute of probes that is older than this is no longer shown: the agent probes no more.
const LASTING_MS: i64 = 180_000;

/// The newest minute, and when it was reported.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Probed {
    /// By the host's clock.
    at_ms: i64,
    pub(super) found: Option<PackedMetadata<Vec<Probe>>>,
}

impl Probed {
    pub(super) fn new(at_ms: i64, found: &Vec<Probe>) -> Self {
        Self { at_ms, found: Some(PackedMetadata::new(found)) }
    }

    /// Whether it says nothing about the time of a newer sample, which may lie before it where the clock was
    /// put back.
    pub(super) fn is_over(&self, newest_at_ms: i64) -> bool {
        newest_at_ms.abs_diff(self.at_ms) > LASTING_MS.unsigned_abs()
    }

    pub(super) fn unpack(&self) -> Vec<Probe> {
        self.found.as_ref().and_then(PackedMetadata::unpack).unwrap_or_default()
    }
}
