//! What a node has said about itself, packed: values in the order of their fields, without the fields' names. It is looked at when it changes and when a reader joins, and there is one of each for every node of a fleet.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidemap_wire::{Hello, Host, InterfaceRate};

/// A packed `T`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Packed<T> {
    #[serde(with = "serde_bytes")]
    bytes: Box<[u8]>,
    #[serde(skip)]
    of: PhantomData<T>,
}

/// What can be packed.
pub(crate) trait Pack: Sized {
    /// Writes the values alone.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads what [`Pack::write`] has written.
    ///
    /// # Errors
    ///
    /// Those of the deserializer.
    fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

impl<T: Pack> Packed<T> {
    /// Packs a value.
    pub(crate) fn new(value: &T) -> Self {
        let mut bytes = Vec::with_capacity(256);
        if let Err(error) = value.write(&mut rmp_serde::Serializer::new(&mut bytes)) {
            // Writing to memory cannot fail, and no value of ours has a map of unknown length.
            unreachable!("a value could not be packed: {error}");
        }
        Self { bytes: bytes.into_boxed_slice(), of: PhantomData }
    }

    /// The value; `None` when it came from the checkpoint of a version that packed another way.
    pub(crate) fn unpack(&self) -> Option<T> {
        T::read(&mut rmp_serde::Deserializer::from_read_ref(&*self.bytes)).ok()
    }
}

impl Pack for Hello {
    fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        HelloValues::serialize(self, serializer)
    }

    fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HelloValues::deserialize(deserializer)
    }
}

impl Pack for Host {
    fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        HostValues::serialize(self, serializer)
    }

    fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HostValues::deserialize(deserializer)
    }
}

impl Pack for Vec<InterfaceRate> {
    fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

// The wire leaves out what is absent, and then values could not be told apart by their places. Here every field has its
// place; the compiler sees to it that none is missing.

#[derive(Serialize, Deserialize)]
#[serde(remote = "Host")]
struct HostValues {
    cpu_percent: Option<f64>,
    cpu_count: Option<u32>,
    cpu_mhz: Option<u32>,
    memory_used_bytes: Option<u64>,
    memory_total_bytes: Option<u64>,
    swap_used_bytes: Option<u64>,
    swap_total_bytes: Option<u64>,
    disk_used_bytes: Option<u64>,
    disk_total_bytes: Option<u64>,
    disk_read_bps: Option<tidemap_wire::Bps>,
    disk_write_bps: Option<tidemap_wire::Bps>,
    load_1: Option<f64>,
    load_5: Option<f64>,
    load_15: Option<f64>,
    uptime_s: Option<u64>,
    temperature_c: Option<f64>,
    fan_rpm: Option<u32>,
    processes: Option<u32>,
    network_errors: Option<u64>,
    network_drops: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Hello")]
struct HelloValues {
    hostname: String,
    internal_ip: Option<String>,
    external_ip: Option<String>,
    addresses: Vec<String>,
    os: Option<String>,
    kernel: Option<String>,
    arch: Option<String>,
    agent_version: String,
    interval_ms: u32,
    #[serde(with = "location")]
    location: Option<tidemap_wire::Location>,
    provider: Option<String>,
    labels: std::collections::BTreeMap<String, String>,
    #[serde(with = "interfaces")]
    interfaces: Vec<tidemap_wire::Interface>,
    lost_samples: Option<u64>,
}

mod location {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tidemap_wire::{Location, LocationSource};

    pub(super) fn serialize<S: Serializer>(location: &Option<Location>, to: S) -> Result<S::Ok, S::Error> {
        location.as_ref().map(|place| (place.lat, place.lon, &place.label, place.source)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Location>, D::Error> {
        type Values = (f64, f64, Option<String>, LocationSource);
        let values = Option::<Values>::deserialize(from)?;
        Ok(values.map(|(lat, lon, label, source)| Location { lat, lon, label, source }))
    }
}

mod interfaces {
    use serde::{Deserialize, Deserializer, Serializer};
    use tidemap_wire::Interface;

    pub(super) fn serialize<S: Serializer>(interfaces: &[Interface], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(interfaces.iter().map(|interface| {
            let Interface { name, counted, reason, speed_mbps, addresses } = interface;
            (name, counted, reason, speed_mbps, addresses)
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Interface>, D::Error> {
        type Values = (String, bool, String, Option<u32>, Vec<String>);
        let values = Vec::<Values>::deserialize(from)?.into_iter();
        Ok(values
            .map(|(name, counted, reason, speed_mbps, addresses)| Interface {
                name,
                counted,
                reason,
                speed_mbps,
                addresses,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidemap_wire::{Bps, Interface, Location, LocationSource};

    fn text() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[a-z ]{0,12}")
    }

    fn location() -> impl Strategy<Value = Option<Location>> {
        let sources = vec![LocationSource::Given, LocationSource::Region, LocationSource::TimeZone];
        let location = (-90.0..90.0, -180.0..180.0, text(), proptest::sample::select(sources));
        let location = location.prop_map(|(lat, lon, label, source)| Location { lat, lon, label, source });
        proptest::option::of(location)
    }

    proptest! {
        #[test]
        fn a_hello_comes_back(
            texts in (text(), text(), text(), text(), text(), text()),
            location in location(),
            speeds in proptest::collection::vec(any::<Option<u32>>(), 0..3),
            lost_samples in any::<Option<u64>>(),
        ) {
            let (internal_ip, external_ip, os, kernel, arch, provider) = texts;
            let interfaces = speeds.into_iter().zip(0..).map(|(speed_mbps, number)| Interface {
                name: format!("eth{number}"),
                counted: number == 0,
                reason: "an uplink".to_owned(),
                speed_mbps,
                addresses: vec!["192.0.2.1".to_owned(); number],
            });
            let hello = Hello {
                hostname: "web-01".to_owned(),
                interfaces: interfaces.collect(),
                labels: [("role".to_owned(), "web".to_owned())].into(),
                agent_version: "1".to_owned(),
                addresses: vec!["192.0.2.1".to_owned()],
                interval_ms: 1_000,
                internal_ip, external_ip, os, kernel, arch, provider, location, lost_samples,
            };
            prop_assert_eq!(Packed::new(&hello).unpack(), Some(hello));
        }

        #[test]
        fn host_metrics_come_back(
            counts in any::<(Option<u32>, Option<u64>, Option<u64>, Option<u64>, Option<u64>)>(),
            cpu_percent in proptest::option::of(0.0..100.0),
            temperature_c in proptest::option::of(-40.0..120.0),
        ) {
            let (fan_rpm, memory_used_bytes, disk_total_bytes, network_drops, uptime_s) = counts;
            let disk_write_bps = cpu_percent.and_then(Bps::new);
            let host = Host {
                cpu_percent, temperature_c, fan_rpm, memory_used_bytes, disk_total_bytes, network_drops, uptime_s,
                disk_write_bps,
                ..Host::default()
            };
            prop_assert_eq!(Packed::new(&host).unpack(), Some(host));
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in any::<Vec<u8>>()) {
            let bytes = || bytes.clone().into_boxed_slice();
            let hello = Packed::<Hello> { bytes: bytes(), of: PhantomData }.unpack();
            let host = Packed::<Host> { bytes: bytes(), of: PhantomData }.unpack();
            // Whatever they are read as can be packed again.
            prop_assert!(hello.is_none_or(|hello| Packed::new(&hello).unpack().is_some()));
            prop_assert!(host.is_none_or(|host| Packed::new(&host).unpack().is_some()));
        }
    }
}
