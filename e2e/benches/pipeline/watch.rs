//! What is seen of the pipeline while it runs: how far it is behind, and what it costs.

use std::time::Duration;

use anyhow::Context;
use tidemap_e2e::{counters::Counts, http::get_json};
use tidemap_wire::http::StatsJson;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    client::quantile,
    stage::{Fleet, Stage},
    usage,
};

/// How often everything is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The processes, in the order of the data's way.
pub(crate) const PROCESSES: [&str; 5] = ["simulator", "nats-server", "ingest", "api", "this bench"];

/// One look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) at_s: f64,
    pub(crate) lag: u64,
    pub(crate) view_age_ms: u64,
    pub(crate) resident_bytes: [u64; 5],
}

/// What was seen in some time.
pub(crate) struct Seen {
    pub(crate) seconds: f64,
    pub(crate) looks: Vec<Look>,
    /// Samples applied.
    pub(crate) applied: u64,
    /// Messages refused.
    pub(crate) refused: u64,
    pub(crate) cores: [f64; 5],
    before: Counts,
    after: Counts,
}

/// Looks for so long.
pub(crate) async fn watch(stage: &Stage, fleet: &Fleet, lasting: Duration) -> anyhow::Result<Seen> {
    let broker = stage.cluster.broker.pid().context("the broker has ended")?;
    let pids = [fleet.process.pid(), broker, stage.ingest.pid(), stage.api.pid(), std::process::id()];
    let (before, sums, begun) = (stage.counters.read().await?, stage.tally.sums(), Instant::now());
    let spent = each(pids, usage::processor_time)?;
    let mut looks = Vec::new();
    let mut period = interval(LOOK);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    period.tick().await;
    while begun.elapsed() < lasting {
        period.tick().await;
        let stats: StatsJson = get_json(format!("{}/api/stats", stage.url)).await?;
        looks.push(Look {
            at_s: begun.elapsed().as_secs_f64(),
            lag: stage.tally.sums().lag,
            view_age_ms: stats.view_age_ms.context("an owner is silent")?,
            resident_bytes: each(pids, usage::resident_bytes)?,
        });
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut cores = each(pids, usage::processor_time)?.map(|time| time.as_secs_f64());
    cores
        .iter_mut()
        .zip(spent)
        .for_each(|(cores, before)| *cores = (*cores - before.as_secs_f64()) / seconds);
    let (now, after) = (stage.tally.sums(), stage.counters.read().await?);
    let (applied, refused) = (now.samples - sums.samples, now.refused - sums.refused);
    Ok(Seen { seconds, looks, applied, refused, cores, before, after })
}

fn each<T>(pids: [u32; 5], of: impl Fn(u32) -> anyhow::Result<T>) -> anyhow::Result<[T; 5]> {
    let all: anyhow::Result<Vec<T>> = pids.into_iter().map(of).collect();
    all?.try_into().ok().context("as many as there are processes")
}

impl Seen {
    pub(crate) fn applied_per_second(&self) -> f64 {
        self.applied as f64 / self.seconds
    }

    /// Messages that the broker has received in a second, of whatever kind.
    pub(crate) fn messages_per_second(&self) -> f64 {
        (self.after.server.in_msgs - self.before.server.in_msgs) as f64 / self.seconds
    }

    /// Bytes of the log that one sample takes, the broker's own frame included.
    pub(crate) fn stored_bytes_per_sample(&self) -> f64 {
        let stored = self.after.jetstream.bytes.saturating_sub(self.before.jetstream.bytes);
        stored as f64 / self.applied.max(1) as f64
    }

    /// Payloads that the broker has received, and sent, for one sample.
    pub(crate) fn payload_bytes_per_sample(&self) -> (f64, f64) {
        let (before, after) = (&self.before.server, &self.after.server);
        let per_sample = |bytes: u64| bytes as f64 / self.applied.max(1) as f64;
        (per_sample(after.in_bytes - before.in_bytes), per_sample(after.out_bytes - before.out_bytes))
    }

    /// How far the workers were behind, in seconds of what comes, for this share of the looks at most.
    pub(crate) fn lag_s(&self, looks: &[Look], share: f64) -> f64 {
        let lags: Vec<u64> = looks.iter().map(|look| look.lag).collect();
        quantile(&lags, share) as f64 / self.messages_per_second().max(1.0)
    }

    /// Whether lag does not grow: in the second half it never is more than a second of what comes.
    pub(crate) fn is_bounded(&self) -> bool {
        self.lag_s(&self.looks[self.looks.len() / 2..], 1.0) <= 1.0
    }

    pub(crate) fn view_age_ms(&self, share: f64) -> u64 {
        let ages: Vec<u64> = self.looks.iter().map(|look| look.view_age_ms).collect();
        quantile(&ages, share)
    }
}
