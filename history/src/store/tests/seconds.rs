//! Peaks of groups by the second, against a model that adds up each node's seconds.

use proptest::prelude::*;
use tidemap_wire::{SecondSums, history_query::HistorySeries};

use super::*;
use crate::point::rounded;

/// The begin of a day.
const BEGIN: u32 = 20_000 * 1_440;
const MINUTES: u32 = 3;
const SECONDS: usize = MINUTES as usize * 60;
const SPAN: usize = 20;
const DAY: u32 = 1_440;

/// What each node received in each second.
type Moved = Vec<Vec<u64>>;

fn name(node: usize) -> String {
    format!("node-{node}")
}

fn role(node: usize) -> String {
    (node % 2).to_string()
}

fn series(role: Option<&str>) -> HistorySeries {
    role.map_or(HistorySeries::Fleet, |role| HistorySeries::Label("role".to_owned(), role.to_owned()))
}

fn is_in(node: usize, role_of: Option<&str>) -> bool {
    role_of.is_none_or(|of| role(node) == of)
}

const GROUPS: [Option<&str>; 3] = [None, Some("0"), Some("1")];

/// What a layout's owners tell of a span: the sums of the nodes' samples that `knows` lets them have.
fn published(
    moved: &Moved,
    partitions: u16,
    span: usize,
    knows: impl Fn(usize, usize) -> bool,
) -> Vec<SecondSums> {
    let first = span * SPAN;
    let seconds = first..first + SPAN;
    let mut published = Vec::new();
    for partition in 0..partitions {
        for group in GROUPS {
            let nodes = (0..moved.len()).filter(|node| {
                node % usize::from(partitions) == usize::from(partition) && is_in(*node, group)
            });
            let nodes: Vec<usize> = nodes.collect();
            let sum = |second: usize| -> u64 {
                nodes.iter().filter(|node| knows(**node, second)).map(|node| moved[*node][second]).sum()
            };
            published.push(SecondSums {
                partitions,
                partition,
                group: series(group),
                minute: BEGIN + u32::try_from(first / 60).unwrap(),
                first: u32::try_from(first % 60).unwrap(),
                rx_bps: seconds.clone().map(sum).collect(),
                tx_bps: seconds.clone().map(|second| sum(second) / 2).collect(),
            });
        }
    }
    published
}

fn rows(moved: &Moved) -> Vec<(NodeId, MinuteRow)> {
    let row = |of: usize, minute: u32| {
        let seconds = &moved[of][minute as usize * 60..][..60];
        let (sum, most) = (seconds.iter().sum(), *seconds.iter().max().unwrap());
        let rates = Some(Extremes { rx_max: most, tx_max: most, rx_min: 0, tx_min: 0 });
        let (covered_ms, minute) = (60_000, BEGIN + minute);
        let row = MinuteRow { minute, samples: 60, covered_ms, rx_bytes: sum, rates, ..MinuteRow::default() };
        (node(&name(of)), row)
    };
    (0..moved.len()).flat_map(|of| (0..MINUTES).map(move |minute| row(of, minute))).collect()
}

/// The largest sum of a group's nodes in a second of each minute, in three digits.
fn model(moved: &Moved, group: Option<&str>) -> Vec<u64> {
    let sum = |second: usize| -> u64 {
        (0..moved.len()).filter(|node| is_in(*node, group)).map(|node| moved[node][second]).sum()
    };
    let peak = |minute: usize| (minute * 60..(minute + 1) * 60).map(sum).max().unwrap();
    (0..MINUTES as usize).map(peak).map(three_digits).collect()
}

fn three_digits(rate: u64) -> u64 {
    rounded(Extremes { rx_max: rate, tx_max: 0, rx_min: 0, tx_min: 0 }).rx_max
}

fn peaks(store: &mut Store, group: Option<&str>, step: u32) -> Vec<u64> {
    let key = SeriesKey::Group(GroupKey::of(&series(group)).unwrap());
    let points = store.points(&key, BEGIN..BEGIN + DAY, step);
    points.iter().filter_map(|(_, point)| point.rates).map(|rates| rates.rx_max).collect()
}

fn opened(folder: &Path, nodes: usize) -> Store {
    let mut store = Store::open(&folder.join("history")).unwrap();
    let members = |of: usize| (node(&name(of)), vec![GroupKey::Label("role".to_owned(), role(of))]);
    store.set_groups(&(0..nodes).map(members).collect::<Vec<_>>()).unwrap();
    store
}

/// Stores in batches of so many rows and sums, as a station does that reads slowly or quickly.
fn store_all(store: &mut Store, rows: &[(NodeId, MinuteRow)], seconds: &[SecondSums], size: usize) {
    let batch = || batch(BEGIN + MINUTES + 1, Vec::new());
    let mut rows = rows.chunks(size);
    let mut seconds = seconds.chunks(size);
    loop {
        let (rows, seconds) = (rows.next(), seconds.next());
        if rows.is_none() && seconds.is_none() {
            return;
        }
        let (rows, seconds) = (rows.unwrap_or_default().to_vec(), seconds.unwrap_or_default().to_vec());
        store.apply(&Batch { rows, seconds, ..batch() }).unwrap();
    }
}

/// Lets hours and days pass until all is rolled up.
fn pass_days(store: &mut Store) {
    for hour in (2..52).step_by(10) {
        store.apply(&batch(BEGIN + hour * 60, Vec::new())).unwrap();
        store.compact_all();
    }
}

/// A node's second is a burst now and then, of some of them at once.
fn moved() -> impl Strategy<Value = Moved> {
    let second = prop_oneof![8 => 0_u64..1_000, 1 => 0_u64..1 << 40];
    proptest::collection::vec(proptest::collection::vec(second, SECONDS), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Owners of several layouts tell what they know, twice, in any order; some tell less, because they died,
    /// or samples were late. One layout's owners have published all in the end.
    #[test]
    fn the_peak_of_a_group_is_the_largest_sum_of_a_second_in_every_tier(
        moved in moved(),
        gaps in proptest::collection::vec((0_u32..3, 0_usize..9, any::<u64>()), 0..6),
        whole in 0_u32..3,
        seed in any::<u64>(),
        sizes in (1_usize..200, 1_usize..200),
    ) {
        let mut seconds: Vec<SecondSums> =
            (0..9).flat_map(|span| published(&moved, 1 << whole, span, |_, _| true)).collect();
        for (power, span, seed) in gaps {
            let knows = |node: usize, second: usize| seed >> ((node * 7 + second) % 64) & 1 == 1;
            seconds.extend(published(&moved, 1 << power, span, knows));
        }
        let mut random = fastrand::Rng::with_seed(seed);
        seconds.extend(seconds.clone());
        random.shuffle(&mut seconds);
        let rows = rows(&moved);
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut stations = folders.each_ref().map(|folder| opened(folder.path(), moved.len()));
        store_all(&mut stations[0], &rows, &seconds, sizes.0);
        random.shuffle(&mut seconds);
        store_all(&mut stations[1], &rows, &seconds, sizes.1);
        for is_past in [false, true] {
            if is_past {
                stations.iter_mut().for_each(pass_days);
            }
            for group in GROUPS.into_iter().filter(|group| (0..moved.len()).any(|node| is_in(node, *group))) {
                let expected = model(&moved, group);
                for store in &mut stations {
                    prop_assert_eq!(&peaks(store, group, 1), &expected);
                    for step in [15, 60, 1_440] {
                        prop_assert_eq!(peaks(store, group, step), [*expected.iter().max().unwrap()], "{}", step);
                    }
                }
            }
        }
    }

    /// Partitions are missing, and so are samples. Nothing is above the truth, nothing below the mean.
    #[test]
    fn what_was_not_published_makes_no_peak_higher(
        moved in moved(),
        parts in proptest::collection::vec((0_u32..3, 0_usize..9, any::<u64>(), any::<u16>()), 0..12),
        is_after_hours in any::<bool>(),
    ) {
        let mut seconds = Vec::new();
        for (power, span, seed, heard) in parts {
            let knows = |node: usize, second: usize| seed >> ((node * 7 + second) % 64) & 1 == 1;
            let all = published(&moved, 1 << power, span, knows);
            seconds.extend(all.into_iter().filter(|sums| heard >> sums.partition & 1 == 1));
        }
        let folder = tempfile::tempdir().unwrap();
        let mut store = opened(folder.path(), moved.len());
        store_all(&mut store, &rows(&moved), &[], 1_000);
        if is_after_hours {
            pass_days(&mut store);
        }
        let means = GROUPS.map(|group| peaks_or_none(&mut store, group));
        store_all(&mut store, &[], &seconds, 1_000);
        for (group, means) in GROUPS.into_iter().zip(means) {
            let Some(means) = means else { continue };
            let found = peaks(&mut store, group, 1);
            for ((found, truth), mean) in found.iter().zip(model(&moved, group)).zip(means) {
                prop_assert!((mean..=truth).contains(found), "{found} is not in {mean}..={truth}");
            }
        }
    }
}

fn peaks_or_none(store: &mut Store, group: Option<&str>) -> Option<Vec<u64>> {
    let key = SeriesKey::Group(GroupKey::of(&series(group)).unwrap());
    store.range(&key, BEGIN..BEGIN + DAY, Step(1), &[]).unwrap().map(|_| peaks(store, group, 1))
}

#[test]
fn seconds_before_their_rows_and_of_groups_that_nobody_knows_show_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    assert_eq!(store.reach().unwrap().second_peaks, None);
    let moved = vec![vec![7; SECONDS]; 2];
    store_all(&mut store, &[], &published(&moved, 1, 0, |_, _| true), 100);
    assert!(peaks(&mut store, None, 1).is_empty(), "not covered");
    assert_eq!(peaks_or_none(&mut store, Some("0")), None);
    assert_eq!(store.reach().unwrap().second_peaks, Some(BEGIN));
    store_all(&mut store, &rows(&moved), &[], 100);
    assert_eq!(peaks(&mut store, None, 1), [14, 14, 14]);
}

#[test]
fn seconds_are_held_for_a_while_and_a_damaged_one_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = opened(folder.path(), 2);
    let file = rusqlite::Connection::open(folder.path().join("history")).unwrap();
    let held =
        || -> u32 { file.query_row("SELECT count(*) FROM group_second", [], |row| row.get(0)).unwrap() };
    let moved = vec![vec![1_000; SECONDS]; 2];
    store_all(&mut store, &rows(&moved), &published(&moved, 2, 0, |_, _| true), 100);
    assert_eq!(held(), 3);
    file.execute("UPDATE group_second SET tile = x'00'", []).unwrap();
    let burst = vec![vec![9_000; SECONDS]; 2];
    store_all(&mut store, &[], &published(&burst, 2, 0, |node, _| node == 0), 100);
    assert_eq!(peaks(&mut store, None, 1)[0], 9_000, "of the one partition that was published again");
    let later = published(&moved, 2, 3, |_, _| true);
    let later = later.into_iter().map(|sums| SecondSums { minute: BEGIN + 20, ..sums }).collect();
    store.apply(&Batch { seconds: later, ..batch(BEGIN + 21, Vec::new()) }).unwrap();
    assert_eq!(held(), 3, "only the new ones");
}

/// A program that does not know of seconds has written it.
#[test]
fn a_file_of_before_gets_the_table_of_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let moved = vec![vec![1_000; SECONDS]; 2];
    drop(opened(folder.path(), 2));
    let file = rusqlite::Connection::open(folder.path().join("history")).unwrap();
    file.execute_batch("DROP TABLE group_second").unwrap();
    let mut store = opened(folder.path(), 2);
    store_all(&mut store, &rows(&moved), &published(&moved, 2, 0, |_, _| true), 100);
    assert_eq!(peaks(&mut store, None, 1), [2_000; 3]);
}
