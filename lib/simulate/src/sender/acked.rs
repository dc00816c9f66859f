//! Publishes messages until the broker has stored them, many at a time.

use std::time::Duration;

use async_nats::{Client, Subject};
use bytes::Bytes;
use tidemap_service::{
    acks::{AckInbox, InFlight, RetryQueue},
    clock::Stopwatch,
};
use tidemap_wire::timing;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// At most this many messages wait for their acknowledgements or to be published again.
const MAX_PENDING: usize = 4_096;
/// At most this many acknowledgements are handled together.
const CHUNK: usize = 512;
/// The pause before a refused message is published again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often overdue acknowledgements and the connection are looked at while nothing else happens.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// A message with one or more reports.
pub(super) struct Outgoing {
    pub(super) subject: Subject,
    pub(super) payload: Bytes,
    pub(super) reports: u64,
}

pub(super) struct AckedPublisher {
    inbox: AckInbox,
    in_flight: InFlight<Outgoing>,
    retries: RetryQueue<Outgoing>,
    /// Reports that the broker has stored.
    stored: u64,
    clock: Stopwatch,
}

impl AckedPublisher {
    pub(super) async fn open(client: Client) -> anyhow::Result<Self> {
        Ok(Self {
            inbox: AckInbox::open(client, CHUNK).await?,
            in_flight: InFlight::new(timing::AGENT_ACK_TIMEOUT),
            retries: RetryQueue::new(RETRY_PAUSE),
            stored: 0,
            clock: Stopwatch::start(),
        })
    }

    /// Publishes a message; waits first while too many are pending.
    pub(super) async fn publish(&mut self, message: Outgoing) -> anyhow::Result<()> {
        while self.pending() >= MAX_PENDING {
            self.wait().await?;
        }
        self.attempt(message).await;
        Ok(())
    }

    /// Waits for acknowledgements, and takes them.
    pub(super) async fn acknowledgements(&mut self) -> anyhow::Result<()> {
        for answer in self.inbox.next().await? {
            let Some(message) = answer.number().and_then(|number| self.in_flight.remove(number)) else {
                continue;
            };
            match answer.verdict() {
                Ok(()) => self.stored += message.reports,
                Err(error) => {
                    tracing::debug!(subject = %message.subject, %error, "not stored");
                    self.retries.push(message, self.clock.now_ms());
                }
            }
        }
        Ok(())
    }

    /// Publishes again what was not acknowledged.
    pub(super) async fn retry(&mut self) {
        if !self.inbox.is_connected() {
            return;
        }
        if self.inbox.new_connection().is_some() {
            while let Some((_, message)) = self.in_flight.remove_oldest() {
                self.retries.extend([message]);
            }
        }
        let now_ms = self.clock.now_ms();
        while let Some((_, message)) = self.in_flight.remove_overdue(now_ms) {
            tracing::debug!(subject = %message.subject, "no acknowledgement in time");
            self.retries.extend([message]);
        }
        while let Some(message) = self.retries.pop(now_ms) {
            self.attempt(message).await;
        }
    }

    /// Waits until everything is stored; after `shutdown` only for a moment. Returns how many reports are.
    pub(super) async fn finish(mut self, shutdown: &CancellationToken) -> anyhow::Result<u64> {
        match shutdown.run_until_cancelled(self.drain()).await {
            Some(drained) => drained?,
            // What is not stored by then is lost.
            None => drop(timeout(timing::AGENT_ACK_TIMEOUT, self.drain()).await),
        }
        Ok(self.stored)
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        while self.pending() > 0 {
            self.wait().await?;
        }
        Ok(())
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        if let Ok(taken) = timeout(LOOK_PERIOD, self.acknowledgements()).await {
            taken?;
        }
        self.retry().await;
        Ok(())
    }

    async fn attempt(&mut self, message: Outgoing) {
        let now_ms = self.clock.now_ms();
        if !self.inbox.is_connected() {
            self.retries.push(message, now_ms);
            return;
        }
        let (subject, payload) = (message.subject.clone(), message.payload.clone());
        let number = self.in_flight.add(message, now_ms);
        if !self.inbox.publish(subject, number, payload).await
            && let Some(message) = self.in_flight.remove(number)
        {
            self.retries.push(message, now_ms);
        }
    }

    fn pending(&self) -> usize {
        self.in_flight.len() + self.retries.len()
    }
}
