//! The last samples, held until they are surely stored.

use std::collections::VecDeque;

use tidemap_wire::Sample;

/// How many samples are held: ten minutes at the default interval, as far back as the broker's streams reach.
pub const CAPACITY: usize = 600;

/// The last samples, oldest first.
#[derive(Debug, Default)]
pub struct Ring {
    held: VecDeque<Held>,
}

/// A sample and what has become of it.
#[derive(Debug)]
pub struct Held {
    /// The run that read it: with a spool, the ring may hold samples of an agent that is no more.
    pub boot: u64,
    /// The sample.
    pub sample: Sample,
    /// About how many bytes it takes in a report.
    pub size_bytes: usize,
    /// What has become of it.
    pub fate: Fate,
}

/// What has become of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Never sent.
    New,
    /// Sent in vain, or lost by the broker since.
    Waiting,
    /// Sent with this number, not yet acknowledged.
    Flying(u64),
    /// Acknowledged, at these of the agent's monotonic milliseconds.
    Stored(u64),
}

impl Ring {
    /// Takes a sample; returns the one that had to make room.
    pub fn push(&mut self, held: Held) -> Option<Held> {
        let oldest = if self.held.len() == CAPACITY { self.held.pop_front() } else { None };
        self.held.push_back(held);
        oldest
    }

    /// The newest sample.
    pub fn newest(&mut self) -> Option<&mut Held> {
        self.held.back_mut()
    }

    /// All samples, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.iter()
    }

    /// All samples, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        self.held.iter_mut()
    }
}

impl Fate {
    /// Whether it has to be sent.
    pub fn is_due(self) -> bool {
        matches!(self, Self::New | Self::Waiting)
    }

    /// Whether the broker has it.
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Stored(_))
    }
}
