//! Publishes a fleet whose truth is written down: what is not acknowledged goes again, and the run ends when nothing is
//! left. On the way, reports may be doubled, delayed and overtaken.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use async_nats::{
    Client, Message, Subscriber,
    connection::State,
    jetstream::{publish::PublishAck, response::Response},
};
use bytes::Bytes;
use futures_util::StreamExt;
use tidemap_service::clock;
use tidemap_wire::{encode, subject};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ack_log::AckLog,
    agent::{Sending, SimulatedAgent},
    plan::{Limit, Way},
};

/// Nodes report spread over the interval, in steps of this.
const STEP: Duration = Duration::from_millis(10);
/// How often overdue acknowledgements are looked for.
const LOOK_EVERY_MS: u64 = 250;
/// As an agent's.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);
/// For the broker to acknowledge what is left at the end.
const LAST_WORDS: Duration = Duration::from_secs(50);

/// A second copy sets out within this time.
const SECOND_COPY_WITHIN_MS: u64 = 3_000;

/// What one connection needs.
pub(super) struct Parts {
    pub(super) agents: Vec<SimulatedAgent>,
    pub(super) client: Client,
    pub(super) log: Arc<AckLog>,
    pub(super) limit: Limit,
    pub(super) way: Way,
    pub(super) seed: u64,
}

/// Publishes until the plan's limit or `shutdown`, and then until everything is acknowledged. Returns how many samples
/// that were.
///
/// # Errors
///
/// When the ack log cannot be written, or is not the truth: a sample was given up or never acknowledged.
pub(super) async fn run(parts: Parts, shutdown: CancellationToken) -> anyhow::Result<u64> {
    let prefix = parts.client.new_inbox();
    let acks = parts.client.subscribe(format!("{prefix}.>")).await?;
    let mut courier = Courier::new(parts, prefix);
    courier.work(acks, shutdown).await?;
    courier.parts.log.flush()?;
    let lost: u64 = courier.parts.agents.iter().map(SimulatedAgent::lost).sum();
    ensure!(lost == 0, "{lost} samples had to be given up: the ack log is not the truth");
    Ok(courier.parts.agents.iter().map(SimulatedAgent::samples).sum())
}

struct Courier {
    parts: Parts,
    prefix: String,
    subjects: Vec<String>,
    random: fastrand::Rng,
    /// Reports on their way, by the time at which they reach the connection, and a number.
    on_the_way: BTreeMap<(u64, u64), Letter>,
    letters: u64,
    started: Instant,
    looked_ms: u64,
    connection: Option<(String, u64)>,
}

/// A report on its way.
struct Letter {
    agent: usize,
    /// Absent for a second copy: nobody waits for its acknowledgement.
    answer: Option<(u64, u64)>,
    payload: Bytes,
}

impl Courier {
    fn new(parts: Parts, prefix: String) -> Self {
        let subjects = parts.agents.iter().map(|agent| subject::sample(agent.id())).collect();
        let random = fastrand::Rng::with_seed(parts.seed);
        Self {
            parts,
            prefix,
            subjects,
            random,
            on_the_way: BTreeMap::new(),
            letters: 0,
            started: Instant::now(),
            looked_ms: 0,
            connection: None,
        }
    }

    async fn work(&mut self, mut acks: Subscriber, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut step = interval(STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut over_since = None;
        loop {
            tokio::select! {
                // The broker answers.
                answer = acks.next() => {
                    self.hear(&answer.context("the connection to the broker is closed")?)?;
                },
                // Time has passed.
                _ = step.tick() => {
                    let over = shutdown.is_cancelled() || self.sample();
                    self.send_due().await;
                    if !over {
                        continue;
                    }
                    if self.on_the_way.is_empty() && self.parts.agents.iter().all(SimulatedAgent::is_done) {
                        return Ok(());
                    }
                    if over_since.get_or_insert_with(Instant::now).elapsed() > LAST_WORDS {
                        bail!("the broker does not acknowledge everything: the ack log is not the truth");
                    }
                }
            }
        }
    }

    /// Takes the samples that are due. Says whether no more will come.
    fn sample(&mut self) -> bool {
        let (now_ms, wall_ms) = (self.now_ms(), clock::unix_ms());
        let limit = self.parts.limit;
        let mut over = true;
        for number in 0..self.parts.agents.len() {
            let agent = &mut self.parts.agents[number];
            let may = limit.allows(agent.samples(), now_ms);
            over &= !may;
            if may && agent.sample(now_ms, wall_ms) {
                self.hand_over(number, now_ms);
            }
        }
        over
    }

    fn hear(&mut self, answer: &Message) -> anyhow::Result<()> {
        let mut tokens = answer.subject[self.prefix.len()..].split('.').skip(1).map(str::parse);
        let (Some(Ok(number)), Some(Ok(run)), Some(Ok(id))) = (tokens.next(), tokens.next(), tokens.next())
        else {
            return Ok(());
        };
        let now_ms = self.now_ms();
        let Some(agent) = usize::try_from(number).ok().and_then(|number| self.parts.agents.get_mut(number))
        else {
            return Ok(());
        };
        let stored = serde_json::from_slice(&answer.payload);
        if let Ok(Response::<PublishAck>::Ok(_)) = stored {
            self.parts.log.write(&agent.acknowledged(run, id, now_ms))?;
        } else {
            // An error of the broker's, or nobody there to answer.
            agent.refused(run, id, now_ms);
        }
        self.hand_over(usize::try_from(number)?, now_ms);
        Ok(())
    }

    async fn send_due(&mut self) {
        let now_ms = self.now_ms();
        if now_ms - self.looked_ms >= LOOK_EVERY_MS {
            self.looked_ms = now_ms;
            // The last flush tells when the file cannot be written.
            self.parts.log.flush().ok();
            self.parts.agents.iter_mut().for_each(|agent| agent.tidy(now_ms));
            self.notice_connection();
            (0..self.parts.agents.len()).for_each(|number| self.hand_over(number, now_ms));
        }
        while let Some(first) = self.on_the_way.first_entry().filter(|first| first.key().0 <= now_ms) {
            let letter = first.remove();
            self.publish(letter, now_ms).await;
        }
    }

    /// Puts what an agent has to send on its way.
    fn hand_over(&mut self, number: usize, now_ms: u64) {
        if self.parts.client.connection_state() != State::Connected {
            return;
        }
        while let Some(sending) = self.parts.agents[number].next(now_ms) {
            let Sending { run, id, report } = sending;
            let payload: Bytes = encode(&report).into();
            if self.random.f64() < self.parts.way.duplicate {
                let later_ms = self.random.u64(0..SECOND_COPY_WITHIN_MS);
                self.put(Letter { agent: number, answer: None, payload: payload.clone() }, now_ms + later_ms);
            }
            self.put(Letter { agent: number, answer: Some((run, id)), payload }, now_ms);
        }
    }

    fn put(&mut self, letter: Letter, from_ms: u64) {
        let longest_ms = u64::try_from(self.parts.way.shuffle.as_millis()).unwrap_or(u64::MAX);
        let delay_ms = self.random.u64(0..=longest_ms);
        self.letters += 1;
        self.on_the_way.insert((from_ms + delay_ms, self.letters), letter);
    }

    async fn publish(&mut self, letter: Letter, now_ms: u64) {
        let number = letter.agent;
        let answer =
            letter.answer.map_or_else(|| "copy".to_owned(), |(run, id)| format!("{number}.{run}.{id}"));
        let reply = format!("{}.{answer}", self.prefix);
        let subject = self.subjects[number].clone();
        let sending = self.parts.client.publish_with_reply(subject, reply, letter.payload);
        if let (Some((run, id)), false) =
            (letter.answer, matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(()))))
        {
            self.parts.agents[number].refused(run, id, now_ms);
        }
    }

    fn notice_connection(&mut self) {
        let Some(info) = self.parts.client.try_server_info() else { return };
        let now = (info.server_id, info.client_id);
        if self.connection.as_ref() != Some(&now) {
            let new_server = self.connection.as_ref().is_none_or(|(server, _)| *server != now.0);
            self.parts.agents.iter_mut().for_each(|agent| agent.reconnected(new_server));
            self.connection = Some(now);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
