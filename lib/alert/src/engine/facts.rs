//! What the engine is given: what is known of nodes, of the system, of plans and of the past.

use std::sync::Arc;

use tidemap_traffic::{Period, Rate, Zone};
use tidemap_wire::{Hello, Host, NodeId, NodeUpdate, Status, history_query::HistorySeries};

use crate::rules::Measure;

/// What is known of a node that changed.
#[derive(Clone, Copy, Debug)]
pub struct NodeFacts<'a> {
    /// The node.
    pub id: &'a NodeId,
    /// Its status, also `Unknown`.
    pub status: Status,
    /// Since when it has this status: broker time, Unix milliseconds.
    pub since_ms: i64,
    /// Its newest rates, averages and times. Its hello and host metrics are not read from here.
    pub latest: &'a NodeUpdate,
    /// How it describes itself. The same `Arc` means that nothing of it has changed.
    pub hello: Option<&'a Arc<Hello>>,
    /// Its host metrics.
    pub host: Option<&'a Host>,
}

/// What is known of the system itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SystemFacts {
    /// Whether the broker answers.
    pub is_broker_reached: bool,
    /// All partitions.
    pub partitions: Vec<PartitionFacts>,
}

/// What is known of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionFacts {
    /// Its number.
    pub partition: u16,
    /// The worker that owns it; empty while that is not known.
    pub worker: String,
    /// How long ago the broker stored the newest report that is applied, while others wait: milliseconds; 0
    /// when none waits, absent while nobody says so.
    pub lag_ms: Option<u64>,
    /// For how many milliseconds its worker has been silent; absent before its first word.
    pub silent_ms: Option<u64>,
}

/// A declared plan, and how it stands in its present cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanFacts {
    /// Its name.
    pub name: String,
    /// By which clocks moments are shown.
    pub zone: Zone,
    /// The present cycle; absent where it is a window that moves.
    pub cycle: Option<Period>,
    /// The thresholds of its quota, in percent; absent without a quota.
    pub thresholds: Option<Vec<u16>>,
    /// Whether its 95th percentile is billed.
    pub has_p95: bool,
    /// The rate that is agreed for it.
    pub commit: Option<Rate>,
    /// How it stands; absent while that is not known.
    pub standing: Option<PlanStanding>,
    /// Whether the history has not answered for so long that `no_data` says what holds.
    pub is_missing: bool,
}

/// How a plan stands in its present cycle, as the history says. What says nothing yet is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanStanding {
    /// Up to when it was counted, Unix milliseconds.
    pub counted_ms: i64,
    /// How much of the quota is used, in percent.
    pub percent: Option<f64>,
    /// How much will be used by the end of the cycle if it goes on like this, in percent.
    pub forecast_percent: Option<f64>,
    /// When the quota will be used up if it goes on like this, if within the cycle.
    pub exceeded_ms: Option<i64>,
    /// The 95th percentile so far, bytes per second.
    pub p95_bps: Option<f64>,
}

impl PlanFacts {
    pub(super) fn value(&self, measure: Measure) -> Option<f64> {
        let standing = self.standing.as_ref()?;
        match measure {
            Measure::Quota => standing.percent,
            Measure::Forecast => standing.forecast_percent,
            _ => standing.p95_bps,
        }
    }
}

/// A question to the history: what moved in the last `window_ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// Whose traffic.
    pub of: HistorySeries,
    /// Up to now, milliseconds; whole minutes.
    pub window_ms: i64,
    /// Which target of the engine asks.
    pub(super) target: u32,
    /// Which of the target's uses.
    pub(super) place: usize,
}

/// What moved over a window, as the history says: bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PastRates {
    /// Received: the mean in the time that is covered.
    pub rx_bps: f64,
    /// Sent, likewise.
    pub tx_bps: f64,
    /// The highest rate of download.
    pub rx_max_bps: f64,
    /// The highest rate of upload.
    pub tx_max_bps: f64,
    /// The lowest rate of download.
    pub rx_min_bps: f64,
    /// The lowest rate of upload.
    pub tx_min_bps: f64,
}
