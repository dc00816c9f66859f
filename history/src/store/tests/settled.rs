//! What was added up in memory is what the tiles say, whatever happened meanwhile.

use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::store::{read::top::Top, settled::Sums};

const NODES: u32 = 5;
/// When the first message comes, in minutes: within a day.
const BEGIN: u32 = 10 * 1_440 + 1_300;

/// What happens to a history.
#[derive(Clone, Debug)]
enum Event {
    /// Time goes on by minutes, and rows of so many minutes ago come: of a node, with bytes.
    Rows(u32, Vec<(u32, u32, u64)>),
    /// A late sample of so many minutes ago comes.
    Late(u32, u32, u64),
    /// A node changes its groups.
    Groups(u32, u32),
    /// What is due is cut.
    Compact,
    /// What has settled is added up.
    Settle,
    /// A node is forgotten.
    Forget(u32),
    /// The last byte of the tile of so many minutes ago changes.
    Damage(u32),
    /// The station starts again.
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    // Most rows are of the newest minutes.
    let ago = || prop_oneof![6 => 0_u32..4, 2 => 0_u32..100, 1 => 0_u32..2_000];
    let rows = proptest::collection::vec((0..NODES, ago(), 0_u64..1_000), 0..8);
    prop_oneof![
        8 => (0_u32..15, rows).prop_map(|(minutes, rows)| Event::Rows(minutes, rows)),
        2 => (0..NODES, ago(), 1_u64..500).prop_map(|(node, ago, bytes)| Event::Late(node, ago, bytes)),
        2 => (0..NODES, 0_u32..3).prop_map(|(node, place)| Event::Groups(node, place)),
        4 => Just(Event::Compact),
        6 => Just(Event::Settle),
        1 => (0..NODES).prop_map(Event::Forget),
        1 => (0_u32..60).prop_map(Event::Damage),
        1 => Just(Event::Reopen),
    ]
}

fn name(number: u32) -> NodeId {
    node(&format!("n{number}"))
}

fn place(number: u32) -> GroupKey {
    GroupKey::Location(format!("place {number}"))
}

/// All answers about many nodes.
fn answers(store: &mut Store, now: u32) -> (Vec<Top>, Vec<Vec<(u32, Point)>>) {
    let tops =
        [now - 1_500..now + 1, now - 97..now + 30, now - 20..now, now - 140..now - 7, now - 9..now - 2];
    let orders = [TopOrder::Rx, TopOrder::Tx, TopOrder::Sum];
    let tops = tops.into_iter().flat_map(|minutes| orders.map(|order| (minutes.clone(), order)));
    let tops = tops.map(|(minutes, order)| store.top(minutes, order, 3).unwrap()).collect();
    let groups = [GroupKey::Fleet, place(0), place(1), place(2)].map(SeriesKey::Group);
    let ranges: [Range<u32>; 2] = [now - 3_000..now + 60, now - 50..now - 1];
    let asked = groups.iter().flat_map(|key| ranges.clone().map(|range| (key, range)));
    let mut points = |(key, range): (&SeriesKey, Range<u32>)| {
        let found = store.range(key, range, Step(1), &[]).unwrap();
        found.unwrap_or_default().into_iter().collect()
    };
    (tops, asked.map(&mut points).collect())
}

/// Changes the last byte of the tile of a minute.
fn damage(path: &Path, minute: u32) {
    let file = rusqlite::Connection::open(path).unwrap();
    let changed = "CAST(substr(tile, 1, length(tile) - 1) || x'5a' AS BLOB)";
    let sql = format!("UPDATE minute SET tile = {changed} WHERE key >> 24 = ?1");
    file.execute(&sql, [minute]).unwrap();
}

struct History {
    path: std::path::PathBuf,
    store: Store,
    now: u32,
    /// What each node's run has counted.
    counted: [u64; NODES as usize],
    seq: u64,
}

impl History {
    fn new(folder: &Path) -> Self {
        let path = folder.join("history");
        let mut store = Store::open(&path).unwrap();
        store.apply(&batch(BEGIN, Vec::new())).unwrap();
        Self { path, store, now: BEGIN, counted: [0; NODES as usize], seq: 0 }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Rows(minutes, rows) => {
                self.now += minutes;
                let rows = rows.into_iter().map(|(number, ago, bytes)| {
                    let counted = &mut self.counted[number as usize];
                    *counted += bytes + bytes / 10;
                    (name(number), row(self.now - ago, bytes, 7, BEGIN - 3_000, *counted))
                });
                let rows = rows.collect();
                self.store.apply(&batch(self.now, rows)).unwrap();
            }
            Event::Late(number, ago, bytes) => {
                self.seq += 1;
                let mut late_one = batch(self.now, Vec::new());
                late_one.late.push((name(number), late(self.now - ago, bytes, 7, self.seq)));
                self.store.apply(&late_one).unwrap();
            }
            Event::Groups(number, to) => {
                self.store.set_groups(&[(name(number), vec![place(to)])]).unwrap();
            }
            Event::Compact => self.store.compact_all(),
            Event::Settle => self.store.settle().unwrap(),
            Event::Forget(number) => {
                self.store.forget(&name(number), 0).unwrap();
            }
            Event::Damage(ago) => {
                damage(&self.path, self.now - ago);
                // A reader meets it.
                let mut reader = Store::open_to_read(&self.path, Settled::default()).unwrap();
                answers(&mut reader, self.now);
                self.store.set_aside(&reader.take_met()).unwrap();
            }
            Event::Reopen => self.store = Store::open(&self.path).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_has_settled_is_what_all_tiles_say(events in proptest::collection::vec(event(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::new(folder.path());
        for event in events {
            history.take(event.clone());
            let mut plain = Store::open_to_read(&history.path, Settled::default()).unwrap();
            let expected = answers(&mut plain, history.now);
            let mut reader = Store::open_to_read(&history.path, history.store.settled()).unwrap();
            prop_assert_eq!(&answers(&mut reader, history.now), &expected, "after {:?}", event);
        }
    }
}

#[test]
fn a_reader_of_before_reads_the_tiles() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path());
    history.take(Event::Rows(0, vec![(0, 30, 100), (1, 30, 50)]));
    history.take(Event::Settle);
    let before = history.store.settled();
    let sums = || before.read().unwrap().bands().map(|(_, band)| band.hours.len()).sum::<usize>();
    assert_eq!(sums(), 1, "something has settled");
    // The reader's file is of before the change, and what has settled of after it.
    let mut reader = Store::open_to_read(&history.path, history.store.settled()).unwrap();
    let tx = reader.database.read().unwrap();
    assert!(Sums::of(before.read().as_deref(), &tx).unwrap().is_some());
    history.take(Event::Rows(0, vec![(0, 20, 100)]));
    assert_eq!(sums(), 0, "its band was taken out");
    assert!(Sums::of(before.read().as_deref(), &tx).unwrap().is_none());
    drop(tx);
    let top = reader.top(BEGIN - 40..BEGIN, TopOrder::Rx, 1).unwrap();
    assert_eq!(top.nodes[0].1.rx_bytes + top.nodes[0].1.unplaced_rx, 220);
}
