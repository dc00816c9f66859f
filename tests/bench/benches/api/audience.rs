//! Thousands of clients at once: what each of them receives, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::Range,
    sync::Arc,
};

use anyhow::Context;
use tidemap_service::clock;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::Instant,
};

use tidemap_testkit::{
    client::quantile,
    stream::{self, BEGINNING, EventStream},
};

/// Clients that connect at the same time.
const AT_ONCE: usize = 64;
/// Every tenth client stops reading when it is asked to.
const DEAF_ONE_IN: usize = 10;

/// What the clients must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    AllListen,
    SomeAreDeaf,
    Over,
}

/// What one client has received.
#[derive(Debug, Default)]
struct Heard {
    may_turn_deaf: bool,
    deltas: Vec<Received>,
    /// Snapshots beyond the first: the client was too slow.
    restarts: u64,
}

/// A delta as one client received it.
#[derive(Clone, Copy, Debug)]
struct Received {
    /// Its number: the tick that it belongs to.
    seq: u64,
    /// When its last byte came.
    at: Instant,
    /// How long after its tick that was, by this host's clock, which is the broker's too.
    late_us: u64,
}

/// Connected clients.
pub(crate) struct Audience {
    clients: JoinSet<anyhow::Result<Heard>>,
    phase: watch::Sender<Phase>,
}

/// How frames arrived in a span of time.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) ticks: u64,
    /// Frames that clients should have received and have not, over all clients.
    pub(crate) missing: u64,
    pub(crate) restarts: u64,
    /// Since the tick that a frame belongs to.
    pub(crate) since_tick: Spread,
    /// Since the first client had it.
    pub(crate) since_first: Spread,
}

/// Delays of frames.
#[derive(Debug)]
pub(crate) struct Spread {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Spread {
    fn of(delays_us: &[u64]) -> Self {
        let quantile_ms = |share| quantile(delays_us, share) as f64 / 1_000.0;
        Self { p50_ms: quantile_ms(0.5), p99_ms: quantile_ms(0.99) }
    }
}

/// Everything that all clients have received.
pub(crate) struct Record(Vec<Heard>);

impl Audience {
    /// Connects the clients and returns when each has its snapshot.
    pub(crate) async fn gather(address: SocketAddr, clients: usize) -> anyhow::Result<Self> {
        let (phase, current_phase) = watch::channel(Phase::AllListen);
        let mut listening = JoinSet::new();
        let room = Arc::new(Semaphore::new(AT_ONCE));
        for number in 0..clients {
            let permit = Arc::clone(&room).acquire_owned().await?;
            let current_phase = current_phase.clone();
            listening.spawn(async move {
                let mut stream = EventStream::open(address, "identity").await?;
                let mut beginning = Vec::with_capacity(BEGINNING);
                while stream::named(&beginning).0 != "snapshot" {
                    stream.frame(&mut beginning, BEGINNING).await?;
                }
                drop(permit);
                let heard = Heard { may_turn_deaf: number % DEAF_ONE_IN == 0, ..Heard::default() };
                listen(stream, heard, current_phase, address).await
            });
        }
        let all = u32::try_from(AT_ONCE)?;
        drop(room.acquire_many(all).await?);
        Ok(Self { clients: listening, phase })
    }

    /// Every tenth client reconnects and then reads nothing any more.
    pub(crate) fn turn_deaf(&self) {
        self.phase.send_replace(Phase::SomeAreDeaf);
    }

    /// Ends all.
    pub(crate) async fn leave(mut self) -> anyhow::Result<Record> {
        self.phase.send_replace(Phase::Over);
        let mut record = Vec::new();
        while let Some(heard) = self.clients.join_next().await {
            record.push(heard?.context("a client was not served")?);
        }
        Ok(Record(record))
    }
}

impl Record {
    /// The frames of this span, as received by the clients that always read.
    pub(crate) fn delivery(&self, within: &Range<Instant>) -> Delivery {
        let steady: Vec<&Heard> = self.0.iter().filter(|heard| !heard.may_turn_deaf).collect();
        let mut first: BTreeMap<u64, Instant> = BTreeMap::new();
        for delta in steady.iter().flat_map(|heard| &heard.deltas) {
            first.entry(delta.seq).and_modify(|first| *first = (*first).min(delta.at)).or_insert(delta.at);
        }
        first.retain(|_, at| within.contains(at));
        let (mut since_tick_us, mut since_first_us, mut missing) = (Vec::new(), Vec::new(), 0);
        for heard in &steady {
            let mut had = BTreeSet::new();
            for delta in &heard.deltas {
                let Some(first) = first.get(&delta.seq) else { continue };
                had.insert(delta.seq);
                since_tick_us.push(delta.late_us);
                since_first_us
                    .push(u64::try_from(delta.at.duration_since(*first).as_micros()).unwrap_or(u64::MAX));
            }
            missing += (first.len() - had.len()) as u64;
        }
        Delivery {
            ticks: first.len() as u64,
            missing,
            restarts: steady.iter().map(|heard| heard.restarts).sum(),
            since_tick: Spread::of(&since_tick_us),
            since_first: Spread::of(&since_first_us),
        }
    }
}

async fn listen(
    mut stream: EventStream,
    mut heard: Heard,
    mut current_phase: watch::Receiver<Phase>,
    address: SocketAddr,
) -> anyhow::Result<Heard> {
    let until = if heard.may_turn_deaf { Phase::SomeAreDeaf } else { Phase::Over };
    let mut ending = current_phase.clone();
    let mut turned = std::pin::pin!(ending.wait_for(|phase| *phase >= until));
    let mut beginning = Vec::with_capacity(BEGINNING);
    loop {
        tokio::select! {
            // Reading has to stop.
            _ = &mut turned => break,
            // A frame has arrived.
            read = stream.frame(&mut beginning, BEGINNING) => { read?; }
        }
        match stream::named(&beginning) {
            ("delta", Some(seq)) => {
                let late_ms =
                    clock::unix_ms() - stream::at_ms(&beginning).context("a delta without its time")?;
                let late_us = u64::try_from(late_ms * 1_000).unwrap_or(0);
                heard.deltas.push(Received { seq, at: Instant::now(), late_us });
            }
            ("snapshot", _) => heard.restarts += 1,
            _ => {}
        }
    }
    drop(stream);
    if heard.may_turn_deaf {
        let _open = stream::deaf(address, stream::PATH).await?;
        current_phase.wait_for(|phase| *phase == Phase::Over).await?;
    }
    Ok(heard)
}
