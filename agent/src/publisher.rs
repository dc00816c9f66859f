//! Hands reports to the broker and hears what became of them. What to send and when is the outbox's business.
//!
//! Acknowledgements come to one subscription of our own, numbered by their last subject token: async-nats's request
//! machinery would keep an entry for ever for each one that is lost in an outage.

use std::{io, time::Duration};

use anyhow::bail;
use async_nats::{
    Client, Message, StatusCode, Subject, Subscriber,
    connection::State,
    jetstream::{publish::PublishAck, response::Response},
};
use futures_util::StreamExt;
use tidemap_service::nats::NatsArgs;
use tidemap_wire::{NodeId, encode, subject};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{AgentConfig, outbox::Outbox, sampler::Observation, spool::Spool};

/// async-nats takes a message into its queue at once, unless that is full because the connection just broke.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);
/// How often overdue acknowledgements and the connection are looked at while anything is pending.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the last samples may take at shutdown.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Refusals are the usual thing while everything starts; only those that last are worth a complaint.
const COMPLAIN_AFTER: Duration = Duration::from_secs(5);
/// Complaints about the broker are repeated this often at most.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// Hands reports to the broker.
pub struct Publisher {
    node: NodeId,
    subject: Subject,
    client: Client,
    acks: Subscriber,
    reply_prefix: String,
    outbox: Outbox,
    started: Instant,
    /// The server, and the number that it gave to this connection.
    connection: Option<(String, u64)>,
    /// Without one, or when it failed, samples wait in memory alone.
    spool: Option<Spool>,
    /// Since when the broker has taken nothing.
    refused_since: Option<Instant>,
    refusals: Complaint,
    silences: Complaint,
    losses: Complaint,
    lost_told: u64,
}

/// Something that is worth a line in the log, but not every second.
#[derive(Clone, Copy, Debug, Default)]
struct Complaint {
    last: Option<Instant>,
}

impl Publisher {
    /// Connects in the background; an absent broker is no error.
    ///
    /// # Errors
    ///
    /// When the address or the credentials cannot be used, or the spool is not this agent's.
    pub async fn connect(nats: &NatsArgs, config: &AgentConfig) -> anyhow::Result<Self> {
        let node = &config.node;
        let mut outbox = Outbox::new(node.clone(), fastrand::u64(..));
        let spool = match &config.spool {
            Some(path) => Spool::take_up(path, node, &mut outbox)?,
            None => None,
        };
        let inbox = format!("_INBOX.{node}");
        let client = nats.connect(&format!("tidemap-agent {node}"), Some(&inbox)).await?;
        let reply_prefix = client.new_inbox();
        let acks = client.subscribe(format!("{reply_prefix}.*")).await?;
        Ok(Self {
            node: node.clone(),
            subject: subject::sample(node).into(),
            client,
            acks,
            reply_prefix,
            outbox,
            spool,
            started: Instant::now(),
            connection: None,
            refused_since: None,
            refusals: Complaint::default(),
            silences: Complaint::default(),
            losses: Complaint::default(),
            lost_told: 0,
        })
    }

    /// Publishes what comes until nothing comes any more, then gives the last samples a moment.
    ///
    /// # Errors
    ///
    /// When the client gave up its connection for good.
    pub async fn run(mut self, mut observations: mpsc::Receiver<Observation>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                // The sampler has something, or has stopped.
                observation = observations.recv() => match observation {
                    Some(observation) => self.take(observation),
                    None => break,
                },
                // The broker answers.
                answer = self.acks.next() => self.hear(answer)?,
                // Time to look for overdue answers and a new connection.
                () = sleep(LOOK_EVERY), if !self.outbox.is_done() => {}
            }
            self.send_due().await;
        }
        self.last_words().await
    }

    fn take(&mut self, observation: Observation) {
        let boot = self.outbox.boot();
        self.outbox.push(observation.sample.clone(), observation.hello, self.now_ms());
        self.note(|spool| spool.keep(boot, observation.sample));
        let lost = self.outbox.lost();
        if lost > self.lost_told && self.losses.is_due() {
            tracing::warn!(lost_samples = lost, "the broker has been away for too long: samples are lost");
            self.lost_told = lost;
        }
    }

    fn hear(&mut self, answer: Option<Message>) -> anyhow::Result<()> {
        let Some(answer) = answer else { bail!("the connection to the broker is closed") };
        let Some(id) = answer.subject.rsplit('.').next().and_then(|token| token.parse().ok()) else {
            return Ok(());
        };
        match verdict(&answer) {
            Ok(()) => {
                if let Some(delivery) = self.outbox.acknowledged(id, self.now_ms()) {
                    self.note(|spool| spool.stored(delivery));
                }
                self.refused_since = None;
            }
            Err(reason) => {
                self.outbox.refused(id, self.now_ms());
                let since = *self.refused_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= COMPLAIN_AFTER && self.refusals.is_due() {
                    tracing::error!(node = %self.node, reason, "the broker does not take samples; keeping them");
                }
            }
        }
        Ok(())
    }

    async fn send_due(&mut self) {
        let now_ms = self.now_ms();
        let overdue = self.outbox.expire(now_ms);
        if self.client.connection_state() != State::Connected {
            return;
        }
        if overdue > 0 && self.silences.is_due() {
            tracing::error!(
                node = %self.node,
                "the broker does not acknowledge samples: may these credentials publish as this node?"
            );
        }
        self.notice_connection();
        while let Some(parcel) = self.outbox.next(now_ms) {
            let reply = format!("{}.{}", self.reply_prefix, parcel.id);
            let payload = encode(&parcel.report).into();
            let sending = self.client.publish_with_reply(self.subject.clone(), reply, payload);
            if !matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(()))) {
                self.outbox.refused(parcel.id, now_ms);
                return;
            }
        }
    }

    fn notice_connection(&mut self) {
        let Some(info) = self.client.try_server_info() else { return };
        let now = (info.server_id, info.client_id);
        if self.connection.as_ref() != Some(&now) {
            let new_server = self.connection.as_ref().is_none_or(|(server, _)| *server != now.0);
            self.outbox.reconnected(new_server);
            self.connection = Some(now);
        }
    }

    async fn last_words(mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + LAST_WORDS;
        while !self.outbox.is_done()
            && self.client.connection_state() == State::Connected
            && Instant::now() < deadline
        {
            self.send_due().await;
            if let Ok(answer) = timeout(LOOK_EVERY, self.acks.next()).await {
                self.hear(answer)?;
            }
        }
        let left = self.outbox.pending().count();
        match self.spool {
            _ if left == 0 => {}
            Some(_) => tracing::info!(spooled_samples = left, "stopped before the broker had all samples"),
            None => tracing::warn!(lost_samples = left, "stopped before the broker had all samples"),
        }
        Ok(())
    }

    /// Writes into the spool, if there is one, and clears it of what the broker has by now when it has grown.
    fn note(&mut self, write: impl FnOnce(&mut Spool) -> io::Result<()>) {
        self.in_spool(write);
        if self.spool.as_ref().is_some_and(Spool::is_full) {
            let pending: Vec<_> =
                self.outbox.pending().map(|(boot, sample)| (boot, sample.clone())).collect();
            self.in_spool(|spool| spool.compact(pending));
        }
    }

    /// A spool that fails is not used any more.
    fn in_spool(&mut self, write: impl FnOnce(&mut Spool) -> io::Result<()>) {
        if let Some(spool) = &mut self.spool
            && let Err(error) = write(spool)
        {
            tracing::warn!(%error, "the spool cannot be written: from now on samples wait in memory alone");
            if let Some(spool) = self.spool.take() {
                spool.abandon();
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Complaint {
    /// Whether it may be told now; if so, it is taken to have been.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now - last >= COMPLAIN_EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }
}

/// What an answer says: stored, or why not.
fn verdict(answer: &Message) -> Result<(), String> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err("no stream takes them: is ingest running?".to_owned());
    }
    match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
        Ok(Response::Ok(_)) => Ok(()),
        Ok(Response::Err { error }) => Err(error.to_string()),
        Err(error) => Err(format!("an answer that cannot be read: {error}")),
    }
}
