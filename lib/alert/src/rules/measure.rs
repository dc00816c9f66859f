//! What can be measured.

use tidemap_wire::{METRICS, Metric, MetricKind};

use crate::quantity::Quantity;

/// What a rule measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Whether a node is offline; of several, how many are.
    Offline,
    /// How many of some nodes are offline, in percent.
    OfflineShare,
    /// What moves.
    Rate,
    /// What moves, in percent of the capacity.
    Utilisation,
    /// A host metric.
    Host(u8),
    /// What is in use, in percent.
    Used(Share),
    /// By how much a counter among the host metrics has risen within the window.
    Counter(u8),
    /// How far the host's clock is off.
    ClockSkew,
    AgentVersion,
    /// How long ago the broker stored the newest report that a worker has applied, while others wait.
    WorkerLag,
    /// How long the worker of a partition has been silent.
    WorkerSilence,
    /// Whether the broker is out of reach.
    Broker,
    /// What is used of a plan's quota.
    Quota,
    /// What will be used of it by the end of the cycle.
    Forecast,
    /// A plan's 95th percentile so far.
    P95,
}

/// Host metrics as parts of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Memory,
    Swap,
    Disk,
}

/// What alerts of a measure are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Nodes,
    Partitions,
    Broker,
    Plans,
}

/// The names of those that are not host metrics, for a file's author.
pub(super) const NAMES: &str = "offline, rate, utilisation, no_traffic, errors, drops, round_trip, loss, \
     clock_skew, agent_version, memory_percent, swap_percent, disk_percent, worker_lag, worker_silence, \
     quota, forecast, p95, or a host metric such as cpu_percent (docs/host-metrics.md)";

impl Measure {
    /// The measure of this name. Names that stand for a host metric are those of others here.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "offline" => Self::Offline,
            "rate" | "no_traffic" => Self::Rate,
            "utilisation" => Self::Utilisation,
            "memory_percent" => Self::Used(Share::Memory),
            "swap_percent" => Self::Used(Share::Swap),
            "disk_percent" => Self::Used(Share::Disk),
            "clock_skew" => Self::ClockSkew,
            "agent_version" => Self::AgentVersion,
            "worker_lag" => Self::WorkerLag,
            "worker_silence" => Self::WorkerSilence,
            "broker" => Self::Broker,
            "quota" => Self::Quota,
            "forecast" => Self::Forecast,
            "p95" => Self::P95,
            "round_trip" => Self::host("broker_rtt_p99_ms")?,
            "loss" => Self::host("broker_loss_percent")?,
            "errors" => Self::host("network_errors")?,
            "drops" => Self::host("network_drops")?,
            _ => Self::host(name)?,
        })
    }

    fn host(name: &str) -> Option<Self> {
        let metric = METRICS.iter().find(|metric| metric.name == name || metric.json_name == name)?;
        Some(match metric.kind {
            MetricKind::Gauge => Self::Host(metric.id),
            MetricKind::Counter => Self::Counter(metric.id),
        })
    }

    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::WorkerLag | Self::WorkerSilence => Subject::Partitions,
            Self::Broker => Subject::Broker,
            Self::Quota | Self::Forecast | Self::P95 => Subject::Plans,
            _ => Subject::Nodes,
        }
    }

    /// Whether it is of two directions.
    pub(crate) fn has_direction(self) -> bool {
        matches!(self, Self::Rate | Self::Utilisation)
    }

    pub(crate) fn quantity(self) -> Quantity {
        match self {
            Self::Offline | Self::Broker => Quantity::Truth,
            Self::Rate | Self::P95 => Quantity::Rate,
            Self::OfflineShare | Self::Utilisation | Self::Used(_) | Self::Quota | Self::Forecast => {
                Quantity::Percent
            }
            Self::Counter(_) => Quantity::Count,
            Self::ClockSkew => Quantity::Millis,
            Self::AgentVersion => Quantity::Version,
            Self::WorkerLag | Self::WorkerSilence => Quantity::Seconds,
            Self::Host(id) => quantity_of(&METRICS[usize::from(id)]),
        }
    }

    /// Its name in a sentence about a value.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Offline | Self::OfflineShare => "offline".to_owned(),
            Self::Rate => "traffic".to_owned(),
            Self::Utilisation => "utilisation".to_owned(),
            Self::Used(Share::Memory) => "memory in use".to_owned(),
            Self::Used(Share::Swap) => "swap in use".to_owned(),
            Self::Used(Share::Disk) => "disk in use".to_owned(),
            Self::Host(id) | Self::Counter(id) => METRICS[usize::from(id)].label.to_owned(),
            Self::ClockSkew => "clock is off by".to_owned(),
            Self::AgentVersion => "agent's version".to_owned(),
            Self::WorkerLag => "worker lags by".to_owned(),
            Self::WorkerSilence => "worker silent for".to_owned(),
            Self::Broker => "broker out of reach".to_owned(),
            Self::Quota => "quota used".to_owned(),
            Self::Forecast => "forecast of the quota".to_owned(),
            Self::P95 => "95th percentile".to_owned(),
        }
    }
}

/// A metric's name ends with its unit.
fn quantity_of(metric: &Metric) -> Quantity {
    let units = [
        ("_percent", Quantity::Percent),
        ("_bytes", Quantity::Bytes),
        ("_bps", Quantity::Rate),
        ("_ms", Quantity::Millis),
        ("_s", Quantity::Seconds),
        ("_c", Quantity::Celsius),
    ];
    let unit = units.iter().find(|(suffix, _)| metric.name.ends_with(suffix));
    unit.map_or(Quantity::Count, |(_, quantity)| *quantity)
}
