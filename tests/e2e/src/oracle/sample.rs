//! The simulator's ack log.

use std::path::Path;

use anyhow::Context;
use tidemap_wire::{Bps, NodeId, Report};

/// A line of the log: a sample that the broker has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckedSample {
    /// The node.
    pub node: String,
    /// The agent's run.
    pub boot: u64,
    /// Its number in the run.
    pub seq: u64,
    /// When it was read, by the host's clock.
    pub at_ms: i64,
    /// Over which time.
    pub elapsed_ms: u64,
    /// Bytes received in that time.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Bytes received since the run began, as the sample reports.
    pub rx_sum: u64,
    /// Bytes sent.
    pub tx_sum: u64,
}

impl AckedSample {
    /// The report that carries it to ingest.
    pub fn report(&self) -> anyhow::Result<Report> {
        let sample = tidemap_wire::Sample {
            seq: self.seq,
            at_ms: self.at_ms,
            elapsed_ms: self.elapsed_ms.try_into()?,
            rx_bytes: self.rx_sum,
            tx_bytes: self.tx_sum,
            rx_bps: Bps::over(self.rx_bytes, self.elapsed_ms),
            tx_bps: Bps::over(self.tx_bytes, self.elapsed_ms),
            ..tidemap_wire::Sample::default()
        };
        Ok(Report {
            node: NodeId::from_name(&self.node)?,
            boot: self.boot,
            hello: None,
            samples: vec![sample],
        })
    }
}

/// Reads a log. A line that is still being written is not one yet.
pub fn read(path: &Path) -> anyhow::Result<Vec<AckedSample>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let (text, _) = text.rsplit_once('\n').context("the ack log is empty")?;
    text.lines().map(|line| parse(line).with_context(|| line.to_owned())).collect()
}

fn parse(line: &str) -> anyhow::Result<AckedSample> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [node, boot, seq, at_ms, elapsed_ms, rx_bytes, tx_bytes, rx_sum, tx_sum] = fields[..] else {
        anyhow::bail!("not nine fields");
    };
    Ok(AckedSample {
        node: node.to_owned(),
        boot: boot.parse()?,
        seq: seq.parse()?,
        at_ms: at_ms.parse()?,
        elapsed_ms: elapsed_ms.parse()?,
        rx_bytes: rx_bytes.parse()?,
        tx_bytes: tx_bytes.parse()?,
        rx_sum: rx_sum.parse()?,
        tx_sum: tx_sum.parse()?,
    })
}
