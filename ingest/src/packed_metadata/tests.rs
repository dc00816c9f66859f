use proptest::prelude::*;
use serde::ser::SerializeMap;
use tidemap_wire::{
    Bps, Capacity, Hello, Host, Interface, Location, LocationSource, METRICS, MetricValue, Probe,
};

use super::*;

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-z ]{0,12}")
}

fn location() -> impl Strategy<Value = Option<Location>> {
    let sources = vec![LocationSource::Given, LocationSource::Region, LocationSource::TimeZone];
    let location = (-90.0..90.0, -180.0..180.0, text(), proptest::sample::select(sources));
    let location = location.prop_map(|(lat, lon, label, source)| Location { lat, lon, label, source });
    proptest::option::of(location)
}

fn packed<T>(bytes: &[u8]) -> PackedMetadata<T> {
    PackedMetadata { bytes: bytes.into(), of: PhantomData }
}

proptest! {
    #[test]
    fn a_hello_comes_back(
        texts in (text(), text(), text(), text(), text(), text(), text()),
        location in location(),
        speeds in proptest::collection::vec(any::<Option<u32>>(), 0..3),
        (unlisted_interfaces, lost_samples, link_speed_mbps) in any::<(u32, Option<u64>, Option<u32>)>(),
        display_name in text(),
    ) {
        let (internal_ip, external_ip, os, kernel, arch, provider, disk_path) = texts;
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
            internal_ip, external_ip, os, kernel, arch, provider, location, unlisted_interfaces,
            lost_samples, disk_path, display_name, link_speed_mbps,
            cap: link_speed_mbps.and_then(|mbps| Capacity::parse(&format!("{mbps}/{mbps}.5"))),
        };
        prop_assert_eq!(PackedMetadata::new(&hello).unpack(), Some(hello));
    }

    #[test]
    fn what_probes_found_comes_back(
        found in proptest::collection::vec(
            (any::<(u32, u32)>(), proptest::option::of(0.0..60_000.0_f64), text()), 0..4,
        ),
    ) {
        let probe = |((sent, lost), time, failure): ((u32, u32), Option<f64>, Option<String>)| Probe {
            target: "icmp://web-01".to_owned(),
            sent,
            lost,
            min_ms: time,
            median_ms: time.map(|ms| ms + 1.0),
            max_ms: time.map(|ms| ms + 2.0),
            jitter_ms: None,
            failure,
        };
        let probes: Vec<Probe> = found.into_iter().map(probe).collect();
        prop_assert_eq!(PackedMetadata::new(&probes).unpack(), Some(probes));
    }

    #[test]
    fn host_metrics_come_back(values in proptest::collection::vec(any::<Option<u32>>(), METRICS.len())) {
        let mut host = Host::default();
        for (metric, value) in METRICS.iter().zip(values) {
            prop_assert!(value.is_none_or(|value| host.set(metric.id, MetricValue::Whole(value.into()))));
        }
        prop_assert_eq!(PackedMetadata::new(&host).unpack(), Some(host));
    }

    #[test]
    fn rates_of_interfaces_come_back(rates in proptest::collection::vec(0.0..1e12_f64, 0..4)) {
        let rates = rates.into_iter().map(|rate| InterfaceRate {
            name: format!("eth{rate}"),
            rx_bps: Bps::new(rate).unwrap(),
            tx_bps: Bps::ZERO,
        });
        let rates: Vec<InterfaceRate> = rates.collect();
        prop_assert_eq!(PackedMetadata::new(&rates).unpack(), Some(rates));
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in any::<Vec<u8>>()) {
        let (hello, host) = (packed::<Hello>(&bytes).unpack(), packed::<Host>(&bytes).unpack());
        // Whatever they are read as can be packed again.
        prop_assert!(hello.is_none_or(|hello| PackedMetadata::new(&hello).unpack().is_some()));
        prop_assert!(host.is_none_or(|host| PackedMetadata::new(&host).unpack().is_some()));
    }
}

#[test]
fn unknown_metrics_are_skipped_and_a_broken_tail_leaves_the_head() {
    let host = Host { cpu_count: Some(4), network_drops: Some(1 << 40), ..Host::default() };
    let head = PackedMetadata::new(&host).bytes.into_vec();
    for tail in
        [&b"\x82\xcc\xfa\x07\xcc\xfb\xcb\x3f\xf8\0\0\0\0\0\0"[..], b"\x82\xcc\xfa\x07", b"\xc0", b"\xff"]
    {
        assert_eq!(packed(&[&head, tail].concat()).unpack().as_ref(), Some(&host), "{tail:?}");
    }
}

#[test]
fn an_earlier_version_reads_all_of_a_hello_but_what_came_later() {
    let without = Hello { hostname: "web-01".to_owned(), ..Hello::default() };
    let with = Hello { disk_path: Some("/mnt/data".to_owned()), ..without.clone() };
    let head = PackedMetadata::new(&without).bytes.into_vec();
    let tail = b"\x81\xa9disk_path\xa9/mnt/data";
    assert_eq!(*PackedMetadata::new(&with).bytes, [&head[..], tail].concat());
    let later = b"\x82\xa4zone\x07\xa9disk_path\xa9/mnt/data";
    assert_eq!(packed(&[&head[..], later].concat()).unpack(), Some(with));
}

/// A hello as a later version may have it: one more field of its own, and one more of each interface.
#[derive(Debug, PartialEq)]
struct LaterHello {
    hello: Hello,
    zone: Option<String>,
    mtus: Vec<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LaterTail {
    display_name: Option<String>,
    zone: Option<String>,
    interfaces: Vec<LaterInterface>,
}

#[derive(Serialize, Deserialize)]
struct LaterInterface {
    mtu: u32,
}

impl Metadata for LaterHello {
    fn write_head<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hello.write_head(serializer)
    }

    fn read_head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { hello: Hello::read_head(deserializer)?, zone: None, mtus: Vec::new() })
    }

    fn write_tail<S: Serializer>(&self, serializer: S) -> Result<Option<S::Ok>, S::Error> {
        let interfaces: Vec<_> = self.mtus.iter().map(|mtu| LaterInterface { mtu: *mtu }).collect();
        let mut tail = serializer.serialize_map(Some(3))?;
        tail.serialize_entry("zone", &self.zone)?;
        tail.serialize_entry("display_name", &self.hello.display_name)?;
        tail.serialize_entry("interfaces", &interfaces)?;
        tail.end().map(Some)
    }

    fn read_tail<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let tail = LaterTail::deserialize(deserializer)?;
        self.hello.display_name = tail.display_name;
        self.zone = tail.zone;
        self.mtus = tail.interfaces.iter().map(|interface| interface.mtu).collect();
        Ok(())
    }
}

#[test]
fn versions_with_more_fields_and_with_fewer_read_each_other() {
    let eth0 = Interface { name: "eth0".to_owned(), ..Interface::default() };
    let display_name = Some("Web-01".to_owned());
    let hello =
        Hello { hostname: "web-01".to_owned(), interfaces: vec![eth0], display_name, ..Hello::default() };
    let later = |zone: Option<&str>, mtus: &[u32]| LaterHello {
        hello: hello.clone(),
        zone: zone.map(str::to_owned),
        mtus: mtus.to_vec(),
    };
    let written = PackedMetadata::new(&later(Some("a"), &[1_500]));
    assert_eq!(packed(&written.bytes).unpack().as_ref(), Some(&hello));
    assert_eq!(written.unpack(), Some(later(Some("a"), &[1_500])));
    assert_eq!(packed(&PackedMetadata::new(&hello).bytes).unpack(), Some(later(None, &[])));
    // A worker of version 0.1 reads the head alone.
    let head = PackedMetadata::new(&Hello { display_name: None, ..hello.clone() });
    assert!(PackedMetadata::new(&hello).bytes.starts_with(&head.bytes));
    assert_eq!(head.unpack(), Some(Hello { display_name: None, ..hello }));
}
