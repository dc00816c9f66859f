//! What a node's minutes came to: `tidemap.v1.history.minutes.<slot>.<of>.<index>`.
//!
//! A row is a function of a set of samples, and joining two rows of one minute gives no less than either:
//! sums, counts and counters grow with the set, peaks rise and minima fall. An owner tells each row as a
//! whole, as often as it changes, so duplicates, disorder, an owner that was replaced and a reader that
//! begins again change nothing. Minutes are those of Unix time.

mod bounded;
mod columns;
mod group_seconds;
mod host_minute;

use serde::{Deserialize, Serialize};

use crate::{NodeId, bounds};

pub use columns::ColumnError;
use columns::{LateColumns, RowColumns};
pub use group_seconds::{GroupSeconds, SecondSums};
pub use host_minute::{CpuMinute, HostMinute};

/// Rows of some nodes of one slot, and samples that came too late to be part of a row; or, in a message of
/// its own, what a partition's groups moved by the second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Minutes {
    /// The epoch of the lease under which it was written.
    pub epoch: u64,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    nodes: Vec<NodeId>,
    rows: RowColumns,
    #[serde(default, skip_serializing_if = "LateColumns::is_empty")]
    late: LateColumns,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<Box<GroupSeconds>>,
}

/// One node's minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MinuteRow {
    /// Minutes since the epoch.
    pub minute: u32,
    /// How many samples it contains.
    pub samples: u32,
    /// Milliseconds that these samples cover.
    pub covered_ms: u32,
    /// Bytes received in that time.
    pub rx_bytes: u64,
    /// Bytes sent in that time.
    pub tx_bytes: u64,
    /// The highest and lowest rates among the samples that cover time; absent where none does.
    pub rates: Option<Extremes>,
    /// A few of the host's metrics; an owner of an earlier version knows none.
    pub host: HostMinute,
    /// The counters of the agent's runs that have samples in this minute, by the runs' numbers.
    pub counters: Vec<RunCounters>,
}

/// The extremes of single samples' rates, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extremes {
    /// The highest rate of download.
    pub rx_max: u64,
    /// The highest rate of upload.
    pub tx_max: u64,
    /// The lowest rate of download.
    pub rx_min: u64,
    /// The lowest rate of upload.
    pub tx_min: u64,
}

/// What an agent's run has counted at the end of a minute. What a run counted between two rows and neither
/// row contains moved at a moment that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounters {
    /// The run's number.
    pub boot: u64,
    /// The minute of the run's first sample.
    pub since: u32,
    /// Bytes received since the run began.
    pub rx_bytes: u64,
    /// Bytes sent since the run began.
    pub tx_bytes: u64,
}

/// A sample of a minute whose row its owner had closed. `(node, boot, seq)` identifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateSample {
    /// Minutes since the epoch.
    pub minute: u32,
    /// The run's number.
    pub boot: u64,
    /// The sample's number in its run.
    pub seq: u64,
    /// Milliseconds that it covers.
    pub covered_ms: u32,
    /// Bytes received in that time.
    pub rx_bytes: u64,
    /// Bytes sent in that time.
    pub tx_bytes: u64,
}

impl Minutes {
    /// No rows yet.
    pub fn new(epoch: u64, at_ms: i64) -> Self {
        Self { epoch, at_ms, ..Self::default() }
    }

    /// What groups moved by the second, and no rows, of an epoch and a time.
    pub fn of_seconds((epoch, at_ms): (u64, i64), seconds: GroupSeconds) -> Self {
        Self { seconds: Some(Box::new(seconds)), ..Self::new(epoch, at_ms) }
    }

    /// Adds a row.
    pub fn push(&mut self, node: &NodeId, row: &MinuteRow) {
        let node = self.number(node);
        self.rows.push(node, row);
    }

    /// Adds a late sample.
    pub fn push_late(&mut self, node: &NodeId, sample: &LateSample) {
        let node = self.number(node);
        self.late.push(node, sample);
    }

    /// How many rows and late samples there are.
    pub fn len(&self) -> usize {
        self.rows.len() + self.late.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows with their nodes.
    ///
    /// # Errors
    ///
    /// When the message contradicts itself.
    pub fn rows(&self) -> Result<Vec<(&NodeId, MinuteRow)>, ColumnError> {
        self.rows.rows()?.into_iter().map(|(node, row)| Ok((self.node(node)?, row))).collect()
    }

    /// The late samples with their nodes.
    ///
    /// # Errors
    ///
    /// When the message contradicts itself.
    pub fn late(&self) -> Result<Vec<(&NodeId, LateSample)>, ColumnError> {
        self.late.samples()?.into_iter().map(|(node, sample)| Ok((self.node(node)?, sample))).collect()
    }

    /// What groups moved by the second.
    ///
    /// # Errors
    ///
    /// When the message contradicts itself.
    pub fn seconds(&self) -> Result<Vec<SecondSums>, ColumnError> {
        self.seconds.as_ref().map_or(Ok(Vec::new()), |seconds| seconds.sums())
    }

    /// Rows of one node follow one another, so only the last name is compared.
    fn number(&mut self, node: &NodeId) -> u32 {
        if self.nodes.last() != Some(node) {
            self.nodes.push(node.clone());
        }
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    fn node(&self, number: u32) -> Result<&NodeId, ColumnError> {
        usize::try_from(number).ok().and_then(|number| self.nodes.get(number)).ok_or(ColumnError)
    }
}

impl MinuteRow {
    /// Adds what another row of the same node and minute contains beyond this one. Returns whether there was
    /// any. Of more runs than a row has, those with the lowest numbers stay, whatever the order of joining.
    pub fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        self.samples = self.samples.max(other.samples);
        self.covered_ms = self.covered_ms.max(other.covered_ms);
        self.rx_bytes = self.rx_bytes.max(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.max(other.tx_bytes);
        self.rates = match (self.rates, other.rates) {
            (Some(one), Some(two)) => Some(one.join(two)),
            (one, two) => one.or(two),
        };
        self.host = self.host.join(other.host);
        for counters in &other.counters {
            match self.counters.binary_search_by_key(&counters.boot, |known| known.boot) {
                Ok(place) => self.counters[place].join(counters),
                Err(place) if place >= bounds::RUNS => {}
                Err(place) => self.counters.insert(place, *counters),
            }
        }
        self.counters.truncate(bounds::RUNS);
        *self != before
    }
}

impl Extremes {
    /// The extremes of both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            rx_max: self.rx_max.max(other.rx_max),
            tx_max: self.tx_max.max(other.tx_max),
            rx_min: self.rx_min.min(other.rx_min),
            tx_min: self.tx_min.min(other.tx_min),
        }
    }
}

impl RunCounters {
    fn join(&mut self, other: &Self) {
        self.since = self.since.min(other.since);
        self.rx_bytes = self.rx_bytes.max(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.max(other.tx_bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{decode, encode};

    fn host() -> impl Strategy<Value = HostMinute> {
        let cpu = proptest::option::of((1_u16..4, 0_u16..4, any::<u16>()))
            .prop_map(|cpu| cpu.map(|(samples, mean, max)| CpuMinute { samples, mean, max }));
        (cpu, any::<[Option<u16>; 2]>(), any::<Option<u32>>()).prop_map(
            |(cpu, [memory_max, disk_max], load_max)| HostMinute { cpu, memory_max, disk_max, load_max },
        )
    }

    fn row() -> impl Strategy<Value = MinuteRow> {
        let extremes = (any::<[u64; 4]>()).prop_map(|[rx_max, tx_max, rx_min, tx_min]| Extremes {
            rx_max,
            tx_max,
            rx_min,
            tx_min,
        });
        let counters = proptest::collection::btree_map(0_u64..4, (any::<u32>(), any::<[u64; 2]>()), 0..3);
        (any::<[u32; 2]>(), any::<[u64; 2]>(), proptest::option::of(extremes), host(), counters).prop_map(
            |([samples, covered_ms], [rx_bytes, tx_bytes], rates, host, counters)| MinuteRow {
                minute: 7,
                samples,
                covered_ms,
                rx_bytes,
                tx_bytes,
                rates,
                host,
                counters: counters
                    .into_iter()
                    .map(|(boot, (since, [rx_bytes, tx_bytes]))| RunCounters {
                        boot,
                        since,
                        rx_bytes,
                        tx_bytes,
                    })
                    .collect(),
            },
        )
    }

    fn joined(one: &MinuteRow, two: &MinuteRow) -> MinuteRow {
        let mut both = one.clone();
        both.join(two);
        both
    }

    /// A row with the counters of as many runs as `runs` has numbers.
    fn row_of_runs(runs: std::collections::BTreeMap<u64, u64>) -> MinuteRow {
        let counters =
            runs.into_iter().map(|(boot, rx_bytes)| RunCounters { boot, since: 1, rx_bytes, tx_bytes: 0 });
        let mut row = MinuteRow { minute: 7, counters: counters.collect(), ..MinuteRow::default() };
        row.bound();
        row
    }

    proptest! {
        #[test]
        fn of_too_many_runs_the_same_stay_in_any_order(
            rows in proptest::array::uniform3(proptest::collection::btree_map(0_u64..90, 0_u64..3, 0..60)),
        ) {
            let [one, two, three] = rows.map(row_of_runs);
            prop_assert_eq!(joined(&one, &two), joined(&two, &one));
            let all = joined(&joined(&one, &two), &three);
            prop_assert_eq!(&all, &joined(&one, &joined(&two, &three)));
            prop_assert!(all.counters.len() <= bounds::RUNS);
            let mut again = all.clone();
            prop_assert!(!again.join(&one) && !again.join(&two) && !again.join(&three));
        }

        #[test]
        fn joining_forgets_the_order_and_repetitions(one in row(), two in row(), three in row()) {
            prop_assert_eq!(joined(&one, &two), joined(&two, &one));
            prop_assert_eq!(joined(&joined(&one, &two), &three), joined(&one, &joined(&two, &three)));
            let mut both = joined(&one, &two);
            prop_assert!(!both.join(&one) && !both.join(&two));
        }

        #[test]
        fn rows_and_late_samples_come_back_as_they_were(rows in proptest::collection::vec((0_usize..3, row()), 0..6), late in any::<[u32; 2]>()) {
            let nodes = ["a", "b", "c"].map(|name| NodeId::from_name(name).unwrap());
            let sample = LateSample { minute: late[0], boot: 5, seq: 9, covered_ms: late[1], rx_bytes: 1, tx_bytes: 2 };
            let mut minutes = Minutes::new(3, 1_700_000_000_000);
            for (node, row) in &rows {
                minutes.push(&nodes[*node], row);
            }
            minutes.push_late(&nodes[1], &sample);
            let minutes: Minutes = decode(&encode(&minutes)).unwrap();
            let back = minutes.rows().unwrap();
            prop_assert_eq!(back, rows.iter().map(|(node, row)| (&nodes[*node], row.clone())).collect::<Vec<_>>());
            prop_assert_eq!(minutes.late().unwrap(), vec![(&nodes[1], sample)]);
            prop_assert_eq!(minutes.len(), rows.len() + 1);
        }
    }

    #[test]
    fn columns_of_different_lengths_and_unknown_nodes_are_errors() {
        let mut minutes = Minutes::new(1, 2);
        minutes.push(&NodeId::from_name("a").unwrap(), &MinuteRow::default());
        let mut without_node = minutes.clone();
        without_node.nodes.clear();
        assert!(without_node.rows().is_err());
        let mut minutes_of_hosts = minutes.clone();
        minutes.rows.break_a_column();
        assert!(minutes.rows().is_err());
        let host = HostMinute { load_max: Some(7), ..HostMinute::default() };
        minutes_of_hosts.push(&NodeId::from_name("b").unwrap(), &MinuteRow { host, ..MinuteRow::default() });
        assert!(minutes_of_hosts.rows().is_ok());
        minutes_of_hosts.rows.break_a_column_of_hosts();
        assert!(minutes_of_hosts.rows().is_err());
    }
}
