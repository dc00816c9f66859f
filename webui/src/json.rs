//! Reads what the API says, into the types that `wire` shares with it.
//!
//! Derived readers would be shorter to write, but weigh more: measured on the whole page, compressed,
//! `serde_json` 33 KB, serde's visitors 7 KB. So a text becomes a plain `Value` first, in which a column of numbers is
//! kept as bare numbers, and each type is then filled by name. The compiler sees to it that no field is forgotten, the
//! tests that each is read as `serde_json` writes it.

mod columns;
mod node;
mod number;
mod parser;
mod stats;
mod value;

use tidemap_wire::Series;
use tidemap_wire::http::{InterfaceJson, NodeJson, StatsJson};
use tidemap_wire::stream::{DeltaEvent, SnapshotEvent};

use value::Value;

/// The text is not JSON, or not of the wanted type. The page does not care which: it asks anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// What `GET /api/nodes/{name}` says.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeAnswer {
    /// The node.
    pub node: NodeJson,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceJson>,
    /// The last minute by the second.
    pub last_60s: Option<Series>,
    /// The last 15 minutes by quarters of a minute.
    pub last_15m: Option<Series>,
}

/// Reads the stream's `snapshot`.
pub fn snapshot(text: &str) -> Result<SnapshotEvent, Invalid> {
    columns::snapshot(&Value::parse(text)?)
}

/// Reads the stream's `delta`.
pub fn delta(text: &str) -> Result<DeltaEvent, Invalid> {
    columns::delta(&Value::parse(text)?)
}

/// Reads the stream's `stats`.
pub fn stats(text: &str) -> Result<StatsJson, Invalid> {
    stats::stats(&Value::parse(text)?)
}

/// Reads the answer about one node.
pub fn node(text: &str) -> Result<NodeAnswer, Invalid> {
    node::answer(&Value::parse(text)?)
}

#[cfg(test)]
mod tests;
