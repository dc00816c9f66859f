//! The broker's side: publishes packs, and receives acknowledgements.

use std::time::Duration;

use async_nats::{Client, Subject};
use bytes::Bytes;
use tidemap_service::acks::{AckInbox, Answer, RetryQueue};
use tidemap_wire::{NodeId, Slot, subject};

use crate::{
    in_flight::PacksInFlight, local_server::Reply, packer::OutgoingPack, replay_buffer::ReplayBuffer,
};

/// Memory of packs that wait for their acknowledgements; beyond it reports are refused. Enough for 300,000
/// ordinary reports: three seconds of a fleet that is larger than one relay should serve.
const MAX_HELD_BYTES: usize = 96 * 1024 * 1024;
/// At most this many acknowledgements are handled together.
const CHUNK: usize = 512;
/// The pause between attempts to replay packs.
const REPLAY_PAUSE: Duration = Duration::from_secs(1);

/// The relay's connection to the broker.
pub(crate) struct Upstream {
    inbox: AckInbox,
    /// Each slot's subject of packs.
    subjects: Vec<Subject>,
    in_flight: PacksInFlight<Reply>,
    /// Packs that the broker has acknowledged but may still lose.
    acknowledged: ReplayBuffer,
    /// Packs that the broker may have lost and that are published again. No agent waits for them.
    replays: RetryQueue<(Slot, Bytes)>,
}

impl Upstream {
    pub(crate) async fn open(relay: &NodeId, client: Client) -> anyhow::Result<Self> {
        Ok(Self {
            inbox: AckInbox::open(client, CHUNK).await?,
            subjects: Slot::all().map(|slot| subject::pack(slot, relay).into()).collect(),
            in_flight: PacksInFlight::new(),
            acknowledged: ReplayBuffer::default(),
            replays: RetryQueue::new(REPLAY_PAUSE),
        })
    }

    /// The reason why no report can be accepted now, if there is one.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        if !self.inbox.is_connected() {
            Some("the relay has lost its broker")
        } else if self.in_flight.held_bytes() > MAX_HELD_BYTES {
            Some("the relay's broker is too slow")
        } else {
            None
        }
    }

    /// Publishes a pack. Returns it when the client does not take it.
    pub(crate) async fn publish(
        &mut self,
        pack: OutgoingPack<Reply>,
        now_ms: u64,
    ) -> Result<(), OutgoingPack<Reply>> {
        let (subject, payload) = (self.subjects[usize::from(pack.slot.get())].clone(), pack.payload.clone());
        let number = self.in_flight.add(pack, now_ms);
        if self.inbox.publish(subject, number, payload).await {
            return Ok(());
        }
        self.in_flight.remove(number).map_or(Ok(()), Err)
    }

    /// Waits for acknowledgements.
    pub(crate) async fn next(&mut self) -> anyhow::Result<impl Iterator<Item = Answer> + use<>> {
        self.inbox.next().await
    }

    /// The pack that an answer belongs to, if it still waits.
    pub(crate) fn answered(&mut self, answer: &Answer) -> Option<OutgoingPack<Reply>> {
        self.in_flight.remove(answer.number()?)
    }

    /// Notes that a pack was acknowledged: its payload is kept for a while in case the broker loses it.
    pub(crate) fn keep(&mut self, slot: Slot, payload: Bytes, now_ms: u64) {
        self.acknowledged.push(slot, payload, now_ms);
    }

    /// Replays a pack later.
    pub(crate) fn replay_later(&mut self, pack: OutgoingPack<Reply>, now_ms: u64) {
        self.replays.push((pack.slot, pack.payload), now_ms);
    }

    /// The next pack to replay, if it is due and there is memory for it.
    pub(crate) fn next_replay(&mut self, now_ms: u64) -> Option<OutgoingPack<Reply>> {
        if self.in_flight.held_bytes() >= MAX_HELD_BYTES {
            return None;
        }
        let (slot, payload) = self.replays.pop(now_ms)?;
        Some(OutgoingPack { slot, payload, replies: Vec::new() })
    }

    /// The next pack whose acknowledgement is overdue.
    pub(crate) fn next_overdue(&mut self, now_ms: u64) -> Option<OutgoingPack<Reply>> {
        self.in_flight.remove_overdue(now_ms)
    }

    /// Removes the next pack whose answer is no longer awaited.
    pub(crate) fn abandon_next(&mut self) -> Option<OutgoingPack<Reply>> {
        self.in_flight.remove_oldest()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether there is a new connection; the broker never answers on it for what was published on the old
    /// one. If the server is another one, it may lack the last seconds, which are replayed.
    pub(crate) fn is_new_connection(&mut self) -> bool {
        let Some(connection) = self.inbox.new_connection() else { return false };
        if connection.new_server {
            self.replays.extend(self.acknowledged.take());
        }
        true
    }
}
