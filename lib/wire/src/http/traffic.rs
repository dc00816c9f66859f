//! What traffic comes to over periods, as JSON. Times are Unix milliseconds, rates bytes per second.

use serde::{Deserialize, Serialize};

/// `GET /api/traffic`: sums of successive periods, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficJson {
    /// The declared plan; null when none was asked for.
    pub plan: Option<String>,
    /// Whose traffic, in words: `the fleet`, `web-01, web-02`, `label site=fra`.
    pub of: String,
    /// Nodes or groups of the plan that the history has never heard of.
    pub unknown: Vec<String>,
    /// When a new period begins, in words: `month`, `2 weeks`, `rolling 24h`.
    pub cycle: String,
    /// By which clocks.
    pub time_zone: String,
    /// Which bytes count for the quota: `both`, `larger`, `smaller`, `out` or `in`.
    pub direction: String,
    /// What a period may use; null without a quota.
    pub quota_bytes: Option<u64>,
    /// The unit in which the quota was written, such as `TB` or `TiB`; null without a quota.
    pub quota_unit: Option<String>,
    /// What ends later may still grow.
    pub complete_until_ms: i64,
    /// The periods.
    pub periods: Vec<TrafficPeriodJson>,
}

impl TrafficJson {
    /// Whether its period is a window that moves, which never ends.
    pub fn is_rolling(&self) -> bool {
        self.cycle.starts_with("rolling")
    }
}

/// `GET /api/traffic/plans`: how the declared plans stand, in the order of their file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlansJson {
    /// The plans.
    pub plans: Vec<PlanJson>,
    /// Why the file's present text is not in force, with its line and column; null while it is.
    #[serde(default)]
    pub warning: Option<String>,
}

/// How a declared plan stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanJson {
    /// The plan's name.
    pub name: String,
    /// Its present period, as of a minute ago or so; null while it cannot be counted.
    pub present: Option<TrafficJson>,
}

/// What a period came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficPeriodJson {
    /// Begin.
    pub from_ms: i64,
    /// End.
    pub to_ms: i64,
    /// Begin as clocks of the zone show it, with the offset: `2026-11-01T00:00:00+01:00`.
    pub from: String,
    /// End likewise.
    pub to: String,
    /// Begin of what was counted: another moment where no spans that end at `from_ms` are kept any more.
    pub counted_from_ms: i64,
    /// Its end, likewise.
    pub counted_to_ms: i64,
    /// Whether the period may still grow.
    pub partial: bool,
    /// Bytes received, also those whose moment is not known; null where nothing is known.
    pub rx_bytes: Option<u64>,
    /// Bytes sent, likewise.
    pub tx_bytes: Option<u64>,
    /// Of the bytes received, those whose moment is not known: they moved up to the end of the period.
    pub unplaced_rx_bytes: u64,
    /// Of the bytes sent, likewise.
    pub unplaced_tx_bytes: u64,
    /// Milliseconds that samples cover: of a group, samples of any of its nodes; of several nodes, the sum.
    pub covered_ms: u64,
    /// Milliseconds that samples could cover: as long as the part of the period is that is complete; of
    /// several nodes, that often.
    pub expected_ms: u64,
    /// Bytes that count, without a correction.
    pub counted_bytes: Option<u64>,
    /// Bytes at the end of the period if it goes on like this; null at its very begin and when it is over.
    pub forecast_bytes: Option<u64>,
    /// How the period stands towards the quota; null without one, or where nothing is known.
    pub quota: Option<QuotaJson>,
    /// The 95th percentile; null unless it was asked for, and where no minutes are kept.
    pub p95: Option<P95Json>,
}

/// How a period stands towards its quota.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QuotaJson {
    /// Bytes of the correction, possibly less than none.
    pub correction_bytes: i64,
    /// Bytes that count, with the correction.
    pub used_bytes: u64,
    /// Bytes that are left.
    pub left_bytes: u64,
    /// How much is used, in percent.
    pub percent: f64,
    /// The highest threshold that is reached, in percent; null when none is.
    pub threshold: Option<u16>,
    /// Bytes at the end of the period with the correction, if it goes on like this.
    pub forecast_bytes: Option<u64>,
    /// When the quota will be used up if it goes on like this; null if not within the period, or if it is.
    pub exceeded_at_ms: Option<i64>,
}

/// The 95th percentile of a period's slots of five minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct P95Json {
    /// Which percentile is billed: `both`, `larger`, `smaller`, `out` or `in`.
    pub direction: String,
    /// Slots of the period.
    pub slots: u64,
    /// Slots that are over and complete.
    pub expected_slots: u64,
    /// Slots of these that have a value; the others are left out.
    pub present_slots: u64,
    /// What was received.
    pub rx: SlotRatesJson,
    /// What was sent.
    pub tx: SlotRatesJson,
    /// Received and sent, summed in each slot.
    pub both: SlotRatesJson,
    /// The rate that is billed.
    pub billed_bps: u64,
    /// The agreed rate; null without one, as are the following.
    pub commit_bps: Option<u64>,
    /// By how much the bill exceeds it.
    pub overage_bps: Option<u64>,
    /// Slots above it.
    pub burst_slots: Option<u64>,
    /// As many slots may be above it.
    pub burst_budget_slots: Option<u64>,
}

/// Rates of slots: each is the mean of its five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRatesJson {
    /// The lowest.
    pub min_bps: u64,
    /// The mean.
    pub mean_bps: u64,
    /// The highest.
    pub max_bps: u64,
    /// The 95th percentile.
    pub p95_bps: u64,
}
