//! The messages that Tidemap's processes exchange.
//!
//! Pure data and rules: no I/O, no clock, no runtime; it builds for wasm, so the page shares it. One file per
//! message holds its type, its subject and its rules, and sender and receiver import the same file.
//!
//! * agents publish a [`Report`]: one or more [`Sample`]s of one node; relays pack many of them into a
//!   [`Pack`];
//! * ingest publishes [`Delta`]s, [`PartitionStats`] and [`Event`]s, and answers [`SnapshotRequest`]s;
//! * the history station keeps [`Minutes`] and answers [`history_query`]'s requests;
//! * a node joins by a [`JoinRequest`], which the enroller answers;
//! * the API speaks JSON: [`http`] holds its answers, [`stream`] the events of its event stream.
//!
//! [`METRICS`] is the registry of host metrics, from which [`Host`] and all that depends on it follow.
//! [`timing`] holds the times on which several processes rely, [`bounds`] the most that a node may report.
//!
//! Messages on the broker are MessagePack maps with named fields. A receiver ignores unknown fields, and
//! every field added later has a default, so old and new versions can talk. "Not known" is an absent field,
//! never 0.
#![warn(missing_docs)]

pub mod bounds;
mod bps;
mod capacity;
mod codec;
mod field_reader;
mod metrics;
mod node_id;
mod node_name;
mod slot;
pub mod subject;
pub mod timing;

mod alert;
mod delta;
mod event;
mod forget;
pub mod history_query;
mod history_series;
mod host_steps;
mod join;
mod minutes;
mod outline;
mod pack;
mod partition_stats;
mod probe;
mod received;
mod report;
mod silence;
mod snapshot;
mod text_order;

pub mod http;
pub mod stream;

pub use alert::{Alert, AlertChange, AlertNotice, AlertState, AlertTarget, Severity, TargetKind};
pub use bps::{Averages, Bps};
pub use capacity::{CAP_LABEL, Capacity};
pub use codec::{DecodeError, decode, encode};
pub use delta::{Delta, NodeUpdate, RefusedReports, Status};
pub use event::{Event, EventKind};
pub use forget::{
    ForgetReply, ForgetRequest, HistoryForgetOutcome, HistoryForgetReply, HistoryForgetRequest,
};
pub use join::{JoinAnswer, JoinAsk, JoinGrant, JoinRefusal, JoinReply, JoinRequest};
pub use metrics::json::SECOND_NAMES;
pub use metrics::{Host, METRICS, Metric, MetricKind, MetricUnit, MetricValue};
pub use minutes::{
    ColumnError, CpuMinute, Extremes, GroupSeconds, HostMinute, LateSample, MinuteRow, Minutes, RunCounters,
    SecondSums,
};
pub use node_id::{NodeId, NodeIdError};
pub use node_name::NodeName;
pub use pack::{Claim, Pack, PackWriter};
pub use partition_stats::PartitionStats;
pub use probe::Probe;
pub use received::{ReceivedReport, ReportError};
pub use report::{Hello, Interface, InterfaceRate, Location, LocationSource, Report, Sample};
pub use silence::Silence;
pub use slot::{Partition, PartitionCount, PartitionCountError, SLOTS, Slot};
pub use snapshot::{History, Series, SnapshotChunk, SnapshotRequest};
pub use text_order::natural_key;
