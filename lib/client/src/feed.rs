//! The subscription to what ingest publishes: decodes messages and returns them in order.

use anyhow::Context;
use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use tidemap_wire::{Delta, NodeId, Partition, PartitionCount, PartitionStats, Slot, decode, subject};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{ingest_client::IngestClient, snapshot::Snapshot};

/// Messages buffered between the connection's task and its reader. When the buffer is full, messages wait in
/// the client's subscription, which drops those beyond its capacity; the gap in the deltas' numbers then
/// shows the loss.
const MESSAGES_LIMIT: usize = 1024;

/// A refusal that the operator can do something about.
const OTHER_PARTITION: &str = "of another partition: is --partitions the same everywhere?";

/// A decoded message from ingest, for [`Fleet::apply`](crate::Fleet::apply).
#[derive(Clone, Debug)]
pub enum FeedMessage {
    /// What changed in a partition.
    Delta(Partition, Delta),
    /// A partition's totals.
    Stats(Partition, Box<PartitionStats>),
    /// The answer to a request for a snapshot.
    Snapshot(Partition, Snapshot),
    /// A request for a snapshot had no answer.
    NoSnapshot(Partition),
    /// A message that cannot be used, and why.
    Refused(&'static str),
}

/// A subscription to all partitions, in a task of its own that ends when this is dropped.
///
/// Requests for snapshots follow the subscriptions on the same connection, so the broker knows the
/// subscriptions before a worker can answer: no delta is lost between a snapshot and the deltas after it. If
/// a delta is lost in another way, the gap in the numbers shows it.
#[derive(Debug)]
pub struct Feed {
    messages: mpsc::Receiver<FeedMessage>,
    wanted: mpsc::Sender<Partition>,
    task: JoinSet<anyhow::Result<()>>,
}

impl Feed {
    /// Subscribes to all partitions.
    ///
    /// # Errors
    ///
    /// When the connection was closed.
    pub async fn subscribe(client: Client, count: PartitionCount) -> anyhow::Result<Self> {
        let deltas = client.subscribe(subject::ALL_DELTAS).await.context("cannot subscribe to deltas")?;
        let stats = client.subscribe(subject::ALL_STATS).await.context("cannot subscribe to stats")?;
        let (messages_in, messages) = mpsc::channel(MESSAGES_LIMIT);
        // At most one request for each partition is outstanding, see `Fleet::settle`.
        let (wanted_in, wanted) = mpsc::channel(usize::from(count.get()));
        let mut task = JoinSet::new();
        let ingest = IngestClient::new(client);
        task.spawn(Reader { count, ingest, deltas, stats }.run(wanted, messages_in));
        Ok(Self { messages, wanted: wanted_in, task })
    }

    /// Waits for the next message. Cancel safe: no message is lost when the wait is dropped.
    ///
    /// # Errors
    ///
    /// When the connection was closed.
    pub async fn next(&mut self) -> anyhow::Result<FeedMessage> {
        if let Some(message) = self.messages.recv().await {
            return Ok(message);
        }
        if let Some(ended) = self.task.join_next().await {
            ended.context("the task that reads from the broker failed")??;
        }
        anyhow::bail!("the connection to the broker was closed")
    }

    /// Requests a snapshot of a partition. The answer, or its absence, arrives as a message.
    pub fn request_snapshot(&self, partition: Partition) {
        // The channel has room for every partition. An error means that the task has ended, which `next`
        // reports.
        self.wanted.try_send(partition).ok();
    }
}

/// The task of a [`Feed`].
struct Reader {
    count: PartitionCount,
    ingest: IngestClient,
    deltas: Subscriber,
    stats: Subscriber,
}

impl Reader {
    async fn run(
        mut self,
        mut wanted: mpsc::Receiver<Partition>,
        messages: mpsc::Sender<FeedMessage>,
    ) -> anyhow::Result<()> {
        let mut requests = JoinSet::new();
        loop {
            let message = tokio::select! {
                // A worker publishes what changed.
                delta = self.deltas.next() => read_delta(self.count, &delta.context("the connection was closed")?),
                // A worker publishes its totals.
                stats = self.stats.next() => read_stats(self.count, &stats.context("the connection was closed")?),
                // The view has missed a delta.
                Some(partition) = wanted.recv() => {
                    requests.spawn(snapshot(self.ingest.clone(), self.count, partition));
                    continue;
                }
                // A request has ended.
                Some(ended) = requests.join_next() => ended.context("a request for a snapshot was lost")?,
            };
            if messages.send(message).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn snapshot(ingest: IngestClient, count: PartitionCount, partition: Partition) -> FeedMessage {
    match ingest.snapshot(partition).await {
        Ok(snapshot) if are_of(count, partition, snapshot.nodes.iter().map(|node| &node.node)) => {
            FeedMessage::Snapshot(partition, snapshot)
        }
        Ok(_) => {
            tracing::warn!(%partition, "{OTHER_PARTITION}");
            FeedMessage::NoSnapshot(partition)
        }
        Err(error) => {
            tracing::debug!(%partition, %error, "no snapshot");
            FeedMessage::NoSnapshot(partition)
        }
    }
}

fn read_delta(count: PartitionCount, message: &Message) -> FeedMessage {
    let Ok(delta) = decode::<Delta>(&message.payload) else { return FeedMessage::Refused("unreadable") };
    let Some(partition) = count.partition(delta.partition) else {
        return FeedMessage::Refused(OTHER_PARTITION);
    };
    let names = delta.nodes.iter().map(|node| &node.node).chain(&delta.forgotten);
    if !are_of(count, partition, names) {
        return FeedMessage::Refused(OTHER_PARTITION);
    }
    FeedMessage::Delta(partition, delta)
}

fn read_stats(count: PartitionCount, message: &Message) -> FeedMessage {
    let Ok(stats) = decode::<PartitionStats>(&message.payload) else {
        return FeedMessage::Refused("unreadable");
    };
    match count.partition(stats.partition) {
        Some(partition) => FeedMessage::Stats(partition, Box::new(stats)),
        None => FeedMessage::Refused(OTHER_PARTITION),
    }
}

fn are_of<'a>(
    count: PartitionCount,
    partition: Partition,
    nodes: impl IntoIterator<Item = &'a NodeId>,
) -> bool {
    nodes.into_iter().all(|node| count.of(Slot::of(node)) == partition)
}
