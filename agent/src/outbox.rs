//! What to send next. Pure: time comes in as monotonic milliseconds.
//!
//! The newest sample is sent at once and alone. Everything else that is due – the backlog of an outage,
//! samples whose acknowledgement never came, the last seconds before a broker was replaced, samples of an
//! earlier run from the spool – follows in batches, oldest first. Backlog never takes the last free place in
//! flight, so a live sample never waits behind it.

mod backoff;

use tidemap_service::acks::InFlight;
use tidemap_wire::{Hello, NodeId, Report, Sample, encode, timing};

use crate::ring::{Buffered, DeliveryState, Ring};
use backoff::Backoff;

/// Batches in flight at once.
pub(crate) const MAX_IN_FLIGHT: usize = 4;
/// How many of these may contain backlog.
const MAX_BACKLOG_IN_FLIGHT: usize = MAX_IN_FLIGHT - 1;
/// A batch ends at either limit, well below the 64 KiB that the streams accept.
const BATCH_SAMPLES: usize = 60;
const BATCH_BYTES: usize = 32 * 1024;
/// The hello is repeated this often, for receivers that have started later.
const HELLO_PERIOD_MS: u64 = 60_000;

/// A report to publish, with the number of its batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The batch's number, which its acknowledgement carries.
    pub id: u64,
    /// The message.
    pub report: Report,
}

/// Samples that the broker has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The run that the samples belong to.
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
    in_flight: InFlight<Sent>,
    hello: Option<Hello>,
    /// From this time on each live sample carries the hello, until the broker has stored one with it.
    hello_at_ms: u64,
    /// Whether the broker has stored this run's hello once.
    is_introduced: bool,
    /// After a refusal or a missing acknowledgement the backlog pauses; meanwhile, live samples show whether
    /// the broker stores reports again.
    backoff: Backoff,
    last_stored_ms: u64,
    lost: u64,
}

/// The contents of a batch in flight.
#[derive(Clone, Copy, Debug)]
struct Sent {
    backlog: bool,
    /// Whether it carries the present hello.
    hello: bool,
}

impl Outbox {
    /// An empty outbox for one run of a node's agent.
    pub fn new(node: NodeId, boot: u64) -> Self {
        Self {
            node,
            boot,
            ring: Ring::default(),
            in_flight: InFlight::new(timing::AGENT_ACK_TIMEOUT),
            hello: None,
            hello_at_ms: 0,
            is_introduced: false,
            backoff: Backoff::default(),
            last_stored_ms: 0,
            lost: 0,
        }
    }

    /// Sends what comes, and what is not stored yet, as another node; returns the one before.
    pub(crate) fn rename(&mut self, node: NodeId) -> NodeId {
        std::mem::replace(&mut self.node, node)
    }

    /// The run whose samples are pushed.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Takes samples that earlier runs did not deliver, oldest first. They are sent after this run's first
    /// live sample.
    pub fn restore(&mut self, left: impl IntoIterator<Item = (u64, Sample)>) {
        for (boot, sample) in left {
            self.buffer(boot, sample, DeliveryState::Waiting);
        }
    }

    /// Takes a sample, and the hello if it has changed.
    pub fn push(&mut self, sample: Sample, hello: Option<Hello>, now_ms: u64) {
        if hello.is_some() {
            self.hello = hello;
            self.hello_at_ms = now_ms;
            self.in_flight.iter_mut().for_each(|sent| sent.hello = false);
        }
        self.buffer(self.boot, sample, DeliveryState::New);
    }

    /// The next batch to send, if one is due. It counts as in flight from now on.
    pub fn next(&mut self, now_ms: u64) -> Option<Batch> {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return None;
        }
        let id = self.in_flight.next_number();
        let live = self.take_live(id, now_ms);
        let backlog = live.is_none();
        let (boot, samples) = match live {
            Some(sample) => (self.boot, vec![sample]),
            None => self.take_backlog(id, now_ms)?,
        };
        // A long hello might not fit into a message beside a whole batch.
        let hello = if backlog { None } else { self.hello_due(now_ms) };
        self.in_flight.add(Sent { backlog, hello: hello.is_some() }, now_ms);
        Some(Batch {
            id,
            report: Report { node: self.node.clone(), boot, hello: hello.map(Box::new), samples },
        })
    }

    /// Notes that the broker has stored a batch; `None` if the batch was given up before.
    pub fn acknowledged(&mut self, id: u64, now_ms: u64) -> Option<Delivery> {
        self.backoff.reset();
        let batch = || self.ring.iter().filter(|buffered| buffered.state == DeliveryState::InFlight(id));
        let boot = batch().next().map_or(self.boot, |buffered| buffered.boot);
        let seqs = batch().map(|buffered| buffered.sample.seq).collect();
        if self.in_flight.remove(id)?.hello {
            self.is_introduced = true;
            self.hello_at_ms = now_ms + HELLO_PERIOD_MS;
        }
        self.set_state(id, DeliveryState::Stored(now_ms));
        self.last_stored_ms = now_ms;
        Some(Delivery { boot, seqs })
    }

    /// Notes that the broker did not store a batch, or that it could not be sent.
    pub fn refused(&mut self, id: u64, now_ms: u64) {
        if self.in_flight.remove(id).is_some() {
            self.set_state(id, DeliveryState::Waiting);
            self.backoff.start(now_ms);
        }
    }

    /// Gives up batches whose acknowledgements are overdue; returns how many.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        let mut overdue = 0;
        while let Some((id, _)) = self.in_flight.remove_overdue(now_ms) {
            self.set_state(id, DeliveryState::Waiting);
            overdue += 1;
        }
        if overdue > 0 {
            self.backoff.start(now_ms);
        }
        overdue
    }

    /// Notes a new connection: everything that was in flight on the old one is sent again. If the server is
    /// another one, so are the last seconds before the old server's last acknowledgement, however long ago
    /// that was.
    pub fn reconnected(&mut self, new_server: bool) {
        while let Some((id, _)) = self.in_flight.remove_oldest() {
            self.set_state(id, DeliveryState::Waiting);
        }
        self.backoff.reset();
        if new_server {
            self.hello_at_ms = 0;
            let since_ms = self.last_stored_ms.saturating_sub(timing::millis(timing::RESEND));
            for buffered in self.ring.iter_mut() {
                if matches!(buffered.state, DeliveryState::Stored(at_ms) if at_ms >= since_ms) {
                    buffered.state = DeliveryState::Waiting;
                }
            }
        }
    }

    /// Whether every sample is stored.
    pub fn is_done(&self) -> bool {
        self.pending().next().is_none()
    }

    /// Samples that are due or in flight, oldest first, with their runs.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Sample)> {
        let pending = self.ring.iter().filter(|buffered| !buffered.state.is_stored());
        pending.map(|buffered| (buffered.boot, &buffered.sample))
    }

    /// Samples that were dropped from the full ring before they were stored.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn buffer(&mut self, boot: u64, sample: Sample, state: DeliveryState) {
        let size_bytes = encode(&sample).len();
        let dropped = self.ring.push(Buffered { boot, sample, size_bytes, state });
        if dropped.is_some_and(|dropped| !dropped.state.is_stored()) {
            self.lost += 1;
        }
    }

    /// The present hello, if it is due.
    fn hello_due(&self, now_ms: u64) -> Option<Hello> {
        if now_ms < self.hello_at_ms {
            return None;
        }
        Some(Hello { lost_samples: Some(self.lost), ..self.hello.clone()? })
    }

    /// The newest sample, if it was never sent. Until the first hello is stored it is sent repeatedly,
    /// because only a sample that is sent alone can carry a hello.
    fn take_live(&mut self, id: u64, now_ms: u64) -> Option<Sample> {
        let goes_again = self.awaits_introduction() && !self.backoff.pauses(now_ms);
        let newest = self.ring.newest()?;
        let is_live = newest.state == DeliveryState::New || (goes_again && newest.state.is_due());
        if !is_live {
            return None;
        }
        newest.state = DeliveryState::InFlight(id);
        Some(newest.sample.clone())
    }

    fn awaits_introduction(&self) -> bool {
        self.hello.is_some() && !self.is_introduced
    }

    /// The oldest due samples of one run.
    fn take_backlog(&mut self, id: u64, now_ms: u64) -> Option<(u64, Vec<Sample>)> {
        let in_flight = self.in_flight.iter().filter(|sent| sent.backlog).count();
        // This run's first live sample is sent before the backlog of earlier runs.
        let before_first_live = self.ring.newest().is_none_or(|newest| newest.boot != self.boot);
        // This run's first hello is sent before them, too: the map needs the node's name and place first.
        let is_early = before_first_live || self.awaits_introduction();
        if in_flight >= MAX_BACKLOG_IN_FLIGHT || self.backoff.pauses(now_ms) || is_early {
            return None;
        }
        let boot = self.ring.iter().find(|buffered| buffered.state.is_due())?.boot;
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        for buffered in self.ring.iter_mut().filter(|buffered| buffered.state.is_due()) {
            batch_bytes += buffered.size_bytes;
            let full = batch.len() == BATCH_SAMPLES || batch_bytes > BATCH_BYTES;
            if buffered.boot != boot || (full && !batch.is_empty()) {
                break;
            }
            buffered.state = DeliveryState::InFlight(id);
            batch.push(buffered.sample.clone());
        }
        Some((boot, batch))
    }

    /// Sets the state of all samples of a batch in flight.
    fn set_state(&mut self, id: u64, state: DeliveryState) {
        for buffered in self.ring.iter_mut().filter(|buffered| buffered.state == DeliveryState::InFlight(id))
        {
            buffered.state = state;
        }
    }
}

#[cfg(test)]
mod tests;
