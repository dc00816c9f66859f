//! Answers requests, of which the stations of a fleet share the subject.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use tidemap_service::clock;
use tidemap_wire::{
    HistoryForgetOutcome, HistoryForgetReply, HistoryForgetRequest, decode, encode,
    history_query::{
        HistoryAnswer, HistoryError, HistoryReply, HistoryRequest, HistoryStatus, RemoteStatus,
        StationStanding,
    },
    subject,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::{AnswerError, Past, answer, replies},
    database::StoreError,
    keeper::{Met, Shared, lock},
    peers::{self, Peers},
    remote::Query,
    store::{Settled, Store},
};

/// Requests that are answered at a time. Others wait in the subscription, which is bounded.
const AT_ONCE: usize = 4;
/// How long a station that starts waits for the others' first words.
const FIRST: Duration = Duration::from_millis(300);

/// Answers requests.
pub(crate) struct Rpc {
    pub client: Client,
    pub file: PathBuf,
    /// What the writer has added up.
    pub settled: Settled,
    pub status: watch::Receiver<HistoryStatus>,
    /// How far minutes are sent to another database, if they are.
    pub remote: watch::Receiver<Option<RemoteStatus>>,
    /// Where minutes are that are kept here no more.
    pub query: Option<Arc<Query>>,
    /// The history that is written.
    pub store: Shared,
    /// Where damage is reported that was met. What finds no room is met again.
    pub damage: mpsc::Sender<Met>,
}

impl Rpc {
    /// Answers until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let station = fastrand::u64(..);
        let mut peers = Peers::new(station);
        let mut standings = self.client.subscribe(subject::HISTORY_PEERS).await?;
        // Every station has to forget a node.
        let mut forgets = self.client.subscribe(subject::HISTORY_FORGET).await?;
        // The others answer the first message at once, before this station takes requests that are theirs.
        let own = peers.standing(&self.status.borrow(), false);
        self.publish(&own).await?;
        let mut next = Instant::now() + FIRST;
        let mut requests: Option<Subscriber> = None;
        let readers = Arc::new(Readers {
            file: self.file.clone(),
            settled: self.settled.clone(),
            idle: Mutex::default(),
            damage: self.damage.clone(),
            query: self.query.clone(),
        });
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut answering = JoinSet::new();
        loop {
            let (request, is_question) = tokio::select! {
                // Somebody asks.
                request = next_of(&mut requests) => (request, true),
                // An operator has a node forgotten.
                request = forgets.next() => (request, false),
                // Another station says what it has.
                standing = standings.next() => {
                    let standing = standing.context("the connection was closed")?;
                    if let Ok(standing) = decode(&standing.payload) && peers.hear(standing, Instant::now()) {
                        let own = peers.standing(&self.status.borrow(), false);
                        self.publish(&own).await?;
                    }
                    continue;
                }
                // This one says so, and decides whether it answers.
                () = sleep_until(next) => {
                    next = Instant::now() + peers::PERIOD;
                    let own = peers.standing(&self.status.borrow(), false);
                    self.publish(&own).await?;
                    self.share(&mut requests, peers.is_first(&own, Instant::now())).await?;
                    continue;
                }
                // The station ends.
                () = stop.cancelled() => break,
            };
            // One that leaves the others alone takes what was sent to it before.
            if request.is_none() && is_question {
                requests = None;
                continue;
            }
            let request = request.context("the connection was closed")?;
            let permit = Arc::clone(&room).acquire_owned().await?;
            let (client, readers) = (self.client.clone(), Arc::clone(&readers));
            if !is_question {
                let store = Arc::clone(&self.store);
                answering.spawn(async move {
                    forget(&client, &request, station, store, &readers).await;
                    drop(permit);
                });
                continue;
            }
            let remote = self.remote.borrow().clone();
            let status = HistoryStatus { remote, ..self.status.borrow().clone() };
            while answering.try_join_next().is_some() {}
            answering.spawn(async move {
                serve(&client, &request, readers, status).await;
                drop(permit);
            });
        }
        let own = peers.standing(&self.status.borrow(), true);
        // An error means that the connection was closed: the others notice the silence.
        self.publish(&own).await.ok();
        answering.join_all().await;
        Ok(())
    }

    async fn publish(&self, standing: &StationStanding) -> anyhow::Result<()> {
        Ok(self.client.publish(subject::HISTORY_PEERS, encode(standing).into()).await?)
    }

    /// Begins or ends to share the requests.
    async fn share(&self, requests: &mut Option<Subscriber>, is_first: bool) -> anyhow::Result<()> {
        match requests {
            None if is_first => {
                let queue = subject::HISTORY_STATIONS.to_owned();
                *requests = Some(self.client.queue_subscribe(subject::HISTORY, queue).await?);
            }
            Some(subscribed) if !is_first => subscribed.drain().await?,
            _ => {}
        }
        Ok(())
    }
}

/// The next request; never while requests are others'.
async fn next_of(requests: &mut Option<Subscriber>) -> Option<Message> {
    match requests {
        Some(requests) => requests.next().await,
        None => std::future::pending().await,
    }
}

/// Connections for reading, which see what was written by the time of each request.
struct Readers {
    file: PathBuf,
    settled: Settled,
    /// Behind how often a node was forgotten: a connection of before still knows the node's number.
    idle: Mutex<(u64, Vec<Store>)>,
    damage: mpsc::Sender<Met>,
    query: Option<Arc<Query>>,
}

impl Readers {
    fn answer(
        &self,
        request: &HistoryRequest,
        status: &HistoryStatus,
    ) -> Result<Vec<HistoryReply>, AnswerError> {
        let (forgotten, known) = {
            let mut idle = self.idle();
            (idle.0, idle.1.pop())
        };
        let mut store = match known {
            Some(store) => store,
            None => Store::open_to_read(&self.file, self.settled.clone())?,
        };
        let query = self.query.as_ref();
        let past = query.map(|query| |node: &_, minutes, step| query.range(node, minutes, step));
        let answered = answer(&mut store, request, status, past.as_ref().map(|past| past as Past<'_>));
        let met = store.take_met();
        if !met.is_empty() {
            self.damage.try_send(Met::Tiles(met)).ok();
        }
        if let Err(AnswerError::Store(StoreError::Damaged(what))) = &answered {
            self.damage.try_send(Met::File(what.clone())).ok();
        }
        // One that has failed is opened again.
        let mut idle = self.idle();
        if !matches!(answered, Err(AnswerError::Store(_))) && idle.0 == forgotten {
            idle.1.push(store);
        }
        answered
    }

    /// A node was forgotten.
    fn renew(&self) {
        let mut idle = self.idle();
        *idle = (idle.0 + 1, Vec::new());
    }

    fn idle(&self) -> MutexGuard<'_, (u64, Vec<Store>)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(client: &Client, request: &Message, readers: Arc<Readers>, status: HistoryStatus) {
    let Some(reply) = request.reply.clone() else { return };
    let parts = match decode::<HistoryRequest>(&request.payload) {
        Ok(request) => spawn_blocking(move || readers.answer(&request, &status)).await,
        Err(_) => Ok(Err(HistoryError::Unreadable.into())),
    };
    let parts = match parts {
        Ok(Ok(parts)) => parts,
        Ok(Err(AnswerError::Refused(error))) => refused(error),
        Ok(Err(AnswerError::Store(error))) => unavailable(&error),
        Err(panic) => unavailable(&StoreError::Damaged(panic.to_string())),
    };
    for part in parts {
        // An error means that the connection was closed, which the loop notices.
        if client.publish(reply.clone(), encode(&part).into()).await.is_err() {
            return;
        }
    }
}

/// Forgets a node, as every station does.
async fn forget(client: &Client, request: &Message, station: u64, store: Shared, readers: &Readers) {
    let Some(reply) = request.reply.clone() else { return };
    let answer = async |outcome| {
        let said = encode(&HistoryForgetReply { station, outcome });
        // An error means that the connection was closed, which the loop notices.
        client.publish(reply.clone(), said.into()).await.ok();
    };
    let Ok(HistoryForgetRequest { node }) = decode(&request.payload) else {
        return answer(HistoryForgetOutcome::Failed).await;
    };
    answer(HistoryForgetOutcome::Begun).await;
    let asked = node.clone();
    let done = spawn_blocking(move || lock(&store).forget(&asked, clock::unix_ms())).await;
    readers.renew();
    let outcome = match done.map_err(|panic| StoreError::Damaged(panic.to_string())).flatten() {
        Ok(true) => {
            tracing::info!(%node, "an operator has had a node forgotten");
            HistoryForgetOutcome::Forgotten
        }
        Ok(false) => HistoryForgetOutcome::NotKnown,
        Err(error) => {
            tracing::warn!(%node, "a node could not be forgotten: {error}");
            HistoryForgetOutcome::Failed
        }
    };
    answer(outcome).await;
}

fn refused(error: HistoryError) -> Vec<HistoryReply> {
    replies(vec![HistoryAnswer::Refused(error)])
}

fn unavailable(error: &StoreError) -> Vec<HistoryReply> {
    tracing::warn!("a request could not be answered: {error}");
    refused(HistoryError::Unavailable)
}
