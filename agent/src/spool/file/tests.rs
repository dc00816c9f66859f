use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{outbox::Outbox, spool::Spool};

fn node() -> NodeId {
    NodeId::from_name("web-01").unwrap()
}

fn sample(seq: u64) -> Sample {
    Sample { seq, at_ms: 1_800_000_000_000, elapsed_ms: 1_000, ..Sample::default() }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    (folder, path)
}

fn seqs(left: &Left) -> Vec<(u64, u64)> {
    left.samples.iter().map(|(boot, sample)| (*boot, sample.seq)).collect()
}

fn stored(boot: u64, seqs: impl IntoIterator<Item = u64>) -> Delivery {
    Delivery { boot, seqs: seqs.into_iter().collect() }
}

#[test]
fn samples_that_are_not_stored_are_restored_by_the_next_run() {
    let (_folder, path) = folder();
    let (mut spool, left) = SpoolFile::open(&path, &node()).unwrap();
    assert_eq!(left, Left::default());
    for seq in 1..=4 {
        spool.keep(7, sample(seq)).unwrap();
    }
    spool.stored(stored(7, [1, 3])).unwrap();
    drop(spool);
    let (mut spool, left) = SpoolFile::open(&path, &node()).unwrap();
    assert_eq!((seqs(&left), left.cut_bytes), (vec![(7, 2), (7, 4)], 0));
    spool.keep(8, sample(1)).unwrap();
    drop(spool);
    assert_eq!(seqs(&SpoolFile::open(&path, &node()).unwrap().1), [(7, 2), (7, 4), (8, 1)]);
}

#[test]
fn the_file_stays_small_however_long_the_agent_runs_and_holds_what_waits() {
    let (_folder, path) = folder();
    let (mut spool, _) = SpoolFile::open(&path, &node()).unwrap();
    let (mut compactions, mut largest) = (0, 0);
    for seq in 1..=20_000 {
        spool.keep(7, sample(seq)).unwrap();
        // The newest 100 always wait.
        spool.stored(stored(7, seq.checked_sub(100))).unwrap();
        largest = largest.max(fs::metadata(&path).unwrap().len());
        if spool.is_large() {
            let pending = (seq.saturating_sub(99)..=seq).map(|seq| (7, sample(seq))).collect();
            spool.compact(pending).unwrap();
            compactions += 1;
        }
    }
    assert!(largest < 128 * 1024 && compactions > 3, "{largest} bytes, {compactions} compactions");
    drop(spool);
    let (mut spool, left) = SpoolFile::open(&path, &node()).unwrap();
    assert_eq!(seqs(&left), (19_901..=20_000).map(|seq| (7, seq)).collect::<Vec<_>>());
    spool.compact(Vec::new()).unwrap();
    drop(spool);
    // The newest alone is left: the next run begins where it ends.
    let (_, left) = SpoolFile::open(&path, &node()).unwrap();
    assert_eq!((left.samples.len(), newest(&left)), (0, Some((7, 20_000))));
    assert!(fs::metadata(&path).unwrap().len() < 1_024);
}

fn newest(left: &Left) -> Option<(u64, u64)> {
    left.newest.map(|newest| (newest.id.run, newest.id.seq))
}

#[test]
fn the_newest_sample_is_known_although_it_is_stored_and_the_file_was_rewritten() {
    let (_folder, path) = folder();
    let (mut spool, _) = SpoolFile::open(&path, &node()).unwrap();
    for (seq, pending) in [(1, vec![]), (2, vec![(3, sample(9)), (7, sample(2))])] {
        spool.keep(7, sample(seq)).unwrap();
        spool.stored(stored(7, (!pending.contains(&(7, sample(seq)))).then_some(seq))).unwrap();
        spool.stored(stored(7, [])).unwrap();
        for _ in 0..2 {
            spool.compact(pending.clone()).unwrap();
            let (left, _, cut) = read(&fs::read(&path).unwrap(), &node()).unwrap();
            assert_eq!((left.samples.clone(), newest(&left)), (pending.clone(), Some((7, seq))));
            assert_eq!((left.cut_bytes, cut), (0, fs::metadata(&path).unwrap().len()));
        }
    }
    drop(spool);
    // A run that has kept no sample changes nothing.
    for _ in 0..2 {
        assert_eq!(newest(&SpoolFile::open(&path, &node()).unwrap().1), Some((7, 2)));
    }
}

#[test]
fn what_an_earlier_version_has_written_since_hides_the_newest_sample() {
    let (_folder, path) = folder();
    let (mut spool, _) = SpoolFile::open(&path, &node()).unwrap();
    spool.keep(7, sample(1)).unwrap();
    drop(spool);
    let ours = fs::read(&path).unwrap();
    let waits = |boot, seq| Record::Waits { boot, sample: sample(seq).into() };
    // It wrote no marks, and left out stored samples.
    let mut continued = ours.clone();
    records::append(&mut continued, &waits(8, 1));
    let mut rewritten = header(&node());
    records::append(&mut rewritten, &waits(7, 1));
    for (bytes, known) in [(ours, Some((7, 1))), (continued, None), (rewritten, None)] {
        let (left, _, _) = read(&bytes, &node()).unwrap();
        assert_eq!(newest(&left), known);
        assert_eq!(left.samples.first(), Some(&(7, sample(1))));
    }
}

#[test]
fn a_second_agent_is_refused_until_the_first_has_ended() {
    let (_folder, path) = folder();
    let held = SpoolFile::open(&path, &node()).unwrap();
    let refused = SpoolFile::open(&path, &node()).unwrap_err().to_string();
    assert_eq!(refused, "another agent uses it");
    drop(held);
    SpoolFile::open(&path, &node()).unwrap();
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_as_it_is() {
    let (folder, path) = folder();
    let mut outbox = Outbox::new(node(), 1);
    let other = header(&NodeId::from_name("web-02").unwrap());
    for (text, why) in [
        (b"root:x:0:0\n".as_slice(), "not a spool"),
        (b"tidemap-spool 2 web-01\n", "not a spool"),
        (&other, "it holds samples of another node"),
    ] {
        fs::write(&path, text).unwrap();
        let refused = Spool::open(Some(&path), &node(), &mut outbox).unwrap_err().to_string();
        assert_eq!(refused, format!("--spool {}: {why}", path.display()));
        assert_eq!(fs::read(&path).unwrap(), text);
    }
    let refused = Spool::open(Some(folder.path()), &node(), &mut outbox).unwrap_err().to_string();
    assert!(refused.ends_with(": not a spool"), "{refused}");
}

#[test]
fn an_unwritable_spool_is_not_used() {
    let (folder, path) = folder();
    let mut outbox = Outbox::new(node(), 1);
    let unwritable = folder.path().join("none/spool");
    assert!(!Spool::open(Some(&unwritable), &node(), &mut outbox).unwrap().is_in_use());
    let (mut spool, _) = SpoolFile::open(&path, &node()).unwrap();
    // `/dev/full` behaves like a full disk: it accepts no byte.
    if let Ok(full) = OpenOptions::new().write(true).open("/dev/full") {
        spool.file = full;
        assert!(spool.keep(7, sample(1)).is_err());
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, path) = folder();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (mut spool, _) = SpoolFile::open(&path, &node()).unwrap();
    spool.compact(vec![(7, sample(1))]).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

/// The bytes of a spool with this many waiting samples, and the position at which each part ends.
fn written(count: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = header(&node());
    let mut ends = vec![bytes.len()];
    for seq in 1..=count {
        records::append(&mut bytes, &Record::Waits { boot: 7, sample: sample(seq).into() });
        ends.push(bytes.len());
    }
    (bytes, ends)
}

#[test]
fn a_file_cut_at_any_byte_yields_the_samples_before_the_cut() {
    let (bytes, ends) = written(12);
    for cut in 0..=bytes.len() {
        let (left, _, whole_bytes) = read(&bytes[..cut], &node()).unwrap();
        let whole = ends.iter().rposition(|end| *end <= cut);
        let expected: Vec<_> = (1..=whole.unwrap_or(0) as u64).map(|seq| (7, seq)).collect();
        assert_eq!(seqs(&left), expected, "cut at {cut}");
        assert_eq!(whole_bytes, whole.map_or(0, |whole| ends[whole] as u64), "cut at {cut}");
        assert_eq!(left.cut_bytes, cut as u64 - whole_bytes);
    }
}

#[test]
fn after_a_cut_the_file_continues_after_its_last_complete_record() {
    let (_folder, path) = folder();
    let (bytes, ends) = written(5);
    for cut in [0, 3, ends[0] - 1, ends[0], ends[2] + 1, ends[5] - 1, ends[5]] {
        fs::write(&path, &bytes[..cut]).unwrap();
        let (mut spool, left) = SpoolFile::open(&path, &node()).unwrap();
        spool.keep(8, sample(1)).unwrap();
        drop(spool);
        let again = SpoolFile::open(&path, &node()).unwrap().1;
        assert_eq!(seqs(&again), [seqs(&left), vec![(8, 1)]].concat(), "cut at {cut}");
        assert_eq!(again.cut_bytes, 0);
    }
}

#[test]
fn zeros_at_the_end_are_cut() {
    let (mut bytes, ends) = written(3);
    bytes.resize(bytes.len() + 4_096, 0);
    let (left, _, whole_bytes) = read(&bytes, &node()).unwrap();
    assert_eq!((left.samples.len(), left.cut_bytes, whole_bytes), (3, 4_096, ends[3] as u64));
}

proptest! {
    #[test]
    fn after_any_damage_a_prefix_is_read(
        count in 0_u64..8,
        at in any::<prop::sample::Index>(),
        flipped in 1_u8..,
        tail in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let (mut bytes, ends) = written(count);
        let body = ends[0];
        bytes.extend(&tail);
        if bytes.len() > body {
            let at = body + at.index(bytes.len() - body);
            bytes[at] ^= flipped;
            let whole = ends.iter().rposition(|end| *end <= at).unwrap();
            let (left, _, whole_bytes) = read(&bytes, &node()).unwrap();
            let expected: Vec<_> = (1..=whole as u64).map(|seq| (7, seq)).collect();
            prop_assert_eq!(seqs(&left), expected);
            prop_assert_eq!(whole_bytes, ends[whole] as u64);
        }
    }
}
