//! Host metrics by their ids.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use tidemap_wire::{Host, MetricValue};

use super::Metadata;

/// The metrics of the head: those that have a lower id than this.
const HEAD: usize = 20;

impl Metadata for Host {
    fn write_head<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.values()[..HEAD])
    }

    fn read_head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut host = Self::default();
        for (id, value) in (0..).zip(<[Option<MetricValue>; HEAD]>::deserialize(deserializer)?) {
            set(&mut host, id, value);
        }
        Ok(host)
    }

    fn write_tail<S: Serializer>(&self, serializer: S) -> Result<Option<S::Ok>, S::Error> {
        let values = self.values();
        let later = || (0_u8..).zip(values).skip(HEAD).filter_map(|(id, value)| Some((id, value?)));
        let count = later().count();
        if count == 0 {
            return Ok(None);
        }
        let mut map = serializer.serialize_map(Some(count))?;
        for (id, value) in later() {
            map.serialize_entry(&id, &value)?;
        }
        map.end().map(Some)
    }

    fn read_tail<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(Tail(self))
    }
}

struct Tail<'a>(&'a mut Host);

impl<'de> Visitor<'de> for Tail<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metrics by id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((id, value)) = map.next_entry()? {
            set(self.0, id, Some(value));
        }
        Ok(())
    }
}

/// Leaves out a metric that this version does not know, and a value that its metric cannot have.
fn set(host: &mut Host, id: u8, value: Option<MetricValue>) {
    if let Some(value) = value {
        host.set(id, value);
    }
}
