//! The history as JSON. Times are Unix milliseconds, rates bytes per second.

use serde::{Deserialize, Serialize};

use crate::history_query::{HOST_COLUMNS, HistoryStatus, RangeAnswer, RemoteStatus, TierReach, TopNode};

/// `GET /api/history` and `GET /api/nodes/{name}/history`: columns with one entry for each step. An entry is
/// null where no sample covers any of the step. A column that was not asked for is missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryJson {
    /// Begin of the first step.
    pub from_ms: i64,
    /// End of the last step.
    pub to_ms: i64,
    /// Length of a step in milliseconds.
    pub step_ms: u64,
    /// Length in milliseconds of the stored spans of which the steps consist.
    pub tier_ms: u64,
    /// Steps that end later may still grow.
    pub complete_until_ms: i64,
    /// Whether some of the steps may still grow.
    pub partial: bool,
    /// Bytes received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rx_bytes: Vec<Option<u64>>,
    /// Bytes sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tx_bytes: Vec<Option<u64>>,
    /// The mean rate of download in the time that is covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rx_bps: Vec<Option<u64>>,
    /// The mean rate of upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tx_bps: Vec<Option<u64>>,
    /// The highest rate of download: of a node, of a single sample; of a group, of a minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rx_max_bps: Vec<Option<u64>>,
    /// The highest rate of upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tx_max_bps: Vec<Option<u64>>,
    /// The lowest rate of download.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rx_min_bps: Vec<Option<u64>>,
    /// The lowest rate of upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tx_min_bps: Vec<Option<u64>>,
    /// Milliseconds that samples cover; of a group, samples of any of its nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covered_ms: Vec<u64>,
    /// Bytes received up to the end of the step at a moment that is not known; in no other column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unplaced_rx_bytes: Vec<u64>,
    /// Bytes sent likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unplaced_tx_bytes: Vec<u64>,
    /// The mean use of all processors of a node, percent. Like all metrics of a host, only when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpu_percent: Vec<Option<f64>>,
    /// The highest use of all processors in a single sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpu_max_percent: Vec<Option<f64>>,
    /// The largest share of memory in use, percent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory_max_percent: Vec<Option<f64>>,
    /// The largest share of the disk in use, percent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disk_max_percent: Vec<Option<f64>>,
    /// The highest load average over 1 minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_1_max: Vec<Option<f64>>,
    /// Minutes that end earlier are from the database that rows are sent to; null when all are from the
    /// station itself.
    #[serde(default)]
    pub remote_until_ms: Option<i64>,
    /// Why that database was not asked, so that these minutes are missing, or the steps are longer than they
    /// could be; null while all is well.
    #[serde(default)]
    pub warning: Option<String>,
}

impl From<RangeAnswer> for HistoryJson {
    fn from(answer: RangeAnswer) -> Self {
        let to_ms = answer.to_ms();
        let host = answer.host.map(|host| host.named().map(|(_, column)| column)).unwrap_or_default();
        let [cpu_percent, cpu_max_percent, memory_max_percent, disk_max_percent, load_1_max] = host;
        Self {
            from_ms: answer.from_ms,
            to_ms,
            step_ms: answer.step_ms,
            tier_ms: answer.tier_ms,
            complete_until_ms: answer.complete_until_ms,
            partial: to_ms > answer.complete_until_ms,
            rx_bytes: answer.rx_bytes,
            tx_bytes: answer.tx_bytes,
            rx_bps: answer.rx_bps,
            tx_bps: answer.tx_bps,
            rx_max_bps: answer.rx_max_bps,
            tx_max_bps: answer.tx_max_bps,
            rx_min_bps: answer.rx_min_bps,
            tx_min_bps: answer.tx_min_bps,
            covered_ms: answer.covered_ms,
            unplaced_rx_bytes: answer.unplaced_rx_bytes,
            unplaced_tx_bytes: answer.unplaced_tx_bytes,
            cpu_percent,
            cpu_max_percent,
            memory_max_percent,
            disk_max_percent,
            load_1_max,
            remote_until_ms: answer.remote_until_ms,
            warning: answer.warning,
        }
    }
}

/// The columns of traffic, by their names in [`HistoryJson`] and in tables.
pub const TRAFFIC_COLUMNS: [&str; 11] = [
    "rx_bytes",
    "tx_bytes",
    "rx_bps",
    "tx_bps",
    "rx_max_bps",
    "tx_max_bps",
    "rx_min_bps",
    "tx_min_bps",
    "covered_ms",
    "unplaced_rx_bytes",
    "unplaced_tx_bytes",
];

impl HistoryJson {
    /// How many steps there are.
    pub fn steps(&self) -> usize {
        let length_ms = u64::try_from(self.to_ms - self.from_ms).unwrap_or(0);
        usize::try_from(length_ms.checked_div(self.step_ms).unwrap_or(0)).unwrap_or(0)
    }

    /// The columns of rates and bytes that may be absent.
    pub fn known(&self) -> [&Vec<Option<u64>>; 8] {
        [
            &self.rx_bytes,
            &self.tx_bytes,
            &self.rx_bps,
            &self.tx_bps,
            &self.rx_max_bps,
            &self.tx_max_bps,
            &self.rx_min_bps,
            &self.tx_min_bps,
        ]
    }

    /// The columns that are always known.
    pub fn sums(&self) -> [&Vec<u64>; 3] {
        [&self.covered_ms, &self.unplaced_rx_bytes, &self.unplaced_tx_bytes]
    }

    /// The columns of a host's metrics.
    pub fn host(&self) -> [&Vec<Option<f64>>; 5] {
        [
            &self.cpu_percent,
            &self.cpu_max_percent,
            &self.memory_max_percent,
            &self.disk_max_percent,
            &self.load_1_max,
        ]
    }

    /// Leaves out all columns but these.
    pub fn keep(&mut self, names: &[&str]) {
        let known = [
            &mut self.rx_bytes,
            &mut self.tx_bytes,
            &mut self.rx_bps,
            &mut self.tx_bps,
            &mut self.rx_max_bps,
            &mut self.tx_max_bps,
            &mut self.rx_min_bps,
            &mut self.tx_min_bps,
        ];
        let sums = [&mut self.covered_ms, &mut self.unplaced_rx_bytes, &mut self.unplaced_tx_bytes];
        let host = [
            &mut self.cpu_percent,
            &mut self.cpu_max_percent,
            &mut self.memory_max_percent,
            &mut self.disk_max_percent,
            &mut self.load_1_max,
        ];
        let [of_known, of_sums] = [&TRAFFIC_COLUMNS[..8], &TRAFFIC_COLUMNS[8..]];
        let is_left_out = |name: &str| !names.contains(&name);
        known
            .into_iter()
            .zip(of_known)
            .filter(|(_, name)| is_left_out(name))
            .for_each(|(one, _)| one.clear());
        sums.into_iter().zip(of_sums).filter(|(_, name)| is_left_out(name)).for_each(|(one, _)| one.clear());
        host.into_iter()
            .zip(HOST_COLUMNS)
            .filter(|(_, name)| is_left_out(name))
            .for_each(|(one, _)| one.clear());
    }
}

/// `GET /api/top`: the nodes with the most traffic, most first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopJson {
    /// Begin of the time that was summed: whole minutes, and whole days where minutes are kept no more. Whole
    /// hours if thousands of nodes could be first in a part of an hour.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// What moved later may still be missing.
    pub complete_until_ms: i64,
    /// The nodes; without those that moved nothing.
    pub nodes: Vec<TopNodeJson>,
}

/// A node's traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopNodeJson {
    /// The node's name, as in `/api/nodes`.
    pub node: String,
    /// How the node is called; null when it has not reported for so long that it was forgotten.
    pub display_name: Option<String>,
    /// Bytes received, with those whose moment is not known.
    pub rx_bytes: u64,
    /// Bytes sent, likewise.
    pub tx_bytes: u64,
    /// Milliseconds that samples cover.
    pub covered_ms: u64,
    /// The highest rate of download of a single sample, bytes per second; null when none is known.
    pub rx_max_bps: Option<u64>,
    /// The highest rate of upload, likewise.
    pub tx_max_bps: Option<u64>,
}

impl TopNodeJson {
    /// The traffic of a node that is called so.
    pub fn new(node: &TopNode, display_name: Option<String>) -> Self {
        Self {
            node: node.node.text(),
            display_name,
            rx_bytes: node.rx_bytes,
            tx_bytes: node.tx_bytes,
            covered_ms: node.covered_ms,
            rx_max_bps: node.rx_max_bps,
            tx_max_bps: node.tx_max_bps,
        }
    }
}

/// `GET /api/history/status`: what of the past is kept. All but `enabled` is null or empty when no station
/// answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryStatusJson {
    /// Whether a station answers.
    pub enabled: bool,
    /// What is kept, shortest steps first.
    #[serde(default)]
    pub tiers: Vec<TierJson>,
    /// Bytes of the disk in use.
    pub used_bytes: Option<u64>,
    /// The most bytes of the disk that the history may use.
    pub budget_bytes: Option<u64>,
    /// Minutes that end later may still come; null before the first.
    pub complete_until_ms: Option<i64>,
    /// Begin of the history; null before the first minute.
    #[serde(default)]
    pub since_ms: Option<i64>,
    /// From when on the peaks of groups are those of single seconds; null while all are those of minutes.
    #[serde(default)]
    pub second_peaks_since_ms: Option<i64>,
    /// From when on every minute is there: later than `since_ms` after damage, or when no station ran for
    /// longer than the broker keeps minutes; null before the first.
    #[serde(default)]
    pub whole_from_ms: Option<i64>,
    /// Rows that the station has not stored since its start, because their minute cannot be right or is kept
    /// no more, or storing failed.
    #[serde(default)]
    pub refused_rows: Option<u64>,
    /// Messages from ingest that are not read yet.
    pub pending: Option<u64>,
    /// Why nothing is stored at the moment, such as a full disk; null while all is well.
    pub trouble: Option<String>,
    /// What is wrong while minutes are stored, such as damage or a disk that is too small; empty while all is
    /// well.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How far minutes are sent to another database; null when they are not.
    #[serde(default)]
    pub remote: Option<RemoteStatus>,
}

/// How far back the steps of one length reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierJson {
    /// Length of a step in milliseconds.
    pub step_ms: u64,
    /// Begin of the first; null while there is none.
    pub from_ms: Option<i64>,
}

impl From<HistoryStatus> for HistoryStatusJson {
    fn from(status: HistoryStatus) -> Self {
        let tier = |tier: TierReach| TierJson { step_ms: tier.step_ms, from_ms: tier.from_ms };
        Self {
            enabled: true,
            tiers: status.tiers.into_iter().map(tier).collect(),
            used_bytes: Some(status.used_bytes),
            budget_bytes: Some(status.budget_bytes),
            complete_until_ms: Some(status.complete_until_ms).filter(|until_ms| *until_ms > 0),
            since_ms: status.since_ms,
            second_peaks_since_ms: status.second_peaks_since_ms,
            whole_from_ms: status.whole_from_ms.or(status.since_ms),
            refused_rows: Some(status.refused_rows),
            pending: Some(status.pending),
            trouble: status.trouble,
            warnings: status.warnings,
            remote: status.remote,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history_query::HostSteps;

    #[test]
    fn what_ends_after_the_last_complete_minute_is_partial() {
        let of = |complete_until_ms| {
            let steps = vec![None; 3];
            let answer = RangeAnswer {
                from_ms: 120_000,
                step_ms: 60_000,
                complete_until_ms,
                rx_bytes: steps,
                ..RangeAnswer::default()
            };
            HistoryJson::from(answer)
        };
        assert_eq!((of(300_000).to_ms, of(300_000).partial), (300_000, false));
        assert!(of(240_000).partial);
    }

    #[test]
    fn a_column_that_is_not_wanted_is_left_out_of_json() {
        let answer = RangeAnswer {
            step_ms: 60_000,
            rx_bytes: vec![Some(1), None],
            covered_ms: vec![7, 0],
            host: Some(Box::new(HostSteps { cpu: vec![Some(123), None], ..HostSteps::unknown(2) })),
            ..RangeAnswer::default()
        };
        let mut history = HistoryJson::from(answer);
        assert_eq!(history.steps(), 2);
        history.keep(&["rx_bytes", "cpu_percent", "load_1_max"]);
        let json = serde_json::to_value(&history).unwrap();
        let columns = ["rx_bytes", "covered_ms", "cpu_percent", "cpu_max_percent", "load_1_max"];
        let texts = columns.map(|name| json.get(name).map(ToString::to_string).unwrap_or_default());
        assert_eq!(texts, ["[1,null]", "", "[12.3,null]", "", "[null,null]"]);
        assert_eq!(serde_json::from_value::<HistoryJson>(json).unwrap(), history);
    }

    #[test]
    fn the_status_without_a_station_can_be_read_from_one_field() {
        let status: HistoryStatusJson = serde_json::from_str(r#"{"enabled": false}"#).unwrap();
        assert_eq!(status, HistoryStatusJson::default());
    }
}
