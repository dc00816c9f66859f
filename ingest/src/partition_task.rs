//! The task of one owned partition: reads the log into the replica, publishes what changes, and answers
//! requests.

mod checkpointing;
mod publishing;
mod refusal_log;
mod telling;

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use anyhow::Context;
use async_nats::{Client, Message, Subscriber, jetstream};
use futures_util::StreamExt;
use tidemap_service::{causes::causes, clock, deadline::within, streams};
use tidemap_wire::{
    ForgetReply, ForgetRequest, Partition, Slot, SnapshotRequest, decode, encode, subject, timing,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::field;

use crate::{
    chunks,
    log_reader::{Content, LogEnd, LogEvent, LogReader},
    minutes_publisher::MinutesPublisher,
    partition::{Limits, RefusedReport},
    refusal::Refusal,
    replica::{Applied, Replica},
    worker_status::WorkerStatus,
};
use checkpointing::Checkpointing;
use publishing::Publishing;
use refusal_log::RefusalLog;
use telling::Telling;

/// Between two deltas. Ticks are at the same multiples of it on every host, so that a reader can tick just
/// after all partitions have published.
pub(crate) const TICK: Duration = timing::TICK;
/// What a task needs from its worker.
#[derive(Clone)]
pub struct Deps {
    /// For the log.
    pub data: jetstream::Context,
    /// For deltas, totals, events and answers.
    pub output: Client,
    /// The state of the leases, from the lease manager.
    pub lease: watch::Receiver<LeaseState>,
    /// Where rows for the history go.
    pub minutes: MinutesPublisher,
    /// Where the task reports its totals.
    pub status: WorkerStatus,
    /// Notified when a stream or a bucket may be missing.
    pub missing: Arc<Notify>,
}

/// What the lease manager passes to its tasks.
#[derive(Clone, Copy, Debug)]
pub struct LeaseState {
    /// When the leases were last renewed.
    pub renewed_at: Instant,
    /// The broker's time.
    pub clock: clock::BrokerClock,
}

/// Which partition a task owns, and under which lease.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub partition: Partition,
    /// The partition's slots.
    pub slots: Vec<Slot>,
    /// The lease's epoch.
    pub epoch: u64,
    /// The worker's id.
    pub worker: String,
    pub limits: Limits,
}

impl Assignment {
    fn log(&self) -> LogReader {
        let content = Content::Samples(self.slots.clone());
        LogReader { stream: streams::name(self.partition), content, end: LogEnd::default() }
    }
}

/// Owns a partition until `stop`.
///
/// # Errors
///
/// When the broker refuses a subscription.
pub async fn run(assignment: Assignment, deps: Deps, stop: CancellationToken) -> anyhow::Result<()> {
    let partition = assignment.partition;
    let mut requests = Requests {
        snapshots: deps.output.subscribe(subject::snapshot(partition)).await.context("snapshot requests")?,
        forgets: deps.output.subscribe(subject::forget(partition)).await.context("forget requests")?,
    };
    let loading = checkpointing::load(&deps.data, &assignment);
    let Some(restored) = stop.run_until_cancelled(loading).await else { return Ok(()) };
    let checkpoints =
        Checkpointing::start(&deps.data, &assignment, restored.revisions, &deps.missing).await?;
    let position = restored.position;
    // When the state falls behind, the reader waits, and the log keeps the messages meanwhile.
    let (events, mut log) = mpsc::channel(16);
    let log_reader = assignment.log();
    let log_end = log_reader.end.clone();
    let reading = log_reader.read(position.clone(), deps.data.clone(), events, stop.clone());
    let reading = tokio::spawn(reading);
    let replica = Replica::restore(assignment.limits, restored.nodes, restored.recovery, position);
    let mut task = PartitionTask {
        telling: Telling::new(deps.minutes.clone()),
        assignment,
        deps,
        replica,
        log_end,
        checkpoints,
        publishing: Publishing::default(),
        refusal_log: RefusalLog::default(),
    };
    let mut tick = clock::next_multiple(TICK, Duration::ZERO);
    while let Some(event) = stop.run_until_cancelled(next(&mut log, tick, &mut requests)).await {
        match event {
            Wakeup::Log(event) => task.read(event),
            Wakeup::Tick => {
                // Computed again each time, so that all processes tick together even after a step of the wall
                // clock.
                tick = clock::next_multiple(TICK, Duration::ZERO);
                if task.tick().await.is_break() {
                    break;
                }
            }
            Wakeup::Snapshot(request) => task.answer_snapshot(&request).await,
            Wakeup::Forget(request) => task.answer_forget(&request).await,
            Wakeup::Closed => break,
        }
    }
    stop.cancel();
    // The reader may be waiting for room in it.
    drop(log);
    reading.await.context("the log's reader")?;
    task.deps.status.clear(partition);
    if let Some(at_ms) = task.answering_at() {
        task.telling.finish(&task.assignment, &mut task.replica.state, at_ms).await;
    }
    task.checkpoints.finish(&task.assignment, &task.replica).await
}

struct Requests {
    snapshots: Subscriber,
    forgets: Subscriber,
}

enum Wakeup {
    Log(LogEvent),
    Tick,
    Snapshot(Message),
    Forget(Message),
    Closed,
}

async fn next(log: &mut mpsc::Receiver<LogEvent>, tick: Instant, requests: &mut Requests) -> Wakeup {
    tokio::select! {
        // The broker's log has more.
        event = log.recv() => event.map_or(Wakeup::Closed, Wakeup::Log),
        // It is time to publish.
        () = tokio::time::sleep_until(tick) => Wakeup::Tick,
        // A reader joins, or has missed something.
        request = requests.snapshots.next() => request.map_or(Wakeup::Closed, Wakeup::Snapshot),
        // An operator wants a node forgotten.
        request = requests.forgets.next() => request.map_or(Wakeup::Closed, Wakeup::Forget),
    }
}

struct PartitionTask {
    assignment: Assignment,
    deps: Deps,
    replica: Replica,
    log_end: LogEnd,
    checkpoints: Checkpointing,
    publishing: Publishing,
    telling: Telling,
    refusal_log: RefusalLog,
}

impl PartitionTask {
    fn read(&mut self, event: LogEvent) {
        let partition = self.assignment.partition;
        match &event {
            LogEvent::Lost { count } => {
                tracing::warn!(%partition, count, "the log no longer holds these messages");
            }
            LogEvent::Shortened { left } => {
                tracing::warn!(%partition, left.applied, "the broker's log has lost its end");
            }
            LogEvent::Interrupted { missing: true } => self.deps.missing.notify_one(),
            LogEvent::Recreated => tracing::warn!(%partition, "the broker's log was created again"),
            LogEvent::Opened { .. } | LogEvent::Interrupted { .. } | LogEvent::Messages(_) => {}
        }
        let applied = self.replica.apply(event);
        self.log_refusal(&applied);
    }

    fn log_refusal(&mut self, applied: &Applied) {
        let Some((subject, RefusedReport { node, reason })) = &applied.refused else { return };
        if self.refusal_log.admits(node.as_ref(), *reason) {
            let claimants = node.as_ref().filter(|_| *reason == Refusal::SecondAgent);
            if let Some(node) = claimants {
                let (shown, refused) = self.replica.state.claimants(node);
                let (shown, refused) = (shown.as_deref(), refused.as_deref());
                tracing::warn!(%node, shown, refused, "two agents report under one name: the one that started last is shown");
                return;
            }
            let (node, reason) = (node.as_ref().map(field::display), reason.name());
            tracing::warn!(%subject, node, reason, "refused a report or a part of it (others may follow unlogged)");
        }
    }

    /// Publishes what has changed, tells the history, and writes checkpoints. Breaks if a later owner was
    /// found.
    async fn tick(&mut self) -> ControlFlow<()> {
        let lease = *self.deps.lease.borrow();
        let was_frozen = self.publishing.is_frozen();
        let at_ms = self.publishing.begin_tick(lease, Instant::now(), &self.replica);
        let frozen = self.publishing.is_frozen();
        if frozen != was_frozen {
            let partition = self.assignment.partition;
            tracing::warn!(%partition, frozen, "publishing stops while the lease cannot be renewed");
        }
        let Some(at_ms) = at_ms else { return ControlFlow::Continue(()) };
        let header = self.publishing.header(&self.assignment, at_ms);
        if let Err(error) = self.publish_changes(header).await {
            tracing::warn!(partition = %self.assignment.partition, "cannot publish: {}", causes(error.as_ref()));
            // The lost delta leaves a gap, so that readers request a snapshot.
            self.publishing.seq += 1;
        }
        self.telling.tick(&self.assignment, &mut self.replica.state, at_ms);
        self.checkpoints.write(&self.assignment, &self.replica)
    }

    async fn publish_changes(&mut self, header: chunks::Header) -> anyhow::Result<()> {
        let partition = self.assignment.partition;
        let judged_ms = self.publishing.judged_at(self.replica.position(), self.log_end.get(), header.at_ms);
        let (events, deltas) = self.publishing.changes(header, judged_ms, &mut self.replica.state);
        for event in &events {
            self.publish(subject::event(event.kind, &event.node), encode(event)).await?;
        }
        for delta in deltas {
            self.publishing.seq += 1;
            self.publish(subject::delta(partition), delta).await?;
        }
        if self.publishing.are_totals_due() {
            let stats =
                self.publishing.totals(&self.assignment, &self.replica, self.log_end.get(), header.at_ms);
            let encoded = encode(&stats);
            self.deps.status.post(partition, stats);
            self.publish(subject::stats(partition), encoded).await?;
        }
        Ok(())
    }

    /// The broker's time if requests may be answered now.
    fn answering_at(&self) -> Option<i64> {
        let lease = *self.deps.lease.borrow();
        let may_answer = self.replica.is_caught_up() && !self.publishing.is_frozen();
        may_answer.then(|| lease.clock.at(Instant::now()))
    }

    async fn answer_snapshot(&mut self, request: &Message) {
        let Some(reply) = &request.reply else { return };
        let Some(now_ms) = self.answering_at() else { return };
        let Ok(asked) = decode::<SnapshotRequest>(&request.payload) else { return };
        let header = self.publishing.header(&self.assignment, now_ms);
        let state = &self.replica.state;
        let answers = match asked.node {
            Some(node) => vec![chunks::snapshot_of_one(header, state.snapshot_of(&node))],
            None => chunks::snapshot(header, state.snapshot()),
        };
        for answer in answers {
            if let Err(error) = self.publish(reply.to_string(), answer).await {
                tracing::warn!("cannot answer a snapshot request: {}", causes(error.as_ref()));
                return;
            }
        }
    }

    async fn answer_forget(&mut self, request: &Message) {
        let Some(reply) = &request.reply else { return };
        let Some(now_ms) = self.answering_at() else { return };
        let Ok(asked) = decode::<ForgetRequest>(&request.payload) else { return };
        let known = self.replica.state.forget(&asked.node, now_ms);
        tracing::info!(node = %asked.node, known, "asked to forget a node");
        self.checkpoints.write_part_of(&self.assignment, &self.replica, &asked.node);
        let answer = ForgetReply { known, applied: Some(self.replica.position().applied) };
        if let Err(error) = self.publish(reply.to_string(), encode(&answer)).await {
            tracing::warn!("cannot answer a forget request: {}", causes(error.as_ref()));
        }
    }

    /// Queues a message on the connection, for at most a tick: queuing blocks while the broker is away, and
    /// the task must not.
    async fn publish(&self, subject: String, payload: Vec<u8>) -> anyhow::Result<()> {
        let publish = self.deps.output.publish(subject, payload.into());
        within(TICK, "the connection is full", publish).await
    }
}
