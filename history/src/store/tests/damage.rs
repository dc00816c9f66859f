//! Files that are not what was written.

use std::fs;

use super::*;

/// A history of two batches, as a crash leaves it: the last in the log only.
fn written(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("history");
    let mut store = Store::open(&path).unwrap();
    for minute in [100, 101] {
        store
            .apply(&batch(minute, vec![(node("a"), row(minute, 5, 1, 100, 5 * u64::from(minute - 99)))]))
            .unwrap();
    }
    let copy = folder.join("copy");
    fs::copy(&path, &copy).unwrap();
    fs::copy(folder.join("history-wal"), folder.join("copy-wal")).unwrap();
    copy
}

#[test]
fn a_log_that_lost_its_end_is_a_history_of_an_earlier_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path());
    let log = folder.path().join("copy-wal");
    let bytes = fs::read(&log).unwrap();
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.place(), Some(&101_u32.to_le_bytes()[..]));
    assert_eq!(store.points(&SeriesKey::Node(node("a")), 0..200, 1).len(), 2);
    drop(store);
    let path = written(folder.path());
    fs::write(&log, &bytes[..bytes.len() - 5_000]).unwrap();
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.place(), Some(&100_u32.to_le_bytes()[..]));
    assert_eq!(store.points(&SeriesKey::Node(node("a")), 0..200, 1).len(), 1);
}

#[test]
fn a_file_that_is_cut_off_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let mut store = Store::open(&path).unwrap();
    let rows =
        (100..160).map(|minute| (node("a"), row(minute, 5, 0x1234_5678_9abc_def0, 100, u64::from(minute))));
    store.apply(&batch(160, rows.collect())).unwrap();
    drop(store);
    let bytes = fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], &bytes[..4_000], &vec![7; 20_000][..]] {
        fs::write(&path, damaged).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    }
    fs::write(&path, &bytes).unwrap();
    Store::open(&path).unwrap();
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    drop(Store::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Later(99))));
}
