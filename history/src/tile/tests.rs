use proptest::prelude::*;
use tidemap_wire::{CpuMinute, Extremes, HostMinute, MinuteRow, RunCounters};

use super::*;
use crate::{
    account::{Cell, LateSum},
    host_span::HostSpan,
    point::Point,
};

fn extremes() -> impl Strategy<Value = Option<Extremes>> {
    proptest::option::of(any::<[u64; 4]>().prop_map(|[rx_max, tx_max, rx_min, tx_min]| Extremes {
        rx_max,
        tx_max,
        rx_min,
        tx_min,
    }))
}

fn host() -> impl Strategy<Value = HostMinute> {
    let cpu = proptest::option::of((1..u16::MAX, any::<[u16; 2]>()))
        .prop_map(|cpu| cpu.map(|(samples, [mean, max])| CpuMinute { samples, mean, max }));
    let known = (cpu, any::<[Option<u16>; 2]>(), any::<Option<u32>>());
    let known = known.prop_map(|(cpu, [memory_max, disk_max], load_max)| HostMinute {
        cpu,
        memory_max,
        disk_max,
        load_max,
    });
    proptest::option::of(known).prop_map(Option::unwrap_or_default)
}

fn cell() -> impl Strategy<Value = Cell> {
    let counters = proptest::collection::btree_map(0_u64..3, (0_u32..9, any::<[u64; 2]>()), 0..3);
    let late = proptest::collection::btree_map(0_u64..3, any::<[u32; 3]>(), 0..2);
    (0_u32..60, any::<[u32; 4]>(), extremes(), host(), counters, late).prop_map(
        |(minute, [samples, covered_ms, rx, tx], rates, host, counters, late)| {
            let counters = counters.into_iter().map(|(boot, (since, [rx_bytes, tx_bytes]))| RunCounters {
                boot,
                since,
                rx_bytes,
                tx_bytes,
            });
            let late = late.into_iter().map(|(boot, [covered_ms, rx, tx])| LateSum {
                boot,
                covered_ms: covered_ms.into(),
                rx_bytes: rx.into(),
                tx_bytes: tx.into(),
            });
            Cell {
                row: MinuteRow {
                    minute,
                    samples,
                    covered_ms,
                    rx_bytes: rx.into(),
                    tx_bytes: tx.into(),
                    rates,
                    host,
                    counters: counters.collect(),
                },
                late: late.collect(),
            }
        },
    )
}

/// A run that goes on, whose counters need not be reported.
fn steady(minute: u32) -> Cell {
    let bytes = u64::from(minute) * 7;
    let counted = (0..=minute).map(|minute| u64::from(minute) * 7).sum();
    let run = RunCounters { boot: u64::MAX, since: 0, rx_bytes: counted, tx_bytes: counted };
    let row = MinuteRow {
        minute,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes: bytes,
        tx_bytes: bytes,
        counters: vec![run],
        ..MinuteRow::default()
    };
    Cell { row, late: Vec::new() }
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were(cells in proptest::collection::vec((0_u32..3, cell()), 0..80)) {
        let mut tile = RowTile::default();
        for (node, cell) in &cells {
            tile.join(*node, cell);
        }
        let bytes = tile.encode();
        prop_assert_eq!(RowTile::decode(&bytes), Ok(tile.clone()));
        for entry in &mut tile.entries {
            let row = &mut entry.cell.row;
            (row.samples, row.rates, row.host) = (0, None, HostMinute::default());
        }
        prop_assert_eq!(RowTile::decode_for_sums(&bytes), Ok(tile));
    }

    #[test]
    fn points_come_back_as_they_were(points in proptest::collection::btree_map(any::<u32>(), (any::<[u64; 5]>(), extremes(), host()), 0..80)) {
        let point = |([covered_ms, rx_bytes, tx_bytes, unplaced_rx, unplaced_tx], rates, host): ([u64; 5], _, _)| Point { covered_ms, rx_bytes, tx_bytes, unplaced_rx, unplaced_tx, rates, host: HostSpan::of_minute(host) };
        let tile = PointTile(points.into_iter().map(|(key, values)| (key, point(values))).collect());
        prop_assert_eq!(PointTile::decode(&tile.encode()), Ok(tile));
    }

    #[test]
    fn any_bytes_are_a_tile_or_damaged_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut sealed = bytes.clone();
        sealed.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        for bytes in [bytes, sealed] {
            RowTile::decode(&bytes).ok();
            RowTile::decode_for_sums(&bytes).ok();
            PointTile::each_sum(&bytes, |_, _| {}).ok();
            PointTile::decode(&bytes).ok();
        }
    }
}

/// A program of an earlier version reads what it knows, and no more than that.
#[test]
fn what_is_known_of_hosts_is_behind_all_else() {
    let host = HostMinute { memory_max: Some(321), load_max: Some(7), ..HostMinute::default() };
    let before = RowTile {
        entries: (0..90).map(|minute| Entry { node: 7, cell: steady(minute) }).collect(),
        ..RowTile::default()
    };
    let mut now = before.clone();
    now.entries[3].cell.row.host = host;
    let point = Point { rx_bytes: 5, ..Point::default() };
    let points = |host| PointTile([(1, point), (2, Point { host, ..point })].into());
    for (before, now) in [
        (before.encode(), now.encode()),
        (points(HostSpan::default()).encode(), points(HostSpan::of_minute(host)).encode()),
    ] {
        let (known, _checksum) = before.split_last_chunk::<4>().unwrap();
        assert!(now.starts_with(known) && now.len() > before.len());
    }
}

#[test]
fn counters_of_a_run_that_goes_on_take_no_room() {
    let tile = RowTile {
        entries: (0..1_440).map(|minute| Entry { node: 7, cell: steady(minute) }).collect(),
        ..RowTile::default()
    };
    let bytes = tile.encode();
    assert_eq!(RowTile::decode(&bytes), Ok(tile));
    assert!(bytes.len() < 400, "{} bytes", bytes.len());
}
