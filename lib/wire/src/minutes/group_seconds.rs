//! What groups of nodes moved by the second: part of a message of [`Minutes`](super::Minutes).
//!
//! Peaks of nodes do not add up, so the peak of a group needs sums by the second. An owner tells those of its
//! partition's nodes; a reader adds up the partitions. Sums of the same partition, group and second join: the
//! larger one holds, as it has more of the samples. Readers of earlier versions see a message without rows.

use serde::{Deserialize, Serialize};

use super::ColumnError;
use crate::{Partition, PartitionCount, history_query::HistorySeries};

/// Seconds of a message at most: those of a minute.
const MINUTE_S: u32 = 60;

/// The sums of some groups of one partition's nodes in successive seconds of one minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupSeconds {
    partitions: u16,
    partition: u16,
    first_s: u64,
    seconds: u32,
    groups: Vec<HistorySeries>,
    /// An entry for each second of each group, group after group. Bytes per second.
    rx_bps: Vec<u64>,
    tx_bps: Vec<u64>,
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

    /// Adds a group, with an entry for each second.
    pub fn push(&mut self, group: &HistorySeries, rx_bps: &[u64], tx_bps: &[u64]) {
        self.groups.push(group.clone());
        self.rx_bps.extend(rx_bps);
        self.tx_bps.extend(tx_bps);
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
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
        let entries = self.groups.len().checked_mul(seconds);
        if !is_of_a_minute || entries != Some(self.rx_bps.len()) || entries != Some(self.tx_bps.len()) {
            return Err(ColumnError);
        }
        let columns = self.rx_bps.chunks(seconds).zip(self.tx_bps.chunks(seconds));
        let sums = self.groups.iter().zip(columns).map(|(group, (rx_bps, tx_bps))| SecondSums {
            partitions: self.partitions,
            partition: self.partition,
            group: group.clone(),
            minute,
            first,
            rx_bps: rx_bps.to_vec(),
            tx_bps: tx_bps.to_vec(),
        });
        Ok(sums.collect())
    }
}

#[cfg(test)]
mod tests {
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
        assert!(of(|seconds| seconds.tx_bps.truncate(5)).is_err());
        assert!(of(|seconds| seconds.groups.truncate(1)).is_err());
    }
}
