//! Slots, which are fixed by the protocol, and partitions, whose number the operator chooses.

use std::{fmt, num::ParseIntError, str::FromStr};

use crate::NodeId;

/// How many slots there are. A constant of the protocol: agents' credentials name their slot.
pub const SLOTS: u16 = 256;

/// A node's slot: FNV-1a-32 of its encoded name, mod 256 (equal to NATS's own `partition()`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u8);

impl Slot {
    /// The slot of a node.
    pub fn of(node: &NodeId) -> Self {
        Self(Self::hash(node).to_le_bytes()[0])
    }

    /// The whole hash of a node's name, of which the slot is the lowest byte.
    pub fn hash(node: &NodeId) -> u32 {
        let bytes = node.as_str().bytes();
        bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    /// All slots, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// The slot as a number, 0 to 255.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Slot {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One of the parts that the fleet is divided into: one stream, one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u16);

impl Partition {
    /// The partition as a number, 0 to P − 1.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many partitions there are, P: a divisor of 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionCount(u16);

/// Why a number is not a count of partitions.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number of partitions must divide 256: 1, 2, 4, 8, 16, 32, 64, 128 or 256")]
pub struct PartitionCountError;

impl PartitionCount {
    /// Takes a number of partitions.
    ///
    /// # Errors
    ///
    /// When it does not divide 256.
    pub fn new(count: u16) -> Result<Self, PartitionCountError> {
        if count == 0 || !SLOTS.is_multiple_of(count) {
            return Err(PartitionCountError);
        }
        Ok(Self(count))
    }

    /// The number of partitions.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The partition with this number, if there is one.
    pub fn partition(self, number: u16) -> Option<Partition> {
        (number < self.0).then_some(Partition(number))
    }

    /// The partition that a slot belongs to: slot mod P.
    pub fn of(self, slot: Slot) -> Partition {
        Partition(u16::from(slot.0) % self.0)
    }

    /// All partitions, in order.
    pub fn all(self) -> impl Iterator<Item = Partition> {
        (0..self.0).map(Partition)
    }

    /// The slots of a partition, in order.
    pub fn slots(self, partition: Partition) -> impl Iterator<Item = Slot> {
        (partition.0..SLOTS).step_by(usize::from(self.0)).map(|slot| Slot(slot.to_le_bytes()[0]))
    }
}

impl fmt::Display for PartitionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Default for PartitionCount {
    fn default() -> Self {
        Self(8)
    }
}

impl FromStr for PartitionCount {
    type Err = PartitionCountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.parse().map_err(|_| PartitionCountError)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_equal_those_of_the_broker() {
        for (name, slot) in [("web-01", 135), ("node-1", 131), ("a", 44)] {
            assert_eq!(Slot::of(&NodeId::from_name(name).unwrap()).get(), slot, "{name}");
        }
    }

    #[test]
    fn there_are_256_slots() {
        assert_eq!(Slot::all().count(), usize::from(SLOTS));
    }

    #[test]
    fn every_slot_is_in_exactly_one_partition() {
        for count in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            let count = PartitionCount::new(count).unwrap();
            let mut slots: Vec<_> = count.all().flat_map(|k| count.slots(k)).collect();
            assert!(count.all().all(|k| count.slots(k).all(|slot| count.of(slot) == k)));
            slots.sort_unstable();
            assert_eq!(
                slots.iter().map(|slot| u16::from(slot.get())).collect::<Vec<_>>(),
                (0..SLOTS).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn the_number_of_partitions_divides_256() {
        for bad in ["0", "3", "7", "512", "-1", "x", ""] {
            assert_eq!(bad.parse::<PartitionCount>(), Err(PartitionCountError), "{bad}");
        }
    }
}
