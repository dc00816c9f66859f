//! Which groups a partition's nodes belong to, remembered: what nodes say of themselves is packed, and rarely
//! changes.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use tidemap_wire::{bounds, history_query::HistorySeries};

use crate::node::Node;

/// Groups at most. Those beyond have no seconds.
const MAX_GROUPS: usize = 4_096;
/// Spans after which groups that are no more are forgotten: an hour.
const RENEWAL: i64 = 180;

/// Groups by number, and the nodes' groups.
#[derive(Debug, Default)]
pub(super) struct Members {
    groups: Vec<HistorySeries>,
    numbers: HashMap<HistorySeries, u32>,
    /// How many groups there are of a kind: of a label, or of another kind.
    values: HashMap<(u8, String), u32>,
    /// By row: what the node said, and its groups' numbers.
    nodes: Vec<(u64, Box<[u32]>)>,
    hasher: RandomState,
}

impl Members {
    /// Forgets everything once in a while, before a span is begun.
    pub(super) fn renew(&mut self, span: i64) {
        if span % RENEWAL == 0 {
            *self = Self::default();
        }
    }

    /// All groups, by their numbers.
    pub(super) fn groups(&self) -> &[HistorySeries] {
        &self.groups
    }

    /// The numbers of a node's groups.
    pub(super) fn of(&mut self, node: &Node) -> &[u32] {
        let (row, said) = (node.row() as usize, node.said(&self.hasher));
        if self.nodes.len() <= row {
            self.nodes.resize(row + 1, (0, Box::default()));
        }
        if self.nodes[row].0 != said || self.nodes[row].1.is_empty() {
            let groups = std::iter::once(HistorySeries::Fleet).chain(node.groups());
            let numbers = groups.filter_map(|group| self.number(group)).collect();
            self.nodes[row] = (said, numbers);
        }
        &self.nodes[row].1
    }

    fn number(&mut self, group: HistorySeries) -> Option<u32> {
        if let Some(number) = self.numbers.get(&group) {
            return Some(*number);
        }
        let values = self.values.entry(kind(&group)).or_default();
        if *values >= bounds::GROUPS_OF_A_KIND || self.groups.len() >= MAX_GROUPS {
            return None;
        }
        *values += 1;
        let number = u32::try_from(self.groups.len()).ok()?;
        self.groups.push(group.clone());
        self.numbers.insert(group, number);
        Some(number)
    }
}

fn kind(group: &HistorySeries) -> (u8, String) {
    match group {
        HistorySeries::Node(_) | HistorySeries::Fleet => (0, String::new()),
        HistorySeries::Location(_) => (1, String::new()),
        HistorySeries::Provider(_) => (2, String::new()),
        HistorySeries::Label(name, _) => (3, name.clone()),
    }
}
