//! The ack log: one line for each sample that the broker has acknowledged.
//!
//! `node boot seq at_ms elapsed_ms rx_bytes tx_bytes rx_sum tx_sum`, all but the node as decimal integers:
//! when the sample was read, how long it covers, the bytes moved in that time, and the bytes moved since the
//! run began. A program that shares no code with ingest can compute from it what `/api/nodes` must return.

use std::{
    fmt,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::Mutex,
};

use anyhow::Context;
use tidemap_service::cli::UsageError;
use tidemap_wire::{NodeId, Sample};

/// The file, shared by all connections.
pub(crate) struct AckLog {
    /// A standard mutex: nothing is awaited while a line is written.
    file: Mutex<BufWriter<File>>,
}

/// One line of the ack log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) node: NodeId,
    pub(crate) boot: u64,
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) elapsed_ms: u32,
    pub(crate) rx_bytes: u64,
    pub(crate) tx_bytes: u64,
    pub(crate) rx_sum: u64,
    pub(crate) tx_sum: u64,
}

impl Entry {
    /// The entry of a sample; `before` are the sums as of the sample before it.
    pub(crate) fn new(node: &NodeId, boot: u64, sample: &Sample, before: (u64, u64)) -> Self {
        Self {
            node: node.clone(),
            boot,
            seq: sample.seq,
            at_ms: sample.at_ms,
            elapsed_ms: sample.elapsed_ms,
            rx_bytes: sample.rx_bytes - before.0,
            tx_bytes: sample.tx_bytes - before.1,
            rx_sum: sample.rx_bytes,
            tx_sum: sample.tx_bytes,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, boot, seq, at_ms, elapsed_ms, rx_bytes, tx_bytes, rx_sum, tx_sum } = self;
        write!(f, "{node} {boot} {seq} {at_ms} {elapsed_ms} {rx_bytes} {tx_bytes} {rx_sum} {tx_sum}")
    }
}

impl AckLog {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, UsageError> {
        let file = File::create(path).map_err(|error| UsageError::in_file("--ack-log", path, error))?;
        Ok(Self { file: Mutex::new(BufWriter::new(file)) })
    }

    /// Adds entries.
    pub(crate) fn write(&self, entries: &[Entry]) -> anyhow::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.iter().try_for_each(|entry| writeln!(file, "{entry}")).context("cannot write the ack log")
    }

    /// Writes all buffered lines to the file.
    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.flush().context("cannot write the ack log")
    }
}
