//! Damage anywhere costs what it hit: storing goes on, and no sum becomes larger than what moved.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use super::*;
use crate::folder::Folder;

const DAYS: u32 = 4;
const END: u32 = DAYS * 1_440 + 200;

fn groups(name: &str) -> (NodeId, Vec<GroupKey>) {
    (node(name), vec![GroupKey::Location("Bergen".to_owned())])
}

/// What two nodes reported in four days, every seventh minute, day by day.
fn batches() -> Vec<Batch> {
    let days = (0..=DAYS).map(|day| day * 1_440..((day + 1) * 1_440).min(END));
    let row = |minute: u32| {
        let bytes = |minute: u32| u64::from(minute) % 1_000 + 7;
        let counted = (0..=minute).step_by(7).map(bytes).sum();
        super::row(minute, bytes(minute), 1, 0, counted)
    };
    let rows = |minute| [(node("a"), row(minute)), (node("b"), row(minute))];
    days.map(|minutes| {
        let end = minutes.end;
        let minutes = minutes.filter(|minute| minute.is_multiple_of(7));
        batch(end, minutes.flat_map(rows).collect())
    })
    .collect()
}

fn tell(store: &mut Store) -> Result<(), StoreError> {
    store.set_groups(&[groups("a"), groups("b")])?;
    for batch in batches() {
        store.apply(&batch)?;
        while store.compact()? {}
    }
    Ok(())
}

type Answers = BTreeMap<(&'static str, u32, u32), u64>;

/// What moved, by series, step and minute.
fn answers(store: &mut Store) -> Result<Answers, StoreError> {
    let mut answers = Answers::new();
    let location = GroupKey::Location("Bergen".to_owned());
    for (name, key) in [
        ("a", SeriesKey::Node(node("a"))),
        ("fleet", SeriesKey::Group(GroupKey::Fleet)),
        ("Bergen", SeriesKey::Group(location)),
    ] {
        for step in [1, 15, 60, 1_440] {
            let points = store.range(&key, 0..END, Step(step), &[])?.unwrap_or_default();
            let bytes = |point: Point| point.rx_bytes + point.unplaced_rx;
            answers.extend(points.into_iter().map(|(at, point)| ((name, step, at), bytes(point))));
        }
    }
    for (name, point) in store.top(0..END, TopOrder::Rx, 10)?.nodes {
        answers.insert((if name == node("a") { "top a" } else { "top b" }, 0, 0), point.rx_bytes);
    }
    Ok(answers)
}

/// No answer is larger than the truth.
fn is_below(answers: &Answers, truth: &Answers, what: &str) {
    for (key, bytes) in answers {
        let most = truth.get(key).copied().unwrap_or(0);
        // Bytes that a lost minute contained appear where the counters are seen next.
        let sum = |answers: &Answers| -> u64 {
            let series = answers.range((key.0, key.1, 0)..=(key.0, key.1, key.2));
            series.map(|(_, bytes)| bytes).sum()
        };
        assert!(*bytes <= most || sum(answers) <= sum(truth), "{what}: {key:?} {bytes} > {most}");
    }
}

#[test]
fn a_damaged_tile_costs_what_it_contained_and_storing_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let mut store = Store::open(&path).unwrap();
    tell(&mut store).unwrap();
    let truth = answers(&mut store).unwrap();
    drop(store);
    let whole = fs::read(&path).unwrap();
    for tier in Tier::oldest() {
        fs::write(&path, &whole).unwrap();
        let mut store = Store::open(&path).unwrap();
        let table = format!("{tier:?}");
        let tx = store.database.write().unwrap();
        let tiles = tx.all(tier, 0..u32::MAX / 512).unwrap();
        assert!(!tiles.is_empty(), "{table}");
        for (number, (period, series, mut tile)) in tiles.into_iter().enumerate() {
            if number % 3 == 0 {
                let middle = tile.len() / 2;
                tile[middle] ^= 1;
                tx.put(tier, period, series, &tile).unwrap();
            }
        }
        tx.commit().unwrap();
        // Readers go on at once, before a writer has met the damage.
        let mut reader = Store::open_to_read(&path, Settled::default()).unwrap();
        is_below(&answers(&mut reader).unwrap(), &truth, &table);
        let met = reader.take_met();
        assert!(!met.is_empty(), "{table}");
        store.set_aside(&met).unwrap();
        let lost = store.reach().unwrap().lost_tiles;
        assert!(lost > 0, "{table}");
        // What is set aside is met no more.
        answers(&mut reader).unwrap();
        assert!(reader.take_met().is_empty(), "{table}");
        // What was stored comes again, and goes on.
        tell(&mut store).unwrap();
        let after = answers(&mut store).unwrap();
        is_below(&after, &truth, &table);
        let minutes = |answers: &Answers| -> u64 {
            answers.range(("a", 1, 0)..("a", 2, 0)).map(|(_, bytes)| bytes).sum()
        };
        assert_eq!(minutes(&after), minutes(&truth), "{table}: the stream fills in a node's minutes");
        drop((store, reader));
        let mut store = Store::open(&path).unwrap();
        assert!(store.reach().unwrap().lost_tiles >= lost, "{table}: it is remembered");
        assert!(answers(&mut store).is_ok());
    }
}

#[test]
fn a_damaged_file_is_rebuilt_from_what_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let lock = Folder::lock(folder.path()).unwrap();
    let mut store = lock.open(None).unwrap();
    tell(&mut store).unwrap();
    let truth = answers(&mut store).unwrap();
    drop(store);
    let whole = fs::read(lock.file()).unwrap();
    let pages = whole.len() / 8_192;
    assert!(pages > 20);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut kept = 0;
    for page in 0..pages {
        let mut bytes = whole.clone();
        // Some are zeroed, some get other bytes, and some files end here.
        match page % 3 {
            0 => bytes[page * 8_192..][..8_192].fill(0),
            1 => rng.fill(&mut bytes[page * 8_192..][..8_192]),
            _ => bytes.truncate(page * 8_192 + 100),
        }
        let mut file = fs::File::create(lock.file()).unwrap();
        file.write_all(&bytes).unwrap();
        drop(file);
        let what = format!("page {page}");
        // As a station does it: when it meets damage, the file is rebuilt.
        let mut store = lock.open(None).unwrap();
        let before = match answers(&mut store) {
            Ok(before) => before,
            Err(StoreError::Damaged(damage)) => {
                drop(store);
                store = lock.open(Some(damage)).unwrap();
                answers(&mut store).unwrap()
            }
            Err(error) => panic!("{what}: {error}"),
        };
        is_below(&before, &truth, &what);
        kept += usize::from(before.len() > truth.len() / 2);
        match tell(&mut store) {
            Err(StoreError::Damaged(damage)) => {
                drop(store);
                store = lock.open(Some(damage)).unwrap();
                tell(&mut store).unwrap();
            }
            done => done.unwrap(),
        }
        is_below(&answers(&mut store).unwrap(), &truth, &what);
    }
    // One page rarely holds more than a few tiles.
    assert!(kept * 3 > pages, "{kept} of {pages}");
}

#[test]
fn a_lost_first_page_costs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let lock = Folder::lock(folder.path()).unwrap();
    let mut store = lock.open(None).unwrap();
    tell(&mut store).unwrap();
    let truth = answers(&mut store).unwrap();
    drop(store);
    let whole = fs::read(lock.file()).unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    for is_zeroed in [true, false] {
        let mut bytes = whole.clone();
        match is_zeroed {
            true => bytes[..8_192].fill(0),
            false => rng.fill(&mut bytes[..8_192]),
        }
        fs::write(lock.file(), &bytes).unwrap();
        let mut store = lock.open(None).unwrap();
        assert_eq!(answers(&mut store).unwrap(), truth);
        assert_eq!(store.whole_from_ms(), store.since_ms());
        drop(store);
        let kept = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_kept = |path: &std::path::PathBuf| fs::read(path).unwrap() == bytes;
        assert!(kept.filter(|path| path.is_file()).any(|path| is_kept(&path)), "as it was found");
    }
}

#[test]
fn a_history_that_was_built_again_says_from_when_on_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let lock = Folder::lock(folder.path()).unwrap();
    let mut store = lock.open(None).unwrap();
    tell(&mut store).unwrap();
    assert_eq!((store.since_ms(), store.whole_from_ms()), (Some(0), Some(0)));
    drop(store);
    let bytes = fs::read(lock.file()).unwrap();
    fs::write(lock.file(), &bytes[..bytes.len() / 4 * 3]).unwrap();
    let mut store = lock.open(None).unwrap();
    let ms = |minute: u32| Some(i64::from(minute) * 60_000);
    assert_eq!((store.since_ms(), store.whole_from_ms()), (Some(0), ms(END + 1)));
    // The stream begins with the third day, and is read to where the history was.
    let batches: Vec<Batch> = batches().into_iter().skip(2).collect();
    for (number, batch) in batches.iter().enumerate() {
        let begun_ms = batch.at_ms - 1_440 * 60_000;
        store.apply(&Batch { begun_ms, ..batch.clone() }).unwrap();
        let is_read = number + 1 == batches.len();
        assert!(!is_read || store.whole_from_ms() == ms(END + 1), "not before it has come that far");
    }
    store.apply(&batch(END + 1, Vec::new())).unwrap();
    assert_eq!(store.whole_from_ms(), ms(2 * 1_440 + 1));
    // Messages that had expired before they were read.
    let lost_before_ms = Some(i64::from(END + 50) * 60_000);
    store.apply(&Batch { lost_before_ms, ..batch(END + 60, Vec::new()) }).unwrap();
    assert_eq!(store.whole_from_ms(), ms(END + 51));
    drop(store);
    assert_eq!(lock.open(None).unwrap().whole_from_ms(), ms(END + 51));
}

#[test]
fn a_file_that_is_rebuilt_keeps_all_facts_and_passes_what_cannot_be_read_of_forgotten_nodes_and_names() {
    const OTHERS: [&str; 6] =
        ["place", "unsettled", "refilled_from", "rebuilt_until", "whole_from", "runs_from"];
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["history", "again"].map(|name| folder.path().join(name));
    let mut store = Store::open(&from).unwrap();
    tell(&mut store).unwrap();
    store.transact(|tx, _| tx.set_fact("second_peaks_since", 5)).unwrap();
    store.forget(&node("gone"), 0).unwrap();
    let facts = |path: &Path| -> BTreeMap<String, rusqlite::types::Value> {
        let file = rusqlite::Connection::open(path).unwrap();
        let mut statement = file.prepare("SELECT name, value FROM fact").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).filter(|(name, _): &(String, _)| !OTHERS.contains(&name.as_str())).collect()
    };
    let before = facts(&from);
    let damage = store.database.write().unwrap();
    damage.sql().execute("UPDATE forgotten SET groups = x'00'", []).unwrap();
    damage.sql().execute("UPDATE series SET name = 'no name' WHERE kind = 0 AND name = 'b'", []).unwrap();
    damage.commit().unwrap();
    drop(store);
    let salvaged = Store::rebuild(&from, &to).unwrap();
    assert_eq!(salvaged.lossy, ["forgotten"]);
    assert_eq!(facts(&to), before);
    let mut store = Store::open(&to).unwrap();
    assert_eq!(store.nodes().unwrap().len(), 1);
    let now = u32::try_from(store.at_ms() / 60_000).unwrap();
    assert_eq!(store.state.forgotten.runs_from(&node("gone")), now, "who comes back counts from now on");
    assert!(store.whole_from_ms().unwrap() > store.at_ms());
    tell(&mut store).unwrap();
}
