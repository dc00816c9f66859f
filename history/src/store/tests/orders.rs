//! Whatever the order, the repetitions and the batches in which the same messages come, the answers are those
//! of the rows.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::read::top::Top;

const NODES: u32 = 3;
/// Three days and a half.
pub(super) const END: u32 = 5_040;

/// What a node does in some minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    node: u32,
    minute: u32,
    bytes: u64,
    /// What moves before, in samples that are lost.
    lost: u64,
    /// What moves before, in a sample that comes late.
    late: u64,
    /// Whether a run of the agent begins.
    restarts: bool,
}

/// A message: a row, perhaps of few of its samples, or a late sample.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Row(NodeId, MinuteRow),
    Late(NodeId, LateSample),
}

pub(super) fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = (0..NODES, 0..END, 0_u64..1_000, 0_u64..4, 0_u64..4, 0_u32..8);
    proptest::collection::vec(deed, 1..60).prop_map(|deeds| {
        let deeds: BTreeMap<_, _> = deeds.into_iter().map(|deed| ((deed.0, deed.1), deed)).collect();
        let deed = |(node, minute, bytes, lost, late, restart)| {
            let some = |number: u64| if number > 1 { number * 100 } else { 0 };
            Deed { node, minute, bytes, lost: some(lost), late: some(late), restarts: restart == 0 }
        };
        deeds.into_values().map(deed).collect()
    })
}

/// What is reported of these deeds at last, and what was reported before.
pub(super) fn messages(deeds: &[Deed]) -> (Vec<Message>, Vec<Message>) {
    let (mut at_last, mut before) = (Vec::new(), Vec::new());
    let mut runs: BTreeMap<u32, (u64, u32, u64)> = BTreeMap::new();
    for (number, deed) in deeds.iter().enumerate() {
        let seq = number as u64;
        let run = runs.entry(deed.node).or_insert((seq, deed.minute, 0));
        if deed.restarts {
            *run = (seq, deed.minute, 0);
        }
        let name = node(&format!("n{}", deed.node));
        // A minute of its own, just before.
        if deed.late > 0 && deed.minute > run.1 {
            at_last.push(Message::Late(name.clone(), super::late(deed.minute - 1, deed.late, run.0, seq)));
            run.2 += deed.late;
        }
        run.2 += deed.lost;
        let first = deed.bytes / 2;
        let partial = super::row(deed.minute, first, run.0, run.1, run.2 + first);
        run.2 += deed.bytes;
        let whole = super::row(deed.minute, deed.bytes, run.0, run.1, run.2);
        let whole = MinuteRow { host: host(deed, 12), ..whole };
        let partial = MinuteRow { host: host(deed, 5), ..partial };
        before.push(Message::Row(name.clone(), MinuteRow { rates: whole.rates, ..partial }));
        at_last.push(Message::Row(name, whole));
    }
    (at_last, before)
}

/// What so many samples of a deed's minute tell of its host; nothing of some minutes.
fn host(deed: &Deed, samples: u16) -> HostMinute {
    let share = u16::try_from(deed.bytes % 900).unwrap() + samples;
    let known = HostMinute {
        cpu: Some(CpuMinute { samples, mean: share / 2, max: share }),
        memory_max: Some(share / 3),
        disk_max: None,
        load_max: Some(u32::from(share) * 7),
    };
    if deed.minute.is_multiple_of(5) { HostMinute::default() } else { known }
}

pub(super) fn store(folder: &Path) -> Store {
    let mut store = Store::open(&folder.join("history")).unwrap();
    let groups = |number: u32| vec![GroupKey::Location(format!("place {}", number % 2))];
    store
        .set_groups(
            &(0..NODES).map(|number| (node(&format!("n{number}")), groups(number))).collect::<Vec<_>>(),
        )
        .unwrap();
    store
}

/// Stores messages in batches, while time goes on.
pub(super) fn tell(store: &mut Store, messages: &[Message], sizes: &[usize], times: &[u32]) {
    let mut left = messages;
    for turn in 0.. {
        if left.is_empty() {
            break;
        }
        let (now, later) = left.split_at(sizes[turn % sizes.len()].min(left.len()));
        left = later;
        let mut batch = batch(times[turn % times.len()], Vec::new());
        for message in now.iter().cloned() {
            match message {
                Message::Row(node, row) => batch.rows.push((node, row)),
                Message::Late(node, sample) => batch.late.push((node, sample)),
            }
        }
        store.apply(&batch).unwrap();
        store.compact_all();
    }
}

pub(super) fn series() -> Vec<SeriesKey> {
    let nodes = (0..NODES).map(|number| SeriesKey::Node(node(&format!("n{number}"))));
    let places = (0..2).map(|number| SeriesKey::Group(GroupKey::Location(format!("place {number}"))));
    nodes.chain(places).chain([SeriesKey::Group(GroupKey::Fleet)]).collect()
}

/// All answers to all questions.
fn answers(store: &mut Store) -> (Vec<Vec<(u32, Point)>>, Vec<Top>) {
    let mut ranges = Vec::new();
    for key in series() {
        for step in [1, 15, 60, 180, 1_440] {
            ranges.push(store.points(&key, 0..END + 1_440, step));
        }
    }
    let top = |store: &mut Store, minutes, order| store.top(minutes, order, 10).unwrap();
    let tops = vec![
        top(store, 0..END, TopOrder::Sum),
        top(store, 500..4_000, TopOrder::Rx),
        top(store, 100..140, TopOrder::Tx),
    ];
    (ranges, tops)
}

fn whole(points: &[(u32, Point)]) -> Point {
    let mut sum = Point::default();
    points.iter().for_each(|(_, point)| sum.add(point));
    sum
}

/// What moved, which is all that adds up.
fn bare(point: Point) -> Point {
    Point { covered_ms: 0, ..point.sums() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_messages_give_the_same_answers(
        deeds in deeds(),
        order in any::<u64>(),
        sizes in proptest::collection::vec(1_usize..30, 1..5),
        times in proptest::collection::vec(0..END + 200, 1..5),
    ) {
        let (at_last, before) = messages(&deeds);
        let [one, two] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let mut straight = store(one.path());
        tell(&mut straight, &at_last, &[1_000], &[END + 200]);
        let mut shuffled: Vec<Message> = before.into_iter().chain(at_last.clone()).chain(at_last.clone()).collect();
        fastrand::Rng::with_seed(order).shuffle(&mut shuffled);
        let mut crooked = store(two.path());
        tell(&mut crooked, &shuffled, &sizes, &times);
        // Time goes on, so that everything is cut; and once more nothing is new.
        tell(&mut crooked, &at_last, &sizes, &[END + 200]);
        let expected = answers(&mut straight);
        prop_assert_eq!(&expected, &answers(&mut crooked));
        // One that was opened again knows the same.
        drop(crooked);
        let mut again = Store::open(&two.path().join("history")).unwrap();
        prop_assert_eq!(&expected, &answers(&mut again));
        let mut reader = Store::open_to_read(&two.path().join("history"), again.settled()).unwrap();
        prop_assert_eq!(&expected, &answers(&mut reader));
    }

    #[test]
    fn sums_are_those_of_the_rows_and_of_the_counters(deeds in deeds(), until in 0..END + 200) {
        let (at_last, _) = messages(&deeds);
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        tell(&mut store, &at_last, &[7], &[until]);
        for number in 0..NODES {
            let mine: Vec<&Deed> = deeds.iter().filter(|deed| deed.node == number).collect();
            if mine.is_empty() {
                continue;
            }
            let name = node(&format!("n{number}"));
            let mut placed: BTreeMap<u32, u64> = BTreeMap::new();
            let mut counted: BTreeMap<u64, u64> = BTreeMap::new();
            for message in &at_last {
                match message {
                    Message::Row(node, row) if *node == name => {
                        *placed.entry(row.minute).or_default() += row.rx_bytes;
                        let run = row.counters[0];
                        counted.insert(run.boot, run.rx_bytes);
                    }
                    Message::Late(node, sample) if *node == name => {
                        *placed.entry(sample.minute).or_default() += sample.rx_bytes;
                    }
                    _ => {}
                }
            }
            let minutes = store.points(&SeriesKey::Node(name.clone()), 0..END + 1_440, 1);
            let found: BTreeMap<u32, u64> = minutes.iter().map(|(minute, point)| (*minute, point.rx_bytes)).collect();
            prop_assert_eq!(found, placed);
            let sum = whole(&minutes);
            prop_assert_eq!(sum.rx_bytes + sum.unplaced_rx, counted.values().sum::<u64>());
            prop_assert_eq!(2 * sum.rx_bytes, sum.tx_bytes);
            for step in [15, 60, 180, 1_440] {
                prop_assert_eq!(whole(&store.points(&SeriesKey::Node(name.clone()), 0..END + 1_440, step)), sum, "{}", step);
            }
        }
        for step in [1, 15, 60, 1_440] {
            let mut nodes: BTreeMap<u32, Point> = BTreeMap::new();
            for key in &series()[..NODES as usize] {
                for (minute, point) in store.points(key, 0..END + 1_440, step) {
                    nodes.entry(minute).or_default().add(&bare(point));
                }
            }
            let fleet = store.points(&SeriesKey::Group(GroupKey::Fleet), 0..END + 1_440, step);
            let fleet: BTreeMap<u32, Point> = fleet.into_iter().map(|(minute, point)| (minute, bare(point))).collect();
            prop_assert_eq!(fleet, nodes, "{}", step);
        }
    }
}
