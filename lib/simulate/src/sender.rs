//! One connection of a fleet: reports go one by one or in packs, with acknowledgements or without.

mod acked;

use async_nats::{Client, Subject, connection::State};
use bytes::Bytes;
use tidemap_relay::packer::{OutgoingPack, Packer};
use tidemap_wire::{NodeId, Slot, subject, timing};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use acked::{AckedPublisher, Outgoing};

/// How reports are published.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// Each report in its own message, resent until it is acknowledged.
    Acked,
    /// Each report in its own message, sent once.
    Unacked,
    /// Many reports in one message, as a relay with this name publishes them, resent until it is
    /// acknowledged.
    Packed(NodeId),
}

/// Publishes the reports of a fleet.
pub(crate) struct Sender {
    /// Each node's subject, in the fleet's order, or each slot's.
    subjects: Vec<Subject>,
    packer: Option<Packer<()>>,
    publisher: Publisher,
}

enum Publisher {
    Acked(Box<AckedPublisher>),
    Unacked { client: Client, sent: u64 },
}

impl Sender {
    /// A sender for a fleet. The order of the fleet's nodes must not change afterwards.
    pub(crate) async fn new(mode: &Mode, client: Client, fleet: &Fleet) -> anyhow::Result<Self> {
        let (subjects, packer) = match mode {
            Mode::Packed(relay) => {
                let subjects = Slot::all().map(|slot| subject::pack(slot, relay).into());
                (subjects.collect(), Some(Packer::default()))
            }
            Mode::Acked | Mode::Unacked => {
                (fleet.nodes.iter().map(|node| subject::sample(&node.id).into()).collect(), None)
            }
        };
        let publisher = match mode {
            Mode::Unacked => Publisher::Unacked { client, sent: 0 },
            Mode::Acked | Mode::Packed(_) => Publisher::Acked(Box::new(AckedPublisher::open(client).await?)),
        };
        Ok(Self { subjects, packer, publisher })
    }

    /// Publishes the report of the node at this index of the fleet, or adds it to a pack.
    pub(crate) async fn send(
        &mut self,
        number: usize,
        node: &NodeId,
        report: Vec<u8>,
        now_ms: u64,
    ) -> anyhow::Result<()> {
        let Some(packer) = &mut self.packer else { return self.publish(number, report.into(), 1).await };
        match packer.take(Slot::of(node), &report, (), now_ms) {
            Some(full) => self.publish_pack(full).await,
            None => Ok(()),
        }
    }

    /// Publishes packs that are due, and again messages that were not acknowledged.
    pub(crate) async fn send_due(&mut self, now_ms: u64) -> anyhow::Result<()> {
        while let Some(due) = self.packer.as_mut().and_then(|packer| packer.due(now_ms)) {
            self.publish_pack(due).await?;
        }
        if let Publisher::Acked(publisher) = &mut self.publisher {
            publisher.retry().await;
        }
        Ok(())
    }

    /// Waits for acknowledgements and handles them. Pending forever in the mode without them.
    pub(crate) async fn acknowledgements(&mut self) -> anyhow::Result<()> {
        match &mut self.publisher {
            Publisher::Acked(publisher) => publisher.acknowledgements().await,
            Publisher::Unacked { .. } => std::future::pending().await,
        }
    }

    /// Publishes the rest, and waits for all acknowledgements; after `shutdown` only for a moment. Returns
    /// how many reports the broker has stored.
    pub(crate) async fn finish(mut self, shutdown: &CancellationToken) -> anyhow::Result<u64> {
        self.send_due(u64::MAX).await?;
        match self.publisher {
            Publisher::Acked(publisher) => publisher.finish(shutdown).await,
            Publisher::Unacked { client, sent } => {
                // What is still in this process after that is never sent.
                timeout(timing::AGENT_ACK_TIMEOUT, client.flush()).await.ok();
                Ok(sent)
            }
        }
    }

    async fn publish_pack(&mut self, pack: OutgoingPack<()>) -> anyhow::Result<()> {
        let OutgoingPack { slot, payload, replies } = pack;
        self.publish(usize::from(slot.get()), payload, replies.len() as u64).await
    }

    async fn publish(&mut self, subject: usize, payload: Bytes, reports: u64) -> anyhow::Result<()> {
        let subject = self.subjects[subject].clone();
        match &mut self.publisher {
            Publisher::Acked(publisher) => publisher.publish(Outgoing { subject, payload, reports }).await?,
            // While disconnected, a report would wait in the client's queue until it is outdated, or block
            // this task.
            Publisher::Unacked { client, .. } if client.connection_state() != State::Connected => {}
            Publisher::Unacked { client, sent } => {
                *sent += u64::from(client.publish(subject, payload).await.is_ok());
            }
        }
        Ok(())
    }
}
