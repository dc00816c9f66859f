//! Publishes what the outbox decides to send, and passes the broker's answers to the outbox.

mod delivery_log;

use std::time::Duration;

use async_nats::Subject;
use tidemap_service::{
    acks::{AckInbox, Answer},
    clock::Stopwatch,
    nats::NatsArgs,
};
use tidemap_wire::{NodeId, encode, subject};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{
    baseline::{Earlier, Stand},
    config::AgentConfig,
    outbox::{MAX_IN_FLIGHT, Outbox},
    probes::Probes,
    round_trips::RoundTrips,
    sampler::Observation,
    spool::Spool,
};
use delivery_log::DeliveryLog;

/// How often overdue acknowledgements and the connection are checked while anything is pending.
const CHECK_PERIOD: Duration = Duration::from_millis(250);
/// How long the last samples may take at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Publishes reports.
pub(crate) struct Publisher {
    nats: NatsArgs,
    /// The id that this node may have been enrolled by instead, until the broker has acknowledged one.
    other_node: Option<NodeId>,
    subject: Subject,
    inbox: AckInbox,
    outbox: Outbox,
    round_trips: RoundTrips,
    probes: Probes,
    spool: Spool,
    log: DeliveryLog,
    clock: Stopwatch,
}

impl Publisher {
    /// Connects in the background; an absent broker is no error.
    pub(crate) async fn connect(nats: &NatsArgs, config: &AgentConfig) -> anyhow::Result<Self> {
        let mut outbox = Outbox::new(config.node.clone(), fastrand::u64(..));
        let mut spool = |node| Spool::open(config.spool.as_deref(), node, &mut outbox);
        let (node, other, spool) = match (spool(&config.node), &config.earlier_node) {
            // What an earlier version has left in its spool names the node by its earlier id.
            (Err(_), Some(earlier)) => (earlier, Some(&config.node), spool(earlier)?),
            (opened, earlier) => (&config.node, earlier.as_ref(), opened?),
        };
        outbox.rename(node.clone());
        Ok(Self {
            nats: nats.clone(),
            // Only a key is limited to one id.
            other_node: other.cloned().filter(|_| nats.creds.is_some()),
            subject: subject::sample(node).into(),
            inbox: inbox(nats, node).await?,
            outbox,
            round_trips: RoundTrips::new(config.interval),
            probes: Probes::start(&config.probes, config.probe_interval),
            spool,
            log: DeliveryLog::new(node.clone()),
            clock: Stopwatch::start(),
        })
    }

    /// What an earlier run has left of its counters.
    pub(crate) fn take_earlier(&mut self) -> Option<Earlier> {
        self.spool.take_earlier()
    }

    /// Whether it is kept for the next run where the counters stand.
    pub(crate) fn keeps_stands(&self) -> bool {
        self.spool.is_in_use()
    }

    /// Keeps where the counters stand before the first sample.
    pub(crate) fn begin(&mut self, stand: Stand) {
        self.spool.begin(self.outbox.boot(), stand);
    }

    /// Publishes observations until the sampler ends, and then the last samples, for at most
    /// [`SHUTDOWN_TIMEOUT`].
    pub(crate) async fn run(mut self, mut observations: mpsc::Receiver<Observation>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                // The sampler has read a sample, or has stopped.
                observation = observations.recv() => match observation {
                    Some(observation) => self.take(observation),
                    None => break,
                },
                // The broker answers.
                answers = self.inbox.next() => self.settle(answers?),
                // Acknowledgements may be overdue, or the connection may be new.
                () = sleep(CHECK_PERIOD), if !self.outbox.is_done() => {}
            }
            self.send_due().await?;
        }
        self.finish().await
    }

    fn take(&mut self, observation: Observation) {
        let Observation { mut sample, hello, stand } = observation;
        if let Some(host) = &mut sample.host {
            self.round_trips.add_to(host, self.clock.elapsed());
        }
        sample.probes = self.probes.take();
        self.outbox.push(sample.clone(), hello, self.clock.now_ms());
        self.spool.keep(self.outbox.boot(), sample);
        if let Some(stand) = stand {
            self.spool.keep_stand(self.outbox.boot(), stand);
        }
        self.spool.compact_if_large(&self.outbox);
        self.log.lost(self.outbox.lost());
    }

    fn settle(&mut self, answers: impl Iterator<Item = Answer>) {
        for answer in answers {
            let Some(id) = answer.number() else { continue };
            match answer.verdict() {
                Ok(()) => self.acknowledged(id),
                Err(reason) => {
                    self.outbox.refused(id, self.clock.now_ms());
                    self.round_trips.failed(id, self.clock.elapsed());
                    self.log.refused(&reason);
                }
            }
        }
    }

    fn acknowledged(&mut self, id: u64) {
        self.other_node = None;
        self.round_trips.acknowledged(id, self.clock.elapsed());
        if let Some(delivery) = self.outbox.acknowledged(id, self.clock.now_ms()) {
            self.spool.stored(delivery);
            self.spool.compact_if_large(&self.outbox);
        }
        self.log.stored();
    }

    async fn send_due(&mut self) -> anyhow::Result<()> {
        let now_ms = self.clock.now_ms();
        let overdue = self.outbox.expire(now_ms);
        self.round_trips.expire(self.clock.elapsed());
        if !self.inbox.is_connected() {
            return Ok(());
        }
        if overdue > 0 {
            self.log.unanswered();
            self.try_other_node().await?;
        }
        if let Some(connection) = self.inbox.new_connection() {
            self.outbox.reconnected(connection.new_server);
            self.round_trips.reconnected(self.clock.elapsed());
        }
        while let Some(batch) = self.outbox.next(now_ms) {
            let payload = encode(&batch.report).into();
            self.round_trips.sent(batch.id, batch.report.samples.len(), self.clock.elapsed());
            if !self.inbox.publish(self.subject.clone(), batch.id, payload).await {
                self.outbox.refused(batch.id, now_ms);
                self.round_trips.failed(batch.id, self.clock.elapsed());
                break;
            }
        }
        Ok(())
    }

    /// Publishes by the other id from now on: the broker stores nothing by this one.
    async fn try_other_node(&mut self) -> anyhow::Result<()> {
        let Some(other) = self.other_node.take() else { return Ok(()) };
        tracing::info!(node = %other, "trying the other id of this name");
        self.inbox = inbox(&self.nats, &other).await?;
        self.subject = subject::sample(&other).into();
        self.other_node = Some(self.outbox.rename(other));
        Ok(())
    }

    async fn finish(mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        while !self.outbox.is_done() && self.inbox.is_connected() && Instant::now() < deadline {
            self.send_due().await?;
            if let Ok(answers) = timeout(CHECK_PERIOD, self.inbox.next()).await {
                self.settle(answers?);
            }
        }
        let left = self.outbox.pending().count();
        if left > 0 && self.spool.is_in_use() {
            tracing::info!(spooled_samples = left, "stopped before the broker had all samples");
        } else if left > 0 {
            tracing::warn!(lost_samples = left, "stopped before the broker had all samples");
        }
        Ok(())
    }
}

/// A connection of its own: a node's permissions name its inbox.
async fn inbox(nats: &NatsArgs, node: &NodeId) -> anyhow::Result<AckInbox> {
    let prefix = format!("_INBOX.{node}");
    let client = nats.connect(&format!("tidemap-agent {node}"), Some(&prefix)).await?;
    Ok(AckInbox::open(client, MAX_IN_FLIGHT).await?)
}
