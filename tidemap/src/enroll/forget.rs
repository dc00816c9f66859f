//! Makes ingest workers forget a node that is revoked. It would be listed as offline for a day.

use std::{path::Path, time::Duration};

use anyhow::Context;
use async_nats::{Client, jetstream};
use tidemap_client::IngestClient;
use tidemap_service::{deadline::within, streams};
use tidemap_wire::{NodeId, PartitionCount, Slot};

use crate::operator::BrokersArgs;

/// Reports that the broker has stored already are applied within this time, unless workers are far behind.
const SETTLE: Duration = Duration::from_millis(500);
/// For all of it.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Has a node forgotten, and says so. The node is revoked all the same when that fails.
pub(super) async fn from_list(node: &NodeId, brokers: &BrokersArgs, service_key: &Path) {
    let forgetting = async {
        let client = brokers.reach(service_key).await?;
        forget(client, node).await
    };
    let name = node.display_name();
    match within(TIMEOUT, "no worker has confirmed it", forgetting).await {
        Ok(true) => eprintln!("{name} is no longer listed"),
        Ok(false) => {}
        Err(error) => eprintln!(
            "{name} stays listed as offline until ingest forgets it, or until this is repeated: {error:#}"
        ),
    }
}

/// Returns whether the node was known.
async fn forget(client: Client, node: &NodeId) -> anyhow::Result<bool> {
    let js = jetstream::new(client.clone());
    let Some(count) = streams::count(&js).await? else { return Ok(false) };
    let partition = PartitionCount::new(count)?.of(Slot::of(node));
    let workers = IngestClient::new(client);
    let mut was_known = false;
    // A worker that still applies reports of the node knows it again, so it is asked until it does not.
    while workers.forget(partition, node.clone()).await.context("a worker")?.known {
        was_known = true;
        tokio::time::sleep(SETTLE).await;
    }
    Ok(was_known)
}
