//! Makes ingest workers forget a node that is revoked. It would be listed as offline for a day.

use std::{path::Path, time::Duration};

use anyhow::Context;
use async_nats::{Client, jetstream};
use tidemap_client::IngestClient;
use tidemap_service::{causes::causes, cli::say, deadline::within, streams};
use tidemap_wire::{ForgetReply, NodeId, PartitionCount, Slot};

use crate::operator::BrokersArgs;

/// Between two requests, while the partition's worker still applies what the broker had stored.
const PAUSE: Duration = Duration::from_millis(250);
/// For all of it.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Has the node of this name forgotten, by all of its ids, and says so. The node is revoked all the same when
/// that fails.
pub(super) async fn from_list(
    name: &str,
    ids: impl Iterator<Item = &NodeId>,
    brokers: &BrokersArgs,
    service_key: &Path,
) {
    let forgetting = async {
        let client = brokers.reach(service_key).await?;
        let mut was_known = false;
        for id in ids {
            was_known |= forget(client.clone(), id).await?;
        }
        anyhow::Ok(was_known)
    };
    match within(TIMEOUT, "no worker has confirmed it", forgetting).await {
        Ok(true) => say(format_args!("{name} is no longer listed")),
        Ok(false) => {}
        Err(error) => say(format_args!(
            "{name} stays listed as offline until ingest forgets it, or until this is repeated: {}",
            causes(error.as_ref())
        )),
    }
}

/// Returns whether the node was known.
async fn forget(client: Client, node: &NodeId) -> anyhow::Result<bool> {
    let js = jetstream::new(client.clone());
    let Some(count) = streams::count(&js).await? else { return Ok(false) };
    let partition = PartitionCount::new(count)?.of(Slot::of(node));
    // Nothing of the node is stored after this, because its key is revoked.
    let log = js.get_stream(streams::name(partition)).await.context("the partition's log")?;
    let end = log.cached_info().state.last_sequence;
    let workers = IngestClient::new(client);
    let mut was_known = false;
    loop {
        // A worker that has not applied all reports of the node would know it again.
        let ForgetReply { known, applied } =
            workers.forget(partition, node.clone()).await.context("a worker")?;
        was_known |= known;
        if applied.map_or(!known, |applied| applied >= end) {
            return Ok(was_known);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
