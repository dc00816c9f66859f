//! Publishes rows of minutes to the history's stream, for all partitions of a worker.
//!
//! A task of its own, with a bounded queue: however slow the stream is, or if there is none, everything else
//! goes on. What is not acknowledged stays with its owner and comes again.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use async_nats::jetstream;
use futures_util::{StreamExt, stream};
use tidemap_service::{causes::causes, deadline::within, logging::Throttle, streams};
use tokio::{
    sync::mpsc::{self, Permit},
    task::JoinHandle,
    time::Instant,
};

use crate::minute_messages::{MinutesMessage, Receipts};

/// Messages that wait.
const WAITING: usize = 32;
/// Messages that are published at a time: a cluster may take a quarter of a second for each.
const AT_ONCE: usize = 16;
/// For one acknowledgement.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Between attempts to create a stream that may be missing.
const CREATE_PERIOD: Duration = Duration::from_secs(10);
/// A shorter trouble is not logged: a broker that restarts, or creates its streams again.
const TROUBLE: Duration = Duration::from_secs(30);

/// The queue of messages.
#[derive(Clone, Debug)]
pub struct MinutesPublisher {
    requests: mpsc::Sender<Request>,
    is_failing: Arc<AtomicBool>,
    /// Within this time, each part of a partition is published once.
    pub(crate) period: Duration,
}

/// A message to be published.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) message: MinutesMessage,
    /// Where the receipts go once it is stored. Those that find no room there are lost, and their rows come
    /// again.
    pub(crate) stored: mpsc::Sender<Receipts>,
}

impl MinutesPublisher {
    /// Starts a publisher, which ends once nobody can hand it messages any more. `replicas` is for the
    /// stream.
    pub fn start(js: jetstream::Context, replicas: usize, period: Duration) -> (Self, JoinHandle<()>) {
        let (requests, received) = mpsc::channel(WAITING);
        let is_failing = Arc::<AtomicBool>::default();
        let publishing = publish_all(js, replicas, received, Arc::clone(&is_failing));
        (Self { requests, is_failing, period }, tokio::spawn(publishing))
    }

    /// Room for a message, if there is any.
    pub(crate) fn room(&self) -> Option<Permit<'_, Request>> {
        self.requests.try_reserve().ok()
    }

    /// Waits for room. Nobody receives it when the worker ends.
    pub(crate) async fn send(&self, request: Request) {
        self.requests.send(request).await.ok();
    }

    /// Whether the last message was not stored.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }
}

async fn publish_all(
    js: jetstream::Context,
    replicas: usize,
    mut requests: mpsc::Receiver<Request>,
    is_failing: Arc<AtomicBool>,
) {
    let received = stream::poll_fn(|context| requests.poll_recv(context));
    let mut outcomes = pin!(received.map(|request| publish(&js, request)).buffer_unordered(AT_ONCE));
    let mut trouble = Trouble::default();
    let mut creating = Throttle::new(CREATE_PERIOD);
    while let Some(outcome) = outcomes.next().await {
        is_failing.store(outcome.is_err(), Ordering::Relaxed);
        let Err(error) = outcome else {
            trouble.end();
            continue;
        };
        tracing::debug!("no minutes were published: {}", causes(error.as_ref()));
        // Whoever receives the rows without storing them hides that nobody does.
        let reason =
            if creating.is_due() { streams::ensure_history(&js, replicas).await.err() } else { None };
        trouble.go_on(&reason.unwrap_or(error));
    }
}

async fn publish(js: &jetstream::Context, Request { message, stored }: Request) -> anyhow::Result<()> {
    let MinutesMessage { subject, payload, receipts } = message;
    let publishing = async { js.publish(subject, payload).await?.await };
    let ack = within(ANSWER_TIMEOUT, "the broker does not answer", publishing).await?;
    ensure!(ack.stream == streams::HISTORY, "another stream, {}, has taken it", ack.stream);
    stored.try_send(receipts).ok();
    Ok(())
}

/// How long nothing has been stored.
#[derive(Default)]
struct Trouble {
    since: Option<Instant>,
    is_logged: bool,
}

impl Trouble {
    fn go_on(&mut self, error: &anyhow::Error) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if !self.is_logged && since.elapsed() >= TROUBLE {
            self.is_logged = true;
            tracing::warn!(
                "the broker does not store minutes for the history; each node's last hour waits here, and nothing else \
                 is affected: {}",
                causes(error.as_ref())
            );
        }
    }

    fn end(&mut self) {
        if self.is_logged {
            tracing::info!("the broker stores minutes for the history again");
        }
        *self = Self::default();
    }
}
