//! A node's metadata in few bytes: it is read only when it changes and when a reader needs a snapshot, and
//! every node of the fleet has one of each kind.
//!
//! Checkpoints carry these bytes between versions, so their format is frozen:
//!
//! 1. the *head* is an array of the fields that the first version had, in their order and without their
//!    names;
//! 2. the *tail* is a map of the fields that came later, by name or id. It is missing when it would be empty.
//!
//! An earlier version reads the head and stops there. This version finds no tail in checkpoints of an earlier
//! version, and skips unknown entries in the tail of a later one. So a new field always goes into the tail. A
//! new field of a struct within the hello goes there as a list, one element for each struct (see the tests),
//! because earlier versions could not read an array with one more element.

mod hello;
mod host;

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidemap_wire::{InterfaceRate, Probe};

/// A packed `T`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PackedMetadata<T> {
    #[serde(with = "serde_bytes")]
    bytes: Box<[u8]>,
    #[serde(skip)]
    of: PhantomData<T>,
}

/// A type that can be packed.
pub(crate) trait Metadata: Sized {
    /// Writes the head.
    fn write_head<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads the head.
    fn read_head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Writes the tail, unless it is empty.
    fn write_tail<S: Serializer>(&self, _: S) -> Result<Option<S::Ok>, S::Error> {
        Ok(None)
    }

    /// Sets the fields that the tail holds.
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

    /// The packed bytes. Others mean another value.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value; `None` when the bytes are not what any version writes.
    pub(crate) fn unpack(&self) -> Option<T> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(&*self.bytes);
        let mut value = T::read_head(&mut deserializer).ok()?;
        // Usually the error means that there is no tail. If the tail is unreadable, the value is returned
        // without it.
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

impl Metadata for Vec<Probe> {
    fn write_head<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|probe| {
            let Probe { target, sent, lost, min_ms, median_ms, max_ms, jitter_ms, failure } = probe;
            (target, sent, lost, min_ms, median_ms, max_ms, jitter_ms, failure)
        }))
    }

    fn read_head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let probes = Vec::deserialize(deserializer)?.into_iter();
        let probe = |(target, sent, lost, min_ms, median_ms, max_ms, jitter_ms, failure)| Probe {
            target,
            sent,
            lost,
            min_ms,
            median_ms,
            max_ms,
            jitter_ms,
            failure,
        };
        Ok(probes.map(probe).collect())
    }
}

#[cfg(test)]
mod tests;
