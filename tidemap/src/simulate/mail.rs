//! How reports go to the broker: one by one or in packs, answered or not. What may wait for an answer is bounded; when
//! that many do, nodes report later, as agents would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, Subject, connection::State, jetstream};
use bytes::Bytes;
use tidemap_relay::packer::{Packer, Parcel};
use tidemap_wire::{NodeId, Slot, subject};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::fleet::Fleet;

/// Messages that wait for their acknowledgement.
const IN_FLIGHT: usize = 4_096;
/// Like an agent's.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Between attempts to have a message stored.
const RETRY: Duration = Duration::from_secs(1);

/// The way that reports go.
#[derive(Clone, Debug)]
pub(super) enum Post {
    /// Each by itself, again and again until it is acknowledged.
    Answered,
    /// Each by itself, once.
    Unanswered,
    /// Many in one message, as a relay of this name sends them, until it is acknowledged.
    Packed(NodeId),
}

/// One connection's mail.
pub(super) struct Mail {
    client: Client,
    /// Where messages go: each node's, in the fleet's order, or each slot's.
    subjects: Vec<Subject>,
    packer: Option<Packer<()>>,
    /// Absent when nobody waits for answers.
    letters: Option<Letters>,
    /// Reports that went without waiting.
    sent: u64,
}

/// What waits for its answer.
struct Letters {
    js: jetstream::Context,
    room: Arc<Semaphore>,
    sending: TaskTracker,
    stored: Arc<AtomicU64>,
    give_up: CancellationToken,
}

impl Mail {
    /// The mail of a fleet, whose order must not change any more.
    pub(super) fn new(post: &Post, client: Client, fleet: &Fleet) -> Self {
        let letters = (!matches!(post, Post::Unanswered)).then(|| Letters::new(client.clone()));
        let (subjects, packer) = match post {
            Post::Packed(relay) => {
                let subjects = Slot::all().map(|slot| subject::pack(slot, relay).into()).collect();
                (subjects, Some(Packer::default()))
            }
            Post::Answered | Post::Unanswered => {
                (fleet.nodes.iter().map(|node| subject::sample(&node.id).into()).collect(), None)
            }
        };
        Self { client, subjects, packer, letters, sent: 0 }
    }

    /// Sends the report of the fleet's node of this number, or puts it into a pack.
    pub(super) async fn send(&mut self, number: usize, node: &NodeId, report: Vec<u8>, now_ms: u64) {
        match &mut self.packer {
            None => self.carry(number, report.into(), 1).await,
            Some(packer) => {
                if let Some(full) = packer.take(Slot::of(node), &report, (), now_ms) {
                    self.carry_pack(full).await;
                }
            }
        }
    }

    /// Sends the packs that have waited long enough.
    pub(super) async fn send_due(&mut self, now_ms: u64) {
        while let Some(due) = self.packer.as_mut().and_then(|packer| packer.due(now_ms)) {
            self.carry_pack(due).await;
        }
    }

    /// Sends what is left, and waits for all answers, after `shutdown` for a moment only. Returns how many reports the
    /// broker has.
    pub(super) async fn finish(mut self, shutdown: &CancellationToken) -> u64 {
        self.send_due(u64::MAX).await;
        let Some(letters) = self.letters else {
            // What has not left this process by then never will.
            timeout(ACK_TIMEOUT, self.client.flush()).await.ok();
            return self.sent;
        };
        letters.sending.close();
        if shutdown.run_until_cancelled(letters.sending.wait()).await.is_none() {
            timeout(ACK_TIMEOUT, letters.sending.wait()).await.ok();
        }
        letters.give_up.cancel();
        letters.stored.load(Ordering::Relaxed)
    }

    async fn carry_pack(&mut self, Parcel { slot, payload, answers }: Parcel<()>) {
        self.carry(usize::from(slot.get()), payload, answers.len() as u64).await;
    }

    async fn carry(&mut self, subject: usize, payload: Bytes, reports: u64) {
        let subject = self.subjects[subject].clone();
        match &self.letters {
            Some(letters) => letters.carry(subject, payload, reports).await,
            // It would wait in a queue and be out of date, or block us.
            None if self.client.connection_state() != State::Connected => {}
            None => self.sent += u64::from(self.client.publish(subject, payload).await.is_ok()),
        }
    }
}

impl Letters {
    fn new(client: Client) -> Self {
        let mut js = jetstream::new(client);
        js.set_timeout(ACK_TIMEOUT);
        Self {
            js,
            room: Arc::new(Semaphore::new(IN_FLIGHT)),
            sending: TaskTracker::new(),
            stored: Arc::default(),
            give_up: CancellationToken::new(),
        }
    }

    /// Has a message sent until it is stored; waits while too many are on their way.
    async fn carry(&self, subject: Subject, payload: Bytes, reports: u64) {
        // It is never closed.
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
        let (js, stored, give_up) = (self.js.clone(), Arc::clone(&self.stored), self.give_up.clone());
        self.sending.spawn(async move {
            if give_up.run_until_cancelled(store(js, subject, payload)).await.is_some() {
                stored.fetch_add(reports, Ordering::Relaxed);
            }
            drop(room);
        });
    }
}

/// Sends one message until the broker has it.
async fn store(js: jetstream::Context, subject: Subject, payload: Bytes) {
    loop {
        let acked = async { js.publish(subject.clone(), payload.clone()).await?.await };
        match timeout(ACK_TIMEOUT, acked).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                tracing::debug!(%subject, %error, "not acknowledged");
                sleep(RETRY).await;
            }
            Err(_) => tracing::debug!(%subject, "no acknowledgement in time"),
        }
    }
}
