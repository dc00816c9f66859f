//! One owned partition: its task reads the log, keeps the state, and tells readers.

mod checkpointing;

use std::{ops::ControlFlow, time::Duration};

use anyhow::Context;
use async_nats::{Client, Subscriber, jetstream};
use bytes::Bytes;
use futures_util::StreamExt;
use tidemap_service::{clock, streams};
use tidemap_wire::{
    Event, ForgetReply, ForgetRequest, Partition as PartitionId, Slot, SnapshotRequest, decode, encode,
    subject, timing,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint::{Recovery, Round},
    checkpoint_store::{Restored, WriteRequest},
    chunks,
    log_reader::{Content, LogEvent, LogPosition, LogReader, Record},
    partition::{Limits, Message, Output, Partition},
    worker_status::WorkerStatus,
};

/// Readers are told this often. The multiples of it are the same on every host, so that a reader's own tick can come
/// just after all partitions have spoken.
pub const TICK: Duration = timing::TICK;
/// Every how many ticks the totals are told.
const TICKS_PER_STATS: u64 = timing::TICKS_PER_STATS;
/// Without a renewed lease for this long, another worker may already have taken over: say nothing.
const FREEZE_AFTER: Duration = timing::LEASE_FREEZE;
/// The longest that an agent waits between two attempts to reach its broker.
const RECONNECT_MS: i64 = timing::millis(timing::RECONNECT) as i64;
/// A log in which nothing has come for this long was perhaps out of reach.
const QUIET_MS: i64 = 3_000;
/// At most one refused message in this time is logged.
const REFUSAL_LOG_PERIOD: Duration = Duration::from_secs(5);

/// What an owner needs of the world.
#[derive(Clone)]
pub struct Deps {
    /// For the log.
    pub data: jetstream::Context,
    /// For deltas, totals, events and answers.
    pub output: Client,
    /// What the keeper of leases knows.
    pub lease: watch::Receiver<LeaseState>,
    /// Where this owner says how it does.
    pub status: WorkerStatus,
}

/// What the keeper of leases tells its owners.
#[derive(Clone, Copy, Debug)]
pub struct LeaseState {
    /// When the leases were last renewed.
    pub renewed_at: Instant,
    /// The broker's time.
    pub clock: clock::BrokerClock,
}

/// Which partition, under which lease.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The partition.
    pub partition: PartitionId,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// The lease's epoch.
    pub epoch: u64,
    /// The worker's id.
    pub worker: String,
    /// When a silent node is called what.
    pub limits: Limits,
}

/// Owns a partition until `stop`.
///
/// # Errors
///
/// When the broker refuses a subscription.
pub async fn run(assignment: Assignment, deps: Deps, stop: CancellationToken) -> anyhow::Result<()> {
    let partition = assignment.partition;
    let mut snapshots =
        deps.output.subscribe(subject::snapshot(partition)).await.context("snapshot requests")?;
    let mut forgets = deps.output.subscribe(subject::forget(partition)).await.context("forget requests")?;
    let Some(kept) = stop.run_until_cancelled(checkpointing::load(&assignment, &deps)).await else {
        return Ok(());
    };
    let (orders, writer) = checkpointing::write(&assignment, &deps, &kept).await?;
    // When the state falls behind, reading waits, and the log keeps what comes meanwhile.
    let (events, mut log) = mpsc::channel(16);
    let reading =
        LogReader { stream: streams::name(partition), content: Content::Samples(assignment.slots.clone()) };
    let reader = tokio::spawn(reading.read(kept.place.clone(), deps.data.clone(), events, stop.clone()));
    let mut task = PartitionTask::new(assignment, deps, kept, orders);
    let mut tick = clock::next_multiple(TICK, Duration::ZERO);
    while let Some(event) = stop.run_until_cancelled(next(&mut log, tick, &mut snapshots, &mut forgets)).await
    {
        if matches!(event, Wake::Tick) {
            // Asked anew each time: after a step of the wall clock all processes still tick together.
            tick = clock::next_multiple(TICK, Duration::ZERO);
        }
        match event {
            Wake::Log(event) => task.read(event),
            Wake::Tick if task.tick().await.is_break() => break,
            Wake::Tick => {}
            Wake::Snapshot(request) => task.answer_snapshot(&request).await,
            Wake::Forget(request) => task.answer_forget(&request).await,
            Wake::Closed => break,
        }
    }
    stop.cancel();
    // The reader may wait for room in it.
    drop(log);
    reader.await.context("the log's reader")?;
    task.deps.status.clear(partition);
    checkpointing::leave(task, writer).await
}

/// What an owner wakes for.
enum Wake {
    Log(LogEvent),
    Tick,
    Snapshot(async_nats::Message),
    Forget(async_nats::Message),
    Closed,
}

async fn next(
    log: &mut mpsc::Receiver<LogEvent>,
    tick: Instant,
    snapshots: &mut Subscriber,
    forgets: &mut Subscriber,
) -> Wake {
    tokio::select! {
        // The broker's log has more.
        event = log.recv() => event.map_or(Wake::Closed, Wake::Log),
        // It is time to tell readers.
        () = tokio::time::sleep_until(tick) => Wake::Tick,
        // A reader joins, or has missed something.
        request = snapshots.next() => request.map_or(Wake::Closed, Wake::Snapshot),
        // An operator wants a node dropped.
        request = forgets.next() => request.map_or(Wake::Closed, Wake::Forget),
    }
}

/// The state of an owner, and its voice.
struct PartitionTask {
    assignment: Assignment,
    deps: Deps,
    state: Partition,
    /// How far of the log the state contains.
    place: LogPosition,
    /// What of the log it contained before that was read.
    recovery: Recovery,
    /// Where checkpoints go, and which is next.
    orders: mpsc::Sender<WriteRequest>,
    round: Round,
    /// Messages in the log behind it.
    lag: u64,
    /// Until the state contains this message it is history, not news; absent while the log is not being read.
    caught_up_at: Option<u64>,
    /// Whether readers could be told at the last tick.
    is_speaking: bool,
    /// Messages that the log dropped before they were read.
    lost: u64,
    seq: u64,
    ticks: u64,
    /// Broker time from which a node's silence counts: when this owner began to hear, or heard again.
    alive_ms: i64,
    frozen: bool,
    refusal_logged: Option<Instant>,
}

impl PartitionTask {
    fn new(assignment: Assignment, deps: Deps, kept: Restored, orders: mpsc::Sender<WriteRequest>) -> Self {
        let mut state = Partition::new(assignment.limits);
        state.restore(kept.nodes);
        Self {
            assignment,
            deps,
            state,
            place: kept.place,
            recovery: kept.recovery,
            orders,
            round: Round::default(),
            lag: 0,
            caught_up_at: None,
            is_speaking: false,
            lost: 0,
            seq: 0,
            ticks: 0,
            alive_ms: i64::MIN / 2,
            frozen: false,
            refusal_logged: None,
        }
    }

    fn read(&mut self, event: LogEvent) {
        match event {
            LogEvent::Opened { last, created_ns } => {
                self.caught_up_at = Some(last);
                self.place.created_ns = created_ns;
            }
            LogEvent::Interrupted { .. } => self.caught_up_at = None,
            LogEvent::Messages(messages) => {
                self.state.approach(messages.iter().map(|message| &*message.subject));
                messages.iter().for_each(|message| self.observe(message));
            }
            LogEvent::Lost { count } => {
                self.lost += count;
                self.state.lose();
                tracing::warn!(partition = %self.assignment.partition, count, "the log no longer holds these messages");
            }
            LogEvent::Shortened { left } => {
                tracing::warn!(partition = %self.assignment.partition, left.applied, "the broker's log has lost its end");
                self.recovery.cut(left.applied);
                self.place = left;
            }
            LogEvent::Recreated => {
                self.place = LogPosition::default();
                self.recovery = Recovery::default();
                tracing::warn!(partition = %self.assignment.partition, "the broker's log was made anew");
            }
        }
    }

    fn observe(&mut self, message: &Record) {
        self.place.pass(message.sequence, message.published_ns);
        self.lag = message.pending;
        let published_ms = self.place.applied_ns.div_euclid(1_000_000);
        let message = Message { subject: &message.subject, payload: &message.payload, published_ms };
        let is_known = |node: &str| self.recovery.knows(node, self.place.applied);
        if let Some(reason) = self.state.observe_unless(message, is_known).refused {
            let now = Instant::now();
            if self.refusal_logged.is_none_or(|then| now.duration_since(then) >= REFUSAL_LOG_PERIOD) {
                self.refusal_logged = Some(now);
                tracing::warn!(
                    subject = message.subject,
                    reason,
                    "refused a message (others may follow unlogged)"
                );
            }
        }
    }

    fn is_caught_up(&self) -> bool {
        self.caught_up_at.is_some_and(|last| self.place.applied >= last)
    }

    /// Tells readers what has changed, and keeps it. Breaks when a later owner was found.
    async fn tick(&mut self) -> ControlFlow<()> {
        let now = Instant::now();
        let lease = *self.deps.lease.borrow();
        let now_ms = lease.clock.at(now);
        let frozen = now.duration_since(lease.renewed_at) > FREEZE_AFTER;
        if frozen != self.frozen {
            tracing::warn!(partition = %self.assignment.partition, frozen, "the lease could not be renewed, or can be again");
        }
        self.frozen = frozen;
        let is_speaking = !frozen && self.is_caught_up();
        let heard_ms = self.place.applied_ns.div_euclid(1_000_000);
        let was_away = self.ticks > 0 || now_ms - heard_ms > QUIET_MS;
        if is_speaking && !self.is_speaking && was_away {
            // Nobody could be heard meanwhile, and agents take up to this long to come back.
            self.alive_ms = now_ms + RECONNECT_MS;
        }
        self.is_speaking = is_speaking;
        if !is_speaking {
            return ControlFlow::Continue(());
        }
        self.state.caught_up();
        let Output { forgotten, mut events } = self.state.tick(now_ms, self.alive_ms);
        let header = self.header(now_ms);
        let deltas = if self.ticks == 0 {
            // What the log told before this owner began is not news: the owner before has said it.
            events.clear();
            self.state.told_all();
            // A gap, so that also a reader whose snapshot is from before this tick asks for another.
            self.seq += 1;
            vec![chunks::first_delta(chunks::Header { seq: self.seq + 1, ..header })]
        } else {
            chunks::deltas(header, self.state.updates(), forgotten)
        };
        self.ticks += 1;
        if let Err(error) = self.tell(events, deltas, now_ms).await {
            tracing::warn!(partition = %self.assignment.partition, "cannot tell readers: {error:#}");
            // What was not told leaves a gap, so that readers ask.
            self.seq += 1;
        }
        self.keep()
    }

    async fn tell(&mut self, events: Vec<Event>, deltas: Vec<Vec<u8>>, now_ms: i64) -> anyhow::Result<()> {
        let Assignment { partition, epoch, .. } = self.assignment;
        for event in &events {
            self.publish(subject::event(event.kind, &event.node), encode(event)).await?;
        }
        for delta in deltas {
            self.seq += 1;
            self.publish(subject::delta(partition), delta).await?;
        }
        // With the first tick too: readers take a partition for fresh when its owner has spoken.
        if self.ticks % TICKS_PER_STATS == 1 {
            let mut stats = self.state.stats();
            stats.partition = partition.get();
            (stats.epoch, stats.seq, stats.at_ms) = (epoch, self.seq, now_ms);
            stats.owner.clone_from(&self.assignment.worker);
            (stats.applied, stats.lag) = (self.place.applied, self.lag);
            if self.lost > 0 {
                stats.refused.insert("lost".to_owned(), self.lost);
            }
            let told = encode(&stats);
            self.deps.status.post(partition, stats);
            self.publish(subject::stats(partition), told).await?;
        }
        Ok(())
    }

    fn header(&self, at_ms: i64) -> chunks::Header {
        let Assignment { partition, epoch, .. } = self.assignment;
        chunks::Header { partition, epoch, seq: self.seq, at_ms }
    }

    async fn answer_snapshot(&mut self, request: &async_nats::Message) {
        let (Some(reply), true, false) = (&request.reply, self.is_caught_up(), self.frozen) else { return };
        let Ok(asked) = decode::<SnapshotRequest>(&request.payload) else { return };
        let lease = *self.deps.lease.borrow();
        let header = self.header(lease.clock.at(Instant::now()));
        let answers = match asked.node {
            Some(node) => vec![chunks::snapshot_of_one(header, self.state.snapshot_of(&node))],
            None => chunks::snapshot(header, self.state.snapshot()),
        };
        for answer in answers {
            if let Err(error) = self.publish(reply.to_string(), answer).await {
                tracing::warn!("cannot answer a snapshot request: {error:#}");
                return;
            }
        }
    }

    async fn answer_forget(&mut self, request: &async_nats::Message) {
        let (Some(reply), true, false) = (&request.reply, self.is_caught_up(), self.frozen) else { return };
        let Ok(asked) = decode::<ForgetRequest>(&request.payload) else { return };
        let now_ms = self.deps.lease.borrow().clock.at(Instant::now());
        let known = self.state.forget(&asked.node, now_ms);
        tracing::info!(node = %asked.node, known, "asked to forget a node");
        self.keep_now(&asked.node);
        if let Err(error) = self.publish(reply.to_string(), encode(&ForgetReply { known })).await {
            tracing::warn!("cannot answer a forget request: {error:#}");
        }
    }

    /// Hands a message to the connection. It blocks while the broker is away, and an owner must not.
    async fn publish(&self, subject: String, payload: impl Into<Bytes>) -> anyhow::Result<()> {
        let publish = self.deps.output.publish(subject, payload.into());
        tokio::time::timeout(TICK, publish).await.context("the connection is full")??;
        Ok(())
    }
}
