//! Questions to the history: request on `tidemap.v1.rpc.history`, one or several replies.
//!
//! Of several stations, those that have most share the requests, and one of them answers each.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Minutes, NodeId};
pub use crate::{
    history_series::HistorySeries,
    host_steps::{HOST_COLUMNS, HostSteps},
};

/// The most steps of an answer.
pub const MAX_STEPS: u32 = 20_000;
/// The most steps of an answer whose step the station chooses.
pub const MAX_AUTOMATIC_STEPS: u32 = 1_500;
/// The most nodes of a [`TopAnswer`].
pub const MAX_TOP: u32 = 1_000;

/// An owner has the rows of as many milliseconds before a node's newest sample.
pub const RECENT_REACH_MS: i64 = 14 * 60_000;

/// A question to the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryRequest {
    /// What moved over a range of time.
    Range(RangeRequest),
    /// Which nodes had the most traffic.
    Top(TopRequest),
    /// How far back the history reaches, and how far it has read.
    Status,
}

/// Asks what moved over a range of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeRequest {
    /// Whose traffic.
    pub of: HistorySeries,
    /// Begin, Unix milliseconds; rounded down to a whole step.
    pub from_ms: i64,
    /// End, Unix milliseconds; rounded up to a whole step.
    pub to_ms: i64,
    /// Length of a step in milliseconds, a multiple of a minute. Steps begin at multiples of it since the
    /// Unix epoch. Absent: the shortest common one with at most [`MAX_AUTOMATIC_STEPS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_ms: Option<u64>,
    /// Whether a node's answer has a few of its host's metrics, too. Groups have none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host: bool,
    /// Rows of a node's newest minutes, as its owner has them: they are part of the answer whether or not
    /// they are stored yet. Those of other nodes are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent: Option<Box<Minutes>>,
}

/// Asks for the nodes with the most traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopRequest {
    /// What counts.
    pub by: TopBy,
    /// Begin, Unix milliseconds.
    pub from_ms: i64,
    /// End, Unix milliseconds.
    pub to_ms: i64,
    /// How many nodes, at most [`MAX_TOP`].
    pub limit: u32,
}

/// By what nodes are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopBy {
    /// Bytes received.
    Rx,
    /// Bytes sent.
    Tx,
    /// Both.
    Sum,
}

/// One part of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryReply {
    /// This part's number, from 0.
    pub chunk: u32,
    /// How many parts there are; at least 1.
    pub chunks: u32,
    /// The part.
    pub answer: HistoryAnswer,
}

/// An answer, or a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryAnswer {
    /// To a [`RangeRequest`].
    Range(RangeAnswer),
    /// To a [`TopRequest`].
    Top(TopAnswer),
    /// To a request for the status.
    Status(HistoryStatus),
    /// Why there is no answer.
    Refused(HistoryError),
}

/// Some successive steps of a range, as columns: one entry for each step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RangeAnswer {
    /// Begin of this part's first step, Unix milliseconds.
    pub from_ms: i64,
    /// Length of a step in milliseconds.
    pub step_ms: u64,
    /// Length in milliseconds of the stored spans of which the steps consist.
    pub tier_ms: u64,
    /// Steps that end later, Unix milliseconds, may still grow.
    pub complete_until_ms: i64,
    /// Bytes received; absent where no sample covers any of the step.
    pub rx_bytes: Vec<Option<u64>>,
    /// Bytes sent, likewise.
    pub tx_bytes: Vec<Option<u64>>,
    /// The mean rate of download in the time that is covered, bytes per second.
    pub rx_bps: Vec<Option<u64>>,
    /// The mean rate of upload.
    pub tx_bps: Vec<Option<u64>>,
    /// The highest rate of download: of a node, of a single sample; of a group, of a second, or of a minute
    /// where its seconds are not known.
    pub rx_max_bps: Vec<Option<u64>>,
    /// The highest rate of upload.
    pub tx_max_bps: Vec<Option<u64>>,
    /// The lowest rate of download.
    pub rx_min_bps: Vec<Option<u64>>,
    /// The lowest rate of upload.
    pub tx_min_bps: Vec<Option<u64>>,
    /// Milliseconds that samples cover.
    pub covered_ms: Vec<u64>,
    /// Bytes received up to the end of the step at a moment that is not known; in no other column.
    pub unplaced_rx_bytes: Vec<u64>,
    /// Bytes sent likewise.
    pub unplaced_tx_bytes: Vec<u64>,
    /// A few of the host's metrics; absent when they were not asked for, and from a station of an earlier
    /// version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<HostSteps>>,
    /// Minutes that end earlier, Unix milliseconds, are from the database that rows are sent to; absent when
    /// all are from the station itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_until_ms: Option<i64>,
    /// Why that database was not asked, so that these minutes are missing, or the steps are longer than they
    /// could be; absent while all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

impl RangeAnswer {
    /// Steps of one part at most, so that a part is less than 256 KiB.
    pub const STEPS_OF_A_PART: usize = 2_000;

    /// End of the last step, Unix milliseconds.
    pub fn to_ms(&self) -> i64 {
        let steps = i64::try_from(self.rx_bytes.len()).unwrap_or(i64::MAX);
        let step_ms = i64::try_from(self.step_ms).unwrap_or(i64::MAX);
        self.from_ms.saturating_add(steps.saturating_mul(step_ms))
    }
}

/// The nodes with the most traffic, most first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopAnswer {
    /// Begin of the time that was summed, Unix milliseconds: whole minutes, and whole days where minutes are
    /// kept no more. Whole hours of a part of an hour in which thousands of nodes may be among the first.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// Later rows may still come.
    pub complete_until_ms: i64,
    /// The nodes.
    pub nodes: Vec<TopNode>,
}

/// A node's traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopNode {
    /// The node.
    pub node: NodeId,
    /// Bytes received, with those whose moment is not known.
    pub rx_bytes: u64,
    /// Bytes sent, likewise.
    pub tx_bytes: u64,
    /// Milliseconds that samples cover.
    pub covered_ms: u64,
    /// The highest rate of download of a single sample, bytes per second; absent when none is known, and from
    /// a station of an earlier version.
    #[serde(default)]
    pub rx_max_bps: Option<u64>,
    /// The highest rate of upload, likewise.
    #[serde(default)]
    pub tx_max_bps: Option<u64>,
}

/// How far back the history reaches, and how far it has read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryStatus {
    /// What is kept, shortest steps first.
    pub tiers: Vec<TierReach>,
    /// Bytes of the file that are in use.
    pub used_bytes: u64,
    /// The most bytes that the file may use.
    pub budget_bytes: u64,
    /// The newest message of the stream that is stored; 0 before the first.
    pub sequence: u64,
    /// Broker time of the newest stored message, Unix milliseconds.
    pub stored_at_ms: i64,
    /// The newest message of the stream that was read; it is stored within a minute or so.
    pub read_sequence: u64,
    /// Messages of the stream that are not read yet.
    pub pending: u64,
    /// Minutes that end later, Unix milliseconds, may still come.
    pub complete_until_ms: i64,
    /// Begin of this station's history, Unix milliseconds: it had read every minute that was published since;
    /// absent while it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// From when on the peaks of groups are those of single seconds, Unix milliseconds; absent while all are
    /// those of minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_peaks_since_ms: Option<i64>,
    /// From when on it still has every minute, Unix milliseconds: later than `since_ms` when a damaged file
    /// was built again, or the stream had dropped messages before they were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_from_ms: Option<i64>,
    /// Rows and late samples that were not stored since the station's start: of minutes that cannot be right
    /// or are kept no more, and those of which storing failed.
    pub refused_rows: u64,
    /// Why nothing is stored at the moment, such as a full disk; absent while all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What is wrong while minutes are stored, such as damage or a disk that is too small.
    pub warnings: Vec<String>,
    /// How far minutes are sent to another database; absent when they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteStatus>,
}

/// How far minutes are sent to another database, in answers of stations and of the API. What is counted is
/// counted since the file began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteStatus {
    /// Minutes that end by then, Unix milliseconds, are sent; absent before the first.
    pub sent_until_ms: Option<i64>,
    /// Milliseconds of minutes that could be sent and are not yet.
    pub behind_ms: u64,
    /// Values that the database has taken.
    pub samples: u64,
    /// Values that it will never take, and why is in `last_refused`.
    pub refused: u64,
    /// Values that are older than it takes.
    pub too_old: u64,
    /// Rows that changed after they were sent: it does not have the change.
    pub changed_rows: u64,
    /// Minutes that the disk's budget dropped before they were sent.
    pub dropped_minutes: u64,
    /// Why nothing can be sent at the moment; absent while all is well.
    pub trouble: Option<String>,
    /// What was refused last, and why.
    pub last_refused: Option<String>,
}

/// What a station publishes of itself once a second, so that of several stations those answer that have most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StationStanding {
    /// A number that it has chosen at random when it started.
    pub station: u64,
    /// Begin of its history, Unix milliseconds; the latest possible while it has none.
    pub since_ms: i64,
    /// From when on it still has every minute, Unix milliseconds; 0 of a station that does not say so.
    pub whole_from_ms: i64,
    /// Minutes that end later, Unix milliseconds, may still come.
    pub complete_until_ms: i64,
    /// It ends now.
    pub is_leaving: bool,
}

/// How far back the steps of one length reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TierReach {
    /// Length of a step in milliseconds.
    pub step_ms: u64,
    /// Begin of the first, Unix milliseconds; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryError {
    /// The request cannot be read: it may be of a later version.
    Unreadable,
    /// The history has never heard of the node or group.
    UnknownSeries,
    /// The range ends before it begins, or lies outside of what can be reported.
    NoRange,
    /// The step is no multiple of a minute.
    NoSuchStep,
    /// The range has more than [`MAX_STEPS`] of these steps.
    TooManySteps,
    /// More than [`MAX_TOP`] nodes, or none.
    TooManyNodes,
    /// The file cannot be read at the moment.
    Unavailable,
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("the history cannot read the request"),
            Self::UnknownSeries => f.write_str("the history has never heard of it"),
            Self::NoRange => f.write_str("the range ends before it begins, or lies too far away"),
            Self::NoSuchStep => f.write_str("the step must be a multiple of a minute"),
            Self::TooManySteps => {
                write!(
                    f,
                    "the range has more than {MAX_STEPS} steps: ask for longer steps or a shorter range"
                )
            }
            Self::TooManyNodes => write!(f, "between 1 and {MAX_TOP} nodes can be listed"),
            Self::Unavailable => f.write_str("the history cannot be read at the moment"),
        }
    }
}

impl std::error::Error for HistoryError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn the_largest_part_of_an_answer_fits_into_a_message() {
        let most = RangeAnswer {
            rx_bytes: vec![Some(u64::MAX); RangeAnswer::STEPS_OF_A_PART],
            covered_ms: vec![u64::MAX; RangeAnswer::STEPS_OF_A_PART],
            ..RangeAnswer::default()
        };
        let column = encode(&most.rx_bytes).len();
        assert_eq!(encode(&most.covered_ms).len(), column);
        let steps = RangeAnswer::STEPS_OF_A_PART;
        let (shares, loads) = (vec![Some(u16::MAX); steps], vec![Some(u32::MAX); steps]);
        let hosts = 4 * encode(&shares).len() + encode(&loads).len();
        assert!(11 * column + hosts + 2_000 < 256 * 1024, "{column}");
    }

    #[test]
    fn a_node_of_a_station_that_knows_no_peaks_can_be_read_and_the_reverse() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Earlier {
            node: NodeId,
            rx_bytes: u64,
            tx_bytes: u64,
            covered_ms: u64,
        }
        let node = || NodeId::from_name("a").unwrap();
        let earlier = || Earlier { node: node(), rx_bytes: 1, tx_bytes: 2, covered_ms: 3 };
        let read: TopNode = decode(&encode(&earlier())).unwrap();
        let expected = TopNode {
            node: node(),
            rx_bytes: 1,
            tx_bytes: 2,
            covered_ms: 3,
            rx_max_bps: None,
            tx_max_bps: None,
        };
        assert_eq!(read, expected);
        let later = TopNode { rx_max_bps: Some(5), tx_max_bps: Some(6), ..expected };
        assert_eq!(decode::<Earlier>(&encode(&later)).unwrap(), earlier());
    }

    #[test]
    fn an_answer_with_fields_that_are_not_known_yet_can_be_read() {
        #[derive(Serialize)]
        struct Later {
            sequence: u64,
            phase_of_the_moon: &'static str,
        }
        let status: HistoryStatus =
            decode(&encode(&Later { sequence: 5, phase_of_the_moon: "full" })).unwrap();
        assert_eq!(status, HistoryStatus { sequence: 5, ..HistoryStatus::default() });
        let request = HistoryRequest::Status;
        assert_eq!(decode::<HistoryRequest>(&encode(&request)).unwrap(), request);
    }
}
