//! Follows the fleet as ingest publishes it.
//!
//! Ingest workers publish deltas, totals and events. [`Follower`] maintains a view of all nodes from them and
//! returns, at each tick, which nodes changed. [`IngestClient`] asks workers for a node's recent past, or to
//! forget a node; [`HistoryClient`] asks a history station for what moved since the first day.
//!
//! The connection needs a service's credentials (`keys/service.nk`), because `keys/app.nk` permits no
//! requests. `examples/offline.rs` is a complete station.
//!
//! A station with its own loop uses the two halves of a [`Follower`]: [`Feed`] is the connection, and
//! [`Fleet`] is the view, which is pure: time comes in as an argument.
#![warn(missing_docs)]

mod alert_bucket;
mod delta_id;
mod enroll_client;
mod events;
mod feed;
mod fleet;
mod follower;
mod history_client;
mod ingest_client;
mod requests;
mod snapshot;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::{
    alert_bucket::{
        AlertBucket, AlertLease, AlertNews, AlertRecord, AlertUpdate, AlertWriter, Audience, CLEAR_KEYS,
        ChannelCounts, Clear, ClearRecord, KeyWrite, LEASE_KEY, NoticeRecord, PendingRecord, SilenceRecord,
        Stored, Written, clear_key, member, notice_id, notice_key, pending_key, record_key, silence_key,
    },
    enroll_client::{EnrollClient, EnrollError},
    events::Events,
    feed::{Feed, FeedMessage},
    fleet::{Fleet, FleetCounters, Node, PartitionView},
    follower::{Follower, next_tick},
    history_client::{HistoryClient, HistoryRequestError},
    ingest_client::{IngestClient, RequestError},
    snapshot::Snapshot,
};
