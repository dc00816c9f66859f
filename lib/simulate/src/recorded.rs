//! Publishes a fleet with an ack log: resends what is not acknowledged, and ends the run when everything is.
//! Reports may be duplicated, delayed and reordered on their way.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{bail, ensure};
use async_nats::{Client, Subject};
use bytes::Bytes;
use tidemap_service::{
    acks::{AckInbox, Answer},
    clock::{self, Stopwatch, whole_ms},
};
use tidemap_wire::{encode, subject};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    ack_log::AckLog,
    agent::{Sending, SimulatedAgent},
    plan::{Limit, WayFaults},
};

/// Nodes report spread over the interval, in steps of this.
const STEP: Duration = Duration::from_millis(10);
/// At most this many acknowledgements are handled together.
const CHUNK: usize = 512;
/// How often overdue acknowledgements are looked for.
const LOOK_PERIOD_MS: u64 = 250;
/// How long the broker may take to acknowledge the rest at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(50);

/// A second copy is sent within this time after the first.
const SECOND_COPY_WITHIN_MS: u64 = 3_000;
/// The token of a second copy, whose acknowledgement is ignored.
const COPY: &str = "copy";

/// What one connection needs.
pub(crate) struct Parts {
    pub(crate) agents: Vec<SimulatedAgent>,
    pub(crate) client: Client,
    pub(crate) log: Arc<AckLog>,
    pub(crate) limit: Limit,
    pub(crate) way: WayFaults,
    pub(crate) seed: u64,
}

/// Publishes until the plan's limit or `shutdown`, and then until everything is acknowledged. Returns how
/// many samples were acknowledged.
pub(crate) async fn run(parts: Parts, shutdown: CancellationToken) -> anyhow::Result<u64> {
    let Parts { agents, client, log, limit, way, seed } = parts;
    let mut run = RecordedRun {
        subjects: agents.iter().map(|agent| subject::sample(agent.id()).into()).collect(),
        agents,
        inbox: AckInbox::open(client, CHUNK).await?,
        log,
        limit,
        way: Way {
            faults: way,
            random: fastrand::Rng::with_seed(seed),
            in_transit: BTreeMap::new(),
            sent: 0,
        },
        clock: Stopwatch::start(),
        looked_ms: 0,
    };
    run.work(shutdown).await?;
    run.log.flush()?;
    let lost: u64 = run.agents.iter().map(SimulatedAgent::lost).sum();
    ensure!(lost == 0, "{lost} samples were dropped: the ack log is incomplete");
    Ok(run.agents.iter().map(SimulatedAgent::samples).sum())
}

struct RecordedRun {
    agents: Vec<SimulatedAgent>,
    /// Each agent's subject.
    subjects: Vec<Subject>,
    inbox: AckInbox,
    log: Arc<AckLog>,
    limit: Limit,
    way: Way,
    clock: Stopwatch,
    looked_ms: u64,
}

/// The way from the agents to the connection, with its faults.
struct Way {
    faults: WayFaults,
    random: fastrand::Rng,
    /// Reports on their way, by the time of their arrival and a unique number.
    in_transit: BTreeMap<(u64, u64), InTransit>,
    sent: u64,
}

/// A report on its way.
struct InTransit {
    agent: usize,
    /// Run and batch; absent for a second copy.
    batch: Option<(u64, u64)>,
    payload: Bytes,
}

impl RecordedRun {
    async fn work(&mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut step = interval(STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut over_since = None;
        loop {
            tokio::select! {
                // The broker answers.
                answers = self.inbox.next() => {
                    for answer in answers? {
                        self.settle(&answer)?;
                    }
                },
                // Time has passed.
                _ = step.tick() => {
                    let over = shutdown.is_cancelled() || self.sample();
                    self.send_due().await;
                    if !over {
                        continue;
                    }
                    if self.way.in_transit.is_empty() && self.agents.iter().all(SimulatedAgent::is_done) {
                        return Ok(());
                    }
                    if over_since.get_or_insert_with(Instant::now).elapsed() > DRAIN_TIMEOUT {
                        bail!("the broker does not acknowledge everything: the ack log is incomplete");
                    }
                }
            }
        }
    }

    /// Takes the samples that are due. Returns whether no more will be taken.
    fn sample(&mut self) -> bool {
        let (now_ms, wall_ms) = (self.clock.now_ms(), clock::unix_ms());
        let mut over = true;
        for number in 0..self.agents.len() {
            let agent = &mut self.agents[number];
            let may = self.limit.allows(agent.samples(), now_ms);
            over &= !may;
            if may && agent.sample(now_ms, wall_ms) {
                self.hand_over(number, now_ms);
            }
        }
        over
    }

    fn settle(&mut self, answer: &Answer) -> anyhow::Result<()> {
        let Some((number, run, id)) = parse_token(answer.token()) else { return Ok(()) };
        let now_ms = self.clock.now_ms();
        let Some(agent) = self.agents.get_mut(number) else { return Ok(()) };
        match answer.verdict() {
            Ok(()) => self.log.write(&agent.acknowledged(run, id, now_ms))?,
            Err(_) => agent.refused(run, id, now_ms),
        }
        self.hand_over(number, now_ms);
        Ok(())
    }

    async fn send_due(&mut self) {
        let now_ms = self.clock.now_ms();
        if now_ms - self.looked_ms >= LOOK_PERIOD_MS {
            self.look(now_ms);
        }
        while let Some(report) = self.way.next_arrived(now_ms) {
            self.publish(report, now_ms).await;
        }
    }

    /// Looks for overdue acknowledgements and a new connection.
    fn look(&mut self, now_ms: u64) {
        self.looked_ms = now_ms;
        // If the file cannot be written, the last flush fails, too, and reports it.
        self.log.flush().ok();
        let connection = self.inbox.new_connection();
        for number in 0..self.agents.len() {
            self.agents[number].tidy(now_ms);
            if let Some(connection) = connection {
                self.agents[number].reconnected(connection.new_server);
            }
            self.hand_over(number, now_ms);
        }
    }

    /// Puts the reports that an agent has to send on their way.
    fn hand_over(&mut self, number: usize, now_ms: u64) {
        if !self.inbox.is_connected() {
            return;
        }
        while let Some(sending) = self.agents[number].next(now_ms) {
            self.way.send(number, &sending, now_ms);
        }
    }

    async fn publish(&mut self, report: InTransit, now_ms: u64) {
        let InTransit { agent, batch, payload } = report;
        let subject = self.subjects[agent].clone();
        let Some((run, id)) = batch else {
            self.inbox.publish(subject, COPY, payload).await;
            return;
        };
        if !self.inbox.publish(subject, format!("{agent}.{run}.{id}"), payload).await {
            self.agents[agent].refused(run, id, now_ms);
        }
    }
}

impl Way {
    fn send(&mut self, agent: usize, sending: &Sending, now_ms: u64) {
        let payload: Bytes = encode(&sending.report).into();
        if self.random.f64() < self.faults.duplicate {
            let later_ms = self.random.u64(0..SECOND_COPY_WITHIN_MS);
            self.put(InTransit { agent, batch: None, payload: payload.clone() }, now_ms + later_ms);
        }
        self.put(InTransit { agent, batch: Some((sending.run, sending.id)), payload }, now_ms);
    }

    fn put(&mut self, report: InTransit, from_ms: u64) {
        let delay_ms = self.random.u64(0..=whole_ms(self.faults.shuffle));
        self.sent += 1;
        self.in_transit.insert((from_ms + delay_ms, self.sent), report);
    }

    /// The next report that has arrived at the connection.
    fn next_arrived(&mut self, now_ms: u64) -> Option<InTransit> {
        let first = self.in_transit.first_entry()?;
        if first.key().0 > now_ms {
            return None;
        }
        Some(first.remove())
    }
}

/// The agent, the run and the batch in an acknowledgement's token.
fn parse_token(token: &str) -> Option<(usize, u64, u64)> {
    let mut parts = token.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
