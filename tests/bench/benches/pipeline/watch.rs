//! Observes the running pipeline: its lag and its cost.

use std::{thread::available_parallelism, time::Duration};

use anyhow::Context;
use tidemap_testkit::{counters::Counts, eventually, http::get_json};
use tidemap_wire::http::StatsJson;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    machine::{Load, Ticks},
    services::{Fleet, Services},
};
use tidemap_testkit::{client::quantile, usage};

/// How often everything is read.
const LOOK: Duration = Duration::from_secs(1);
/// How long the broker may take to report its counters. A late figure is better than none after a long run.
const COUNTERS_TIMEOUT: Duration = Duration::from_secs(30);

/// The processes, in the order of the data's way.
pub(crate) const PROCESSES: [&str; 5] = ["simulator", "nats-server", "ingest", "api", "this bench"];

/// One look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) at_s: f64,
    pub(crate) lag: u64,
    /// As reported by the API; `None` when it did not answer, or not for all partitions.
    pub(crate) view_age_ms: Option<u64>,
    pub(crate) resident_bytes: [u64; 5],
    /// As reported by the broker; `None` when it did not answer.
    pub(crate) kept: Option<Kept>,
}

/// The memory and the log of the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// In memory, without garbage.
    pub(crate) heap_bytes: u64,
    /// In its log.
    pub(crate) messages: u64,
    pub(crate) stored_bytes: u64,
}

/// What was seen in some time.
pub(crate) struct Seen {
    pub(crate) seconds: f64,
    pub(crate) looks: Vec<Look>,
    /// Requests during this time that were not answered.
    pub(crate) failed: usize,
    /// Samples applied.
    pub(crate) applied: u64,
    /// Messages refused.
    pub(crate) refused: u64,
    pub(crate) cores: [f64; 5],
    pub(crate) load: Load,
    before: Counts,
    after: Counts,
}

/// Observes for this long.
pub(crate) async fn watch(services: &Services, fleet: &Fleet, lasting: Duration) -> anyhow::Result<Seen> {
    let broker = services.broker.server.pid().context("the broker has ended")?;
    let pids = [fleet.process.pid(), broker, services.ingest.pid(), services.api.pid(), std::process::id()];
    let counters = || eventually(COUNTERS_TIMEOUT, || services.counters.read());
    let (before, sums, begun) = (counters().await?, services.tally.sums(), Instant::now());
    let (spent, ticks) = (each(pids, usage::processor_time)?, Ticks::now()?);
    let (mut looks, mut failed) = (Vec::new(), 0);
    let mut period = interval(LOOK);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    period.tick().await;
    while begun.elapsed() < lasting {
        period.tick().await;
        let at_s = begun.elapsed().as_secs_f64();
        // A missing answer concerns one second only. It is counted, and the other seconds remain valid.
        let mut missed = |error: &anyhow::Error| {
            eprintln!("  at {at_s:.0} s: {error:#}");
            failed += 1;
        };
        let view_age_ms = view_age(services).await.inspect_err(&mut missed).ok();
        let kept = kept(services).await.inspect_err(&mut missed).ok();
        let (lag, resident_bytes) = (services.tally.sums().lag, each(pids, usage::resident_bytes)?);
        looks.push(Look { at_s, lag, view_age_ms, resident_bytes, kept });
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut cores = each(pids, usage::processor_time)?.map(|time| time.as_secs_f64());
    cores
        .iter_mut()
        .zip(spent)
        .for_each(|(cores, before)| *cores = (*cores - before.as_secs_f64()) / seconds);
    let load = Ticks::now()?.since(ticks, available_parallelism()?.get() as f64);
    let (now, after) = (services.tally.sums(), counters().await?);
    let (applied, refused) = (now.samples - sums.samples, now.refused - sums.refused);
    Ok(Seen { seconds, looks, failed, applied, refused, cores, load, before, after })
}

async fn view_age(services: &Services) -> anyhow::Result<u64> {
    let stats: StatsJson = get_json(format!("{}/api/stats", services.url)).await?;
    stats.view_age_ms.context("an owner is silent")
}

async fn kept(services: &Services) -> anyhow::Result<Kept> {
    let heap_bytes = services.counters.live_heap_bytes().await?;
    let log = services.counters.read().await?.jetstream;
    Ok(Kept { heap_bytes, messages: log.messages, stored_bytes: log.bytes })
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

    /// How far the workers were behind at most, in seconds of input, in this share of the looks.
    pub(crate) fn lag_s(&self, looks: &[Look], share: f64) -> f64 {
        let lags: Vec<u64> = looks.iter().map(|look| look.lag).collect();
        quantile(&lags, share) as f64 / self.messages_per_second().max(1.0)
    }

    /// Whether the lag does not grow: in the second half it is never more than a second of input.
    pub(crate) fn is_bounded(&self) -> bool {
        self.lag_s(&self.looks[self.looks.len() / 2..], 1.0) <= 1.0
    }

    pub(crate) fn view_age_ms(&self, share: f64) -> u64 {
        let ages: Vec<u64> = self.looks.iter().filter_map(|look| look.view_age_ms).collect();
        quantile(&ages, share)
    }
}
