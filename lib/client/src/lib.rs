//! Follows the fleet as ingest publishes it.
//!
//! Ingest workers publish what changes: deltas, totals and events. [`Follower`] keeps a view of all nodes
//! from them and says, tick by tick, which nodes changed. [`IngestClient`] asks workers for a node's history,
//! or to forget a node.
//!
//! The connection takes a service's credentials (`keys/service.nk`): programs that may only read cannot send
//! requests. `examples/offline.rs` is a whole station.
//!
//! A station with a loop of its own takes the two halves of a [`Follower`]: [`Feed`] is the connection,
//! [`Fleet`] is the view, which is pure: time comes in as an argument.
#![warn(missing_docs)]

mod delta_id;
mod events;
mod feed;
mod fleet;
mod follower;
mod ingest_client;
mod snapshot;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::{
    events::Events,
    feed::{Feed, FeedMessage},
    fleet::{Fleet, FleetCounters, Node, PartitionView},
    follower::{Follower, next_tick},
    ingest_client::{IngestClient, RequestError},
    snapshot::Snapshot,
};
