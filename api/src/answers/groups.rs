//! The fleet's totals by what nodes have in common.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tidemap_wire::{
    Bps, Status,
    http::{GroupJson, GroupedStatsJson, NodeJson},
};
use tokio::sync::OnceCell;

use crate::{
    answers::{Encoded, Nodes, NotBuilt, Stats, stats::finite},
    json,
};

/// Groupings of one tick that are shared. There is no end of label keys, so further ones are made for each
/// request.
const SHARED: usize = 16;

/// What nodes are put together by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grouping {
    Location,
    Provider,
    Label(String),
}

/// The groupings of one tick that somebody has asked for. Equal keys find the same cell, so the work is done
/// once.
#[derive(Debug, Default)]
pub(crate) struct Groupings(Mutex<BTreeMap<Grouping, Arc<OnceCell<Encoded>>>>);

impl Grouping {
    /// What the node has of it.
    fn key<'a>(&self, node: &'a NodeJson) -> Option<&'a str> {
        match self {
            Self::Location => node.location.as_deref(),
            Self::Provider => node.provider.as_deref(),
            Self::Label(label) => node.labels.get(label).map(String::as_str),
        }
    }
}

impl Groupings {
    /// The cell of a grouping: the others', or one's own when there are too many already.
    fn cell(&self, by: &Grouping) -> Arc<OnceCell<Encoded>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match cells.get(by) {
            Some(cell) => Arc::clone(cell),
            None if cells.len() < SHARED => Arc::clone(cells.entry(by.clone()).or_default()),
            None => Arc::default(),
        }
    }
}

/// The totals and their groups as JSON. `nodes` and `stats` are of one tick.
pub(crate) async fn grouped(
    nodes: &Arc<Nodes>,
    stats: &Arc<Stats>,
    by: &Grouping,
) -> Result<Arc<OnceCell<Encoded>>, NotBuilt> {
    let cell = nodes.groupings.cell(by);
    cell.get_or_try_init(|| async {
        let (stats, by) = (Arc::clone(stats), by.clone());
        let write = move |list: &[NodeJson]| {
            json::encode(&GroupedStatsJson { stats: stats.values.clone(), groups: groups(list, &by) })
        };
        nodes.body(write).await
    })
    .await?;
    Ok(cell)
}

/// Sums up each group; keys are in order, and nodes without one come last.
fn groups(nodes: &[NodeJson], by: &Grouping) -> Vec<GroupJson> {
    let mut keyed: BTreeMap<&str, GroupJson> = BTreeMap::new();
    let mut keyless = GroupJson::default();
    for node in nodes {
        match by.key(node) {
            Some(key) => add(keyed.entry(key).or_default(), node),
            None => add(&mut keyless, node),
        }
    }
    let named = keyed.into_iter().map(|(key, group)| GroupJson { key: Some(key.to_owned()), ..group });
    named.chain((keyless.total_nodes > 0).then_some(keyless)).collect()
}

fn add(group: &mut GroupJson, node: &NodeJson) {
    group.total_nodes += 1;
    match node.status {
        Status::Online => {
            group.online_nodes += 1;
            let sum = |sum: f64, rate: Option<Bps>| finite(sum + rate.unwrap_or_default().get());
            group.network_tx_bytes_per_sec =
                sum(group.network_tx_bytes_per_sec, node.network_tx_bytes_per_sec);
            group.network_rx_bytes_per_sec =
                sum(group.network_rx_bytes_per_sec, node.network_rx_bytes_per_sec);
        }
        Status::Warning => group.warning_nodes += 1,
        Status::Offline => group.offline_nodes += 1,
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
