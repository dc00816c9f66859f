//! Late samples that wait, each as what it differs from the one before by: a dozen bytes. After an outage of
//! an hour a whole fleet may have hundreds of them a node.

use tidemap_wire::LateSample;

use super::packed_row::{put_all, take_as};
use crate::varint::{signed, take, unsigned};

/// In the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LateList {
    bytes: Vec<u8>,
    count: usize,
    /// The last one, if there is one.
    last: Option<LateSample>,
}

impl LateList {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn push(&mut self, late: LateSample) {
        let before = self.last.unwrap_or(FIRST);
        put_all(
            &mut self.bytes,
            [
                signed(u64::from(late.minute), u64::from(before.minute)),
                late.boot ^ before.boot,
                signed(late.seq, before.seq),
                u64::from(late.covered_ms),
                late.rx_bytes,
                late.tx_bytes,
            ],
        );
        self.last = Some(late);
        self.count += 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = LateSample> {
        let mut bytes = self.bytes.iter().copied();
        let mut before = FIRST;
        std::iter::from_fn(move || {
            before = LateSample {
                minute: u32::try_from(unsigned(take(&mut bytes)?, u64::from(before.minute))).ok()?,
                boot: take(&mut bytes)? ^ before.boot,
                seq: unsigned(take(&mut bytes)?, before.seq),
                covered_ms: take_as(&mut bytes)?,
                rx_bytes: take(&mut bytes)?,
                tx_bytes: take(&mut bytes)?,
            };
            Some(before)
        })
    }

    /// Keeps those for which it is so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&LateSample) -> bool) {
        *self = self.iter().filter(|late| keep(late)).collect();
    }
}

impl FromIterator<LateSample> for LateList {
    fn from_iter<I: IntoIterator<Item = LateSample>>(samples: I) -> Self {
        let mut list = Self::default();
        samples.into_iter().for_each(|late| list.push(late));
        list
    }
}

const FIRST: LateSample = LateSample { minute: 0, boot: 0, seq: 0, covered_ms: 0, rx_bytes: 0, tx_bytes: 0 };

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> impl Strategy<Value = LateSample> {
        (any::<[u32; 2]>(), any::<[u64; 4]>()).prop_map(
            |([minute, covered_ms], [boot, seq, rx_bytes, tx_bytes])| LateSample {
                minute,
                boot,
                seq,
                covered_ms,
                rx_bytes,
                tx_bytes,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_listed_comes_back(
            samples in proptest::collection::vec(sample(), 0..9),
            kept in any::<u32>(),
        ) {
            let mut list: LateList = samples.iter().copied().collect();
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), samples.clone());
            prop_assert_eq!(list.len(), samples.len());
            list.retain(|late| late.minute < kept);
            let left: Vec<_> = samples.into_iter().filter(|late| late.minute < kept).collect();
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), left.clone());
            prop_assert_eq!((list.len(), list.is_empty()), (left.len(), left.is_empty()));
        }
    }

    #[test]
    fn an_hour_of_an_agent_takes_a_third_of_its_numbers() {
        let late = |seq: u64| LateSample {
            minute: 28_333_333 + u32::try_from(seq / 12).unwrap(),
            boot: u64::MAX / 3,
            seq,
            covered_ms: 5_000,
            rx_bytes: 60_000_000 + seq * 77_777,
            tx_bytes: 2_000_000 + seq * 333,
        };
        let list: LateList = (0..600).map(late).collect();
        assert!(list.bytes.len() <= 600 * size_of::<LateSample>() / 3, "{} bytes", list.bytes.len());
    }
}
