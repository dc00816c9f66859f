//! Forwards reports from the local server to the broker, and acknowledgements back.
//!
//! Every wait here has a limit: the relay refuses what it cannot accept at once, and the agent keeps the
//! sample.

use std::time::Duration;

use anyhow::Context;
use async_nats::{Client, Message};
use bytes::Bytes;
use tidemap_service::{acks::Answer, clock::Stopwatch};
use tidemap_wire::{Claim, NodeId, Pack, Slot, decode, subject};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    local_server::{LocalServer, Reply},
    packer::{OutgoingPack, Packer},
    rate_limit::RateLimit,
    upstream::Upstream,
};

/// How often to check for packs that are due and for overdue acknowledgements.
const TICK: Duration = Duration::from_millis(5);
/// How long the last reports may take at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the totals are logged.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// Forwards reports and acknowledgements.
pub struct Forwarder {
    local: LocalServer,
    upstream: Upstream,
    packer: Packer<Reply>,
    rate_limit: RateLimit,
    counts: Counts,
    clock: Stopwatch,
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    stored: u64,
    packs: u64,
    refused: u64,
}

impl Forwarder {
    /// Subscribes on both sides.
    ///
    /// # Errors
    ///
    /// When a client is closed.
    pub async fn new(relay: &NodeId, local: Client, broker: Client) -> anyhow::Result<Self> {
        Ok(Self {
            upstream: Upstream::open(relay, broker).await?,
            local: LocalServer::subscribe(local).await?,
            packer: Packer::default(),
            rate_limit: RateLimit::default(),
            counts: Counts::default(),
            clock: Stopwatch::start(),
        })
    }

    /// Forwards until `shutdown`, and then completes the packs that are in flight.
    ///
    /// # Errors
    ///
    /// When a client is closed.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut log_tick = interval_at(Instant::now() + LOG_PERIOD, LOG_PERIOD);
        log_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // The broker has stored packs, or refuses them.
                answers = self.upstream.next() => self.settle(answers?).await,
                // Agents report.
                reports = self.local.next() => {
                    self.take(reports.context("the connection to the local server is closed")?).await;
                }
                // Packs may be due, or acknowledgements overdue.
                _ = tick.tick() => self.tick().await,
                // The totals are due.
                _ = log_tick.tick() => self.log_counts(),
                // Ctrl-C, or a service manager stops the process.
                () = shutdown.cancelled() => break,
            }
        }
        if timeout(SHUTDOWN_TIMEOUT, self.finish()).await.is_err() {
            tracing::warn!("stopped before the broker had everything: agents will send the rest again");
        }
        self.abandon_all("the relay is stopping").await;
        self.local.flush(SHUTDOWN_TIMEOUT).await;
        self.log_counts();
        Ok(())
    }

    /// Forwards what the local server has sent already, and waits for the broker's answers to all of it.
    /// Reports in transit at this moment may be missed; their agents send them again, to another relay.
    async fn finish(&mut self) -> anyhow::Result<()> {
        self.local.unsubscribe().await?;
        while let Some(reports) = self.local.next().await {
            self.take(reports).await;
        }
        while let Some(pack) = self.packer.flush() {
            self.publish(pack).await;
        }
        while !self.upstream.is_idle() {
            let answers = self.upstream.next().await?;
            self.settle(answers).await;
        }
        Ok(())
    }

    async fn take(&mut self, reports: Vec<Message>) {
        let now_ms = self.clock.now_ms();
        for report in reports {
            let Message { subject, reply, payload, .. } = report;
            // An agent chooses its reply subject. The relay must not be made to publish anywhere but in an
            // inbox.
            let reply = reply.filter(|reply| reply.starts_with("_INBOX."));
            match self.slot_of(&subject, &payload, now_ms) {
                Ok(slot) => {
                    if let Some(full) = self.packer.take(slot, &payload, reply, now_ms) {
                        self.publish(full).await;
                    }
                }
                Err(reason) => self.refuse(vec![reply], reason).await,
            }
        }
    }

    /// The slot of a report that can be forwarded, or why it cannot.
    ///
    /// The local server knows whose key may publish on a subject. In a pack the subject is lost, so the
    /// report must name the same node.
    fn slot_of(&mut self, subject: &str, payload: &[u8], now_ms: u64) -> Result<Slot, &'static str> {
        let (slot, node) = subject::parts_of_sample(subject).ok_or("no sample's subject")?;
        let claim: Claim<'_> = decode(payload).map_err(|_| "no report")?;
        if claim.node != node {
            return Err("a report that names another node");
        }
        if payload.len() > Pack::MAX_REPORT_BYTES {
            return Err("a report that is too large");
        }
        if let Some(obstacle) = self.upstream.obstacle() {
            return Err(obstacle);
        }
        if !self.rate_limit.allows(node, now_ms) {
            return Err("too many reports of this node");
        }
        Ok(slot)
    }

    async fn publish(&mut self, pack: OutgoingPack<Reply>) {
        if let Err(pack) = self.upstream.publish(pack, self.clock.now_ms()).await {
            self.give_back(pack, "the relay has lost its broker").await;
        }
    }

    async fn settle(&mut self, answers: impl Iterator<Item = Answer>) {
        for answer in answers {
            let Some(pack) = self.upstream.answered(&answer) else { continue };
            match answer.verdict() {
                Ok(()) => self.acknowledge(pack, answer.payload()).await,
                Err(reason) => self.give_back(pack, &reason.to_string()).await,
            }
        }
    }

    /// Passes the broker's acknowledgement to the agents, unchanged.
    async fn acknowledge(&mut self, pack: OutgoingPack<Reply>, ack: &Bytes) {
        let OutgoingPack { slot, payload, replies } = pack;
        self.counts.packs += 1;
        self.counts.stored += replies.len() as u64;
        self.upstream.keep(slot, payload, self.clock.now_ms());
        self.local.acknowledge(replies, ack).await;
    }

    /// Refuses the reports of a pack to their agents. A replayed pack, for which no agent waits, is replayed
    /// again later.
    async fn give_back(&mut self, pack: OutgoingPack<Reply>, reason: &str) {
        if pack.replies.is_empty() {
            self.upstream.replay_later(pack, self.clock.now_ms());
            return;
        }
        tracing::debug!(slot = %pack.slot, reports = pack.replies.len(), reason, "a pack was not stored");
        self.refuse(pack.replies, reason).await;
    }

    async fn refuse(&mut self, replies: Vec<Reply>, reason: &str) {
        self.counts.refused += replies.len() as u64;
        self.local.refuse(replies, reason).await;
    }

    async fn tick(&mut self) {
        if self.upstream.is_new_connection() {
            self.abandon_all("the relay has lost its broker").await;
        }
        let now_ms = self.clock.now_ms();
        while let Some(pack) = self.upstream.next_overdue(now_ms) {
            self.give_back(pack, "the broker does not answer").await;
        }
        while let Some(pack) = self.packer.due(now_ms) {
            self.publish(pack).await;
        }
        while let Some(pack) = self.upstream.next_replay(now_ms) {
            self.publish(pack).await;
        }
    }

    async fn abandon_all(&mut self, reason: &str) {
        while let Some(pack) = self.upstream.abandon_next() {
            self.give_back(pack, reason).await;
        }
    }

    fn log_counts(&self) {
        let Counts { stored, packs, refused } = self.counts;
        tracing::info!(reports = stored, packs, refused, "relayed since the start");
    }
}
