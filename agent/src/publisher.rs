//! Publishes what the outbox decides to send, and passes the broker's answers to the outbox.

mod delivery_log;

use std::time::Duration;

use async_nats::Subject;
use tidemap_service::{
    acks::{AckInbox, Answer},
    clock::Stopwatch,
    nats::NatsArgs,
};
use tidemap_wire::{encode, subject};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{
    config::AgentConfig,
    outbox::{MAX_IN_FLIGHT, Outbox},
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
    subject: Subject,
    inbox: AckInbox,
    outbox: Outbox,
    spool: Spool,
    log: DeliveryLog,
    clock: Stopwatch,
}

impl Publisher {
    /// Connects in the background; an absent broker is no error.
    pub(crate) async fn connect(nats: &NatsArgs, config: &AgentConfig) -> anyhow::Result<Self> {
        let node = &config.node;
        let mut outbox = Outbox::new(node.clone(), fastrand::u64(..));
        let spool = Spool::open(config.spool.as_deref(), node, &mut outbox)?;
        let inbox = format!("_INBOX.{node}");
        let client = nats.connect(&format!("tidemap-agent {node}"), Some(&inbox)).await?;
        Ok(Self {
            subject: subject::sample(node).into(),
            inbox: AckInbox::open(client, MAX_IN_FLIGHT).await?,
            outbox,
            spool,
            log: DeliveryLog::new(node.clone()),
            clock: Stopwatch::start(),
        })
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
            self.send_due().await;
        }
        self.finish().await
    }

    fn take(&mut self, observation: Observation) {
        let Observation { sample, hello } = observation;
        self.outbox.push(sample.clone(), hello, self.clock.now_ms());
        self.spool.keep(self.outbox.boot(), sample);
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
                    self.log.refused(&reason);
                }
            }
        }
    }

    fn acknowledged(&mut self, id: u64) {
        if let Some(delivery) = self.outbox.acknowledged(id, self.clock.now_ms()) {
            self.spool.stored(delivery);
            self.spool.compact_if_large(&self.outbox);
        }
        self.log.stored();
    }

    async fn send_due(&mut self) {
        let now_ms = self.clock.now_ms();
        let overdue = self.outbox.expire(now_ms);
        if !self.inbox.is_connected() {
            return;
        }
        if overdue > 0 {
            self.log.unanswered();
        }
        if let Some(connection) = self.inbox.new_connection() {
            self.outbox.reconnected(connection.new_server);
        }
        while let Some(batch) = self.outbox.next(now_ms) {
            let payload = encode(&batch.report).into();
            if !self.inbox.publish(self.subject.clone(), batch.id, payload).await {
                self.outbox.refused(batch.id, now_ms);
                return;
            }
        }
    }

    async fn finish(mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        while !self.outbox.is_done() && self.inbox.is_connected() && Instant::now() < deadline {
            self.send_due().await;
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
