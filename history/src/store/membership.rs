//! Which node belonged to which groups when.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    columns::Reader,
    database::{StoreError, Tx},
};

/// Which groups each node belonged to since when.
#[derive(Debug, Default)]
pub(super) struct Membership {
    nodes: HashMap<u32, BTreeMap<u32, Vec<u32>>>,
    last: i64,
}

impl Membership {
    pub(super) fn refresh(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let sql = "SELECT id, node, since, groups FROM membership WHERE id > ?1 ORDER BY id";
        let mut statement = tx.sql().prepare_cached(sql)?;
        let mut rows = statement.query([self.last])?;
        while let Some(row) = rows.next()? {
            let groups: Vec<u8> = row.get(3)?;
            let mut input = Reader::new(&groups)?;
            let length = input.length()?;
            let groups = input.small_column(length)?;
            self.last = row.get(0)?;
            self.nodes.entry(row.get(1)?).or_default().insert(row.get(2)?, groups);
        }
        Ok(())
    }

    /// The groups that a node belonged to; of a minute before anything was known, none.
    pub(super) fn at(&self, node: u32, minute: u32) -> &[u32] {
        let known = self.nodes.get(&node).and_then(|since| since.range(..=minute).next_back());
        known.map_or(&[], |(_, groups)| groups)
    }

    /// The groups that any node joined in this minute or later.
    pub(super) fn joined_since(&self, minute: u32) -> HashSet<u32> {
        let changes = self.nodes.values().flat_map(|since| since.range(minute..));
        changes.flat_map(|(_, groups)| groups.iter().copied()).collect()
    }

    /// The groups that it belongs to now.
    pub(super) fn newest(&self, node: u32) -> Option<&Vec<u32>> {
        self.nodes.get(&node)?.values().next_back()
    }
}
