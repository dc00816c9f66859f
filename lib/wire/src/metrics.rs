//! Host metrics: the only list of them.
//!
//! Everything that depends on the list of metrics follows from this one: [`Host`] and its encoding, the fast
//! reader of reports, the metrics in checkpoints, the API's JSON, its OpenAPI description and its sort
//! fields, the Prometheus families, and the page's details. So a new metric is one line here and one reader
//! in the agent.
//!
//! An id identifies a metric in checkpoints and is never given to another metric. Ids ascend without a gap,
//! so new metrics go to the end.

pub(crate) mod json;
mod value;

use serde::{Deserialize, Serialize};

use crate::{
    Bps,
    field_reader::{FieldReader, key},
};

pub use self::value::MetricValue;
use self::value::{MetricType, optional};

/// The description of a metric, without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its place in checkpoints and in [`METRICS`].
    pub id: u8,
    /// Its field in messages on the broker.
    pub name: &'static str,
    /// Its field in the API's JSON.
    pub json_name: &'static str,
    /// How its values relate to each other.
    pub kind: MetricKind,
    /// What it is measured in.
    pub unit: MetricUnit,
    /// Whether its values are whole numbers.
    pub is_whole: bool,
    /// Its name for people.
    pub label: &'static str,
    /// A sentence without its full stop. For shares and frequencies it leaves out the unit, because
    /// Prometheus and the API show them in different units.
    pub help: &'static str,
}

/// How a metric's values relate to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It rises and falls.
    Gauge,
    /// It only rises within one run of the agent.
    Counter,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// A number of things.
    Count,
    /// Hundredths of a whole.
    Percent,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Megahertz.
    Megahertz,
    /// Degrees Celsius.
    Celsius,
    /// Turns per minute.
    TurnsPerMinute,
    /// Processes that run or wait for a processor.
    Load,
}

impl MetricUnit {
    /// The values that a host of today or of the next years can have.
    pub const fn plausible(self) -> std::ops::RangeInclusive<f64> {
        match self {
            // A share is computed from two counters that are not read at the same instant.
            Self::Percent => 0.0..=101.0,
            // A counter may have begun anywhere, and some drivers begin near its end.
            Self::Count => 0.0..=u64::MAX as f64,
            // Amazon's EFS has 8 EiB.
            Self::Bytes => 0.0..=u64::MAX as f64,
            Self::BytesPerSecond => 0.0..=Bps::MAX_PLAUSIBLE,
            // A century.
            Self::Seconds => 0.0..=3.2e9,
            // An agent waits for 5 seconds.
            Self::Milliseconds => 0.0..=60_000.0,
            Self::Megahertz => 0.0..=1e5,
            Self::Celsius => -100.0..=300.0,
            Self::TurnsPerMinute => 0.0..=1e6,
            Self::Load => 0.0..=1e6,
        }
    }
}

macro_rules! metrics {
    ($($id:literal => $name:ident $(as $json:ident)?: $kind:ident $type:ty, $unit:ident, $label:literal, $help:literal;)*) => {
        /// Host metrics. One that cannot be read is absent.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Host {
            $(
                #[doc = concat!($help, ".")]
                #[serde(deserialize_with = "optional", skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )*
        }

        /// Every metric, in the order of ids.
        pub const METRICS: [Metric; [$($id),*].len()] = [$(
            Metric {
                id: $id,
                name: stringify!($name),
                json_name: json_name!($name $($json)?),
                kind: kind!($kind),
                unit: MetricUnit::$unit,
                is_whole: <$type as MetricType>::IS_WHOLE,
                label: $label,
                help: $help,
            },
        )*];

        impl Host {
            /// The metrics' values, in the order of ids.
            pub fn values(&self) -> [Option<MetricValue>; METRICS.len()] {
                [$(self.$name.map(MetricType::value)),*]
            }

            /// The value of the metric with this id.
            pub fn get(&self, id: u8) -> Option<MetricValue> {
                match id {
                    $($id => self.$name.map(MetricType::value),)*
                    _ => None,
                }
            }

            /// Sets the metric with this id. Returns `false` when there is none, or when it cannot have that
            /// value.
            pub fn set(&mut self, id: u8, value: MetricValue) -> bool {
                match id {
                    $($id => value::set(&mut self.$name, value),)*
                    _ => false,
                }
            }

            /// Drops the metrics whose values are not plausible. Returns whether there were any.
            pub(crate) fn drop_out_of_range(&mut self) -> bool {
                let mut is_any = false;
                $(
                    let value = self.$name.map(|value| MetricType::value(value).as_f64());
                    if value.is_some_and(|value| !MetricUnit::$unit.plausible().contains(&value)) {
                        self.$name = None;
                        is_any = true;
                    }
                )*
                is_any
            }

            /// Reads those of the `left` fields to come that are metrics, in the order in which they are
            /// encoded.
            pub(crate) fn read(rest: &mut FieldReader<'_>, left: &mut u8) -> Option<Self> {
                Some(Self {
                    $($name: rest.optional(left, key!(stringify!($name)), <$type as MetricType>::read)?,)*
                })
            }
        }
    };
}

macro_rules! kind {
    (gauge) => {
        MetricKind::Gauge
    };
    (counter) => {
        MetricKind::Counter
    };
}

macro_rules! json_name {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $json:ident) => {
        stringify!($json)
    };
}

metrics! {
    0 => cpu_percent: gauge f64, Percent, "CPU", "Use of all processors";
    1 => cpu_count: gauge u32, Count, "Processors", "Number of logical processors";
    2 => cpu_mhz: gauge u32, Megahertz, "Frequency", "Mean processor frequency";
    3 => memory_used_bytes: gauge u64, Bytes, "Memory used", "Memory in use that cannot be reclaimed";
    4 => memory_total_bytes: gauge u64, Bytes, "Memory", "All memory";
    5 => swap_used_bytes: gauge u64, Bytes, "Swap used", "Swap in use";
    6 => swap_total_bytes: gauge u64, Bytes, "Swap", "All swap";
    7 => disk_used_bytes: gauge u64, Bytes, "Disk used",
        "Space in use on the root file system, or where nothing can be written to it on `disk_path`";
    8 => disk_total_bytes: gauge u64, Bytes, "Disk",
        "Size of the root file system, or where nothing can be written to it of `disk_path`";
    9 => disk_read_bps as disk_read_bytes_per_sec:
        gauge Bps, BytesPerSecond, "Disk read", "Bytes per second read from disks";
    10 => disk_write_bps as disk_write_bytes_per_sec:
        gauge Bps, BytesPerSecond, "Disk written", "Bytes per second written to disks";
    11 => load_1: gauge f64, Load, "Load, 1 min", "Load average over 1 minute";
    12 => load_5: gauge f64, Load, "Load, 5 min", "Load average over 5 minutes";
    13 => load_15: gauge f64, Load, "Load, 15 min", "Load average over 15 minutes";
    14 => uptime_s: gauge u64, Seconds, "Up for", "Seconds since the host booted";
    15 => temperature_c: gauge f64, Celsius, "Temperature", "The processor's temperature in degrees Celsius";
    16 => fan_rpm: gauge u32, TurnsPerMinute, "Fan", "The fastest fan's turns per minute";
    17 => processes: gauge u32, Count, "Processes",
        "Number of the host's processes; unknown where some of them are hidden";
    18 => network_errors: counter u64, Count, "Network errors",
        "Receive and transmit errors of the counted interfaces since the agent's run began";
    19 => network_drops: counter u64, Count, "Network drops",
        "Packets dropped by the counted interfaces since the agent's run began";
    20 => tcp_retransmits: counter u64, Count, "TCP retransmits", "Segments sent again since the agent started";
    21 => container_memory_used_bytes: gauge u64, Bytes, "Container memory used",
        "Memory in use of what the agent's container may use, without what can be reclaimed at once";
    22 => container_memory_limit_bytes: gauge u64, Bytes, "Container memory limit",
        "Memory that the agent's container may use, where that is less than the host has";
    23 => container_cpu_limit: gauge f64, Count, "Container processors",
        "Processors that the agent's container may use, where that is less than the host has";
    24 => network_rx_errors as network_errin: counter u64, Count, "Receive errors",
        "Receive errors of the counted interfaces since the agent's run began";
    25 => network_tx_errors as network_errout: counter u64, Count, "Send errors",
        "Transmit errors of the counted interfaces since the agent's run began";
    26 => network_rx_drops as network_dropin: counter u64, Count, "Receive drops",
        "Received packets dropped by the counted interfaces since the agent's run began";
    27 => network_tx_drops as network_dropout: counter u64, Count, "Send drops",
        "Packets to be sent that the counted interfaces dropped since the agent's run began";
    28 => broker_rtt_p50_ms: gauge f64, Milliseconds, "Round trip",
        "Median time from a report to its acknowledgement, over the last minute";
    29 => broker_rtt_p99_ms: gauge f64, Milliseconds, "Round trip, 99 %",
        "The time within which 99 of 100 reports were acknowledged, over the last minute";
    30 => broker_loss_percent: gauge f64, Percent, "Reports lost",
        "Share of the last minute's reports that were not acknowledged and so were sent again";
}

// An id is an index.
const _: () = {
    let mut index = 0;
    while index < METRICS.len() {
        assert!(METRICS[index].id as usize == index);
        index += 1;
    }
};

impl Host {
    /// Memory in use, 0 to 100.
    pub fn memory_percent(&self) -> Option<f64> {
        percent(self.memory_used_bytes, self.memory_total_bytes)
    }

    /// Swap in use, 0 to 100; unknown when there is none.
    pub fn swap_percent(&self) -> Option<f64> {
        percent(self.swap_used_bytes, self.swap_total_bytes)
    }

    /// Space in use on the root file system or on the hello's `disk_path`, 0 to 100.
    pub fn disk_percent(&self) -> Option<f64> {
        percent(self.disk_used_bytes, self.disk_total_bytes)
    }
}

fn percent(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let (part, whole) = (part?, whole?);
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A host of which every metric is known.
    pub(crate) fn whole_host(seed: u64) -> Host {
        let mut host = Host::default();
        for metric in METRICS {
            let value = u64::from(metric.id) + seed % 1_000_000;
            assert!(host.set(metric.id, MetricValue::Whole(value)), "{}", metric.name);
        }
        host
    }

    #[test]
    fn a_name_ends_with_its_unit() {
        for Metric { name, unit, .. } in METRICS {
            let suffix = match unit {
                MetricUnit::Percent => "_percent",
                MetricUnit::Bytes => "_bytes",
                MetricUnit::BytesPerSecond => "_bps",
                MetricUnit::Seconds => "_s",
                MetricUnit::Milliseconds => "_ms",
                MetricUnit::Megahertz => "_mhz",
                MetricUnit::Celsius => "_c",
                MetricUnit::TurnsPerMinute => "_rpm",
                MetricUnit::Count | MetricUnit::Load => "",
            };
            assert!(name.ends_with(suffix), "{name}");
        }
    }

    #[test]
    fn names_and_labels_are_unique() {
        for columns in [
            |metric: &Metric| metric.name,
            |metric: &Metric| metric.json_name,
            |metric: &Metric| metric.label,
        ] {
            let mut texts = METRICS.each_ref().map(columns);
            texts.sort_unstable();
            assert!(texts.is_sorted_by(|one, next| one < next), "{texts:?}");
        }
    }

    #[test]
    fn values_are_set_by_id_if_their_type_allows() {
        let host = whole_host(7);
        let mut again = Host::default();
        for (metric, value) in METRICS.iter().zip(host.values()) {
            assert!(again.set(metric.id, value.unwrap()));
        }
        assert_eq!(again, host);
        let mut none = Host::default();
        let refused = |host: &mut Host, name: &str, value: MetricValue| {
            let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
            assert!(!host.set(metric.id, value), "{name}: {value:?}");
        };
        refused(&mut none, "cpu_percent", MetricValue::Real(f64::NAN));
        refused(&mut none, "disk_read_bps", MetricValue::Real(-1.0));
        refused(&mut none, "fan_rpm", MetricValue::Whole(1 << 32));
        refused(&mut none, "uptime_s", MetricValue::Real(1.5));
        assert!(!none.set(u8::MAX, MetricValue::Whole(1)));
        assert_eq!(none, Host::default());
    }
}
