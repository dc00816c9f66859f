//! Carries reports from the local server to the broker, and acknowledgements back. What to carry when is decided by the
//! pure modules.
//!
//! Acknowledgements of packs come to one subscription of our own, numbered by their last subject token, as with agents.
//! Nothing waits in here without bound: what a relay cannot take at once it refuses, and agents hold it.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, bail};
use async_nats::{
    Client, Message, StatusCode, Subject, Subscriber,
    connection::State,
    jetstream::{publish::PublishAck, response::Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::ReadyChunks};
use tidemap_wire::{Claim, NodeId, Pack, Slot, decode, subject};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    allowance::Allowance,
    flights::Flights,
    packer::{Packer, Parcel},
    tail::Tail,
};

/// How often packs that are due and overdue answers are looked for.
const TICK: Duration = Duration::from_millis(5);
/// Messages that are dealt with together when they are there.
const CHUNK: usize = 512;
/// What may wait for the broker's answer. Beyond it reports are refused: 300,000 ordinary ones, three seconds of a fleet
/// that is larger than one relay should have.
const MAX_HELD_BYTES: usize = 96 * 1024 * 1024;
/// async-nats takes a message into its queue at once, unless that is full because the connection just broke.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);
/// Between attempts to have the broker take what it may have lost.
const AGAIN_EVERY_MS: u64 = 1_000;
/// How long the last reports may take at shutdown.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How often the log tells what was relayed.
const TELL_EVERY_MS: u64 = 60_000;

/// What answers a report: the subject on which its agent waits, if it does.
type Answer = Option<Subject>;

/// Carries reports and acknowledgements.
pub struct Courier {
    local: Client,
    broker: Client,
    reports: ReadyChunks<Subscriber>,
    answers: ReadyChunks<Subscriber>,
    reply_prefix: String,
    /// Where each slot's packs go.
    subjects: Vec<Subject>,
    packer: Packer<Answer>,
    flights: Flights<Answer>,
    allowance: Allowance,
    tail: Tail,
    /// What the broker may have lost and shall have again.
    again: VecDeque<(Slot, Bytes)>,
    again_at_ms: u64,
    /// The broker, and the number that it gave to this connection.
    connection: Option<(String, u64)>,
    counts: Counts,
    told_at_ms: u64,
    started: Instant,
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    stored: u64,
    packs: u64,
    refused: u64,
}

impl Courier {
    /// Subscribes at both sides.
    ///
    /// # Errors
    ///
    /// When a client has given up its connection.
    pub async fn new(relay: NodeId, local: Client, broker: Client) -> anyhow::Result<Self> {
        let reply_prefix = broker.new_inbox();
        let answers = broker.subscribe(format!("{reply_prefix}.*")).await?.ready_chunks(CHUNK);
        let reports = local.queue_subscribe(subject::ALL_SAMPLES, subject::RELAYS.to_owned()).await?;
        Ok(Self {
            local,
            broker,
            reports: reports.ready_chunks(CHUNK),
            answers,
            reply_prefix,
            subjects: Slot::all().map(|slot| subject::pack(slot, &relay).into()).collect(),
            packer: Packer::default(),
            flights: Flights::default(),
            allowance: Allowance::default(),
            tail: Tail::default(),
            again: VecDeque::new(),
            again_at_ms: 0,
            connection: None,
            counts: Counts::default(),
            told_at_ms: 0,
            started: Instant::now(),
        })
    }

    /// Carries until `shutdown`, and then what is under way.
    ///
    /// # Errors
    ///
    /// When a client has given up its connection.
    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // The broker has stored packs, or says why not.
                answers = self.answers.next() => self.hear(answers).await?,
                // Agents report.
                reports = self.reports.next() => {
                    self.take(reports.context("the connection to the local server is closed")?).await;
                }
                // Time has passed.
                _ = tick.tick() => self.look().await,
                // Ctrl-C or a service manager.
                () = shutdown.cancelled() => break,
            }
        }
        if timeout(LAST_WORDS, self.finish()).await.is_err() {
            tracing::warn!("stopped before the broker had everything: agents will send the rest again");
        }
        self.give_up("the relay is stopping").await;
        // What agents are not told now they find out by themselves.
        drop(timeout(LAST_WORDS, self.local.flush()).await);
        self.tell();
        Ok(())
    }

    /// Takes what the local server has sent us, and waits for the broker's answers to all of it. What is on its way to us at
    /// this very moment may be missed: its agents send it again, to another relay.
    async fn finish(&mut self) -> anyhow::Result<()> {
        self.reports.get_mut().drain().await?;
        while let Some(reports) = self.reports.next().await {
            self.take(reports).await;
        }
        while let Some(parcel) = self.packer.flush() {
            self.send(parcel).await;
        }
        while !self.flights.is_empty() {
            let answers = self.answers.next().await;
            self.hear(answers).await?;
        }
        Ok(())
    }

    async fn take(&mut self, reports: Vec<Message>) {
        let now_ms = self.now_ms();
        for report in reports {
            let Message { subject, reply, payload, .. } = report;
            // An agent chooses its reply subject, but may have us speak in an inbox only.
            let reply = reply.filter(|reply| reply.starts_with("_INBOX."));
            match self.slot_of(&subject, &payload, now_ms) {
                Ok(slot) => {
                    if let Some(full) = self.packer.take(slot, &payload, reply, now_ms) {
                        self.send(full).await;
                    }
                }
                Err(reason) => self.refuse([reply], reason).await,
            }
        }
    }

    /// The slot of a report that can be relayed, or why it cannot.
    ///
    /// The local server knows whose key may publish on a subject. In a pack the subject is lost, so the report must name
    /// the same node.
    fn slot_of(&mut self, subject: &str, payload: &[u8], now_ms: u64) -> Result<Slot, &'static str> {
        let (slot, node) = subject::parts_of_sample(subject).ok_or("no sample's subject")?;
        let claim: Claim<'_> = decode(payload).map_err(|_| "no report")?;
        if claim.node != node {
            return Err("a report that names another node");
        }
        if payload.len() > Pack::MAX_REPORT_BYTES {
            return Err("a report that is too large");
        }
        if self.broker.connection_state() != State::Connected {
            return Err("the relay has lost its broker");
        }
        if self.flights.held_bytes() > MAX_HELD_BYTES {
            return Err("the relay's broker is too slow");
        }
        if !self.allowance.spend(node, now_ms) {
            return Err("too many reports of this node");
        }
        Ok(slot)
    }

    async fn send(&mut self, parcel: Parcel<Answer>) {
        let Some(subject) = self.subjects.get(usize::from(parcel.slot.get())).cloned() else { return };
        let payload = parcel.payload.clone();
        let number = self.flights.start(parcel, self.now_ms());
        let reply = format!("{}.{number}", self.reply_prefix);
        let sending = self.broker.publish_with_reply(subject, reply, payload);
        if !matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(())))
            && let Some(parcel) = self.flights.land(number)
        {
            self.return_to_sender(parcel, "the relay has lost its broker").await;
        }
    }

    async fn hear(&mut self, answers: Option<Vec<Message>>) -> anyhow::Result<()> {
        let Some(answers) = answers else { bail!("the connection to the broker is closed") };
        for answer in answers {
            let number = answer.subject.rsplit('.').next().and_then(|token| token.parse().ok());
            let Some(parcel) = number.and_then(|number| self.flights.land(number)) else { continue };
            match verdict(&answer) {
                Ok(()) => self.acknowledge(parcel, &answer.payload).await,
                Err(reason) => self.return_to_sender(parcel, &reason).await,
            }
        }
        Ok(())
    }

    /// Tells agents that the broker has their reports, in its own words.
    async fn acknowledge(&mut self, parcel: Parcel<Answer>, ack: &Bytes) {
        let Parcel { slot, payload, answers } = parcel;
        self.counts.packs += 1;
        self.counts.stored += answers.len() as u64;
        self.tail.keep(slot, payload, self.now_ms());
        for reply in answers.into_iter().flatten() {
            if !self.answer(reply, ack.clone()).await {
                return;
            }
        }
    }

    /// Tells agents that their reports are still theirs.
    async fn return_to_sender(&mut self, parcel: Parcel<Answer>, reason: &str) {
        if parcel.answers.is_empty() {
            self.again.push_back((parcel.slot, parcel.payload));
            self.again_at_ms = self.now_ms() + AGAIN_EVERY_MS;
            return;
        }
        tracing::debug!(slot = %parcel.slot, reports = parcel.answers.len(), reason, "a pack came back");
        self.refuse(parcel.answers, reason).await;
    }

    async fn refuse(&mut self, replies: impl IntoIterator<Item = Answer>, reason: &str) {
        // 10008 is JetStream's own "temporarily unavailable".
        let error = serde_json::json!({ "code": 503, "err_code": 10_008, "description": reason });
        let payload = Bytes::from(serde_json::json!({ "error": error }).to_string());
        let mut is_heard = true;
        for reply in replies {
            self.counts.refused += 1;
            if let Some(reply) = reply.filter(|_| is_heard) {
                is_heard = self.answer(reply, payload.clone()).await;
            }
        }
    }

    /// Whether an answer could set out. When not, the local server is away, and so are those who wait.
    async fn answer(&self, reply: Subject, payload: Bytes) -> bool {
        matches!(timeout(SEND_TIMEOUT, self.local.publish(reply, payload)).await, Ok(Ok(())))
    }

    async fn look(&mut self) {
        let now_ms = self.now_ms();
        self.notice_connection().await;
        while let Some(parcel) = self.flights.expire(now_ms) {
            self.return_to_sender(parcel, "the broker does not answer").await;
        }
        while let Some(parcel) = self.packer.due(now_ms) {
            self.send(parcel).await;
        }
        while now_ms >= self.again_at_ms
            && self.flights.held_bytes() < MAX_HELD_BYTES
            && let Some((slot, payload)) = self.again.pop_front()
        {
            self.send(Parcel { slot, payload, answers: Vec::new() }).await;
        }
        if now_ms >= self.told_at_ms + TELL_EVERY_MS {
            self.told_at_ms = now_ms;
            self.tell();
        }
    }

    /// On a new connection nobody answers what was said on the old one. A new broker may have lost its last seconds.
    async fn notice_connection(&mut self) {
        let Some(info) = self.broker.try_server_info() else { return };
        if self
            .connection
            .as_ref()
            .is_some_and(|(server, id)| *server == info.server_id && *id == info.client_id)
        {
            return;
        }
        if self.connection.as_ref().is_some_and(|(server, _)| *server != info.server_id) {
            self.again.extend(self.tail.take());
        }
        self.connection = Some((info.server_id, info.client_id));
        self.give_up("the relay has lost its broker").await;
    }

    async fn give_up(&mut self, reason: &str) {
        while let Some(parcel) = self.flights.give_up() {
            self.return_to_sender(parcel, reason).await;
        }
    }

    fn tell(&self) {
        let Counts { stored, packs, refused } = self.counts;
        tracing::info!(reports = stored, packs, refused, "relayed since the start");
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What an answer says: stored, or why not.
fn verdict(answer: &Message) -> Result<(), String> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err("no stream takes packs: is ingest running?".to_owned());
    }
    match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
        Ok(Response::Ok(_)) => Ok(()),
        Ok(Response::Err { error }) => Err(error.to_string()),
        Err(error) => Err(format!("an answer that cannot be read: {error}")),
    }
}
