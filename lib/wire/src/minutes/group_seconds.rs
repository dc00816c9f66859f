//! What groups of nodes moved by the second: part of a message of [`Minutes`](super::Minutes).
//!
//! Peaks of nodes do not add up, so the peak of a group needs sums by the second. An owner tells those of its
//! partition's nodes; a reader adds up the partitions. Sums of the same partition, group and second join: the
//! larger one holds, as it has more of the samples. Readers of earlier versions see a message without rows.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::ColumnError;
use crate::{Partition, PartitionCount, history_series::HistorySeries};

/// Seconds of a message at most: those of a minute.
const MINUTE_S: u32 = 60;
/// Numbers below this are exact; larger ones are exact in one bit more than it has.
const SHARP: u64 = 1 << (SHARP_BITS - 1);
const SHARP_BITS: u32 = 11;

/// The sums of some groups of one partition's nodes in successive seconds of one minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupSeconds {
    partitions: u16,
    partition: u16,
    first_s: u64,
    seconds: u32,
    groups: Vec<HistorySeries>,
    /// An entry for each second of each group, group after group: two bytes, the lower one first.
    rx_bps: ByteBuf,
    tx_bps: ByteBuf,
}

/// The sums of one group of one partition's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondSums {
    /// Into how many partitions the fleet is divided.
    pub partitions: u16,
    /// Whose nodes.
    pub partition: u16,
    /// Whose sum.
    pub group: HistorySeries,
    /// The minute of these seconds, counted from the epoch.
    pub minute: u32,
    /// The first of them in the minute.
    pub first: u32,
    /// What the nodes received in each, in bytes per second: at least so much.
    pub rx_bps: Vec<u64>,
    /// What they sent.
    pub tx_bps: Vec<u64>,
}

impl GroupSeconds {
    /// No groups yet, in so many seconds from `first_s` on, counted from the epoch.
    pub fn new(partitions: PartitionCount, partition: Partition, first_s: u64, seconds: u32) -> Self {
        let (partitions, partition) = (partitions.get(), partition.get());
        Self { partitions, partition, first_s, seconds, ..Self::default() }
    }

    /// Adds a group, with an entry for each second, which loses less than a thousandth.
    pub fn push(&mut self, group: &HistorySeries, rx_bps: &[u64], tx_bps: &[u64]) {
        self.groups.push(group.clone());
        self.rx_bps.extend(rx_bps.iter().flat_map(|rate| code(*rate).to_le_bytes()));
        self.tx_bps.extend(tx_bps.iter().flat_map(|rate| code(*rate).to_le_bytes()));
    }

    /// The sums of each group.
    ///
    /// # Errors
    ///
    /// When the message contradicts itself, or its seconds are not of one minute.
    pub fn sums(&self) -> Result<Vec<SecondSums>, ColumnError> {
        let partitions = PartitionCount::new(self.partitions).map_err(|_| ColumnError)?;
        partitions.partition(self.partition).ok_or(ColumnError)?;
        let minute = u32::try_from(self.first_s / u64::from(MINUTE_S)).map_err(|_| ColumnError)?;
        let first = u32::try_from(self.first_s % u64::from(MINUTE_S)).map_err(|_| ColumnError)?;
        let is_of_a_minute = (1..=MINUTE_S - first).contains(&self.seconds);
        let seconds = self.seconds as usize;
        let bytes = self.groups.len().checked_mul(2 * seconds);
        if !is_of_a_minute || bytes != Some(self.rx_bps.len()) || bytes != Some(self.tx_bps.len()) {
            return Err(ColumnError);
        }
        let columns = self.rx_bps.chunks(2 * seconds).zip(self.tx_bps.chunks(2 * seconds));
        let sums = self.groups.iter().zip(columns).map(|(group, (rx_bps, tx_bps))| SecondSums {
            partitions: self.partitions,
            partition: self.partition,
            group: group.clone(),
            minute,
            first,
            rx_bps: values(rx_bps),
            tx_bps: values(tx_bps),
        });
        Ok(sums.collect())
    }
}

/// A number in 16 bits, rounded down: up to 1,023 as it is, and otherwise its highest 11 bits, of which the
/// first is always set, behind how many bits follow. Codes have the order of their numbers.
fn code(number: u64) -> u16 {
    let cut = (u64::BITS - number.leading_zeros()).saturating_sub(SHARP_BITS);
    let highest = number >> cut;
    let code = if highest < SHARP { highest } else { (u64::from(cut) + 1) * SHARP + (highest - SHARP) };
    u16::try_from(code).unwrap_or(u16::MAX)
}

fn value([low, high]: [u8; 2]) -> u64 {
    let code = u64::from(u16::from_le_bytes([low, high]));
    match (code / SHARP, code % SHARP) {
        (0, number) => number,
        (cut, rest) if cut <= u64::from(u64::BITS - SHARP_BITS) + 1 => (SHARP + rest) << (cut - 1),
        // More bits than a number has.
        _ => u64::MAX,
    }
}

fn values(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks().0.iter().copied().map(value).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Minutes, decode, encode};

    fn seconds() -> GroupSeconds {
        let partitions = PartitionCount::default();
        let partition = partitions.partition(3).unwrap();
        let mut seconds = GroupSeconds::new(partitions, partition, 29_000_000 * 60 + 57, 3);
        seconds.push(&HistorySeries::Fleet, &[1, 2, 300], &[4, 5, 6]);
        seconds.push(&HistorySeries::Label("role".to_owned(), "db".to_owned()), &[7, 8, 9], &[0, 0, 1 << 40]);
        seconds
    }

    #[test]
    fn sums_come_back_group_by_group_and_are_no_rows() {
        let minutes = Minutes::of_seconds((5, 6), seconds());
        assert!(minutes.is_empty(), "for whoever reads rows");
        let back: Minutes = decode(&encode(&minutes)).unwrap();
        assert_eq!(back, minutes);
        let sums = back.seconds().unwrap();
        assert_eq!(sums.len(), 2);
        let SecondSums { partitions, partition, minute, first, .. } = sums[1];
        assert_eq!((partitions, partition, minute, first), (8, 3, 29_000_000, 57));
        assert_eq!((&sums[0].rx_bps, &sums[1].tx_bps), (&vec![1, 2, 300], &vec![0, 0, 1 << 40]));
        assert_eq!(sums[1].group, HistorySeries::Label("role".to_owned(), "db".to_owned()));
        assert_eq!(Minutes::new(1, 2).seconds(), Ok(Vec::new()));
    }

    #[test]
    fn an_earlier_reader_sees_a_message_without_rows() {
        #[derive(Deserialize)]
        struct Earlier {
            epoch: u64,
            nodes: Vec<String>,
            rows: std::collections::BTreeMap<String, Vec<u64>>,
        }
        let earlier: Earlier = decode(&encode(&Minutes::of_seconds((5, 6), seconds()))).unwrap();
        assert_eq!((earlier.epoch, earlier.nodes.len()), (5, 0));
        assert!(earlier.rows.values().all(Vec::is_empty));
    }

    proptest! {
        #[test]
        fn rates_lose_less_than_a_thousandth_and_gain_nothing(
            number in any::<u64>(),
            cut in 0..64,
            code in any::<u16>(),
        ) {
            let number = number >> cut;
            let kept = value(super::code(number).to_le_bytes());
            prop_assert!(kept <= number && number - kept <= number / 1_024, "{kept} of {number}");
            let bytes = code.to_le_bytes();
            prop_assert!(code > super::code(u64::MAX) || super::code(value(bytes)) == code);
        }
    }

    #[test]
    fn what_contradicts_itself_has_no_sums() {
        let of = |change: fn(&mut GroupSeconds)| {
            let mut seconds = seconds();
            change(&mut seconds);
            seconds.sums()
        };
        assert!(of(|_| {}).is_ok());
        assert!(of(|seconds| seconds.partitions = 7).is_err());
        assert!(of(|seconds| seconds.partition = 8).is_err());
        assert!(of(|seconds| seconds.seconds = 0).is_err());
        assert!(of(|seconds| seconds.seconds = 2).is_err());
        assert!(of(|seconds| seconds.first_s += 1).is_err(), "the next minute");
        assert!(of(|seconds| seconds.first_s = u64::MAX).is_err());
        assert!(of(|seconds| seconds.tx_bps.truncate(11)).is_err());
        assert!(of(|seconds| seconds.groups.truncate(1)).is_err());
    }
}
