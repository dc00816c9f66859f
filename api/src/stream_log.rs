//! The event stream: the frames of the recent past, written once and shared by all streams.

mod frame;
mod position;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;
use tidemap_wire::{
    stream::{AlertsEvent, DeltaEvent, PingEvent, SnapshotEvent, VERSION},
    timing,
};
use tokio::sync::broadcast;

pub(crate) use self::{
    frame::{Frame, gzip},
    position::StreamPosition,
};
use crate::{
    json,
    memory_budget::{MemoryBudget, OverBudget},
};

/// Deltas that are kept for clients that resume: a minute of them, and more if some ticks have none.
const RESUMABLE_DELTAS: usize = 240;
/// The limit of their bytes, except that twice [`REPLAYED_TICKS`] are always kept. Beyond this size, a
/// snapshot of a large fleet is not longer.
const RESUMABLE_BYTES: usize = 16 << 20;
/// How many frames a slow client may be behind. Beyond it, the client continues with a snapshot, so its
/// memory is bounded.
const LIVE_FRAMES: usize = 64;
/// The memory of snapshots that are being read, of any ticks; one of 100,000 nodes is about 15 MB. Lists have
/// a budget of their own, so that slow readers of lists do not keep others from opening streams.
const SNAPSHOTS_BUDGET_BYTES: u32 = 256 << 20;
/// The longest time without a delta; ticks come every 250 ms, so this is every fourth of them.
const DELTA_INTERVAL_MAX_MS: i64 = timing::millis(timing::STREAM_SILENCE) as i64;
/// The time between two ticks, which are numbered by broker time.
const TICK_MS: i64 = timing::millis(timing::TICK) as i64;
/// Resuming clients are replayed this many ticks before their position, 4 s: the replica that they were
/// connected to may have received a change 1.25 s later (see `PartitionView::is_in_step`), and may have sent
/// host metrics up to nine ticks after it received them (see `StreamRows`).
const REPLAYED_TICKS: u64 = 16;
/// How many ticks another replica may be ahead.
const AHEAD_TICKS: u64 = 8;
/// Opens every stream: a browser that loses it without a closing frame retries after 2 s. It is the first
/// line of the first event, because some clients take a block of its own for an event without data.
const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n");

/// The frames for a new listener: some at once, then the live ones.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) opening: Vec<Frame>,
    pub(crate) live: broadcast::Receiver<Frame>,
}

/// The frames of the recent past, and the streams that are open.
#[derive(Debug)]
pub(crate) struct StreamLog {
    /// The newest tick.
    position: StreamPosition,
    /// All deltas since this tick are in `recent`; `None` while nothing can be resumed.
    since: Option<u64>,
    /// The number of consecutive ticks at which the view was not in step.
    behind: u64,
    recent: VecDeque<(u64, Frame)>,
    recent_bytes: usize,
    retry: Frame,
    newest_stats: Option<Frame>,
    newest_alerts: Option<Frame>,
    budget: MemoryBudget,
    /// Broker time of the newest delta.
    delta_ms: i64,
    live: broadcast::Sender<Frame>,
}

impl StreamLog {
    /// A log without frames. Replicas whose rows have the same numbers have the same `epoch`.
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            position: StreamPosition { epoch, seq: 0 },
            since: None,
            // The view is empty at first, so it counts as behind.
            behind: REPLAYED_TICKS,
            recent: VecDeque::new(),
            recent_bytes: 0,
            retry: Frame::new(RETRY),
            newest_stats: None,
            newest_alerts: None,
            budget: MemoryBudget::new(SNAPSHOTS_BUDGET_BYTES),
            delta_ms: 0,
            live: broadcast::Sender::new(LIVE_FRAMES),
        }
    }

    /// Sends what changed in this tick. Without changes, sends an empty delta once a second, so that clients
    /// can tell an idle fleet from a dead stream. The frame has an id only if the view is `in_step` with all
    /// partitions; clients that resume from an earlier view would miss what this replica has not received
    /// yet.
    pub(crate) fn delta(&mut self, event: &DeltaEvent, in_step: bool) {
        self.advance(event.at_ms);
        self.behind = if in_step { 0 } else { self.behind + 1 };
        if self.behind > REPLAYED_TICKS {
            // Changes that were reverted in this time were never sent, so clients cannot resume from before
            // it.
            self.drop_recent();
            self.since = None;
        }
        if event.is_empty() && (0..DELTA_INTERVAL_MAX_MS).contains(&(event.at_ms - self.delta_ms)) {
            return;
        }
        self.delta_ms = event.at_ms;
        let frame = frame("delta", in_step.then_some(self.position), event);
        self.keep(frame.clone());
        self.send(frame);
    }

    /// Sends the fleet's totals, already written as JSON.
    pub(crate) fn stats(&mut self, stats_json: &[u8]) {
        let frame = raw_frame("stats", None, stats_json);
        self.newest_stats = Some(frame.clone());
        self.send(frame);
    }

    /// Sends how many alerts there are.
    pub(crate) fn alerts(&mut self, event: &AlertsEvent) {
        let frame = frame("alerts", None, event);
        self.newest_alerts = Some(frame.clone());
        self.send(frame);
    }

    /// Sends a frame that only shows that the stream is alive.
    pub(crate) fn ping(&self, at_ms: i64) {
        self.send(frame("ping", None, &PingEvent { at_ms }));
    }

    /// The whole state of this tick as one frame; it has an id under the same condition as a delta.
    pub(crate) fn snapshot(&self, mut event: SnapshotEvent, in_step: bool) -> Result<Frame, OverBudget> {
        event.v = VERSION;
        Frame::long(text("snapshot", in_step.then_some(self.position), &json::encode(&event)), &self.budget)
    }

    /// Opens a stream for a client that has received everything up to `position`. `None` when too much has
    /// been sent since, or when the position cannot be one of this fleet's.
    pub(crate) fn resume(&self, position: StreamPosition) -> Option<Listening> {
        let from = position.seq.saturating_sub(REPLAYED_TICKS);
        let is_held = self.since.is_some_and(|since| since <= from);
        if position.epoch != self.position.epoch
            || position.seq > self.position.seq.saturating_add(AHEAD_TICKS)
            || !is_held
        {
            return None;
        }
        let first = self.recent.partition_point(|(seq, _)| *seq < from);
        Some(self.listen(self.recent.range(first..).map(|(_, frame)| frame.clone())))
    }

    /// Opens a stream with this tick's snapshot.
    pub(crate) fn open(&self, snapshot: Frame) -> Listening {
        self.listen(std::iter::once(snapshot))
    }

    pub(crate) fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    /// Keeps a delta for clients that resume, and drops the oldest deltas beyond the limits.
    fn keep(&mut self, frame: Frame) {
        self.recent_bytes += frame.plain().len();
        self.recent.push_back((self.position.seq, frame));
        while self.recent.len() > RESUMABLE_DELTAS
            || self.recent_bytes > RESUMABLE_BYTES && self.recent.len() > 2 * REPLAYED_TICKS as usize
        {
            let Some((seq, frame)) = self.recent.pop_front() else { return };
            self.recent_bytes -= frame.plain().len();
            self.since = Some(seq + 1);
        }
    }

    fn drop_recent(&mut self) {
        self.recent.clear();
        self.recent_bytes = 0;
    }

    /// Numbers the tick.
    fn advance(&mut self, at_ms: i64) {
        let tick = u64::try_from(at_ms / TICK_MS).unwrap_or(0);
        let is_set_back = tick.saturating_add(AHEAD_TICKS) < self.position.seq;
        if self.since.is_none() || is_set_back {
            // Frames that were sent under greater numbers could not be found by smaller ones.
            self.drop_recent();
            self.since = Some(tick);
            self.position.seq = tick;
        } else {
            // Two ticks may get the same number, so that no replica runs ahead of the others for long.
            self.position.seq = tick.max(self.position.seq);
        }
    }

    fn listen(&self, frames: impl Iterator<Item = Frame>) -> Listening {
        let newest = self.newest_stats.clone().into_iter().chain(self.newest_alerts.clone());
        let opening = std::iter::once(self.retry.clone()).chain(frames).chain(newest).collect();
        Listening { opening, live: self.live.subscribe() }
    }

    fn send(&self, frame: Frame) {
        // Without an open stream the frame is not sent.
        self.live.send(frame).ok();
    }
}

/// The frame that ends a stream, with the time after which to reconnect.
pub(crate) fn closing(retry_ms: u64) -> Frame {
    Frame::new(format!("retry: {retry_ms}\n\n").into())
}

fn frame(event: &str, position: Option<StreamPosition>, data: &impl Serialize) -> Frame {
    raw_frame(event, position, &json::encode(data))
}

fn raw_frame(event: &str, position: Option<StreamPosition>, data: &[u8]) -> Frame {
    Frame::new(text(event, position, data).into())
}

/// The JSON has no line breaks, so it fits into one `data` line.
fn text(event: &str, position: Option<StreamPosition>, data: &[u8]) -> Vec<u8> {
    let id = position.map(|position| format!("id: {position}\n")).unwrap_or_default();
    let head = format!("event: {event}\n{id}data: ");
    [head.as_bytes(), data, b"\n\n"].concat()
}
