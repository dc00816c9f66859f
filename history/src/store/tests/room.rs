//! Files that must become smaller, and disks that are full.

use std::{
    fs::{self, File},
    io::Write,
    process::Command,
};

use super::{calendar::DAY, *};
use crate::{
    disk::{Held, Left},
    folder::Folder,
    keeper::make_room,
};

/// A small disk of its own.
struct Mount(tempfile::TempDir);

impl Mount {
    fn of(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "this test mounts a small disk, as root");
        Self(folder)
    }

    /// Takes all that is free; the file that holds it.
    fn fill(&self) -> std::path::PathBuf {
        let path = self.0.path().join("others");
        let mut file = File::options().append(true).create(true).open(&path).unwrap();
        while file.write_all(&[1; 4_096]).is_ok() {}
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok();
    }
}

/// A history whose days take half a megabyte each.
fn days(store: &mut Store, days: std::ops::Range<u32>) {
    let mut rng = fastrand::Rng::with_seed(days.start.into());
    for day in days {
        store
            .transact(|tx, _| {
                (0..32).try_for_each(|series| {
                    let tile: Vec<u8> = (0..16_000).map(|_| rng.u8(..)).collect();
                    tx.put(Tier::Day, day, series, &tile)
                })
            })
            .unwrap();
    }
}

fn first_day(store: &mut Store) -> Option<u32> {
    store.database.read().unwrap().first(Tier::Day).unwrap()
}

fn keep(bytes: u64) -> Keep {
    Keep { minute_days: 35, quarter_days: 400, five_days: 400, bytes, until_sent: false }
}

/// Rows of many nodes' minute, which take some room.
fn rows(minute: u32, nodes: u32) -> Batch {
    let mut rng = fastrand::Rng::with_seed(minute.into());
    let row = |_| MinuteRow {
        rx_bytes: rng.u64(..1 << 40),
        tx_bytes: rng.u64(..1 << 40),
        ..row(minute, 0, 1, 0, 0)
    };
    let rows: Vec<MinuteRow> = (0..nodes).map(row).collect();
    batch(
        minute,
        rows.into_iter().enumerate().map(|(number, row)| (node(&format!("n{number}")), row)).collect(),
    )
}

#[test]
fn a_file_follows_a_smaller_budget() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let mut store = Store::open(&path).unwrap();
    let count = 60;
    days(&mut store, 0..count);
    let before = fs::metadata(&path).unwrap().len();
    let budget = before / 4;
    assert_eq!(store.tidy_all(keep(budget), None), Tidied::default());
    let after = fs::metadata(&path).unwrap().len();
    assert!(after <= budget && after > budget / 2, "{before} {after} {budget}");
    let kept = store.reach().unwrap().minutes.unwrap() / 1_440;
    assert!((count / 2..count).contains(&kept), "the newest days are kept: {kept}");
}

#[test]
fn what_is_kept_for_ever_is_never_dropped_and_said_to_be_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    days(&mut store, 0..4);
    let put = |tx: &crate::database::Tx<'_>, _: &mut State| tx.put(Tier::Days, 0, 7, &[1; 200_000]);
    store.transact(put).unwrap();
    let tidied = store.tidy_all(keep(100_000), None);
    assert!(tidied.too_much.is_some_and(|used| used > 200_000), "{tidied:?}");
    assert_eq!(store.reach().unwrap().minutes, None);
    let tx = store.database.read().unwrap();
    assert!(tx.get(Tier::Days, 0, 7).unwrap().is_some());
}

#[test]
fn a_disk_with_little_room_is_not_filled_and_not_left_to_others_either() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    days(&mut store, 0..40);
    let low = Some(Disk { free: 1, total: 1_000 });
    let before = store.database.size().unwrap().file;
    for day in 40..80 {
        days(&mut store, day..day + 1);
        assert!(store.tidy_all(keep(u64::MAX), low).is_disk_low);
    }
    let after = store.database.size().unwrap().file;
    assert!(after <= before + before / 10 && after >= before, "{before} {after}");
    assert_eq!(store.tidy_all(keep(u64::MAX), Some(Disk { free: 500, total: 1_000 })), Tidied::default());
}

#[test]
fn a_full_disk_costs_the_oldest_minutes_and_rows_are_stored_again() {
    let disk = Mount::of(160);
    let held = Held::new(disk.0.path());
    let path = disk.0.path().join("history");
    let mut store = Store::open(&path).unwrap();
    store.apply(&rows(200 * DAY, 1)).unwrap();
    // 100 MB, of which each full disk costs 40.
    days(&mut store, 0..200);
    held.take();
    let others = disk.fill();
    // Of a day that stays.
    let mut minute = 200 * DAY + 100;
    let mut next = |store: &mut Store| {
        minute += 1;
        store.apply(&rows(minute, 2_000))
    };
    // Others take what they can.
    let mut until_full = |store: &mut Store| {
        disk.fill();
        let error = (0..3_000).find_map(|_| next(store).err());
        assert!(matches!(error, Some(StoreError::Full)), "{error:?} {:?}", Disk::of(disk.0.path()));
    };
    until_full(&mut store);
    let before = first_day(&mut store);
    // First half of what is held.
    assert_eq!(make_room(&mut store, &held, true).unwrap(), Left::Half);
    until_full(&mut store);
    assert_eq!(first_day(&mut store), before, "nothing was dropped so far");
    // Then the oldest minutes, and again.
    for _ in 0..2 {
        let before = first_day(&mut store);
        while make_room(&mut store, &held, true).unwrap() == Left::Half {}
        let after = first_day(&mut store);
        assert!(after > before, "{before:?} {after:?}");
        until_full(&mut store);
    }
    fs::remove_file(others).unwrap();
    next(&mut store).unwrap();
    drop(store);
    assert_eq!(Store::open(&path).unwrap().at_ms(), i64::from(minute) * 60_000);
}

#[test]
fn a_copy_of_a_damaged_file_leaves_others_their_room() {
    let mount = Mount::of(64);
    let folder = Folder::lock(mount.0.path()).unwrap();
    let mut store = folder.open(None).unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut point = |_| {
        let mut bytes = || rng.u64(..1 << 40);
        Point { rx_bytes: bytes(), tx_bytes: bytes(), unplaced_rx: bytes(), ..Point::default() }
    };
    for day in 0..200 {
        let tile = PointTile((0..4_096).map(|node| (node, point(node))).collect()).encode();
        store.transact(|tx, _| tx.put(Tier::DayBoard, day, 0, &tile)).unwrap();
    }
    drop(store);
    let disk = || Disk::of(mount.0.path()).unwrap();
    let others = File::create(mount.0.path().join("others")).unwrap();
    let taken = disk().free - 10_000_000;
    (&others).write_all(&vec![1; usize::try_from(taken).unwrap()]).unwrap();
    let before = folder.open(Some("somebody has met damage".to_owned())).unwrap();
    assert!(disk().free >= disk().reserve() / 2, "{:?} of a reserve of {}", disk(), disk().reserve());
    drop(before);
    // The newest damaged file stays; with room for it, a copy has everything.
    drop(others);
    fs::remove_file(mount.0.path().join("others")).unwrap();
    assert!(folder.open(None).unwrap().place().is_none());
}
