//! What comes from the broker: subscribed, decoded, handed to the owner of the view.

use anyhow::Context;
use async_nats::{Client, Message};
use futures_util::StreamExt;
use tidemap_wire::{Delta, NodeId, Partition, PartitionCount, PartitionStats, Slot, decode, subject};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{owner::Incoming, rpc::Owners};

/// The reason that an operator can do something about.
const FOREIGN: &str = "of another partition: is --partitions the same everywhere?";

/// Feeds the owner until it is time to stop.
///
/// The subscriptions come first and the requests for snapshots after them on the same connection, so the broker knows
/// the subscriptions before an owner can answer: no delta can fall between a snapshot and what follows it. When one
/// is lost all the same, its number tells.
pub(crate) async fn run(
    client: Client,
    count: PartitionCount,
    incoming: mpsc::Sender<Incoming>,
    mut wanted: mpsc::Receiver<Partition>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut deltas = client.subscribe(subject::ALL_DELTAS).await.context("cannot subscribe to deltas")?;
    let mut stats = client.subscribe(subject::ALL_STATS).await.context("cannot subscribe to stats")?;
    let owners = Owners::new(client);
    let mut requests = JoinSet::new();
    loop {
        let message = tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => return Ok(()),
            // An owner says what changed.
            message = deltas.next() => read_delta(count, &message.context("the connection was closed")?),
            // An owner says how it does.
            message = stats.next() => read_stats(count, &message.context("the connection was closed")?),
            // The view has lost its place in a partition.
            Some(partition) = wanted.recv() => {
                requests.spawn(snapshot(owners.clone(), count, partition));
                continue;
            }
            // A request has ended.
            Some(ended) = requests.join_next() => ended.context("a request for a snapshot was lost")?,
        };
        // A busy owner slows us down; the broker then drops what we do not take, which the numbers tell.
        if incoming.send(message).await.is_err() {
            return Ok(());
        }
    }
}

async fn snapshot(owners: Owners, count: PartitionCount, partition: Partition) -> Incoming {
    match owners.snapshot(partition).await {
        Ok(snapshot) if are_of(count, partition, snapshot.nodes.iter().map(|node| &node.node)) => {
            Incoming::Snapshot(partition, snapshot)
        }
        Ok(_) => {
            tracing::warn!(%partition, "{FOREIGN}");
            Incoming::NoSnapshot(partition)
        }
        Err(error) => {
            tracing::debug!(%partition, %error, "no snapshot");
            Incoming::NoSnapshot(partition)
        }
    }
}

fn read_delta(count: PartitionCount, message: &Message) -> Incoming {
    let Ok(delta) = decode::<Delta>(&message.payload) else { return Incoming::Refused("unreadable") };
    let Some(partition) = count.partition(delta.partition) else { return Incoming::Refused(FOREIGN) };
    let names = delta.nodes.iter().map(|node| &node.node).chain(&delta.forgotten);
    if !are_of(count, partition, names) {
        return Incoming::Refused(FOREIGN);
    }
    Incoming::Delta(partition, delta)
}

fn read_stats(count: PartitionCount, message: &Message) -> Incoming {
    let Ok(stats) = decode::<PartitionStats>(&message.payload) else {
        return Incoming::Refused("unreadable");
    };
    match count.partition(stats.partition) {
        Some(partition) => Incoming::Stats(partition, Box::new(stats)),
        None => Incoming::Refused(FOREIGN),
    }
}

fn are_of<'a>(
    count: PartitionCount,
    partition: Partition,
    nodes: impl IntoIterator<Item = &'a NodeId>,
) -> bool {
    nodes.into_iter().all(|node| count.of(Slot::of(node)) == partition)
}
