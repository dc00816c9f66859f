//! Rows as columns, so that the names of fields are written once in a message.

use serde::{Deserialize, Serialize};

use super::{CpuMinute, Extremes, HostMinute, LateSample, MinuteRow, RunCounters};

/// Columns of a message whose lengths differ, or a number of a node or a row that is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the columns do not fit together")]
pub struct ColumnError;

/// Rows. Each has an entry in each column of the first group; extremes and counters name their row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RowColumns {
    node: Vec<u32>,
    minute: Vec<u32>,
    samples: Vec<u32>,
    covered_ms: Vec<u32>,
    rx_bytes: Vec<u64>,
    tx_bytes: Vec<u64>,

    rates_row: Vec<u32>,
    rx_max: Vec<u64>,
    tx_max: Vec<u64>,
    rx_min: Vec<u64>,
    tx_min: Vec<u64>,

    run_row: Vec<u32>,
    run_boot: Vec<u64>,
    run_since: Vec<u32>,
    run_rx_bytes: Vec<u64>,
    run_tx_bytes: Vec<u64>,

    #[serde(skip_serializing_if = "HostColumns::is_empty")]
    host: HostColumns,
}

/// A few metrics of the rows that have any. Each has an entry in each column; one without samples of the
/// processor's use has none of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct HostColumns {
    row: Vec<u32>,
    cpu_samples: Vec<u16>,
    cpu_mean: Vec<u16>,
    cpu_max: Vec<u16>,
    memory_max: Vec<Option<u16>>,
    disk_max: Vec<Option<u16>>,
    load_max: Vec<Option<u32>>,
}

/// Late samples. Each has an entry in each column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LateColumns {
    node: Vec<u32>,
    minute: Vec<u32>,
    boot: Vec<u64>,
    seq: Vec<u64>,
    covered_ms: Vec<u32>,
    rx_bytes: Vec<u64>,
    tx_bytes: Vec<u64>,
}

impl RowColumns {
    pub(super) fn len(&self) -> usize {
        self.node.len()
    }

    pub(super) fn push(&mut self, node: u32, row: &MinuteRow) {
        let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.node.push(node);
        self.minute.push(row.minute);
        self.samples.push(row.samples);
        self.covered_ms.push(row.covered_ms);
        self.rx_bytes.push(row.rx_bytes);
        self.tx_bytes.push(row.tx_bytes);
        if let Some(rates) = row.rates {
            self.rates_row.push(number);
            self.rx_max.push(rates.rx_max);
            self.tx_max.push(rates.tx_max);
            self.rx_min.push(rates.rx_min);
            self.tx_min.push(rates.tx_min);
        }
        if !row.host.is_empty() {
            self.host.push(number, row.host);
        }
        for run in &row.counters {
            self.run_row.push(number);
            self.run_boot.push(run.boot);
            self.run_since.push(run.since);
            self.run_rx_bytes.push(run.rx_bytes);
            self.run_tx_bytes.push(run.tx_bytes);
        }
    }

    /// The rows, each with its node's number.
    pub(super) fn rows(&self) -> Result<Vec<(u32, MinuteRow)>, ColumnError> {
        let lengths = [
            self.minute.len(),
            self.samples.len(),
            self.covered_ms.len(),
            self.rx_bytes.len(),
            self.tx_bytes.len(),
        ];
        are_all(&lengths, self.len())?;
        let row = |place: usize| MinuteRow {
            minute: self.minute[place],
            samples: self.samples[place],
            covered_ms: self.covered_ms[place],
            rx_bytes: self.rx_bytes[place],
            tx_bytes: self.tx_bytes[place],
            ..MinuteRow::default()
        };
        let mut rows: Vec<_> = (0..self.len()).map(|place| (self.node[place], row(place))).collect();
        self.add_rates(&mut rows)?;
        self.host.add_to(&mut rows)?;
        self.add_counters(&mut rows)?;
        Ok(rows)
    }

    fn add_rates(&self, rows: &mut [(u32, MinuteRow)]) -> Result<(), ColumnError> {
        let lengths = [self.rx_max.len(), self.tx_max.len(), self.rx_min.len(), self.tx_min.len()];
        are_all(&lengths, self.rates_row.len())?;
        for (place, row) in self.rates_row.iter().enumerate() {
            named(rows, *row)?.rates = Some(Extremes {
                rx_max: self.rx_max[place],
                tx_max: self.tx_max[place],
                rx_min: self.rx_min[place],
                tx_min: self.tx_min[place],
            });
        }
        Ok(())
    }

    fn add_counters(&self, rows: &mut [(u32, MinuteRow)]) -> Result<(), ColumnError> {
        let lengths =
            [self.run_boot.len(), self.run_since.len(), self.run_rx_bytes.len(), self.run_tx_bytes.len()];
        are_all(&lengths, self.run_row.len())?;
        for (place, row) in self.run_row.iter().enumerate() {
            named(rows, *row)?.counters.push(RunCounters {
                boot: self.run_boot[place],
                since: self.run_since[place],
                rx_bytes: self.run_rx_bytes[place],
                tx_bytes: self.run_tx_bytes[place],
            });
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn break_a_column(&mut self) {
        self.tx_bytes.clear();
    }

    #[cfg(test)]
    pub(super) fn break_a_column_of_hosts(&mut self) {
        self.host.load_max.clear();
    }
}

impl HostColumns {
    fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    fn push(&mut self, row: u32, host: HostMinute) {
        let cpu = host.cpu.unwrap_or_default();
        self.row.push(row);
        self.cpu_samples.push(cpu.samples);
        self.cpu_mean.push(cpu.mean);
        self.cpu_max.push(cpu.max);
        self.memory_max.push(host.memory_max);
        self.disk_max.push(host.disk_max);
        self.load_max.push(host.load_max);
    }

    fn add_to(&self, rows: &mut [(u32, MinuteRow)]) -> Result<(), ColumnError> {
        let lengths = [
            self.cpu_samples.len(),
            self.cpu_mean.len(),
            self.cpu_max.len(),
            self.memory_max.len(),
            self.disk_max.len(),
            self.load_max.len(),
        ];
        are_all(&lengths, self.row.len())?;
        for (place, row) in self.row.iter().enumerate() {
            let cpu = CpuMinute {
                samples: self.cpu_samples[place],
                mean: self.cpu_mean[place],
                max: self.cpu_max[place],
            };
            named(rows, *row)?.host = HostMinute {
                cpu: Some(cpu).filter(|cpu| cpu.samples > 0),
                memory_max: self.memory_max[place],
                disk_max: self.disk_max[place],
                load_max: self.load_max[place],
            };
        }
        Ok(())
    }
}

impl LateColumns {
    pub(super) fn len(&self) -> usize {
        self.node.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.node.is_empty()
    }

    pub(super) fn push(&mut self, node: u32, sample: &LateSample) {
        self.node.push(node);
        self.minute.push(sample.minute);
        self.boot.push(sample.boot);
        self.seq.push(sample.seq);
        self.covered_ms.push(sample.covered_ms);
        self.rx_bytes.push(sample.rx_bytes);
        self.tx_bytes.push(sample.tx_bytes);
    }

    /// The samples, each with its node's number.
    pub(super) fn samples(&self) -> Result<Vec<(u32, LateSample)>, ColumnError> {
        let lengths = [
            self.minute.len(),
            self.boot.len(),
            self.seq.len(),
            self.covered_ms.len(),
            self.rx_bytes.len(),
            self.tx_bytes.len(),
        ];
        are_all(&lengths, self.len())?;
        let sample = |place: usize| LateSample {
            minute: self.minute[place],
            boot: self.boot[place],
            seq: self.seq[place],
            covered_ms: self.covered_ms[place],
            rx_bytes: self.rx_bytes[place],
            tx_bytes: self.tx_bytes[place],
        };
        Ok((0..self.len()).map(|place| (self.node[place], sample(place))).collect())
    }
}

fn are_all(lengths: &[usize], expected: usize) -> Result<(), ColumnError> {
    if lengths.iter().all(|length| *length == expected) { Ok(()) } else { Err(ColumnError) }
}

fn named(rows: &mut [(u32, MinuteRow)], row: u32) -> Result<&mut MinuteRow, ColumnError> {
    usize::try_from(row).ok().and_then(|row| rows.get_mut(row)).map(|(_, row)| row).ok_or(ColumnError)
}
