//! What to send next. Pure: time comes in as the agent's monotonic milliseconds.
//!
//! The newest sample goes out at once and alone. Whatever else is due – the backlog of an outage, samples whose
//! acknowledgement never came, the last seconds before a broker was replaced, what an earlier run of this agent left in
//! its spool – follows in batches, oldest first, and never takes the last place in flight, so a live sample never waits
//! behind it.

use tidemap_wire::{Hello, NodeId, Report, Sample, encode};

use crate::ring::{Fate, Held, Ring};

/// Reports under way at once.
const IN_FLIGHT: usize = 4;
/// Of these, how many may be backlog.
const BACKLOG_IN_FLIGHT: usize = IN_FLIGHT - 1;
/// A report without acknowledgement for this long is sent again.
const ACK_TIMEOUT_MS: u64 = 5_000;
/// A broker that is replaced may have lost its unsynced tail (`sync_interval` in nats.conf): what it acknowledged in this
/// time before its last acknowledgement is sent again.
const RESENT_MS: u64 = 10_000;
/// A batch ends at either limit, well below the streams' 64 KiB a message.
const BATCH_SAMPLES: usize = 60;
const BATCH_BYTES: usize = 32 * 1024;
/// The identity is repeated this often, for those who came late.
const HELLO_EVERY_MS: u64 = 60_000;
/// After a refusal or a silence the backlog rests, 0.5 s at first and 10 s at last; live samples are the probes meanwhile.
const FIRST_REST_MS: u64 = 500;
const LAST_REST_MS: u64 = 10_000;

/// A report to be published under a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    /// Its number: acknowledgements name it.
    pub id: u64,
    /// What it says.
    pub report: Report,
}

/// Samples that the broker has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The run that read them.
    pub boot: u64,
    /// Their sequence numbers.
    pub seqs: Vec<u64>,
}

/// Samples on their way to the broker.
#[derive(Debug)]
pub struct Outbox {
    node: NodeId,
    boot: u64,
    ring: Ring,
    flights: Vec<Flight>,
    next_id: u64,
    hello: Option<Hello>,
    /// From when on each live sample carries the identity, until one with it is stored.
    hello_at_ms: u64,
    /// Whether the broker has stored this run's identity once.
    is_introduced: bool,
    rest_ms: u64,
    rests_until_ms: u64,
    last_stored_ms: u64,
    lost: u64,
}

/// A parcel that is under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    id: u64,
    sent_ms: u64,
    backlog: bool,
    /// Whether it carries the identity as it is now.
    hello: bool,
}

impl Outbox {
    /// An empty outbox of one run of a node's agent.
    pub fn new(node: NodeId, boot: u64) -> Self {
        Self {
            node,
            boot,
            ring: Ring::default(),
            flights: Vec::with_capacity(IN_FLIGHT),
            next_id: 0,
            hello: None,
            hello_at_ms: 0,
            is_introduced: false,
            rest_ms: FIRST_REST_MS,
            rests_until_ms: 0,
            last_stored_ms: 0,
            lost: 0,
        }
    }

    /// The run whose samples are pushed.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Takes back what earlier runs left behind, oldest first. It follows the first live sample of this run.
    pub fn restore(&mut self, left: impl IntoIterator<Item = (u64, Sample)>) {
        for (boot, sample) in left {
            self.hold(boot, sample, Fate::Waiting);
        }
    }

    /// Takes a sample, and the identity when it has changed.
    pub fn push(&mut self, sample: Sample, hello: Option<Hello>, now_ms: u64) {
        if hello.is_some() {
            self.hello = hello;
            self.hello_at_ms = now_ms;
            self.flights.iter_mut().for_each(|flight| flight.hello = false);
        }
        self.hold(self.boot, sample, Fate::New);
    }

    /// The next report to send, if one is due; from now on it is under way.
    pub fn next(&mut self, now_ms: u64) -> Option<Parcel> {
        if self.flights.len() >= IN_FLIGHT {
            return None;
        }
        let id = self.next_id;
        let live = self.take_live(id);
        let backlog = live.is_none();
        let (boot, samples) = match live {
            Some(sample) => (self.boot, vec![sample]),
            None => self.take_backlog(id, now_ms)?,
        };
        // Beside a whole batch a long hello might not fit into a message.
        let hello = (!backlog && now_ms >= self.hello_at_ms).then(|| self.identity()).flatten();
        self.next_id += 1;
        self.flights.push(Flight { id, sent_ms: now_ms, backlog, hello: hello.is_some() });
        Some(Parcel {
            id,
            report: Report { node: self.node.clone(), boot, hello: hello.map(Box::new), samples },
        })
    }

    /// The broker has stored a report; `None` when it had been given up before.
    pub fn acknowledged(&mut self, id: u64, now_ms: u64) -> Option<Delivery> {
        self.rest_ms = FIRST_REST_MS;
        self.rests_until_ms = 0;
        let flown = || self.ring.iter().filter(|held| held.fate == Fate::Flying(id));
        let boot = flown().next().map_or(self.boot, |held| held.boot);
        let seqs = flown().map(|held| held.sample.seq).collect();
        if self.land(id, Fate::Stored(now_ms))?.hello {
            self.is_introduced = true;
            self.hello_at_ms = now_ms + HELLO_EVERY_MS;
        }
        self.last_stored_ms = now_ms;
        Some(Delivery { boot, seqs })
    }

    /// The broker did not take a report, or it could not be sent.
    pub fn refused(&mut self, id: u64, now_ms: u64) {
        if self.land(id, Fate::Waiting).is_some() {
            self.rest(now_ms);
        }
    }

    /// Gives up waiting for acknowledgements that are overdue; returns how many were.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        let overdue = |flight: &&Flight| now_ms.saturating_sub(flight.sent_ms) >= ACK_TIMEOUT_MS;
        let ids: Vec<_> = self.flights.iter().filter(overdue).map(|flight| flight.id).collect();
        for id in &ids {
            self.land(*id, Fate::Waiting);
        }
        if !ids.is_empty() {
            self.rest(now_ms);
        }
        ids.len()
    }

    /// A new connection: what was under way on the old one is sent again. On a new server so are the last seconds before
    /// the old one fell silent, however long ago that was.
    pub fn reconnected(&mut self, new_server: bool) {
        while let Some(flight) = self.flights.first() {
            self.land(flight.id, Fate::Waiting);
        }
        self.rest_ms = FIRST_REST_MS;
        self.rests_until_ms = 0;
        if new_server {
            self.hello_at_ms = 0;
            let since_ms = self.last_stored_ms.saturating_sub(RESENT_MS);
            for held in self.ring.iter_mut() {
                if matches!(held.fate, Fate::Stored(at_ms) if at_ms >= since_ms) {
                    held.fate = Fate::Waiting;
                }
            }
        }
    }

    /// Whether every sample is stored.
    pub fn is_done(&self) -> bool {
        self.pending().next().is_none()
    }

    /// Samples that are due or under way, oldest first, with their runs.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Sample)> {
        self.ring.iter().filter(|held| !held.fate.is_stored()).map(|held| (held.boot, &held.sample))
    }

    /// Samples that had to make room before they were stored.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn hold(&mut self, boot: u64, sample: Sample, fate: Fate) {
        let size_bytes = encode(&sample).len();
        let dropped = self.ring.push(Held { boot, sample, size_bytes, fate });
        if dropped.is_some_and(|held| !held.fate.is_stored()) {
            self.lost += 1;
        }
    }

    /// The identity as it is told now.
    fn identity(&self) -> Option<Hello> {
        self.hello.clone().map(|hello| Hello { lost_samples: Some(self.lost), ..hello })
    }

    fn rest(&mut self, now_ms: u64) {
        self.rests_until_ms = now_ms + self.rest_ms;
        self.rest_ms = (self.rest_ms * 2).min(LAST_REST_MS);
    }

    fn take_live(&mut self, id: u64) -> Option<Sample> {
        let newest = self.ring.newest().filter(|held| held.fate == Fate::New)?;
        newest.fate = Fate::Flying(id);
        Some(newest.sample.clone())
    }

    /// The oldest samples that are due, of one run.
    fn take_backlog(&mut self, id: u64, now_ms: u64) -> Option<(u64, Vec<Sample>)> {
        let flying = self.flights.iter().filter(|flight| flight.backlog).count();
        // Readers shall hear of this run before they hear more of an earlier one.
        let before_first_live = self.ring.newest().is_none_or(|held| held.boot != self.boot);
        // Nor of a node whose name and place they have not been told: the live samples bring both.
        let before_hello = self.hello.is_some() && !self.is_introduced;
        if flying >= BACKLOG_IN_FLIGHT || now_ms < self.rests_until_ms || before_first_live || before_hello {
            return None;
        }
        let boot = self.ring.iter().find(|held| held.fate.is_due())?.boot;
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        for held in self.ring.iter_mut().filter(|held| held.fate.is_due()) {
            batch_bytes += held.size_bytes;
            let full = batch.len() == BATCH_SAMPLES || batch_bytes > BATCH_BYTES;
            if held.boot != boot || (full && !batch.is_empty()) {
                break;
            }
            held.fate = Fate::Flying(id);
            batch.push(held.sample.clone());
        }
        Some((boot, batch))
    }

    /// Ends a flight; `None` when there is none with this number (any more).
    fn land(&mut self, id: u64, fate: Fate) -> Option<Flight> {
        let at = self.flights.iter().position(|flight| flight.id == id)?;
        let flight = self.flights.swap_remove(at);
        for held in self.ring.iter_mut().filter(|held| held.fate == Fate::Flying(id)) {
            held.fate = fate;
        }
        Some(flight)
    }
}

#[cfg(test)]
mod tests;
