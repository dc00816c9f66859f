//! The event stream's frames: written once, shared by all who listen.

mod frame;
mod place;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;
use tidemap_wire::{
    stream::{DeltaEvent, PingEvent, SnapshotEvent, VERSION},
    timing,
};
use tokio::sync::broadcast;

pub(crate) use self::{
    frame::{Frame, gzip},
    place::Place,
};
use crate::{
    answers::{NotBuilt, Room},
    json,
};

/// Deltas that a browser may have missed and still go on: a minute of them, and more when they are few.
const RESUMABLE: usize = 240;
/// But not more bytes of them than this, save for [`OVERLAP`] twice: to a large fleet's reader a snapshot is no longer.
const RESUMABLE_BYTES: usize = 16 << 20;
/// Frames that a slow client may be behind; then it starts anew with a snapshot, so it costs no more than this.
const LIVE: usize = 64;
/// Room for snapshots that are being read, of whatever ticks: of 100,000 nodes one is about 15 MB. It is not the room of lists,
/// so that who is slow to read those closes the streams to nobody.
const SNAPSHOT_ROOM_BYTES: u32 = 256 << 20;
/// The longest time without a delta; ticks come every 250 ms, so this is every fourth of them.
const SILENCE_MS: i64 = timing::millis(timing::STREAM_SILENCE) as i64;
/// The time between two ticks, which are numbered by broker time.
const TICK_MS: i64 = timing::millis(timing::TICK) as i64;
/// Who resumes is told again what was said for so many ticks before its place, 4 s: another replica, where it was before,
/// may have heard a change 1.25 s later (see `PartitionView::is_in_step`), and may have said host metrics up to nine ticks
/// after it heard them (see `Sheet`).
const OVERLAP: u64 = 16;
/// How many ticks another replica may be ahead.
const AHEAD: u64 = 8;
/// What every stream opens with: a browser that loses it without a farewell tries again after 2 s.
const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// What a listener receives: these frames at once, then what is live.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) opening: Vec<Frame>,
    pub(crate) live: broadcast::Receiver<Frame>,
}

/// The frames of the recent past and those who listen.
#[derive(Debug)]
pub(crate) struct Frames {
    /// The tick of now.
    place: Place,
    /// Every delta since this tick is in `recent`; `None` while there is nothing to go on from.
    since: Option<u64>,
    /// Ticks in a row in which the view was not in step.
    behind: u64,
    recent: VecDeque<(u64, Frame)>,
    recent_bytes: usize,
    retry: Frame,
    newest_stats: Option<Frame>,
    room: Room,
    /// Broker time of the newest delta.
    said_ms: i64,
    live: broadcast::Sender<Frame>,
}

impl Frames {
    /// No frames yet. Replicas whose rows have the same numbers are of the same `epoch`.
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            place: Place { epoch, seq: 0 },
            since: None,
            // A view that knows nothing yet.
            behind: OVERLAP,
            recent: VecDeque::new(),
            recent_bytes: 0,
            retry: Frame::new(RETRY),
            newest_stats: None,
            room: Room::new(SNAPSHOT_ROOM_BYTES),
            said_ms: 0,
            live: broadcast::Sender::new(LIVE),
        }
    }

    /// Says what changed in this tick, or once a second that nothing did: a reader can tell a still fleet from a dead
    /// stream. It tells its place only when the view is `in_step` with all partitions: who resumed from it would
    /// otherwise miss what this replica has not heard yet.
    pub(crate) fn delta(&mut self, event: &DeltaEvent, in_step: bool) {
        self.advance(event.at_ms);
        self.behind = if in_step { 0 } else { self.behind + 1 };
        if self.behind > OVERLAP {
            // What has come and gone meanwhile will never be said here, so nobody can go on from before.
            self.forget();
            self.since = None;
        }
        if event.is_empty() && (0..SILENCE_MS).contains(&(event.at_ms - self.said_ms)) {
            return;
        }
        self.said_ms = event.at_ms;
        let frame = frame("delta", in_step.then_some(self.place), event);
        self.keep(frame.clone());
        self.send(frame);
    }

    /// Says the fleet's totals, already written as JSON.
    pub(crate) fn stats(&mut self, stats_json: &[u8]) {
        let frame = raw_frame("stats", None, stats_json);
        self.newest_stats = Some(frame.clone());
        self.send(frame);
    }

    /// Gives a sign of life.
    pub(crate) fn ping(&self, at_ms: i64) {
        self.send(frame("ping", None, &PingEvent { at_ms }));
    }

    /// The whole state of this tick as one frame, with its place as [`Frames::delta`] has it.
    pub(crate) fn snapshot(&self, mut event: SnapshotEvent, in_step: bool) -> Result<Frame, NotBuilt> {
        event.v = VERSION;
        Frame::long(text("snapshot", in_step.then_some(self.place), &json::encode(&event)), &self.room)
    }

    /// Opens a stream for one who has seen everything up to `place`; `None` when too much has happened since, or when the
    /// place cannot be one of this fleet's.
    pub(crate) fn resume(&self, place: Place) -> Option<Listening> {
        let from = place.seq.saturating_sub(OVERLAP);
        let is_held = self.since.is_some_and(|since| since <= from);
        if place.epoch != self.place.epoch || place.seq > self.place.seq.saturating_add(AHEAD) || !is_held {
            return None;
        }
        let first = self.recent.partition_point(|(seq, _)| *seq < from);
        Some(self.listen(self.recent.range(first..).map(|(_, frame)| frame.clone())))
    }

    /// Opens a stream with a snapshot of this moment.
    pub(crate) fn open(&self, snapshot: Frame) -> Listening {
        self.listen(std::iter::once(snapshot))
    }

    pub(crate) fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    /// Keeps a delta for those who resume, and forgets the oldest when there are too many or they are too long.
    fn keep(&mut self, frame: Frame) {
        self.recent_bytes += frame.plain().len();
        self.recent.push_back((self.place.seq, frame));
        while self.recent.len() > RESUMABLE
            || self.recent_bytes > RESUMABLE_BYTES && self.recent.len() > 2 * OVERLAP as usize
        {
            let Some((seq, frame)) = self.recent.pop_front() else { return };
            self.recent_bytes -= frame.plain().len();
            self.since = Some(seq + 1);
        }
    }

    fn forget(&mut self) {
        self.recent.clear();
        self.recent_bytes = 0;
    }

    /// Numbers the tick.
    fn advance(&mut self, at_ms: i64) {
        let tick = u64::try_from(at_ms / TICK_MS).unwrap_or(0);
        let is_set_back = tick.saturating_add(AHEAD) < self.place.seq;
        if self.since.is_none() || is_set_back {
            // Nothing that was said under greater numbers can be found by smaller ones.
            self.forget();
            self.since = Some(tick);
            self.place.seq = tick;
        } else {
            // Two ticks may have one number, so that no replica runs ahead of the others for long.
            self.place.seq = tick.max(self.place.seq);
        }
    }

    fn listen(&self, frames: impl Iterator<Item = Frame>) -> Listening {
        let opening =
            std::iter::once(self.retry.clone()).chain(frames).chain(self.newest_stats.clone()).collect();
        Listening { opening, live: self.live.subscribe() }
    }

    fn send(&self, frame: Frame) {
        // Without a listener the frame is simply not sent.
        self.live.send(frame).ok();
    }
}

/// The last words of a stream: when to come back. What is opened then says anew what holds from then on.
pub(crate) fn farewell(retry_ms: u64) -> Frame {
    Frame::new(format!("retry: {retry_ms}\n\n").into())
}

fn frame(event: &str, place: Option<Place>, data: &impl Serialize) -> Frame {
    raw_frame(event, place, &json::encode(data))
}

fn raw_frame(event: &str, place: Option<Place>, data: &[u8]) -> Frame {
    Frame::new(text(event, place, data).into())
}

/// Our JSON has no line breaks, so one `data` line holds it.
fn text(event: &str, place: Option<Place>, data: &[u8]) -> Vec<u8> {
    let id = place.map(|place| format!("id: {place}\n")).unwrap_or_default();
    let head = format!("event: {event}\n{id}data: ");
    [head.as_bytes(), data, b"\n\n"].concat()
}
