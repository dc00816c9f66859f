//! The keeper of this worker's leases: reads the bucket, writes heartbeats and renewals, starts and ends owners.

mod tasks;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use async_nats::jetstream::{self, kv};
use futures_util::future::join_all;
use tidemap_service::{cli::UsageError, clock, clock::BrokerClock, streams};
use tidemap_wire::{Partition, PartitionCount, timing};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::tasks::RunningTask;
use crate::{
    leases::{Action, Lease, Leases},
    log_reader::{Content, LogEvent, LogPosition, LogReader, Record},
    partition::Limits,
    partition_task::LeaseState,
    worker_status::WorkerStatus,
};

/// Heartbeats and renewals.
const PERIOD: Duration = timing::LEASE_RENEWAL;
/// For one write to the bucket. Later than this, the next period's write is the better one.
const PATIENCE: Duration = timing::LEASE_WRITE_TIMEOUT;
/// Every how many periods the streams are looked at.
const CHECK_EVERY: u8 = 10;

/// The subjects under which the bucket keeps its keys.
const KEYS: &str = "$KV.TIDEMAP_LEASES.";

/// What a keeper needs of the world.
pub struct WorkerContext {
    /// This worker's id.
    pub me: String,
    /// How many partitions there are.
    pub count: PartitionCount,
    /// When a silent node is called what.
    pub limits: Limits,
    /// Copies that the broker keeps of each stream.
    pub replicas: usize,
    /// A connection of its own: leases must never queue behind data.
    pub leases: jetstream::Context,
    /// For the owners' logs.
    pub data: jetstream::Context,
    /// For the owners' voices.
    pub output: async_nats::Client,
    /// Where owners say how they do.
    pub status: WorkerStatus,
    /// When the heartbeat and all leases were renewed last.
    pub renewed: watch::Sender<Instant>,
}

/// Keeps leases until `shutdown`, then ends all owners and gives everything back.
///
/// # Errors
///
/// When the bucket cannot be opened.
pub async fn run(parts: WorkerContext, shutdown: CancellationToken) -> anyhow::Result<()> {
    let bucket = parts.leases.get_key_value(streams::LEASES).await.context("the bucket of leases")?;
    // A keeper that is busy writing lets the reader wait.
    let (events, mut log) = mpsc::channel(16);
    let reading = LogReader { stream: format!("KV_{}", streams::LEASES), content: Content::Bucket };
    let stop_reading = CancellationToken::new();
    let reader = tokio::spawn(reading.read(
        LogPosition::default(),
        parts.leases.clone(),
        events,
        stop_reading.clone(),
    ));
    let mut manager = LeaseManager::new(parts, bucket);
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => break,
            // A lease or a heartbeat has moved, ours or another's.
            event = log.recv() => match event {
                Some(LogEvent::Interrupted { missing: true }) => manager.is_mending = true,
                Some(event) => manager.read(event),
                None => break,
            },
            // It is time to show that we live.
            _ = period.tick() => {
                manager.mend().await?;
                manager.show_life().await;
                manager.check_cut().await?;
            }
        }
        manager.act().await;
    }
    manager.give_back().await;
    stop_reading.cancel();
    // The reader may wait for room in it.
    drop(log);
    reader.await.context("the reader of leases")
}

struct LeaseManager {
    parts: WorkerContext,
    bucket: kv::Store,
    leases: Leases,
    tasks: BTreeMap<Partition, RunningTask>,
    /// Absent until the broker has told its time, which is before any lease is ours.
    lease: Option<watch::Sender<LeaseState>>,
    clock: Option<BrokerClock>,
    started: Instant,
    /// Nothing is planned before the bucket was read to its end once.
    last_at_open: Option<u64>,
    read: u64,
    /// Whether the broker has lost what it kept, and has not got all of it back yet.
    is_mending: bool,
    /// Periods until the streams are looked at again.
    check_in: u8,
}

impl LeaseManager {
    fn new(parts: WorkerContext, bucket: kv::Store) -> Self {
        let leases = Leases::new(&parts.me, parts.count);
        Self {
            parts,
            bucket,
            leases,
            tasks: BTreeMap::new(),
            lease: None,
            clock: None,
            started: Instant::now(),
            last_at_open: None,
            read: 0,
            is_mending: false,
            check_in: 0,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn read(&mut self, event: LogEvent) {
        match event {
            LogEvent::Opened { last, .. } => {
                self.last_at_open.get_or_insert(last);
            }
            // Leases stay what they were until another worker has reason to take them.
            LogEvent::Interrupted { .. } => {}
            LogEvent::Messages(messages) => messages.iter().for_each(|message| self.observe(message)),
            // Old values of a key vanish by design.
            LogEvent::Lost { .. } => {}
            // A bucket is read from its beginning whenever it is read again.
            LogEvent::Shortened { .. } => {}
            LogEvent::Recreated => {
                tracing::info!("reading all leases anew");
                let now_ms = self.now_ms();
                self.leases.begin_anew(self.tasks.keys().copied(), now_ms);
                (self.last_at_open, self.read) = (None, 0);
            }
        }
    }

    fn observe(&mut self, message: &Record) {
        self.read = message.sequence;
        let Some(key) = message.subject.strip_prefix(KEYS) else { return };
        let removed = message.headers.as_ref().is_some_and(|headers| headers.get("KV-Operation").is_some());
        let value = (!removed).then_some(message.payload.as_ref());
        self.leases.observe(key, value, message.sequence, self.now_ms());
        // Our own heartbeat comes straight back, so its timestamp is the broker's time now.
        if key.strip_prefix("w.") == Some(self.parts.me.as_str()) {
            let broker_ms = message.published_ns.div_euclid(1_000_000);
            self.clock = Some(BrokerClock::new(broker_ms, Instant::now()));
        }
    }

    /// Makes the streams and buckets again that a broker has lost with its disk, until they are there. Agents send again
    /// what they have.
    ///
    /// # Errors
    ///
    /// When the streams are there, and cut for another number of partitions.
    async fn mend(&mut self) -> anyhow::Result<()> {
        if !self.is_mending {
            return Ok(());
        }
        tracing::warn!("the broker has lost its streams; making them again");
        match streams::ensure(&self.parts.leases, self.parts.count, self.parts.replicas).await {
            Ok(()) => self.is_mending = false,
            Err(error) if error.is::<UsageError>() => return Err(error),
            Err(error) => tracing::warn!("cannot make them yet: {error:#}"),
        }
        Ok(())
    }

    /// Ends this worker when the fleet has been divided anew behind its back, while it was out of reach.
    async fn check_cut(&mut self) -> anyhow::Result<()> {
        self.check_in = self.check_in.checked_sub(1).unwrap_or(CHECK_EVERY);
        if self.check_in > 0 {
            return Ok(());
        }
        match tokio::time::timeout(PATIENCE, streams::count(&self.parts.leases)).await {
            Ok(Ok(Some(count))) if count != self.parts.count.get() => Err(UsageError(format!(
                "--partitions {}: the fleet has been divided into {count} meanwhile",
                self.parts.count
            ))
            .into()),
            _ => Ok(()),
        }
    }

    /// Writes the heartbeat and renews every lease, all at once.
    async fn show_life(&mut self) {
        // The lease is renewed when the broker takes the write, which is not before now.
        let renewed_at = Instant::now();
        let heartbeat = format!("w.{}", self.parts.me);
        let beat = within(self.bucket.put(heartbeat, serde_json::json!({}).to_string().into()));
        let held: Vec<(Partition, Lease, u64)> = self
            .leases
            .mine()
            .filter_map(|k| self.leases.held(k).map(|(lease, revision)| (k, lease.clone(), revision)))
            .collect();
        let renew = join_all(held.into_iter().map(|(k, lease, revision)| {
            let bucket = &self.bucket;
            async move { (k, swap(bucket, k, &lease, revision).await.map(|revision| (lease, revision))) }
        }));
        let (beat, renewed) = tokio::join!(beat, renew);
        let is_alive = beat.is_ok();
        match beat {
            Ok(_) => self.leases.heartbeat_taken(),
            Err(error) => tracing::debug!("no heartbeat: {error:#}"),
        }
        let all = renewed.iter().all(|(_, result)| result.is_ok());
        if all && is_alive {
            self.parts.renewed.send_replace(renewed_at);
        }
        for (partition, result) in renewed {
            match result {
                Ok((lease, revision)) => self.note(partition, &lease, revision),
                Err(error) => tracing::debug!(%partition, "lease not renewed: {error:#}"),
            }
        }
        if all && self.is_caught_up() {
            self.publish_lease_state(renewed_at);
        }
    }

    /// Tells the owners that their leases held at `renewed_at`, once the broker's time is known.
    fn publish_lease_state(&mut self, renewed_at: Instant) {
        let Some(clock) = self.clock else { return };
        let lease = LeaseState { renewed_at, clock };
        match &self.lease {
            Some(sender) => {
                sender.send_replace(lease);
            }
            None => self.lease = Some(watch::channel(lease).0),
        }
    }

    /// Does what the rules say now, and brings the owners in line with the leases.
    async fn act(&mut self) {
        if !self.is_caught_up() || self.clock.is_none() {
            return;
        }
        if self.lease.is_none() {
            self.publish_lease_state(Instant::now());
        }
        let epoch_floor = clock::unix_ms().unsigned_abs() / 1_000;
        let plan = self.leases.plan(self.now_ms(), epoch_floor);
        // Side by side, because those that stay are not renewed meanwhile.
        for action in &plan {
            if let Action::Release(partition) = action
                && let Some(running) = self.tasks.get(partition)
            {
                running.stop.cancel();
            }
        }
        for action in plan {
            match action {
                Action::Acquire(partition, lease, revision) => {
                    // Another worker may have been faster, or the broker is away: the plan is out of date.
                    match swap(&self.bucket, partition, &lease, revision).await {
                        Ok(revision) => self.note(partition, &lease, revision),
                        Err(error) => {
                            tracing::debug!(%partition, "not taken: {error:#}");
                            break;
                        }
                    }
                }
                Action::Release(partition) => self.release(partition).await,
                Action::Sweep(worker) => {
                    if let Err(error) = within(self.bucket.purge(format!("w.{worker}"))).await {
                        tracing::debug!(worker, "a dead worker's heartbeat stays: {error:#}");
                    }
                }
                Action::Bury(worker, revision) => self.bury(&worker, revision).await,
            }
        }
        self.follow().await;
    }

    /// Has the bucket forget that there ever was a heartbeat.
    async fn bury(&mut self, worker: &str, revision: u64) {
        // When that fails, whoever comes next finds it.
        self.leases.buried(worker);
        let purge = self.bucket.stream.purge().sequence(revision + 1).filter(format!("{KEYS}w.{worker}"));
        if let Err(error) = within(purge.into_future()).await {
            tracing::debug!(worker, "the trace of a dead worker stays: {error:#}");
        }
    }

    /// Whether the bucket was read to the end that it had.
    fn is_caught_up(&self) -> bool {
        self.last_at_open.is_some_and(|last| self.read >= last)
    }

    /// Takes note of our own write without waiting for the bucket to tell it.
    fn note(&mut self, partition: Partition, lease: &Lease, revision: u64) {
        if let Ok(value) = serde_json::to_vec(lease) {
            self.leases.observe(&format!("p.{partition}"), Some(&value), revision, self.now_ms());
        }
    }
}

/// Writes a lease if nobody has written since `revision`; returns the new revision.
async fn swap(bucket: &kv::Store, partition: Partition, lease: &Lease, revision: u64) -> anyhow::Result<u64> {
    let value = serde_json::to_vec(lease)?;
    within(bucket.update(format!("p.{partition}"), value.into(), revision)).await
}

async fn within<T, E>(write: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    Ok(tokio::time::timeout(PATIENCE, write).await.context("the broker does not answer")??)
}
