//! The nodes of a partition, by the row that their worker has assigned and by id.

use std::{collections::HashMap, sync::Arc};

use tidemap_wire::{NodeId, Status};

use crate::fleet::node::Node;

/// Nodes by row and by id. Answers share a node; it is copied if it changes while an answer holds it.
#[derive(Debug, Default)]
pub(crate) struct NodeTable {
    rows: Vec<Option<Arc<Node>>>,
    row_of: HashMap<NodeId, u32>,
}

impl NodeTable {
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

    /// Marks all nodes, see [`Node::set_unheard`]. Returns the rows of those whose status changes.
    pub(crate) fn mark_unheard(&mut self, since_ms: Option<i64>) -> Vec<u32> {
        let mut changed = Vec::new();
        for node in self.rows.iter_mut().flatten() {
            if (node.status() == Status::Unknown) != since_ms.is_some() {
                Arc::make_mut(node).set_unheard(since_ms);
                changed.push(node.latest().row);
            }
        }
        changed
    }

    /// The node with this id, if it has this row.
    pub(crate) fn in_row(&mut self, id: &NodeId, row: u32) -> Option<&mut Node> {
        let row = self.row_of.get(id).filter(|known| **known == row)?;
        self.rows.get_mut(*row as usize)?.as_mut().map(Arc::make_mut)
    }

    /// Inserts a node that is not in the table. A node that has its row is removed, as the later message is
    /// right.
    pub(crate) fn insert(&mut self, node: Arc<Node>) {
        let row = node.latest().row;
        let len = self.rows.len().max(row as usize + 1);
        self.rows.resize_with(len, || None);
        self.row_of.insert(node.id().clone(), row);
        if let Some(before) = self.rows[row as usize].replace(node) {
            self.row_of.remove(before.id());
        }
    }

    /// Removes a node and returns it.
    pub(crate) fn remove(&mut self, id: &NodeId) -> Option<Arc<Node>> {
        let row = self.row_of.remove(id)?;
        self.rows[row as usize].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{id, node};
    use tidemap_wire::NodeUpdate;

    fn insert(nodes: &mut NodeTable, name: &str, row: u32) {
        nodes.insert(Arc::new(Node::new(NodeUpdate { row, ..node(name) })));
    }

    fn names(nodes: &NodeTable) -> Vec<String> {
        nodes.all().map(|node| node.name()).collect()
    }

    #[test]
    fn a_row_belongs_to_the_node_inserted_last() {
        let mut nodes = NodeTable::default();
        [("a", 3), ("b", 1), ("c", 3)].into_iter().for_each(|(name, row)| insert(&mut nodes, name, row));
        assert_eq!(names(&nodes), ["b", "c"]);
        assert_eq!((nodes.find(&id("a")), nodes.at(0), nodes.at(9)), (None, None, None));
        assert!(nodes.remove(&id("a")).is_none(), "it does not take the other's row with it");
        assert_eq!(nodes.find(&id("c")).map(Node::name).as_deref(), Some("c"));
        assert!(nodes.in_row(&id("c"), 3).is_some());
        assert!(nodes.in_row(&id("c"), 1).is_none() && nodes.in_row(&id("a"), 3).is_none());
        assert!(nodes.remove(&id("c")).is_some());
        assert_eq!(names(&nodes), ["b"]);
    }

    #[test]
    fn a_shared_node_does_not_change() {
        let mut nodes = NodeTable::default();
        insert(&mut nodes, "a", 0);
        let held = nodes.all().next().map(Arc::clone).unwrap();
        let before = Node::clone(&held);
        nodes.in_row(&id("a"), 0).unwrap().merge(NodeUpdate { seen_ms: 7, ..node("a") });
        assert_eq!((&*held, nodes.at(0).unwrap().latest().seen_ms), (&before, 7));
    }
}
