//! The lease manager of a worker: reads the bucket of leases, writes heartbeats and renewals, and starts and
//! stops the tasks of the partitions whose leases the worker holds.
//!
//! It never waits for a task: leases must be renewed while one writes its last checkpoints.

mod context;
mod repair;
mod tasks;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use async_nats::jetstream::kv;
use futures_util::future::join_all;
use tidemap_service::{
    causes::causes,
    cli::UsageError,
    clock::{self, BrokerClock, Stopwatch},
    deadline, streams,
};
use tidemap_wire::{Partition, timing};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::context::WorkerContext;
use self::{repair::Repair, tasks::Tasks};
use crate::{
    leases::{Action, Lease, Leases, heartbeat_key, lease_key, worker_of_key},
    log_reader::{Content, LogEnd, LogEvent, LogPosition, LogReader, Record},
    partition_task::{Assignment, Deps, LeaseState},
};

/// Between heartbeats and renewals.
const PERIOD: Duration = timing::LEASE_RENEWAL;
/// For one write to the bucket. After this, the next period's write is the better one.
const WRITE_TIMEOUT: Duration = timing::LEASE_WRITE_TIMEOUT;
/// Periods between checks of the number of partitions.
const CHECK_EVERY: u8 = 10;
/// For all tasks to end, and their leases to be released, when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Holds leases until `shutdown`, then stops all tasks and releases everything.
pub(crate) async fn run(context: WorkerContext, shutdown: CancellationToken) -> anyhow::Result<()> {
    let bucket = streams::open_bucket(&context.leases, streams::LEASES).await?;
    // The reader waits while the manager is writing.
    let (events, mut log) = mpsc::channel(16);
    let reader = LogReader {
        stream: streams::bucket_stream(streams::LEASES),
        content: Content::Bucket,
        end: LogEnd::default(),
    };
    let stop_reading = CancellationToken::new();
    let reading = reader.read(LogPosition::default(), context.leases.clone(), events, stop_reading.clone());
    let reading = tokio::spawn(reading);
    let mut manager = LeaseManager::new(context, bucket);
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => break,
            // A lease or a heartbeat has changed, this worker's or another's.
            event = log.recv() => match event {
                Some(event) => manager.read(event),
                None => break,
            },
            // A partition's task has ended, whether it was asked to or not.
            Some((partition, epoch)) = manager.tasks.ended() => manager.task_ended(partition, epoch).await,
            // A reader or a writer has found that a stream or a bucket is missing.
            () = manager.repair.is_asked_for() => {}
            // The heartbeat and the leases are due.
            _ = period.tick() => manager.renew().await?,
        }
        manager.act().await;
    }
    manager.leave().await;
    stop_reading.cancel();
    // The reader may be waiting for room in it.
    drop(log);
    reading.await.context("the reader of leases")
}

struct LeaseManager {
    context: WorkerContext,
    bucket: kv::Store,
    leases: Leases,
    tasks: Tasks,
    /// The newest epoch of each partition whose task has ended here. No task starts under it again: readers
    /// would take the new task's first deltas for old ones. Its lease is to be released.
    spent: BTreeMap<Partition, u64>,
    /// Absent until the broker's time is known, which is before this worker holds any lease.
    lease_state: Option<watch::Sender<LeaseState>>,
    clock: Option<BrokerClock>,
    started: Stopwatch,
    repair: Repair,
    /// Periods until the next check of the number of partitions.
    check_in: u8,
}

impl LeaseManager {
    fn new(context: WorkerContext, bucket: kv::Store) -> Self {
        let repair = Repair::new(&context);
        let leases = Leases::new(&context.me, context.count);
        Self {
            context,
            bucket,
            leases,
            tasks: Tasks::default(),
            spent: BTreeMap::new(),
            lease_state: None,
            clock: None,
            started: Stopwatch::start(),
            repair,
            check_in: 0,
        }
    }

    fn read(&mut self, event: LogEvent) {
        match event {
            LogEvent::Opened { last, .. } => self.leases.opened(last),
            LogEvent::Messages(messages) => messages.iter().for_each(|message| self.observe(message)),
            // Leases stay what they were until another worker has reason to take them.
            LogEvent::Interrupted { missing: true } => self.repair.missing().notify_one(),
            LogEvent::Interrupted { missing: false } => {}
            LogEvent::Recreated => {
                tracing::info!("the bucket of leases was created again; reading all leases");
                let now_ms = self.started.now_ms();
                self.leases.restart(self.tasks.epochs(), now_ms);
            }
            // A bucket drops a key's old values, and is read from its beginning whenever it is read again.
            LogEvent::Lost { .. } | LogEvent::Shortened { .. } => {}
        }
    }

    fn observe(&mut self, message: &Record) {
        let now_ms = self.started.now_ms();
        let Some(key) = streams::bucket_key(streams::LEASES, &message.subject) else { return };
        let removed = message.headers.as_ref().is_some_and(|headers| headers.get("KV-Operation").is_some());
        let value = (!removed).then_some(message.payload.as_ref());
        self.leases.observe(key, value, message.sequence, now_ms);
        // This worker's heartbeat is read back at once, so its timestamp is the broker's time now.
        if worker_of_key(key) == Some(self.context.me.as_str()) {
            let broker_ms = message.published_ns.div_euclid(1_000_000);
            self.clock = Some(BrokerClock::new(broker_ms, Instant::now()));
        }
    }

    /// What is due once a period.
    async fn renew(&mut self) -> anyhow::Result<()> {
        self.repair.go_on().await?;
        self.tasks.abort_overdue();
        self.release_spent().await;
        self.send_heartbeat().await;
        self.check_count().await
    }

    /// Ends this worker when the number of partitions was changed while it was disconnected.
    async fn check_count(&mut self) -> anyhow::Result<()> {
        self.check_in = self.check_in.checked_sub(1).unwrap_or(CHECK_EVERY);
        if self.check_in > 0 {
            return Ok(());
        }
        match within(streams::count(&self.context.leases)).await {
            Ok(Some(count)) if count != self.context.count.get() => Err(UsageError(format!(
                "--partitions {}: the fleet has been divided into {count} meanwhile",
                self.context.count
            ))
            .into()),
            _ => Ok(()),
        }
    }

    /// Writes the heartbeat and renews the leases of all tasks, all at once.
    async fn send_heartbeat(&mut self) {
        // The lease is renewed when the broker stores the write, which is not before now.
        let renewed_at = Instant::now();
        let beat = async {
            if !self.leases.should_send_heartbeat() {
                anyhow::bail!("the bucket of leases cannot be read");
            }
            let heartbeat = serde_json::json!({}).to_string().into();
            within(self.bucket.put(heartbeat_key(&self.context.me), heartbeat)).await
        };
        let held: Vec<_> =
            self.leases.mine().map(|(k, lease, revision)| (k, lease.clone(), revision)).collect();
        let in_use = held.into_iter().filter(|(k, lease, _)| self.spent.get(k) != Some(&lease.epoch));
        let renewals = join_all(in_use.map(|(k, lease, revision)| {
            let bucket = &self.bucket;
            async move {
                let written = swap(bucket, k, &lease, revision).await;
                (k, lease, written)
            }
        }));
        let (beat, renewals) = tokio::join!(beat, renewals);
        let is_alive = beat.is_ok();
        match beat {
            Ok(_) => self.leases.heartbeat_stored(),
            Err(error) => tracing::debug!("heartbeat not written: {}", causes(error.as_ref())),
        }
        let mut all = true;
        let now_ms = self.started.now_ms();
        for (partition, lease, written) in renewals {
            match written {
                Ok(revision) => self.leases.written(partition, &lease, revision, now_ms),
                Err(error) => {
                    all = false;
                    tracing::debug!(%partition, "lease not renewed: {}", causes(error.as_ref()));
                }
            }
        }
        if all && is_alive {
            self.context.renewed.send_replace(renewed_at);
        }
        // A task whose lease the bucket has lost owns nothing until the lease is written again.
        let is_any_missing = self.tasks.epochs().any(|(partition, _)| self.leases.is_missing(partition));
        if all && self.leases.is_caught_up() && !is_any_missing {
            self.publish_lease_state(renewed_at);
        }
    }

    /// Informs the tasks that their leases were valid at `renewed_at`, once the broker's time is known.
    fn publish_lease_state(&mut self, renewed_at: Instant) {
        let Some(clock) = self.clock else { return };
        let state = LeaseState { renewed_at, clock };
        match &self.lease_state {
            Some(sender) => {
                sender.send_replace(state);
            }
            None => self.lease_state = Some(watch::channel(state).0),
        }
    }

    /// Does what the rules say now, and starts and stops tasks to match the leases.
    async fn act(&mut self) {
        if !self.leases.is_caught_up() || self.clock.is_none() {
            return;
        }
        if self.lease_state.is_none() {
            self.publish_lease_state(Instant::now());
        }
        let epoch_floor = clock::unix_ms().unsigned_abs() / 1_000;
        let mut acquisitions = Vec::new();
        for action in self.leases.plan(self.started.now_ms(), epoch_floor) {
            match action {
                Action::Acquire(partition, lease, revision) => {
                    acquisitions.push((partition, lease, revision));
                }
                // Once the task has ended, its lease is released.
                Action::Release(partition) => self.tasks.stop(partition),
                Action::Sweep(worker) => {
                    if let Err(error) = within(self.bucket.purge(heartbeat_key(&worker))).await {
                        tracing::debug!(
                            worker,
                            "cannot remove a dead worker's heartbeat: {}",
                            causes(error.as_ref())
                        );
                    }
                }
                Action::Purge(worker, revision) => self.purge(&worker, revision).await,
            }
        }
        self.acquire(acquisitions).await;
        self.match_tasks();
    }

    /// Writes new leases, all at once: a broker may take seconds for each.
    async fn acquire(&mut self, leases: Vec<(Partition, Lease, u64)>) {
        let bucket = &self.bucket;
        let writes = leases.into_iter().map(|(partition, lease, revision)| async move {
            let written = swap(bucket, partition, &lease, revision).await;
            (partition, lease, written)
        });
        for (partition, lease, written) in join_all(writes).await {
            match written {
                Ok(revision) => self.leases.written(partition, &lease, revision, self.started.now_ms()),
                // Another worker was faster, or the broker is away.
                Err(error) => tracing::debug!(%partition, "lease not taken: {}", causes(error.as_ref())),
            }
        }
    }

    /// Purges the marker of a removed heartbeat.
    async fn purge(&mut self, worker: &str, revision: u64) {
        // When that fails, another worker finds it.
        self.leases.purged(worker);
        let subject = streams::bucket_subject(streams::LEASES, &heartbeat_key(worker));
        let purge = self.bucket.stream.purge().sequence(revision + 1).filter(subject);
        if let Err(error) = within(purge.into_future()).await {
            tracing::debug!(
                worker,
                "cannot purge the marker of a dead worker's heartbeat: {}",
                causes(error.as_ref())
            );
        }
    }

    /// Starts the tasks of leases that this worker holds, and stops those of leases that it no longer holds.
    fn match_tasks(&mut self) {
        let held: BTreeMap<Partition, u64> =
            self.leases.mine().map(|(partition, lease, _)| (partition, lease.epoch)).collect();
        self.tasks.stop_lost(&self.leases);
        for (partition, epoch) in held {
            if self.spent.get(&partition) != Some(&epoch) && !self.tasks.contains(partition) {
                self.start(partition, epoch);
            }
        }
    }

    fn start(&mut self, partition: Partition, epoch: u64) {
        let Some(lease_state) = &self.lease_state else { return };
        let context = &self.context;
        let assignment = Assignment {
            partition,
            slots: context.count.slots(partition).collect(),
            epoch,
            worker: context.me.clone(),
            limits: context.limits,
        };
        let deps = Deps {
            data: context.data.clone(),
            output: context.output.clone(),
            minutes: context.minutes.clone(),
            lease: lease_state.subscribe(),
            status: context.status.clone(),
            missing: Arc::clone(self.repair.missing()),
        };
        self.tasks.start(assignment, deps);
    }

    /// Releases a partition's lease after its task: the next owner must find the task's work done.
    async fn task_ended(&mut self, partition: Partition, epoch: u64) {
        self.spent.insert(partition, epoch);
        self.release_spent().await;
    }

    /// Releases the leases whose tasks have ended. What cannot be released now is tried again in the next
    /// period, and expires meanwhile.
    async fn release_spent(&mut self) {
        let spent = &self.spent;
        let bucket = &self.bucket;
        let releases = self.leases.mine().filter(|(k, lease, _)| spent.get(k) == Some(&lease.epoch)).map(
            |(partition, lease, revision)| {
                let released = Lease { owner: String::new(), epoch: lease.epoch };
                async move {
                    let written = swap(bucket, partition, &released, revision).await;
                    (partition, released, written)
                }
            },
        );
        let releases: Vec<_> = releases.collect();
        for (partition, released, written) in join_all(releases).await {
            match written {
                Ok(revision) => self.leases.written(partition, &released, revision, self.started.now_ms()),
                Err(error) => {
                    tracing::warn!(%partition, "lease not released; other workers wait until it expires: {}", causes(error.as_ref()));
                }
            }
        }
    }

    /// Stops everything. The heartbeat goes first: the other workers then have room for each partition as
    /// soon as it is released, and not only after the last one.
    async fn leave(&mut self) {
        self.tasks.stop_all();
        if let Err(error) = within(self.bucket.purge(heartbeat_key(&self.context.me))).await {
            tracing::debug!("cannot remove the heartbeat: {}", causes(error.as_ref()));
        }
        let release_all = async {
            while let Some((partition, epoch)) = self.tasks.ended().await {
                self.task_ended(partition, epoch).await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, release_all).await.is_err() {
            tracing::warn!("not all leases were released in time; other workers wait until they expire");
        }
    }
}

/// Writes a lease unless it was written since `revision`. Returns the new revision.
async fn swap(bucket: &kv::Store, partition: Partition, lease: &Lease, revision: u64) -> anyhow::Result<u64> {
    let value = serde_json::to_vec(lease)?;
    within(bucket.update(lease_key(partition), value.into(), revision)).await
}

async fn within<T, E: Into<anyhow::Error>>(request: impl Future<Output = Result<T, E>>) -> anyhow::Result<T> {
    deadline::within(WRITE_TIMEOUT, "the broker does not answer", request).await
}
