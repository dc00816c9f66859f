//! A group's minute by the second, by partition: what its peak follows from.

use std::collections::BTreeMap;

use tidemap_wire::SecondSums;

use crate::columns::{Damaged, Reader, Writer};

const MINUTE_S: usize = 60;
/// Partitions of all layouts that have a share in one minute, at most: two of the largest.
const MAX_PARTITIONS: usize = 512;

/// What a partition's nodes received and sent in each second, in bytes per second: at least so much.
type Seconds = [[u64; MINUTE_S]; 2];

/// A group's minute: sums by how many partitions there are, and which one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecondTile(BTreeMap<(u16, u16), Seconds>);

impl SecondTile {
    /// Joins what an owner has published. Returns whether that was more than was known.
    pub(crate) fn join(&mut self, published: &SecondSums) -> bool {
        let key = (published.partitions, published.partition);
        if self.0.len() >= MAX_PARTITIONS && !self.0.contains_key(&key) {
            return false;
        }
        let sums = self.0.entry(key).or_insert([[0; MINUTE_S]; 2]);
        let mut has_grown = false;
        for (sums, published_bps) in sums.iter_mut().zip([&published.rx_bps, &published.tx_bps]) {
            let seconds = sums.iter_mut().skip(published.first as usize);
            for (known, published) in seconds.zip(published_bps) {
                has_grown |= *published > *known;
                *known = (*known).max(*published);
            }
        }
        has_grown
    }

    /// The largest sum of all partitions in one second, received and sent. After a change of the number of
    /// partitions, each layout has published what it knew; so the larger sum holds, and no node counts twice.
    pub(crate) fn peaks(&self) -> [u64; 2] {
        let mut layouts: BTreeMap<u16, Seconds> = BTreeMap::new();
        for ((partitions, _), sums) in &self.0 {
            let layout = layouts.entry(*partitions).or_insert([[0; MINUTE_S]; 2]);
            for (all, one) in layout.iter_mut().flatten().zip(sums.iter().flatten()) {
                *all = all.saturating_add(*one);
            }
        }
        [0, 1].map(|way| layouts.values().flat_map(|layout| layout[way]).max().unwrap_or(0))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.number(self.0.len() as u64);
        for ((partitions, partition), sums) in &self.0 {
            out.number(u64::from(*partitions));
            out.number(u64::from(*partition));
            // Not compressed: it is written several times a minute, and dropped soon.
            sums.iter().flatten().for_each(|sum| out.number(*sum));
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut input = Reader::new(bytes)?;
        let number = |input: &mut Reader<'_>| u16::try_from(input.number()?).map_err(|_| Damaged);
        let length = input.length()?;
        let mut sums = BTreeMap::new();
        for _ in 0..length {
            let key = (number(&mut input)?, number(&mut input)?);
            let mut of_partition = [[0; MINUTE_S]; 2];
            for sum in of_partition.iter_mut().flatten() {
                *sum = input.number()?;
            }
            sums.insert(key, of_partition);
        }
        Ok(Self(sums))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemap_wire::history_query::HistorySeries;

    use super::*;

    fn published(partitions: u16, partition: u16, first: u32, rx_bps: Vec<u64>) -> SecondSums {
        let tx_bps = rx_bps.iter().map(|rx| rx / 3).collect();
        SecondSums { partitions, partition, group: HistorySeries::Fleet, minute: 7, first, rx_bps, tx_bps }
    }

    fn joined(published: &[SecondSums]) -> SecondTile {
        let mut tile = SecondTile::default();
        for published in published {
            tile.join(published);
        }
        tile
    }

    #[test]
    fn the_peak_is_the_largest_sum_of_one_second() {
        let mut tile = joined(&[published(2, 0, 10, vec![5, 9, 0]), published(2, 1, 11, vec![1, 30])]);
        assert_eq!(tile.peaks(), [30, 10], "and not 39");
        assert!(tile.join(&published(2, 0, 12, vec![4])));
        assert!(!tile.join(&published(2, 0, 12, vec![3])));
        assert_eq!(tile.peaks()[0], 34);
        assert!(tile.join(&published(1, 0, 12, vec![33])), "the same under another layout");
        assert_eq!(tile.peaks()[0], 34);
    }

    #[test]
    fn numbers_at_their_bounds_and_too_many_partitions_do_no_harm() {
        let mut tile = joined(&[published(2, 0, 59, vec![u64::MAX; 9]), published(2, 1, 59, vec![u64::MAX])]);
        assert_eq!(tile.peaks()[0], u64::MAX);
        for partition in 0..2_000 {
            tile.join(&published(256, partition, 0, vec![1]));
        }
        assert_eq!(tile.0.len(), MAX_PARTITIONS);
    }

    proptest! {
        #[test]
        fn order_and_repetition_change_nothing_and_a_tile_comes_back(
            messages in proptest::collection::vec(
                (0_u32..4, 0_u16..4, 0_u32..60, proptest::collection::vec(any::<u64>(), 1..30)), 0..12),
            seed in any::<prop::sample::Index>(),
        ) {
            let messages: Vec<SecondSums> = messages.into_iter()
                .map(|(power, partition, first, rx_bps)| published(1 << power, partition, first, rx_bps))
                .collect();
            let tile = joined(&messages);
            let mut others = messages.clone();
            others.rotate_left(seed.index(messages.len().max(1)));
            others.extend(messages);
            prop_assert_eq!(&joined(&others), &tile);
            prop_assert_eq!(SecondTile::decode(&tile.encode()), Ok(tile));
        }
    }
}
