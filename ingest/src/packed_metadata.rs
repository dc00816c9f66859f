//! What a node has said about itself, in few bytes: it is read only when it changes and when a reader joins,
//! and there is one of each for every node of a fleet.
//!
//! Checkpoints carry these bytes from one version to another, so their form is frozen:
//!
//! 1. the *head* is an array of the fields that the first version had, in their order and without their
//!    names;
//! 2. the *tail* is a map of the fields that came later, by name or id. It is missing when it would be empty.
//!
//! An earlier version reads the head and stops there. This one finds no tail in what an earlier version
//! wrote, and skips what it does not know in the tail of a later one. So a new field goes into the tail, also
//! one of a struct within a hello, as a list beside the others' (see the tests): an array with one more
//! element could not be read any more.

mod hello;
mod host;

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidemap_wire::InterfaceRate;

/// A packed `T`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PackedMetadata<T> {
    #[serde(with = "serde_bytes")]
    bytes: Box<[u8]>,
    #[serde(skip)]
    of: PhantomData<T>,
}

/// What can be packed.
pub(crate) trait Metadata: Sized {
    /// Writes the head.
    fn write_head<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads the head.
    fn read_head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Writes the tail, unless it is empty.
    fn write_tail<S: Serializer>(&self, _: S) -> Result<Option<S::Ok>, S::Error> {
        Ok(None)
    }

    /// Adds what the tail says.
    fn read_tail<'de, D: Deserializer<'de>>(&mut self, _: D) -> Result<(), D::Error> {
        Ok(())
    }
}

impl<T: Metadata> PackedMetadata<T> {
    /// Packs a value.
    pub(crate) fn new(value: &T) -> Self {
        let mut bytes = Vec::with_capacity(256);
        let mut serializer = rmp_serde::Serializer::new(&mut bytes);
        let written = value.write_head(&mut serializer).and_then(|()| value.write_tail(&mut serializer));
        if let Err(error) = written {
            // Writing to memory cannot fail, and no value of ours has a map of unknown length.
            unreachable!("a value could not be packed: {error}");
        }
        Self { bytes: bytes.into_boxed_slice(), of: PhantomData }
    }

    /// The value; `None` when the bytes are not what any version writes.
    pub(crate) fn unpack(&self) -> Option<T> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(&*self.bytes);
        let mut value = T::read_head(&mut deserializer).ok()?;
        // Nearly every error says that there is no tail. One that cannot be read leaves what is known without
        // it.
        drop(value.read_tail(&mut deserializer));
        Some(value)
    }
}

impl Metadata for Vec<InterfaceRate> {
    fn write_head<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|rate| {
            let InterfaceRate { name, rx_bps, tx_bps } = rate;
            (name, rx_bps, tx_bps)
        }))
    }

    fn read_head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rates = Vec::deserialize(deserializer)?.into_iter();
        Ok(rates.map(|(name, rx_bps, tx_bps)| InterfaceRate { name, rx_bps, tx_bps }).collect())
    }
}

#[cfg(test)]
mod tests;
