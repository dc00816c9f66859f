//! A partition's state in the form in which it is stored for the next owner. Pure: the format, and the rules
//! that follow from it.
//!
//! A slot is stored in one or more *parts*, each a value of its own in the bucket and complete in itself: the
//! nodes whose hash falls into it, and the newest message of the log that they contain. So parts need not be
//! written at the same time; an older part only means that more of the log is read again. Slots do not depend
//! on the number of partitions, so neither do checkpoints.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemap_wire::{DecodeError, NodeId, Slot, decode, encode};

use crate::{log_reader::LogPosition, node::Node};

/// With more nodes than this in a part, the slot is divided further.
const NODES_PER_PART: usize = 128;
/// With more bytes than this, a part is halved: nodes can be large, and the broker accepts 1 MiB at most.
const BYTES_PER_PART: usize = 512 * 1024;
/// The finest division of a slot.
const MOST_PARTS: u16 = 4_096;

/// Some nodes of a slot: those whose hash, beyond the slot's own bits, is `index` modulo `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The slot.
    pub slot: Slot,
    /// Into how many parts the slot is divided; a power of two.
    pub of: u16,
    /// Which of them this is.
    pub index: u16,
}

/// What is kept of a part.
#[derive(Clone, Debug, Deserialize)]
pub struct Checkpoint {
    /// The epoch of the lease under which it was written.
    pub epoch: u64,
    /// The newest message that it contains.
    pub place: LogPosition,
    /// The nodes.
    pub nodes: Vec<(NodeId, Node)>,
}

/// A checkpoint to be encoded, which borrows its nodes.
#[derive(Serialize)]
struct Written<'a> {
    epoch: u64,
    place: LogPosition,
    nodes: Vec<(&'a NodeId, &'a Node)>,
}

/// The fields of a checkpoint that decide which worker may overwrite it.
#[derive(Deserialize)]
struct Rank {
    epoch: u64,
}

/// What the parts of a partition together contain of one log.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Each slot's parts, and the newest message of this log that each contains; 0 if the part belongs to
    /// another log.
    through: BTreeMap<Slot, Vec<(Part, u64)>>,
    /// No part contains a message after this one.
    highest: u64,
}

/// Goes through a partition's parts in rounds, a few at each tick.
#[derive(Debug)]
pub(crate) struct Round {
    /// Within this many ticks every part is due once.
    over: usize,
    parts: Vec<Part>,
    done: usize,
    ticks: usize,
    /// The parts of this round that were written. A part that was halved is listed as its halves.
    written: Vec<Part>,
}

impl Round {
    /// Rounds of so many ticks, at least one.
    pub(crate) fn over(ticks: usize) -> Self {
        Self { over: ticks.max(1), parts: Vec::new(), done: 0, ticks: 0, written: Vec::new() }
    }

    /// Counts a tick. When a round has ended, the next one begins with the parts that there are then.
    pub(crate) fn tick(&mut self, parts: impl FnOnce() -> Vec<Part>) {
        self.ticks += 1;
        if self.ticks > self.over && self.done == self.parts.len() || self.parts.is_empty() {
            *self = Self { parts: parts(), ticks: 1, ..Self::over(self.over) };
        }
    }

    /// The next part that is due, until [`Round::done`] is called.
    pub(crate) fn due(&self) -> Option<Part> {
        let due = (self.parts.len() * self.ticks).div_ceil(self.over);
        self.parts.get(self.done).copied().filter(|_| self.done < due)
    }

    /// Notes that the due part is being written, as these parts; returns all parts with the last one of a
    /// round.
    pub(crate) fn done(&mut self, written: impl IntoIterator<Item = Part>) -> Option<Vec<Part>> {
        self.done += 1;
        self.written.extend(written);
        (self.done == self.parts.len()).then(|| std::mem::take(&mut self.written))
    }
}

impl Part {
    /// The parts of a slot with this many nodes.
    pub fn all(slot: Slot, nodes: usize) -> impl Iterator<Item = Self> {
        let of = nodes.div_ceil(NODES_PER_PART).next_power_of_two();
        let of = u16::try_from(of).map_or(MOST_PARTS, |of| of.min(MOST_PARTS));
        (0..of).map(move |index| Self { slot, of, index })
    }

    /// The two halves of this part; `None` when it cannot be divided further.
    fn halves(self) -> Option<[Self; 2]> {
        let of = self.of.checked_mul(2).filter(|of| *of <= MOST_PARTS)?;
        Some([self.index, self.index + self.of].map(|index| Self { of, index, ..self }))
    }

    /// Whether a node of the slot belongs to this part.
    pub fn contains(self, node: &NodeId) -> bool {
        let hash = Slot::hash(node);
        self.slot == Slot::of(node) && (hash >> 8) % u32::from(self.of) == u32::from(self.index)
    }

    /// The key under which it is stored.
    pub fn key(self) -> String {
        format!("s.{}.{}.{}", self.slot, self.of, self.index)
    }

    /// The keys of all parts of a slot, as the broker's pattern.
    pub fn keys_of(slot: Slot) -> String {
        format!("s.{slot}.*.*")
    }

    /// The part with this key.
    pub fn from_key(key: &str) -> Option<Self> {
        let mut words = key.strip_prefix("s.")?.split('.');
        let slot = words.next()?.parse().ok()?;
        let (of, index): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (words.next().is_none() && of.is_power_of_two() && index < of).then_some(Self { slot, of, index })
    }
}

impl Checkpoint {
    /// Encodes a checkpoint.
    pub fn encode<'a>(
        epoch: u64,
        place: LogPosition,
        nodes: impl Iterator<Item = (&'a NodeId, &'a Node)>,
    ) -> Vec<u8> {
        encode(&Written { epoch, place, nodes: nodes.collect() })
    }

    /// Encodes a part, as several parts if it is too long for one value. `encode` makes the checkpoint of a
    /// part.
    pub fn fit(part: Part, encode: &impl Fn(Part) -> Vec<u8>) -> Vec<(Part, Bytes)> {
        let value = encode(part);
        match part.halves().filter(|_| value.len() > BYTES_PER_PART) {
            Some(halves) => halves.into_iter().flat_map(|half| Self::fit(half, encode)).collect(),
            None => vec![(part, value.into())],
        }
    }

    /// Decodes a checkpoint.
    ///
    /// # Errors
    ///
    /// When the bytes are no checkpoint that this version can read.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes)
    }

    /// The epoch under which a value was written; 0 when it cannot be read, so that any worker may replace
    /// it.
    pub fn epoch_of(bytes: &[u8]) -> u64 {
        decode::<Rank>(bytes).map_or(0, |rank| rank.epoch)
    }
}

impl Recovery {
    /// Combines parts: each node's newest state, and what it contains of the log. `created_ns` is when the
    /// log was created; a part that belongs to another log contains nothing of this one.
    pub fn new(mut parts: Vec<(Part, Checkpoint)>, created_ns: i64) -> (Self, Vec<(NodeId, Node)>) {
        // While a slot is divided again, some nodes are in two parts. The newer part is right about them, and
        // also about nodes that it does not contain any more.
        parts.sort_by_key(|(_, kept)| (kept.place.created_ns, kept.place.applied));
        let mut recovery = Self::default();
        let mut nodes = Vec::new();
        // From the newest to the oldest: a node that a newer part covers is not taken from an older one.
        for (part, kept) in parts.into_iter().rev() {
            let seq = if kept.place.created_ns == created_ns { kept.place.applied } else { 0 };
            recovery.highest = recovery.highest.max(seq);
            let newer = recovery.through.entry(part.slot).or_default();
            let is_settled = |id: &NodeId| newer.iter().any(|(part, _)| part.contains(id));
            nodes.extend(kept.nodes.into_iter().filter(|(id, _)| !is_settled(id)));
            newer.push((part, seq));
        }
        (recovery, nodes)
    }

    /// The state of each of these slots contains all messages up to the returned one.
    pub fn applied(&self, slots: impl Iterator<Item = Slot>) -> u64 {
        slots.map(|slot| self.applied_in(slot)).min().unwrap_or(0)
    }

    /// Whether the state already contains a message of a node.
    pub fn contains(&self, node: &NodeId, seq: u64) -> bool {
        seq <= self.highest
            && self.through.get(&Slot::of(node)).is_some_and(|parts| {
                parts.iter().any(|(part, through)| seq <= *through && part.contains(node))
            })
    }

    /// As `contains`, for an unchecked name; an invalid name is not contained.
    pub fn knows(&self, node: &str, seq: u64) -> bool {
        // Most messages are newer than all checkpoints, so their names need not be parsed.
        seq <= self.highest && NodeId::from_token(node).is_ok_and(|node| self.contains(&node, seq))
    }

    /// Notes that the log has lost all messages after `at`, and gives their numbers to others.
    pub fn cut(&mut self, at: u64) {
        self.highest = self.highest.min(at);
        let parts = self.through.values_mut().flatten();
        parts.for_each(|(_, through)| *through = (*through).min(at));
    }

    /// The newest message that any part contains.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    fn applied_in(&self, slot: Slot) -> u64 {
        let Some(parts) = self.through.get(&slot) else { return 0 };
        let finest = parts.iter().map(|(part, _)| part.of).max().unwrap_or(1);
        let covering = |index: u16| parts.iter().filter(move |(part, _)| part.index == index % part.of);
        (0..finest)
            .map(|index| covering(index).map(|(_, through)| *through).max().unwrap_or(0))
            .min()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod compatibility;
#[cfg(test)]
mod tests;
