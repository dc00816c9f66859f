//! The order of a partition's deltas.

/// The number of a delta. A higher epoch outranks every sequence number of a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeltaId {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

impl DeltaId {
    /// The delta that follows this one within the epoch.
    pub(crate) fn next(self) -> Self {
        Self { epoch: self.epoch, seq: self.seq.saturating_add(1) }
    }
}
