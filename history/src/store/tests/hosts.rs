//! What is kept of hosts.

use super::*;

const DAY: u32 = 1_440;

fn key() -> SeriesKey {
    SeriesKey::Node(node("a"))
}

/// Twelve samples of each minute, in which the processor's use is a tenth of a percent for each minute of its
/// hour, and once a day all of it for a moment.
fn reported(minute: u32) -> MinuteRow {
    let mean = u16::try_from(minute % 60).unwrap();
    let max = if minute % DAY == 777 { 1_000 } else { mean };
    let host = HostMinute {
        cpu: Some(CpuMinute { samples: 12, mean, max }),
        memory_max: Some(400 + u16::try_from(minute / DAY).unwrap()),
        disk_max: None,
        load_max: Some(minute % 60),
    };
    MinuteRow { host, ..row(minute, 1_000, 1, 0, 1_000 * u64::from(minute + 1)) }
}

fn store(folder: &Path, days: u32) -> Store {
    let mut store = Store::open(&folder.join("history")).unwrap();
    store.set_groups(&[(node("a"), Vec::new())]).unwrap();
    for day in 0..days {
        let rows = (day * DAY..(day + 1) * DAY).map(|minute| (node("a"), reported(minute)));
        store.apply(&batch((day + 1) * DAY, rows.collect())).unwrap();
        store.compact_all();
    }
    store
}

#[test]
fn means_and_maxima_of_hosts_are_in_every_tier_and_in_no_group() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), 3);
    for step in [1, 15, 60, DAY, 3 * DAY] {
        let points = store.points(&key(), 0..3 * DAY, step);
        let of_day = |day: u32| points.iter().filter(move |(minute, _)| minute / DAY == day);
        let first: Vec<_> = of_day(0).map(|(_, point)| point.host).collect();
        assert_eq!(first.iter().filter_map(HostSpan::cpu_max).max(), Some(1_000), "{step}");
        assert_eq!(first.iter().filter_map(|host| host.load_max).max(), Some(59), "{step}");
        let memory = if step > DAY { 402 } else { 400 };
        assert!(first.iter().all(|host| host.memory_max == Some(memory) && host.disk_max.is_none()));
        let means: Vec<u16> = first.iter().filter_map(HostSpan::cpu_mean).collect();
        let expected = match step {
            1 => (0..60).collect(),
            15 => vec![7, 22, 37, 52],
            _ => vec![30],
        };
        assert_eq!(means[..expected.len()], expected, "{step}");
    }
    let fleet = store.points(&SeriesKey::Group(GroupKey::Fleet), 0..3 * DAY, 60);
    assert!(fleet.len() == 72 && fleet.iter().all(|(_, point)| point.host == HostSpan::default()));
}

#[test]
fn a_row_of_an_earlier_version_joins_one_that_tells_of_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), 2);
    let before = store.points(&key(), 0..2 * DAY, 1);
    let plain = |minute| MinuteRow { host: HostMinute::default(), ..reported(minute) };
    let rows = (0..2 * DAY).map(|minute| (node("a"), plain(minute))).collect();
    store.apply(&batch(2 * DAY, rows)).unwrap();
    assert_eq!(store.points(&key(), 0..2 * DAY, 1), before);
    // And the reverse, in a day that is sealed.
    let folder = tempfile::tempdir().unwrap();
    let mut other = Store::open(&folder.path().join("history")).unwrap();
    other.set_groups(&[(node("a"), Vec::new())]).unwrap();
    for rows in [plain, reported] {
        let rows = (0..2 * DAY).map(|minute| (node("a"), rows(minute))).collect();
        other.apply(&batch(2 * DAY, rows)).unwrap();
        other.compact_all();
    }
    for step in [1, 15, 60, DAY] {
        assert_eq!(other.points(&key(), 0..2 * DAY, step), store.points(&key(), 0..2 * DAY, step), "{step}");
    }
}

#[test]
fn a_file_that_is_built_again_keeps_what_hosts_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), 2);
    let [minutes, hours] = [1, 60].map(|step| store.points(&key(), 0..2 * DAY, step));
    drop(store);
    let again = folder.path().join("again");
    Store::rebuild(&folder.path().join("history"), &again).unwrap();
    let mut again = Store::open(&again).unwrap();
    assert_eq!([1, 60].map(|step| again.points(&key(), 0..2 * DAY, step)), [minutes, hours]);
}
