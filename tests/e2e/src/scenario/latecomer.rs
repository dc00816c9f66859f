//! Messages and checkpoints of an owner that was replaced. A worker that wakes sees that its lease is old and
//! publishes nothing; so that the tests do not depend on this, they publish and write in its name.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use async_nats::jetstream::kv;
use tidemap_ingest::internals::{Checkpoint, CheckpointWriter, LogPosition, Part, WriteRequest};
use tidemap_service::streams;
use tidemap_wire::{Delta, PartitionCount, PartitionStats, Slot, encode};
use tokio::{sync::mpsc, time::interval};

use super::{API_TIMEOUT, Scenario};
use tidemap_testkit::{eventually, http::get};

/// In this time the owners publish their totals twice, and the API ticks eight times.
const TWO_REPORTS: Duration = Duration::from_secs(2);
/// How often a latecomer publishes in this time.
const ROUNDS: u32 = 20;

/// Attempts in the name of replaced owners, and how many of them were refused.
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

    /// Publishes again, late, the last deltas of owners that have been replaced since, and deltas that they
    /// might have published next. Returns once the API has counted as many refusals, or more if the owners
    /// themselves publish late.
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
        eventually(API_TIMEOUT, || async {
            let refused = self.stale_deltas().await? - before;
            ensure!(refused >= tried, "{refused} of {tried} were refused");
            Ok(Refused { tried, refused })
        })
        .await
    }

    /// Repeats for a while the last totals of owners that have been outranked since `before` and own nothing
    /// any more, as if they were new.
    pub async fn claim_out_of_turn(&self, before: &BTreeMap<u16, u64>) -> anyhow::Result<()> {
        let client = self.connect().await?;
        let totals = self.watch.seen().outranked_totals();
        let totals: Vec<_> = totals.iter().filter(|stats| before[&stats.partition] == stats.epoch).collect();
        ensure!(!totals.is_empty(), "nobody was outranked");
        let believes_none = async || {
            let metrics = get(format!("{}/metrics", self.api_url)).await?.body;
            let believed =
                totals.iter().find(|stats| metrics.contains(&format!("owner=\"{}\"", stats.owner)));
            ensure!(believed.is_none(), "the api believes {believed:?}");
            Ok(())
        };
        // The API may hear of the new owners later than the test.
        eventually(API_TIMEOUT, believes_none).await?;
        let mut period = interval(TWO_REPORTS / ROUNDS);
        for _ in 0..ROUNDS {
            period.tick().await;
            for stats in &totals {
                let late = PartitionStats { seq: stats.seq + 1_000_000, ..(*stats).clone() };
                client.publish(format!("tidemap.v1.stats.{}", late.partition), encode(&late).into()).await?;
            }
            client.flush().await?;
            believes_none().await?;
        }
        Ok(())
    }

    /// Writes checkpoints, in which there is nothing, under the epochs of owners that have been outranked
    /// since `before`, over those that their successors have written.
    pub async fn write_out_of_turn(&self, before: &BTreeMap<u16, u64>) -> anyhow::Result<Refused> {
        let js = tidemap_testkit::broker::jetstream(self.connect().await?);
        let bucket = js.get_key_value(streams::CHECKPOINTS).await?;
        let mut all = Refused { tried: 0, refused: 0 };
        for (partition, epoch) in self.epochs() {
            let Some(outranked) = before.get(&partition).copied().filter(|before| *before < epoch) else {
                continue;
            };
            let parts = eventually(API_TIMEOUT, || async {
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

    /// Deltas that the API has refused because they were old.
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

/// Writes a part as an owner of `epoch` would that knows of no other. Returns whether it succeeded.
async fn write(bucket: &kv::Store, part: Part, epoch: u64) -> anyhow::Result<bool> {
    let (orders, todo) = mpsc::channel(1);
    let value = Checkpoint::encode(epoch, LogPosition::default(), std::iter::empty());
    orders.send(WriteRequest::Put(vec![(part, value.into())])).await?;
    drop(orders);
    let writer = CheckpointWriter::new(bucket.clone(), epoch, BTreeMap::new());
    Ok(writer.run(todo).await.is_ok())
}
