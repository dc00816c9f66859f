use futures_util::{StreamExt, stream};

use super::*;

const EPOCH: u64 = 9;

fn change(tick: i64) -> DeltaEvent {
    DeltaEvent { at_ms: tick * TICK_MS, gone: vec![1], ..DeltaEvent::default() }
}

fn text(frames: &[Frame]) -> String {
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.plain().to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}

/// How many frames a client that resumes at `seq` is replayed.
fn replayed(log: &StreamLog, epoch: u64, seq: u64) -> Option<usize> {
    Some(log.resume(StreamPosition { epoch, seq })?.opening.len() - 1)
}

#[test]
fn a_stream_opens_with_a_snapshot_and_goes_on_with_what_changes() {
    let mut log = StreamLog::new(EPOCH);
    log.delta(&change(100), true);
    log.stats(b"{}");
    let mut listening = log.open(log.snapshot(SnapshotEvent::default(), true).unwrap());
    let opening = text(&listening.opening);
    assert!(opening.starts_with("retry: 2000\nevent: snapshot\nid: 9-100\ndata: {\"v\":2,"), "{opening}");
    assert!(opening.ends_with("}}\n\nevent: stats\ndata: {}\n\n"), "{opening}");
    log.delta(&DeltaEvent { at_ms: 25_250, ..DeltaEvent::default() }, true);
    log.delta(&change(102), true);
    let live = listening.live.try_recv().unwrap();
    assert_eq!(text(&[live]), "event: delta\nid: 9-102\ndata: {\"at_ms\":25500,\"gone\":[1]}\n\n");
    assert!(listening.live.try_recv().is_err());
}

#[test]
fn an_unchanged_fleet_gets_an_empty_delta_once_a_second() {
    let mut log = StreamLog::new(EPOCH);
    let mut live = log.open(Frame::new(Bytes::new())).live;
    for at_ms in (1_000..3_000).step_by(250) {
        log.delta(&DeltaEvent { at_ms, ..DeltaEvent::default() }, true);
    }
    let said: Vec<Frame> = std::iter::from_fn(|| live.try_recv().ok()).collect();
    assert_eq!(
        text(&said),
        "event: delta\nid: 9-4\ndata: {\"at_ms\":1000}\n\nevent: delta\nid: 9-8\ndata: {\"at_ms\":2000}\n\n"
    );
}

#[test]
fn a_view_that_is_behind_sends_frames_without_ids() {
    let mut log = StreamLog::new(EPOCH);
    log.delta(&change(84), true);
    let mut live = log.open(Frame::new(Bytes::new())).live;
    log.delta(&change(100), false);
    assert!(text(&[live.try_recv().unwrap()]).starts_with("event: delta\ndata: "));
    assert!(
        text(&[log.snapshot(SnapshotEvent::default(), false).unwrap()])
            .starts_with("event: snapshot\ndata: ")
    );
    // It is kept, for a client that was in step at another replica.
    assert_eq!(replayed(&log, EPOCH, 100), Some(2));
    // But not for a client from before this time, when this replica received nothing.
    (101..=116).for_each(|tick| log.delta(&change(tick), false));
    assert_eq!(replayed(&log, EPOCH, 116), None);
    (117..=134).for_each(|tick| log.delta(&change(tick), true));
    assert_eq!((replayed(&log, EPOCH, 132), replayed(&log, EPOCH, 133)), (None, Some(18)));
}

#[test]
fn resuming_clients_are_replayed_from_some_seconds_before_or_get_a_snapshot() {
    let mut log = StreamLog::new(EPOCH);
    let newest = 1_000 + RESUMABLE_DELTAS as i64;
    // The first two exceed the limit.
    (999..=newest).for_each(|tick| log.delta(&change(tick), true));
    let (newest, oldest) = (newest as u64, 1_001);
    assert_eq!(replayed(&log, EPOCH, newest), Some(17));
    assert_eq!(replayed(&log, EPOCH, newest - 10), Some(27));
    assert_eq!(replayed(&log, EPOCH, oldest + 16), Some(RESUMABLE_DELTAS));
    assert_eq!(replayed(&log, EPOCH, oldest + 15), None, "too long ago");
    assert_eq!(replayed(&log, EPOCH, newest + 2), Some(15), "another replica was ahead");
    assert_eq!(replayed(&log, EPOCH, newest + 8), Some(9));
    assert_eq!(replayed(&log, EPOCH, newest + 9), None, "no replica is so far ahead");
    assert_eq!(replayed(&log, EPOCH, u64::MAX), None);
    assert_eq!(replayed(&log, EPOCH + 1, newest), None, "other rows");
}

#[test]
fn deltas_that_are_long_are_kept_for_less_long() {
    let rows = vec![1; 500_000];
    let mut log = StreamLog::new(EPOCH);
    let long = |tick: i64| DeltaEvent { at_ms: tick * TICK_MS, gone: rows.clone(), ..DeltaEvent::default() };
    (0..40).for_each(|tick| log.delta(&long(tick), true));
    assert_eq!((log.recent.len(), log.since), (32, Some(8)), "of a megabyte each");
    assert_eq!((replayed(&log, EPOCH, 23), replayed(&log, EPOCH, 24)), (None, Some(32)));
    (40..100).for_each(|tick| log.delta(&change(tick), true));
    assert_eq!((log.recent.len(), log.since), (76, Some(24)), "until they are 16 MB");
    let held: usize = log.recent.iter().map(|(_, frame)| frame.plain().len()).sum();
    assert_eq!(log.recent_bytes, held);
}

#[test]
fn numbers_follow_the_clock() {
    let mut log = StreamLog::new(EPOCH);
    let mut seq_at = |at_ms| {
        log.delta(&DeltaEvent { at_ms, gone: vec![1], ..DeltaEvent::default() }, true);
        log.position.seq
    };
    assert_eq!([1_000, 1_249, 1_250, 1_500, 9_000].map(&mut seq_at), [4, 4, 5, 6, 36]);
    // The broker's clock turns out to be far behind this host's, or was set back.
    assert_eq!(seq_at(2_000), 8);
    assert_eq!((replayed(&log, EPOCH, 36), replayed(&log, EPOCH, 24)), (None, None));
}

#[tokio::test]
async fn snapshots_that_clients_do_not_read_stay_within_their_budget() {
    let mut log = StreamLog::new(EPOCH);
    let event = SnapshotEvent::default;
    let one = log.snapshot(event(), true).unwrap().plain().len();
    assert!(one < 1024, "it counts as one step");
    log.budget = MemoryBudget::new(3 * 1024);
    // What hyper holds for slow clients: only the bytes, of either form.
    let first = log.snapshot(event(), true).unwrap().plain().clone();
    let second = log.snapshot(event(), false).unwrap();
    let third = log.snapshot(event(), true).unwrap();
    assert_eq!(log.snapshot(event(), true).unwrap_err(), OverBudget);
    drop((second, third));
    assert!(log.snapshot(event(), true).is_ok());
    drop(first);

    let long = Frame::long(vec![b'x'; 20 * 1024], &MemoryBudget::new(40 * 1024)).unwrap();
    let read = gzip(stream::iter([long.clone()])).collect::<Vec<_>>().await;
    let budget = MemoryBudget::new(20 * 1024);
    let tight = Frame::long(vec![b'x'; 20 * 1024], &budget).unwrap();
    let unread = gzip(stream::iter([tight.clone()])).collect::<Vec<_>>().await;
    // Header, frame and trailer; without memory for the compressed form, the stream ends instead.
    assert_eq!((read.len(), unread.len()), (3, 2));
    drop((long, tight));
    assert!(
        budget.charge(vec![0; 20 * 1024]).is_ok(),
        "who holds the compressed form alone is charged for that alone"
    );
    drop(read);
}
