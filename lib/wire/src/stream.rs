//! The events of `GET /api/stream`: `text/event-stream` with the events `snapshot`, `delta`, `stats`,
//! `ping` and `alerts`.
//!
//! A browser first receives a `snapshot` with every node as columns: the node at position *i* of each column
//! is row *i* from then on. A `delta` names rows by number, *index-delta coded*: the first number of `i` is a
//! row, each later one is the distance from the row before (`[4, 1, 7]` means rows 4, 5, 12). Rates are whole
//! bytes per second rounded to three significant digits; a row is named only when what it shows has changed.
//! Columns of rates and of shares are texts of fixed-width codes, see [`decode_rates`]. A `delta` comes at
//! least once a second, with nothing but its time when nothing has changed. `stats` is
//! [`crate::http::StatsJson`]. `ping` comes every 5 s.
//!
//! The id of a `snapshot` or `delta` is `epoch-seq`. A client that returns it as `Last-Event-ID` resumes
//! there if the API still holds the events since, and otherwise starts with a new `snapshot`. It may receive
//! events a second time; that is harmless because values are absolute. `docs/stream.md` describes the
//! protocol for authors of clients.

mod digits;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::digits::{decode_rates, decode_shares};
use self::digits::{rates, shares};

/// The version of this protocol.
pub const VERSION: u32 = 2;

/// The event that opens a stream, or that replaces everything the client holds when it cannot be continued.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotEvent {
    /// Version of this protocol: [`VERSION`].
    pub v: u32,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// All nodes. A row that is null in `name` is vacant.
    pub nodes: Columns,
}

/// Nodes as columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    /// Names, as in `/api/nodes`; null where the row is vacant.
    pub name: Vec<Option<String>>,
    /// How nodes are called, null where as their name. The column is missing when it would hold nulls alone.
    #[serde(default, skip_serializing_if = "are_none")]
    pub display_name: Vec<Option<String>>,
    /// Places' names.
    pub location: Vec<Option<String>>,
    /// Providers.
    pub provider: Vec<Option<String>>,
    /// Degrees north, rounded to 4 decimals.
    pub lat: Vec<Option<f64>>,
    /// Degrees east, likewise.
    pub lon: Vec<Option<f64>>,
    /// Labels.
    pub labels: Vec<BTreeMap<String, String>>,
    /// 0 online, 1 warning, 2 offline.
    pub status: Vec<u8>,
    /// Milliseconds since the newest report.
    pub age_ms: Vec<u64>,
    /// Download, bytes per second.
    #[serde(with = "rates")]
    pub rx: Vec<Option<u64>>,
    /// Upload, bytes per second.
    #[serde(with = "rates")]
    pub tx: Vec<Option<u64>>,
    /// Use of all processors, 0 to 100.
    #[serde(with = "shares")]
    pub cpu: Vec<Option<u8>>,
    /// Memory in use, 0 to 100.
    #[serde(with = "shares")]
    pub mem: Vec<Option<u8>>,
    /// Space in use on the disk, 0 to 100.
    #[serde(with = "shares")]
    pub disk: Vec<Option<u8>>,
}

fn are_none(column: &[Option<String>]) -> bool {
    column.iter().all(Option::is_none)
}

/// What changed since the previous event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeltaEvent {
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// Rows whose node is new or whose identity changed; a row at the end of the columns extends them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<PutRows>,
    /// Rows that are vacant from now on, index-delta coded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<u32>,
    /// Rows whose status changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusRows>,
    /// Rows whose rates changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<RateRows>,
    /// Rows whose host metrics changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostRows>,
}

impl DeltaEvent {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.put.is_none()
            && self.gone.is_empty()
            && self.status.is_none()
            && self.rates.is_none()
            && self.host.is_none()
    }
}

/// Whole rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PutRows {
    /// Rows, index-delta coded.
    pub i: Vec<u32>,
    /// Their nodes.
    pub nodes: Columns,
}

/// Statuses of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusRows {
    /// Rows, index-delta coded.
    pub i: Vec<u32>,
    /// 0 online, 1 warning, 2 offline.
    pub status: Vec<u8>,
    /// Milliseconds since the newest report.
    pub age_ms: Vec<u64>,
}

/// Rates of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RateRows {
    /// Rows, index-delta coded.
    pub i: Vec<u32>,
    /// Download, bytes per second.
    #[serde(with = "rates")]
    pub rx: Vec<Option<u64>>,
    /// Upload, bytes per second.
    #[serde(with = "rates")]
    pub tx: Vec<Option<u64>>,
}

/// Host metrics of rows, 0 to 100.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRows {
    /// Rows, index-delta coded.
    pub i: Vec<u32>,
    /// Use of all processors.
    #[serde(with = "shares")]
    pub cpu: Vec<Option<u8>>,
    /// Memory in use.
    #[serde(with = "shares")]
    pub mem: Vec<Option<u8>>,
    /// Space in use on the disk.
    #[serde(with = "shares")]
    pub disk: Vec<Option<u8>>,
}

/// How many alerts there are. Opens a stream, and comes again whenever it changes, at most once a second. Its
/// presence tells that alert rules are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsEvent {
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// Alerts that fire.
    pub firing: u64,
    /// Alerts that would fire soon.
    pub pending: u64,
    /// Whether a station judges and is heard.
    pub evaluator: bool,
    /// How many warnings `/api/alerts` has.
    pub warnings: u64,
    /// When anything that `/api/alerts` lists has changed, Unix milliseconds.
    pub changed_ms: i64,
}

/// Shows that the connection works; sent every 5 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingEvent {
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
}

/// A rate as the stream writes it: whole bytes per second, three significant digits.
pub fn round_rate(bytes_per_second: f64) -> u64 {
    let whole = bytes_per_second.round() as u64;
    let step = 10_u64.pow(whole.checked_ilog10().unwrap_or(0).saturating_sub(2));
    (whole.saturating_add(step / 2)) / step * step
}

/// Index-delta codes ascending rows.
pub fn encode_rows(rows: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut before = 0;
    rows.into_iter().map(|row| row - std::mem::replace(&mut before, row)).collect()
}

/// The rows that index-delta codes mean; `None` when they leave the range of row numbers.
pub fn decode_rows(codes: &[u32]) -> Option<Vec<u32>> {
    let mut row = 0_u32;
    codes
        .iter()
        .map(|code| {
            row = row.checked_add(*code)?;
            Some(row)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_keep_three_significant_digits() {
        for (rate, shown) in
            [(0.0, 0), (0.4, 0), (999.4, 999), (1234.0, 1230), (1235.0, 1240), (99_950.0, 100_000)]
        {
            assert_eq!(round_rate(rate), shown, "{rate}");
        }
        assert_eq!(round_rate(f64::MAX), 18_400_000_000_000_000_000);
    }

    proptest! {
        #[test]
        fn rounding_moves_a_rate_by_half_a_percent_at_most(rate in 1_u64..1 << 52) {
            let shown = round_rate(rate as f64);
            prop_assert!(shown.abs_diff(rate) * 200 <= rate);
            prop_assert_eq!(round_rate(shown as f64), shown);
        }

        #[test]
        fn row_codes_can_be_read_back(rows in proptest::collection::btree_set(any::<u32>(), 0..50)) {
            let rows: Vec<u32> = rows.into_iter().collect();
            prop_assert_eq!(decode_rows(&encode_rows(rows.iter().copied())), Some(rows));
        }
    }
}
