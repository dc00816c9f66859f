//! The event stream's frames: written once, shared by all who listen.

use std::{collections::VecDeque, fmt, str::FromStr};

use bytes::Bytes;
use serde::Serialize;
use tidemap_wire::stream::{DeltaEvent, PingEvent, SnapshotEvent};
use tokio::sync::broadcast;

use crate::json;

/// Deltas that a browser may have missed and still go on: a minute of them.
const RESUMABLE: usize = 240;
/// Frames that a slow client may be behind; then it starts anew with a snapshot, so it costs no more than this.
const LIVE: usize = 64;
/// The longest time without a delta; ticks come every 250 ms, so this is every fourth of them.
const SILENCE_MS: i64 = 900;
/// The version of the stream's protocol.
const VERSION: u32 = 1;
/// What every stream opens with: a browser that loses it tries again after 2 s.
const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// The place of a `snapshot` or `delta` in the stream: `epoch-seq`.
///
/// The epoch is the moment this process began. Replicas number their rows in the order in which they met the nodes, so
/// a place in one is none in another: an unknown epoch gets a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for Place {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, seq) = text.trim().split_once('-').unwrap_or((text, ""));
        Ok(Self { epoch: epoch.parse()?, seq: seq.parse()? })
    }
}

/// What a listener receives: these frames at once, then what is live.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) opening: Vec<Bytes>,
    pub(crate) live: broadcast::Receiver<Bytes>,
}

/// The frames of the recent past and those who listen.
#[derive(Debug)]
pub(crate) struct Frames {
    place: Place,
    recent: VecDeque<(u64, Bytes)>,
    newest_stats: Option<Bytes>,
    /// Broker time of the newest delta.
    said_ms: i64,
    live: broadcast::Sender<Bytes>,
}

impl Frames {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            place: Place { epoch, seq: 0 },
            recent: VecDeque::new(),
            newest_stats: None,
            said_ms: 0,
            live: broadcast::Sender::new(LIVE),
        }
    }

    /// Says what changed, or once a second that nothing did: a reader can tell a still fleet from a dead stream.
    pub(crate) fn delta(&mut self, event: &DeltaEvent) {
        if event.is_empty() && event.at_ms - self.said_ms < SILENCE_MS {
            return;
        }
        self.said_ms = event.at_ms;
        self.place.seq += 1;
        let bytes = frame("delta", Some(self.place), event);
        if self.recent.len() == RESUMABLE {
            self.recent.pop_front();
        }
        self.recent.push_back((self.place.seq, bytes.clone()));
        self.send(bytes);
    }

    /// Says the fleet's totals, already written as JSON.
    pub(crate) fn stats(&mut self, stats_json: &[u8]) {
        let bytes = raw_frame("stats", None, stats_json);
        self.newest_stats = Some(bytes.clone());
        self.send(bytes);
    }

    /// Gives a sign of life.
    pub(crate) fn ping(&self, at_ms: i64) {
        self.send(frame("ping", None, &PingEvent { at_ms }));
    }

    /// The whole state as one frame.
    pub(crate) fn snapshot(&self, mut event: SnapshotEvent) -> Bytes {
        event.v = VERSION;
        frame("snapshot", Some(self.place), &event)
    }

    /// Opens a stream for one who has seen everything up to `place`; `None` when too much has happened since, or the
    /// place is another process's.
    pub(crate) fn resume(&self, place: Place) -> Option<Listening> {
        let missed = self.place.seq.checked_sub(place.seq)?;
        let missed = usize::try_from(missed).ok().filter(|missed| *missed <= self.recent.len())?;
        let since = self.recent.range(self.recent.len() - missed..).map(|(_, frame)| frame.clone());
        (place.epoch == self.place.epoch).then(|| self.listen(since))
    }

    /// Opens a stream with a snapshot of this moment.
    pub(crate) fn open(&self, snapshot: Bytes) -> Listening {
        self.listen(std::iter::once(snapshot))
    }

    pub(crate) fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    fn listen(&self, frames: impl Iterator<Item = Bytes>) -> Listening {
        let opening = std::iter::once(RETRY).chain(frames).chain(self.newest_stats.clone()).collect();
        Listening { opening, live: self.live.subscribe() }
    }

    fn send(&self, frame: Bytes) {
        // Without a listener the frame is simply not sent.
        self.live.send(frame).ok();
    }
}

fn frame(event: &str, place: Option<Place>, data: &impl Serialize) -> Bytes {
    raw_frame(event, place, &json::encode(data))
}

/// Our JSON has no line breaks, so one `data` line holds it.
fn raw_frame(event: &str, place: Option<Place>, data: &[u8]) -> Bytes {
    let id = place.map(|place| format!("id: {place}\n")).unwrap_or_default();
    let head = format!("event: {event}\n{id}data: ");
    [head.as_bytes(), data, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> DeltaEvent {
        DeltaEvent { gone: vec![1], ..DeltaEvent::default() }
    }

    fn text(frames: &[Bytes]) -> String {
        String::from_utf8(frames.concat()).unwrap()
    }

    #[test]
    fn a_stream_opens_with_a_snapshot_and_goes_on_with_what_changes() {
        let mut frames = Frames::new(9);
        frames.delta(&change());
        frames.stats(b"{}");
        let mut listening = frames.open(frames.snapshot(SnapshotEvent::default()));
        let opening = text(&listening.opening);
        assert!(opening.starts_with("retry: 2000\n\nevent: snapshot\nid: 9-1\ndata: {\"v\":1,"), "{opening}");
        assert!(opening.ends_with("}}\n\nevent: stats\ndata: {}\n\n"), "{opening}");
        frames.delta(&DeltaEvent::default());
        frames.delta(&change());
        let live = listening.live.try_recv().unwrap();
        assert_eq!(text(&[live]), "event: delta\nid: 9-2\ndata: {\"at_ms\":0,\"gone\":[1]}\n\n");
        assert!(listening.live.try_recv().is_err());
    }

    #[test]
    fn a_fleet_that_stands_still_says_so_once_a_second() {
        let mut frames = Frames::new(9);
        let mut live = frames.open(Bytes::new()).live;
        for at_ms in (1_000..3_000).step_by(250) {
            frames.delta(&DeltaEvent { at_ms, ..DeltaEvent::default() });
        }
        let said: Vec<Bytes> = std::iter::from_fn(|| live.try_recv().ok()).collect();
        assert_eq!(
            text(&said),
            "event: delta\nid: 9-1\ndata: {\"at_ms\":1000}\n\nevent: delta\nid: 9-2\ndata: {\"at_ms\":2000}\n\n"
        );
    }

    #[test]
    fn a_stream_resumes_where_it_was_left_or_not_at_all() {
        let mut frames = Frames::new(9);
        for _ in 0..RESUMABLE + 2 {
            frames.delta(&change());
        }
        let missed = |seq, epoch| Some(frames.resume(Place { epoch, seq })?.opening.len() - 1);
        assert_eq!(missed(242, 9), Some(0));
        assert_eq!(missed(240, 9), Some(2));
        assert_eq!(missed(2, 9), Some(RESUMABLE));
        assert_eq!(missed(1, 9), None);
        assert_eq!(missed(243, 9), None);
        assert_eq!(missed(242, 8), None);
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place { epoch: 1_700_000_000_000, seq: 42 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", "1", "1-", "-1", "1-x", "1-2-3", "99999999999999999999-1"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
