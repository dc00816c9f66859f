//! What a node adds to the sums of its groups by the second.

use std::hash::BuildHasher;

use tidemap_wire::history_query::HistorySeries;

use super::Node;
use crate::{packed_metadata::PackedMetadata, window::Rates};

impl Node {
    /// A number that is another one, nearly always, once the node says something else of itself.
    pub(crate) fn said(&self, hasher: &impl BuildHasher) -> u64 {
        self.hello.as_ref().map_or(0, |hello| hasher.hash_one(hello.bytes()))
    }

    /// The groups that it belongs to, besides that of all nodes.
    pub(crate) fn groups(&self) -> Vec<HistorySeries> {
        let hello = self.hello.as_ref().and_then(PackedMetadata::unpack);
        hello.iter().flat_map(HistorySeries::groups_of).collect()
    }

    /// Its rates in `N` successive seconds, by the clock of its rows.
    pub(crate) fn rates_from<const N: usize>(&self, first: i64) -> [Option<Rates>; N] {
        let Some(offset) = self.minutes.open_offset() else { return [None; N] };
        self.windows.rates(first - i64::from(offset) * 60)
    }
}
