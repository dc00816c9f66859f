//! The keys by which nodes are grouped, and the shared groupings of a tick.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tidemap_wire::http::NodeJson;
use tokio::sync::OnceCell;

use crate::answers::Encoded;

/// How many groupings of one tick are shared. The number of label keys is unlimited, so further groupings are
/// built for each request.
const SHARED: usize = 16;

/// What nodes are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grouping {
    Location,
    Provider,
    Label(String),
}

/// The groupings of one tick that were requested. Requests with equal keys get the same cell, so the work is
/// done once.
#[derive(Debug, Default)]
pub(crate) struct Groupings(Mutex<BTreeMap<Grouping, Arc<OnceCell<Encoded>>>>);

impl Grouping {
    /// The node's value for this grouping.
    pub(super) fn key<'a>(&self, node: &'a NodeJson) -> Option<&'a str> {
        match self {
            Self::Location => node.location.as_deref(),
            Self::Provider => node.provider.as_deref(),
            Self::Label(label) => node.labels.get(label).map(String::as_str),
        }
    }
}

impl Groupings {
    /// The cell of a grouping: a shared one, or a new one when there are too many already.
    pub(super) fn cell(&self, by: &Grouping) -> Arc<OnceCell<Encoded>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match cells.get(by) {
            Some(cell) => Arc::clone(cell),
            None if cells.len() < SHARED => Arc::clone(cells.entry(by.clone()).or_default()),
            None => Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_share_one_cell_and_too_many_keys_share_none() {
        let groupings = Groupings::default();
        let label = |number: usize| Grouping::Label(number.to_string());
        let first = groupings.cell(&label(0));
        for number in 1..SHARED {
            groupings.cell(&label(number));
        }
        assert!(Arc::ptr_eq(&first, &groupings.cell(&label(0))));
        let beyond = groupings.cell(&Grouping::Location);
        assert!(!Arc::ptr_eq(&beyond, &groupings.cell(&Grouping::Location)));
        assert_eq!(groupings.0.lock().unwrap().len(), SHARED);
    }
}
