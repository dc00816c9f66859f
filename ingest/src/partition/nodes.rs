//! The nodes of a partition, by slot and name.

use std::{hash::BuildHasher, hint::black_box};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use tidemap_wire::{NodeId, Slot};

use crate::node::Node;

/// Nodes by slot and name.
#[derive(Debug)]
pub(super) struct Nodes {
    slots: Vec<HashTable<Entry>>,
    hasher: RandomState,
}

/// Boxed, because a table of large values would move them all, and leave half of its space unused, when it
/// grows.
type Entry = (NodeId, Box<Node>);

impl Nodes {
    pub(super) fn get(&self, slot: Slot, token: &str) -> Option<&Node> {
        let found = self.slot(slot).find(self.hash(token), |(id, _)| id.as_str() == token);
        found.map(|(_, node)| &**node)
    }

    pub(super) fn get_mut(&mut self, slot: Slot, token: &str) -> Option<&mut Node> {
        let hash = self.hash(token);
        let found = self.slot_mut(slot).find_mut(hash, |(id, _)| id.as_str() == token);
        found.map(|(_, node)| &mut **node)
    }

    /// Adds a node that is not there yet.
    pub(super) fn insert(&mut self, id: NodeId, node: Node) -> &mut Node {
        let Self { slots, hasher } = self;
        let hash = hasher.hash_one(id.as_str());
        let nodes = &mut slots[usize::from(Slot::of(&id).get())];
        let entry = nodes.insert_unique(hash, (id, Box::new(node)), |(id, _)| hasher.hash_one(id.as_str()));
        &mut entry.into_mut().1
    }

    pub(super) fn remove(&mut self, id: &NodeId) -> Option<Box<Node>> {
        let hash = self.hash(id.as_str());
        let entry = self.slot_mut(Slot::of(id)).find_entry(hash, |(other, _)| other == id).ok()?;
        Some(entry.remove().0.1)
    }

    /// Loads these nodes into the processor's cache. Their memory accesses overlap, while lookups one after
    /// another would each wait.
    pub(super) fn prefetch<'a>(&self, places: impl Iterator<Item = (Slot, &'a str)>) {
        // Names are not compared, as that would be one more wait. The first node with the hash is nearly
        // always the right one.
        let likely: Vec<&Entry> =
            places.filter_map(|(slot, token)| self.slot(slot).iter_hash(self.hash(token)).next()).collect();
        let read =
            |part: fn(&Node) -> u64| likely.iter().map(|(_, node)| part(node)).fold(0, u64::wrapping_add);
        black_box(read(Node::prefetch));
        black_box(read(|node| node.windows().prefetch()));
    }

    pub(super) fn of_slot(&self, slot: Slot) -> impl ExactSizeIterator<Item = (&NodeId, &Node)> {
        self.slot(slot).iter().map(|(id, node)| (id, &**node))
    }

    pub(super) fn len(&self) -> usize {
        self.slots.iter().map(HashTable::len).sum()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.slots.iter().flatten().map(|(id, node)| (id, &**node))
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (&NodeId, &mut Node)> {
        self.slots.iter_mut().flatten().map(|(id, node)| (&*id, &mut **node))
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&NodeId, &mut Node) -> bool) {
        self.slots.iter_mut().for_each(|nodes| nodes.retain(|(id, node)| keep(id, node)));
    }

    fn slot(&self, slot: Slot) -> &HashTable<Entry> {
        &self.slots[usize::from(slot.get())]
    }

    fn slot_mut(&mut self, slot: Slot) -> &mut HashTable<Entry> {
        &mut self.slots[usize::from(slot.get())]
    }

    fn hash(&self, token: &str) -> u64 {
        self.hasher.hash_one(token)
    }
}

impl Default for Nodes {
    fn default() -> Self {
        let slots = Slot::all().map(|_| HashTable::default()).collect();
        Self { slots, hasher: RandomState::default() }
    }
}
