//! Which groups nodes belong to, as the fleet's view has it.

use std::{collections::HashMap, sync::Arc};

use async_nats::Client;
use tidemap_client::{Follower, Node};
use tidemap_wire::{Hello, PartitionCount, history_query::HistorySeries};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{keeper::Members, store::GroupKey};

/// Nodes that are reported at once at most.
const AT_ONCE: usize = 4_096;

/// Follows the fleet and tells which nodes have changed their groups, until `stop`.
pub(crate) async fn follow(
    client: Client,
    partitions: PartitionCount,
    members: mpsc::Sender<Members>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut follower = Follower::start(client, partitions).await?;
    let mut reported: HashMap<u32, Arc<Hello>> = HashMap::new();
    while let Some(changed) = stop.run_until_cancelled(follower.tick()).await {
        let mut changes = Members::new();
        for row in changed? {
            let Some((node, hello)) = follower.fleet().at(row).and_then(|node| Some((node, node.hello()?)))
            else {
                reported.remove(&row);
                continue;
            };
            if reported.get(&row).is_none_or(|before| !Arc::ptr_eq(before, hello)) {
                reported.insert(row, Arc::clone(hello));
                changes.push((node.id().clone(), groups(node)));
            }
        }
        for part in changes.chunks(AT_ONCE) {
            if stop.run_until_cancelled(members.send(part.to_vec())).await.is_none() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The groups of a node, besides that of all.
fn groups(node: &Node) -> Vec<GroupKey> {
    let Some(hello) = node.hello() else { return Vec::new() };
    HistorySeries::groups_of(hello).filter_map(|series| GroupKey::of(&series)).collect()
}
