//! Identity. On the wire absent fields are omitted and fields have names; in the head every field has a fixed
//! place, and the compiler ensures that none is left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use tidemap_wire::{Bps, Capacity, Hello, Interface, Location};

use super::Metadata;

impl Metadata for Hello {
    fn write_head<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Head::serialize(self, serializer)
    }

    fn read_head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Head::deserialize(deserializer)
    }

    fn write_tail<S: Serializer>(&self, serializer: S) -> Result<Option<S::Ok>, S::Error> {
        let texts = [("disk_path", &self.disk_path), ("display_name", &self.display_name)];
        let texts = || texts.iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        let is_cut = self.unlisted_interfaces > 0;
        let Self { cap, link_speed_mbps, .. } = self;
        let later = cap.iter().count() + link_speed_mbps.iter().count();
        let count = texts().count() + usize::from(is_cut) + later;
        if count == 0 {
            return Ok(None);
        }
        // A map, although structs are packed as arrays: a later version may have more entries.
        let mut map = serializer.serialize_map(Some(count))?;
        if is_cut {
            map.serialize_entry("unlisted_interfaces", &self.unlisted_interfaces)?;
        }
        for (name, text) in texts() {
            map.serialize_entry(name, text)?;
        }
        if let Some(Capacity { rx_bps, tx_bps }) = cap {
            map.serialize_entry("cap", &(rx_bps, tx_bps))?;
        }
        if let Some(speed) = link_speed_mbps {
            map.serialize_entry("link_speed_mbps", speed)?;
        }
        map.end().map(Some)
    }

    fn read_tail<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let LaterFields { unlisted_interfaces, disk_path, display_name, cap, link_speed_mbps } =
            LaterFields::deserialize(deserializer)?;
        self.unlisted_interfaces = unlisted_interfaces;
        (self.disk_path, self.display_name) = (disk_path, display_name);
        self.cap = cap.map(|(rx_bps, tx_bps)| Capacity { rx_bps, tx_bps });
        self.link_speed_mbps = link_speed_mbps;
        Ok(())
    }
}

/// The fields that came later.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LaterFields {
    unlisted_interfaces: u32,
    disk_path: Option<String>,
    display_name: Option<String>,
    cap: Option<(Bps, Bps)>,
    link_speed_mbps: Option<u32>,
}

/// The head. A field that comes later is skipped here, and belongs to the tail.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Hello")]
struct Head {
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
    location: Option<Location>,
    provider: Option<String>,
    labels: BTreeMap<String, String>,
    #[serde(with = "interfaces")]
    interfaces: Vec<Interface>,
    #[serde(skip)]
    unlisted_interfaces: u32,
    lost_samples: Option<u64>,
    #[serde(skip)]
    disk_path: Option<String>,
    #[serde(skip)]
    display_name: Option<String>,
    #[serde(skip)]
    cap: Option<Capacity>,
    #[serde(skip)]
    link_speed_mbps: Option<u32>,
}

mod location {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tidemap_wire::Location;

    pub(super) fn serialize<S: Serializer>(location: &Option<Location>, to: S) -> Result<S::Ok, S::Error> {
        let values = location.as_ref().map(|location| {
            let Location { lat, lon, label, source } = location;
            (lat, lon, label, source)
        });
        values.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Location>, D::Error> {
        let values = Option::deserialize(from)?;
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
        let mut interfaces = Vec::new();
        for (name, counted, reason, speed_mbps, addresses) in Vec::deserialize(from)? {
            interfaces.push(Interface { name, counted, reason, speed_mbps, addresses });
        }
        Ok(interfaces)
    }
}
