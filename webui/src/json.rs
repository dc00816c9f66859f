//! Reads the API's answers into the types that `wire` shares with it.
//!
//! The compiler ensures that no field is forgotten, and tests that each is read as `serde_json` writes
//! it.

mod before;
mod columns;
mod means;
mod node;
mod stats;

use tidemap_parts::value::Value;
use tidemap_wire::http::{InterfaceJson, NodeJson, StatsJson};
use tidemap_wire::stream::{DeltaEvent, SnapshotEvent};
use tidemap_wire::{Bps, Series};

use crate::store::Means;

pub use before::Before;
pub use tidemap_parts::value::{Invalid, Text};

/// The answer to `GET /api/nodes/{name}`.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeAnswer {
    /// The node.
    pub node: NodeJson,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceJson>,
    /// How many it has besides.
    pub unlisted_interfaces: u32,
    /// What its links carry at most of download and of upload.
    pub capacity: [Option<Bps>; 2],
    /// The last minute, one point per second.
    pub last_60s: Option<Series>,
    /// The last 15 minutes, one point per 15 seconds.
    pub last_15m: Option<Series>,
}

/// Reads the stream's `snapshot` event.
pub fn snapshot(text: &Text) -> Result<SnapshotEvent, Invalid> {
    columns::snapshot(&Value::parse(text)?)
}

/// Reads the stream's `delta` event.
pub fn delta(text: &Text) -> Result<DeltaEvent, Invalid> {
    columns::delta(&Value::parse(text)?)
}

/// Reads the stream's `stats` event.
pub fn stats(text: &Text) -> Result<StatsJson, Invalid> {
    stats::stats(&Value::parse(text)?)
}

/// Reads what was before the page opened.
pub fn before(text: &Text) -> Result<Before, Invalid> {
    before::before(&Value::parse(text)?)
}

/// Reads what nodes moved in a time that is over.
pub fn means(text: &Text) -> Result<Means, Invalid> {
    means::means(&Value::parse(text)?)
}

/// Reads the answer about one node.
pub fn node(text: &Text) -> Result<NodeAnswer, Invalid> {
    node::answer(&Value::parse(text)?)
}

#[cfg(test)]
mod tests;
