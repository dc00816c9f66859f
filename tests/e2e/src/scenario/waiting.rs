//! Waiting for what a scenario has come to.

use std::time::Duration;

use anyhow::{Context, ensure};
use tidemap_ingest::internals::Part;
use tidemap_service::{clock, streams};
use tidemap_testkit::{eventually, http::get_json};
use tidemap_wire::{
    PartitionCount,
    http::{NodeJson, StatsJson},
};
use tokio::time::Instant;

use super::{RECOVERY_TIMEOUT, Scenario};

/// For a fleet that reports each second to report for as long as any test asks.
const REPORT_TIMEOUT: Duration = Duration::from_secs(180);

impl Scenario {
    /// Waits until the broker has acknowledged so many more samples.
    pub async fn reported(&self, samples: usize) -> anyhow::Result<()> {
        let before = eventually(REPORT_TIMEOUT, || async { Ok(self.acknowledged()?.len()) }).await?;
        eventually(REPORT_TIMEOUT, || async {
            let reported = self.acknowledged()?.len() - before;
            ensure!(reported >= samples, "{reported} of {samples} samples");
            Ok(())
        })
        .await
    }

    /// Waits until every slot has been written down since this call.
    pub async fn checkpointed(&self) -> anyhow::Result<()> {
        let js = tidemap_testkit::broker::jetstream(self.connect().await?);
        let bucket = js.get_key_value(streams::CHECKPOINTS).await?;
        let before = bucket.status().await?.info.state.last_sequence;
        for slot in PartitionCount::default().all().flat_map(|k| PartitionCount::default().slots(k)) {
            let [first, ..] = Part::all(slot, 0).collect::<Vec<_>>()[..] else { continue };
            eventually(RECOVERY_TIMEOUT, || async {
                let entry = bucket.entry(first.key()).await?.context("no checkpoint")?;
                ensure!(entry.revision > before, "no new checkpoint of slot {slot}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until the whole pipeline works again, of which what was known before this call is no proof:
    /// every partition's owner has spoken since, and of every node a sample that was stored since has reached
    /// the API. The fleet, if there is one, must be reporting.
    pub async fn all_fresh(&self) -> anyhow::Result<()> {
        let (asked_at, asked_s) = (Instant::now(), clock::unix_ms() as f64 / 1_000.0);
        eventually(RECOVERY_TIMEOUT, || async {
            let silent = self.watch.seen().silent_since(asked_at);
            ensure!(silent.is_empty(), "partitions {silent:?} are silent");
            let stats: StatsJson = get_json(format!("{}/api/stats", self.api_url)).await?;
            ensure!(stats.partitions_fresh == stats.partitions, "{stats:?}");
            let nodes = self.nodes().await?;
            let old: Vec<&NodeJson> =
                nodes.iter().filter(|node| node.last_seen_timestamp <= asked_s).collect();
            // One simulated node in 33 falls silent now and then, for longer than anybody waits here.
            ensure!(
                old.len() * 20 <= nodes.len(),
                "nothing new of {} nodes, such as {:?}",
                old.len(),
                old[0]
            );
            Ok(())
        })
        .await
    }

    /// Waits until the owners have applied the last message of every stream.
    pub(super) async fn drained(&self) -> anyhow::Result<()> {
        let js = tidemap_testkit::broker::jetstream(self.connect().await?);
        eventually(RECOVERY_TIMEOUT, || async {
            let seen = self.watch.seen();
            let newest = seen.newest();
            for partition in PartitionCount::default().all() {
                let last = js.get_stream(streams::name(partition)).await?.cached_info().state.last_sequence;
                let stats = newest.get(&partition.get()).context("no owner has spoken")?;
                ensure!(stats.applied == last && stats.lag == 0, "{partition}: {last} in the log, {stats:?}");
            }
            Ok(())
        })
        .await
    }
}
