//! A batch of which storing panics: every row that can be stored is, and only others are refused.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{database::StoreError, store::Batch};

/// What storing part by part has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Apart {
    /// Rows and late samples that lie outside of what is kept.
    pub dropped: usize,
    /// Those of which storing panics.
    pub refused: u64,
}

/// Stores a batch in halves, and these in halves, down to single rows. `place` is the one before the batch:
/// its own is noted with the last part.
pub(super) fn store_apart(
    batch: &Batch,
    place: &[u8],
    mut store: impl FnMut(&Batch) -> Result<usize, StoreError>,
) -> Result<Apart, StoreError> {
    let mut done = Apart::default();
    let (rows, late) = (batch.rows.len(), batch.late.len());
    let all = rows + late + batch.seconds.len();
    let mut parts = Vec::from([Range { start: 0, end: all }]);
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        let piece = Batch {
            rows: piece(&batch.rows, &part, 0),
            late: piece(&batch.late, &part, rows),
            seconds: piece(&batch.seconds, &part, rows + late),
            place: place.to_vec(),
            ..batch.clone_times()
        };
        match catch_unwind(AssertUnwindSafe(|| store(&piece))) {
            Ok(stored) => done.dropped += stored?,
            Err(_) if part.len() == 1 => done.refused += 1,
            Err(_) => {
                let middle = part.start + part.len() / 2;
                parts.extend([middle..part.end, part.start..middle]);
            }
        }
    }
    store(&Batch { place: batch.place.clone(), ..batch.clone_times() })?;
    Ok(done)
}

/// What a part of all has of these, the first of which is at `begin` of all.
fn piece<T: Clone>(these: &[T], part: &Range<usize>, begin: usize) -> Vec<T> {
    let at = |place: usize| place.saturating_sub(begin).min(these.len());
    these[at(part.start)..at(part.end)].to_vec()
}

#[cfg(test)]
mod tests {
    use tidemap_wire::{LateSample, MinuteRow, NodeId};

    use super::*;
    use crate::store::{SeriesKey, Step, Store};

    #[test]
    fn of_a_batch_that_panics_only_the_rows_that_do_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let mut store = Store::open(&path).unwrap();
        let row =
            |minute| MinuteRow { minute, samples: 1, covered_ms: 1_000, rx_bytes: 7, ..MinuteRow::default() };
        let late = |minute| LateSample {
            minute,
            boot: 1,
            seq: minute.into(),
            covered_ms: 1,
            rx_bytes: 1,
            tx_bytes: 1,
        };
        let node = NodeId::from_name("a").unwrap();
        let batch = Batch {
            rows: (100..150).map(|minute| (node.clone(), row(minute))).collect(),
            late: (100..110).map(|minute| (node.clone(), late(minute))).collect(),
            at_ms: 150 * 60_000,
            place: vec![2],
            ..Batch::default()
        };
        let is_poison = |minute: u32| [101, 102, 149].contains(&minute);
        let mut places = Vec::new();
        let apart = store_apart(&batch, &[1], |piece| {
            let has_row = piece.rows.iter().any(|(_, row)| is_poison(row.minute));
            assert!(
                !has_row && !piece.late.iter().any(|(_, late)| late.minute == 105),
                "a fault of the program"
            );
            places.push(piece.place.clone());
            store.apply(piece)
        });
        assert_eq!(apart.unwrap(), Apart { dropped: 0, refused: 4 });
        assert_eq!(places.iter().filter(|place| **place == [2]).count(), 1);
        assert_eq!((places.last(), store.place()), (Some(&vec![2]), Some(&[2][..])));
        let points = store.range(&SeriesKey::Node(node), 0..200, Step(1), &[]).unwrap().unwrap();
        let bytes: u64 = points.iter().map(|(_, point)| point.rx_bytes).sum();
        assert_eq!(bytes, 47 * 7 + 9);
    }
}
