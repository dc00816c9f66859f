//! The nodes of a partition: each in the row that its owner has given it, and found by its name.

use std::{collections::HashMap, sync::Arc};

use tidemap_wire::NodeId;

use crate::view::Node;

/// Nodes by row and by name. A node is shared with the answers that tell of it, and copied when it changes meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    rows: Vec<Option<Arc<Node>>>,
    row_of: HashMap<NodeId, u32>,
}

impl Roster {
    pub(crate) fn find(&self, id: &NodeId) -> Option<&Node> {
        self.at(*self.row_of.get(id)?)
    }

    pub(crate) fn at(&self, row: u32) -> Option<&Node> {
        self.rows.get(row as usize)?.as_deref()
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.row_of.len()
    }

    /// All nodes, by their rows.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.rows.iter().flatten()
    }

    /// The node with this name, when it has this row.
    pub(super) fn sitting(&mut self, id: &NodeId, row: u32) -> Option<&mut Node> {
        let row = self.row_of.get(id).filter(|known| **known == row)?;
        self.rows.get_mut(*row as usize)?.as_mut().map(Arc::make_mut)
    }

    /// Puts a node that is not here into its row. One that has the row leaves: what was said last holds.
    pub(super) fn seat(&mut self, node: Arc<Node>) {
        let row = node.latest().row;
        let len = self.rows.len().max(row as usize + 1);
        self.rows.resize_with(len, || None);
        self.row_of.insert(node.id().clone(), row);
        if let Some(before) = self.rows[row as usize].replace(node) {
            self.row_of.remove(before.id());
        }
    }

    /// Takes a node out.
    pub(super) fn take(&mut self, id: &NodeId) -> Option<Arc<Node>> {
        let row = self.row_of.remove(id)?;
        self.rows[row as usize].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{id, node};
    use tidemap_wire::NodeUpdate;

    fn seat(roster: &mut Roster, name: &str, row: u32) {
        roster.seat(Arc::new(Node::new(NodeUpdate { row, ..node(name) })));
    }

    fn names(roster: &Roster) -> Vec<String> {
        roster.all().map(|node| node.name()).collect()
    }

    #[test]
    fn a_row_is_the_node_s_that_was_last_said_to_have_it() {
        let mut roster = Roster::default();
        [("a", 3), ("b", 1), ("c", 3)].into_iter().for_each(|(name, row)| seat(&mut roster, name, row));
        assert_eq!(names(&roster), ["b", "c"]);
        assert_eq!((roster.find(&id("a")), roster.at(0), roster.at(9)), (None, None, None));
        assert!(roster.take(&id("a")).is_none(), "it does not take the other's row with it");
        assert_eq!(roster.find(&id("c")).map(Node::name).as_deref(), Some("c"));
        assert!(roster.sitting(&id("c"), 3).is_some());
        assert!(roster.sitting(&id("c"), 1).is_none() && roster.sitting(&id("a"), 3).is_none());
        assert!(roster.take(&id("c")).is_some());
        assert_eq!(names(&roster), ["b"]);
    }

    #[test]
    fn what_others_hold_of_a_node_does_not_change() {
        let mut roster = Roster::default();
        seat(&mut roster, "a", 0);
        let held = roster.all().next().map(Arc::clone).unwrap();
        let before = Node::clone(&held);
        roster.sitting(&id("a"), 0).unwrap().merge(NodeUpdate { seen_ms: 7, ..node("a") });
        assert_eq!((&*held, roster.at(0).unwrap().latest().seen_ms), (&before, 7));
    }
}
