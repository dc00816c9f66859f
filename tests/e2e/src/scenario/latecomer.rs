//! What an owner that was replaced might yet say and write. A worker that wakes sees that its lease is old
//! and is silent, so that nothing depends on this we speak and write for it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use async_nats::jetstream::{self, kv};
use tidemap_ingest::internals::{Checkpoint, CheckpointWriter, LogPosition, Part, WriteRequest};
use tidemap_service::streams;
use tidemap_wire::{Delta, PartitionCount, PartitionStats, Slot, encode};
use tokio::{sync::mpsc, time::interval};

use super::{Scenario, TOLD};
use tidemap_testkit::{eventually, http::get};

/// In this time the owners tell their totals twice, and the api ticks eight times.
const OWNERS_SPEAK: Duration = Duration::from_secs(2);
/// So often a latecomer speaks in it.
const ROUNDS: u32 = 20;

/// What was tried for owners that had been replaced, and how much of it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How often it was tried.
    pub tried: u64,
    /// How often it was refused.
    pub refused: u64,
}

impl Scenario {
    /// The epoch of each partition's owner.
    pub fn epochs(&self) -> BTreeMap<u16, u64> {
        self.watch.seen().epochs()
    }

    /// Says once more, as late as can be, what owners said last that have been outranked since, and what they
    /// might have gone on to say. Returns once the api has counted as many refusals.
    ///
    /// # Errors
    ///
    /// When there is nothing to say, or the api does not refuse it.
    pub async fn speak_out_of_turn(&self) -> anyhow::Result<Refused> {
        let client = self.connect().await?;
        let before = self.stale_deltas().await?;
        let deltas = self.watch.seen().outranked_deltas();
        ensure!(!deltas.is_empty(), "nobody was outranked");
        for delta in &deltas {
            let (partition, seq) = (delta.partition, delta.seq);
            for seq in [seq, seq + 1, seq + 1_000_000] {
                let late = Delta { seq, ..delta.clone() };
                client.publish(format!("tidemap.v1.delta.{partition}"), encode(&late).into()).await?;
            }
        }
        let tried = 3 * deltas.len() as u64;
        eventually(TOLD, || async {
            let refused = self.stale_deltas().await? - before;
            ensure!(refused >= tried, "{refused} of {tried} were refused");
            Ok(Refused { tried, refused })
        })
        .await
    }

    /// Repeats for a while the last totals of owners that have been outranked since `before` and own nothing
    /// any more, as if they were new.
    ///
    /// # Errors
    ///
    /// When nobody was outranked, or the api believes that they own something.
    pub async fn claim_out_of_turn(&self, before: &BTreeMap<u16, u64>) -> anyhow::Result<()> {
        let client = self.connect().await?;
        let totals = self.watch.seen().outranked_totals();
        let totals: Vec<_> = totals.iter().filter(|stats| before[&stats.partition] == stats.epoch).collect();
        ensure!(!totals.is_empty(), "nobody was outranked");
        let mut period = interval(OWNERS_SPEAK / ROUNDS);
        for _ in 0..ROUNDS {
            period.tick().await;
            for stats in &totals {
                let late = PartitionStats { seq: stats.seq + 1_000_000, ..(*stats).clone() };
                client.publish(format!("tidemap.v1.stats.{}", late.partition), encode(&late).into()).await?;
            }
            client.flush().await?;
            let metrics = get(format!("{}/metrics", self.api_url)).await?.body;
            let believed =
                totals.iter().find(|stats| metrics.contains(&format!("owner=\"{}\"", stats.owner)));
            ensure!(believed.is_none(), "the api believes {believed:?}");
        }
        Ok(())
    }

    /// Writes checkpoints, in which there is nothing, under the epochs of owners that have been outranked
    /// since `before`, over those that their successors have written.
    ///
    /// # Errors
    ///
    /// When nobody was outranked, or a successor writes nothing.
    pub async fn write_out_of_turn(&self, before: &BTreeMap<u16, u64>) -> anyhow::Result<Refused> {
        let js = jetstream::new(self.connect().await?);
        let bucket = js.get_key_value(streams::CHECKPOINTS).await?;
        let mut all = Refused { tried: 0, refused: 0 };
        for (partition, epoch) in self.epochs() {
            let Some(outranked) = before.get(&partition).copied().filter(|before| *before < epoch) else {
                continue;
            };
            let parts = eventually(TOLD, || async {
                let parts = written_since(&bucket, partition, outranked).await?;
                ensure!(!parts.is_empty(), "partition {partition} has no new checkpoint");
                Ok(parts)
            })
            .await?;
            for part in parts {
                all.tried += 1;
                all.refused += u64::from(!write(&bucket, part, outranked).await?);
            }
        }
        ensure!(all.tried > 0, "nobody was outranked");
        Ok(all)
    }

    /// Deltas that the api has refused because they were old.
    pub(super) async fn stale_deltas(&self) -> anyhow::Result<u64> {
        let metrics = get(format!("{}/metrics", self.api_url)).await?.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix("tidemap_api_deltas_stale_total "));
        Ok(value.context("the api does not count stale deltas")?.parse()?)
    }
}

/// The parts of a partition that a later owner than that of `epoch` has written.
async fn written_since(bucket: &kv::Store, partition: u16, epoch: u64) -> anyhow::Result<Vec<Part>> {
    let count = PartitionCount::default();
    let slots: Vec<Slot> = count.slots(count.partition(partition).context("a partition")?).collect();
    let mut parts = Vec::new();
    for part in slots.iter().flat_map(|slot| Part::all(*slot, 0)) {
        let value = bucket.get(part.key()).await?;
        if value.is_some_and(|value| Checkpoint::epoch_of(&value) > epoch) {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// Writes a part as an owner of `epoch` would that does not know of any other. Says whether it could.
async fn write(bucket: &kv::Store, part: Part, epoch: u64) -> anyhow::Result<bool> {
    let (orders, todo) = mpsc::channel(1);
    let value = Checkpoint::encode(epoch, LogPosition::default(), std::iter::empty());
    orders.send(WriteRequest::Put(vec![(part, value.into())])).await?;
    drop(orders);
    let writer = CheckpointWriter { bucket: bucket.clone(), epoch, revisions: BTreeMap::new() };
    Ok(writer.run(todo).await.is_ok())
}
