//! A partition's state as it is kept for the next owner. Pure: what is kept, and what follows from it.
//!
//! A slot is kept in one or more *parts*, each a value of its own in the bucket and each whole in itself: the
//! nodes whose hash falls into it, and the newest message of the log that they contain. So parts need not be
//! written together, and one that is out of date only means that more of the log is read again. Because slots
//! do not depend on the number of partitions, neither do checkpoints.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemap_wire::{DecodeError, NodeId, Slot, decode, encode};

use crate::{log_reader::LogPosition, node::Node};

/// More nodes than this in a part, and the slot is parted further.
const NODES_PER_PART: usize = 128;
/// More bytes than this, and it is halved: nodes can be large, and the broker takes 1 MiB at once.
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

/// A checkpoint of nodes that stay where they are.
#[derive(Serialize)]
struct Written<'a> {
    epoch: u64,
    place: LogPosition,
    nodes: Vec<(&'a NodeId, &'a Node)>,
}

/// The part of a checkpoint that decides who may write over it.
#[derive(Deserialize)]
struct Rank {
    epoch: u64,
}

/// What the parts of a partition say together about one log.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Each slot's parts, and the newest message of this log that each contains; 0 when it was written over
    /// another.
    through: BTreeMap<Slot, Vec<(Part, u64)>>,
    /// Beyond this message nothing is contained anywhere.
    highest: u64,
}

/// Goes through a partition's parts again and again, a few at each tick.
#[derive(Debug, Default)]
pub(crate) struct Round {
    parts: Vec<Part>,
    done: usize,
    ticks: usize,
    /// What the parts that are done became.
    written: Vec<Part>,
}

impl Round {
    /// In so many ticks every part comes once.
    const TICKS: usize = 40;

    /// Counts a tick. When a round has ended, the next one begins with the parts that there are then.
    pub(crate) fn tick(&mut self, parts: impl FnOnce() -> Vec<Part>) {
        self.ticks += 1;
        if self.ticks > Self::TICKS && self.done == self.parts.len() || self.parts.is_empty() {
            *self = Self { parts: parts(), ticks: 1, ..Self::default() };
        }
    }

    /// The next part that is due, until [`Round::done`] is called.
    pub(crate) fn due(&self) -> Option<Part> {
        let due = (self.parts.len() * self.ticks).div_ceil(Self::TICKS);
        self.parts.get(self.done).copied().filter(|_| self.done < due)
    }

    /// Takes note that the part that was due is on its way, as these; hands out all parts with the last one.
    pub(crate) fn done(&mut self, written: impl IntoIterator<Item = Part>) -> Option<Vec<Part>> {
        self.done += 1;
        self.written.extend(written);
        (self.done == self.parts.len()).then(|| std::mem::take(&mut self.written))
    }
}

impl Part {
    /// The parts of a slot with so many nodes.
    pub fn all(slot: Slot, nodes: usize) -> impl Iterator<Item = Self> {
        let of = nodes.div_ceil(NODES_PER_PART).next_power_of_two();
        let of = u16::try_from(of).map_or(MOST_PARTS, |of| of.min(MOST_PARTS));
        (0..of).map(move |index| Self { slot, of, index })
    }

    /// The two halves of this part; `None` when it cannot be parted further.
    fn halves(self) -> Option<[Self; 2]> {
        let of = self.of.checked_mul(2).filter(|of| *of <= MOST_PARTS)?;
        Some([self.index, self.index + self.of].map(|index| Self { of, index, ..self }))
    }

    /// Whether a node of the slot belongs to this part.
    pub fn contains(self, node: &NodeId) -> bool {
        let hash = Slot::hash(node);
        self.slot == Slot::of(node) && (hash >> 8) % u32::from(self.of) == u32::from(self.index)
    }

    /// The key under which it is kept.
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

    /// Encodes a part, as several when it is too long for one. `encode` makes the checkpoint of a part.
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

    /// The epoch under which a value was written; 0 when it cannot be read, so that anybody may replace it.
    pub fn epoch_of(bytes: &[u8]) -> u64 {
        decode::<Rank>(bytes).map_or(0, |rank| rank.epoch)
    }
}

impl Recovery {
    /// Brings parts together: each node's newest state, and what of the log is contained in it. `created_ns`
    /// is when the log was made; a part that was written over another log contains nothing of this one.
    pub fn new(mut parts: Vec<(Part, Checkpoint)>, created_ns: i64) -> (Self, Vec<(NodeId, Node)>) {
        // A slot that was being divided again has some nodes in two parts: the newer one is right about them,
        // and also about those that it does not know any more.
        parts.sort_by_key(|(_, kept)| (kept.place.created_ns, kept.place.applied));
        let mut recovery = Self::default();
        let mut nodes = Vec::new();
        // From the newest to the oldest: what a newer part covers is settled.
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

    /// Everything up to this message is contained in the state of every one of these slots.
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

    /// The same of a node by its name as it is written, whether or not there can be such a node.
    pub fn knows(&self, node: &str, seq: u64) -> bool {
        // Most messages are beyond all that is kept: their names need no second look.
        seq <= self.highest && NodeId::from_token(node).is_ok_and(|node| self.contains(&node, seq))
    }

    /// Takes note that the log has lost what came behind this message, and gives those numbers to others.
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
