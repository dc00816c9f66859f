//! The last samples, kept until the broker has stored them and for some time after.

use std::collections::VecDeque;

use tidemap_wire::Sample;

/// How many samples are kept: ten minutes at the default interval, as long as the broker's streams keep them.
pub(crate) const CAPACITY: usize = 600;

/// The last samples, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ring(VecDeque<Buffered>);

/// A sample and its delivery.
#[derive(Debug)]
pub(crate) struct Buffered {
    /// The run that the sample belongs to: with a spool, the ring may hold samples of an earlier run.
    pub(crate) boot: u64,
    pub(crate) sample: Sample,
    /// About how many bytes it takes in a report.
    pub(crate) size_bytes: usize,
    pub(crate) state: DeliveryState,
}

/// How far the delivery of a sample has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryState {
    /// Never sent.
    New,
    /// Sent without success, or lost by the broker afterwards.
    Waiting,
    /// Sent in the batch of this number, not yet acknowledged.
    InFlight(u64),
    /// Acknowledged at this time of the agent's monotonic clock, in milliseconds.
    Stored(u64),
}

impl Ring {
    /// Adds a sample, and returns the one that was dropped for it.
    pub(crate) fn push(&mut self, buffered: Buffered) -> Option<Buffered> {
        let oldest = if self.0.len() == CAPACITY { self.0.pop_front() } else { None };
        self.0.push_back(buffered);
        oldest
    }

    pub(crate) fn newest(&mut self) -> Option<&mut Buffered> {
        self.0.back_mut()
    }

    /// All samples, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Buffered> {
        self.0.iter()
    }

    /// All samples, oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Buffered> {
        self.0.iter_mut()
    }
}

impl DeliveryState {
    /// Whether the sample has to be sent.
    pub(crate) fn is_due(self) -> bool {
        matches!(self, Self::New | Self::Waiting)
    }

    /// Whether the broker has the sample.
    pub(crate) fn is_stored(self) -> bool {
        matches!(self, Self::Stored(_))
    }
}
