//! What an agent publishes: `tidemap.v1.sample.<slot>.<node>`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::{Bps, CAP_LABEL, Capacity, Host, NodeId, Probe};

/// One or more samples of one node: one normally, several when a backlog drains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The node; the subject must name the same.
    pub node: NodeId,
    /// A random number for each run of the agent. A new run starts its sequence numbers and byte counts from
    /// 0.
    pub boot: u64,
    /// What changes rarely. Sent at the start, every 60 s, and when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Box<Hello>>,
    /// The samples, oldest first; at least one.
    pub samples: Vec<Sample>,
}

/// One reading of a node's counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// 1, 2, 3, … within one boot.
    pub seq: u64,
    /// When it was read: the host's clock, Unix milliseconds. Within one boot it falls only where that clock
    /// was put back by more than [`CLOCK_WAIT`](crate::timing::CLOCK_WAIT).
    pub at_ms: i64,
    /// Monotonic milliseconds since the reading before.
    pub elapsed_ms: u32,
    /// Bytes received over the counted uplinks since the agent's run began; never falls within one boot.
    pub rx_bytes: u64,
    /// Bytes sent over the counted uplinks since the agent's run began; never falls within one boot.
    pub tx_bytes: u64,
    /// Bytes per second received over `elapsed_ms`; absent only across a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_bps: Option<Bps>,
    /// Bytes per second sent over `elapsed_ms`; absent only across a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_bps: Option<Bps>,
    /// Rates of each interface that is up; every 5 s by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<InterfaceRate>>,
    /// The host's other metrics; every 5 s by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<Host>>,
    /// What the agent's probes have found since it last said so; once a minute, of agents that probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Vec<Probe>>,
}

/// What changes rarely about a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The host's own name.
    pub hostname: String,
    /// The address of the default route's interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_ip: Option<String>,
    /// A globally routable address of an interface. No third party is asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_ip: Option<String>,
    /// All addresses of the counted interfaces.
    pub addresses: Vec<String>,
    /// Operating system and its version, such as `Debian GNU/Linux 12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Kernel version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Processor architecture, such as `x86_64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// Milliseconds between samples.
    pub interval_ms: u32,
    /// Where the node is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Who runs the host, such as a cloud's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The operator's labels.
    pub labels: BTreeMap<String, String>,
    /// Every interface, with the reason why it counts or not.
    pub interfaces: Vec<Interface>,
    /// How many interfaces the host has besides, where there are more than a hello lists.
    #[serde(skip_serializing_if = "is_zero")]
    pub unlisted_interfaces: u32,
    /// Samples that the agent's run dropped before the broker stored them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_samples: Option<u64>,
    /// Where the file system is mounted whose space is reported, if it is not the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_path: Option<String>,
    /// How the node is called, as somebody typed it; absent from agents of version 0.1, which are
    /// called by their id's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What its links carry at most by the operator's word; [`Hello::capacity`] decides what counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<Capacity>,
    /// The speed of the links that count and are up, in megabits per second: their sum, of a bond what its
    /// ports carry together. Absent where one of them does not state its speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_speed_mbps: Option<u32>,
}

impl Hello {
    /// The cap that the operator declared, by the agent's flag or else by the label; otherwise the speed of
    /// the links. `None` while neither is known.
    pub fn capacity(&self) -> Option<Capacity> {
        let labelled = || Capacity::parse(self.labels.get(CAP_LABEL)?);
        let link = || Capacity::of_link(self.link_speed_mbps?);
        self.cap.or_else(labelled).or_else(link).filter(Capacity::is_plausible)
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north, −90 to 90.
    #[serde(deserialize_with = "latitude")]
    pub lat: f64,
    /// Degrees east, −180 to 180.
    #[serde(deserialize_with = "longitude")]
    pub lon: f64,
    /// The place's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How it is known.
    pub source: LocationSource,
}

/// How a location is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocationSource {
    /// The operator gave it.
    Given,
    /// A cloud's region.
    Region,
    /// The city of the host's time zone: approximate.
    TimeZone,
}

/// A network interface, and whether its bytes count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// The kernel's name, such as `eth0`.
    pub name: String,
    /// Whether its bytes are part of the node's sums.
    pub counted: bool,
    /// Why, in a few words.
    pub reason: String,
    /// Link speed in megabits per second, when the kernel knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u32>,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// The rates of one interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceRate {
    /// The kernel's name.
    pub name: String,
    /// Bytes per second received.
    pub rx_bps: Bps,
    /// Bytes per second sent.
    pub tx_bps: Bps,
}

fn latitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    degrees(f64::deserialize(deserializer)?, 90.0)
}

fn longitude<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    degrees(f64::deserialize(deserializer)?, 180.0)
}

fn degrees<E: Error>(value: f64, limit: f64) -> Result<f64, E> {
    if value.abs() <= limit { Ok(value) } else { Err(E::custom("a coordinate is out of range")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_cap_wins_over_the_label_and_both_over_the_links() {
        let mut hello = Hello::default();
        assert_eq!(hello.capacity(), None);
        hello.link_speed_mbps = Some(0);
        assert_eq!(hello.capacity(), None);
        hello.link_speed_mbps = Some(1_000);
        assert_eq!(hello.capacity(), Capacity::parse("1000"));
        hello.labels.insert("cap".to_owned(), "fast".to_owned());
        assert_eq!(hello.capacity(), Capacity::parse("1000"));
        hello.labels.insert("cap".to_owned(), "500/50".to_owned());
        assert_eq!(hello.capacity(), Capacity::parse("500/50"));
        hello.cap = Capacity::parse("100/10");
        assert_eq!(hello.capacity(), Capacity::parse("100/10"));
    }
}
