//! The fleet's totals by location, provider or label.

use std::{collections::BTreeMap, sync::Arc};

use tidemap_wire::{
    Bps, Status,
    http::{GroupJson, GroupedStatsJson, NodeJson},
};
use tokio::sync::OnceCell;

use crate::{
    answers::{Encoded, Grouping, Nodes, NotBuilt, Stats, stats::finite},
    json,
};

/// The totals and their groups as JSON. `nodes` and `stats` must be of the same tick.
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

/// Sums of each group, ordered by key; nodes without a key come last.
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
        Status::Unknown => group.unknown_nodes += 1,
    }
}
