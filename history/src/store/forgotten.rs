//! Nodes that were forgotten of late, so that rows on their way do not bring them back.
//!
//! Their names are kept as long as the stream can bring rows of before. What their runs had counted by then
//! is never counted again: who is heard of for the first time later begins to count later.

use std::collections::HashMap;

use rusqlite::params;
use tidemap_wire::NodeId;

use crate::{
    columns::{Reader, Writer},
    database::{StoreError, Tx},
};

/// The stream keeps rows for two days, and an owner that was away publishes some later.
const KEPT_MS: i64 = 3 * 86_400_000;
/// Runs that began before this minute, and of which nothing is known, may be those of forgotten nodes.
const RUNS_FROM: &str = "runs_from";

/// Lets runs count from a minute on of which nothing is known: some of them may be those of nodes that were
/// forgotten, and nobody knows which.
pub(super) fn count_runs_from(tx: &Tx<'_>, minute: u32) -> Result<(), StoreError> {
    let known: u32 = tx.fact(RUNS_FROM)?.unwrap_or(0);
    tx.set_fact(RUNS_FROM, known.max(minute))
}

/// What is left of a node that was forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Forgotten {
    /// Rows of earlier minutes are not stored.
    pub until: u32,
    /// The groups that it belonged to: it may come back before anybody says so again.
    pub groups: Vec<u32>,
}

/// Those that are known, and from when on runs are counted of which nothing is known.
#[derive(Debug, Default)]
pub(super) struct ForgottenNodes {
    nodes: HashMap<NodeId, Forgotten>,
    runs_from: u32,
}

impl ForgottenNodes {
    pub(super) fn read(tx: &Tx<'_>) -> Result<Self, StoreError> {
        let mut read = Self { runs_from: tx.fact(RUNS_FROM)?.unwrap_or(0), ..Self::default() };
        if !tx.has_table("forgotten")? {
            return Ok(read);
        }
        let mut statement = tx.sql().prepare_cached("SELECT name, until, groups FROM forgotten")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let groups: Vec<u8> = row.get(2)?;
            let mut input = Reader::new(&groups)?;
            let length = input.length()?;
            let forgotten = Forgotten { until: row.get(1)?, groups: input.small_column(length)? };
            if let Ok(node) = NodeId::from_token(&name) {
                read.nodes.insert(node, forgotten);
            }
        }
        Ok(read)
    }

    pub(super) fn get(&self, node: &NodeId) -> Option<&Forgotten> {
        self.nodes.get(node)
    }

    /// Whether a node's minute was forgotten.
    pub(super) fn has(&self, node: &NodeId, minute: u32) -> bool {
        self.nodes.get(node).is_some_and(|forgotten| minute < forgotten.until)
    }

    /// From when on a node's runs are counted that nothing is known of.
    pub(super) fn runs_from(&self, node: &NodeId) -> u32 {
        self.nodes.get(node).map_or(0, |forgotten| forgotten.until).max(self.runs_from)
    }

    /// Adds a node, forgotten when the newest message was of `at_ms`.
    pub(super) fn add(
        &mut self,
        tx: &Tx<'_>,
        node: &NodeId,
        Forgotten { until, groups }: &Forgotten,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let mut out = Writer::default();
        out.number(groups.len() as u64);
        out.column(&groups.iter().map(|group| u64::from(*group)).collect::<Vec<_>>());
        let sql = "INSERT OR REPLACE INTO forgotten (name, until, at_ms, groups) VALUES (?1, ?2, ?3, ?4)";
        tx.sql().execute(sql, params![node.to_string(), until, at_ms, out.finish()])?;
        *self = Self::read(tx)?;
        Ok(())
    }

    /// Drops the names of those that no row can bring back any more.
    pub(super) fn drop_old(&mut self, tx: &Tx<'_>, at_ms: i64) -> Result<(), StoreError> {
        if self.nodes.is_empty() {
            return Ok(());
        }
        let before_ms = at_ms - KEPT_MS;
        let last = "SELECT max(until) FROM forgotten WHERE at_ms < ?1";
        let last: Option<u32> = tx.sql().query_row(last, [before_ms], |row| row.get(0))?;
        let Some(last) = last else { return Ok(()) };
        count_runs_from(tx, last)?;
        tx.sql().execute("DELETE FROM forgotten WHERE at_ms < ?1", [before_ms])?;
        *self = Self::read(tx)?;
        Ok(())
    }
}
