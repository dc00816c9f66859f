//! What an export's rows consist of, and these as CSV.

use std::io::Write;

use csv::{Terminator, Writer, WriterBuilder};
use jiff::Timestamp;
use tidemap_wire::{
    history_query::{HOST_COLUMNS, RangeAnswer},
    http::{TRAFFIC_COLUMNS, csv_text},
};

/// Rows that are written one after the other.
pub(super) trait Table {
    /// Adds the rows of a node or group.
    fn add(&mut self, name: &str, part: &RangeAnswer) -> anyhow::Result<()>;

    /// Writes what is left.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// The values of a part, column by column, as in [`TRAFFIC_COLUMNS`].
pub(super) fn columns(part: &RangeAnswer) -> [Vec<Option<u64>>; TRAFFIC_COLUMNS.len()] {
    let always = |column: &[u64]| column.iter().copied().map(Some).collect();
    [
        part.rx_bytes.clone(),
        part.tx_bytes.clone(),
        part.rx_bps.clone(),
        part.tx_bps.clone(),
        part.rx_max_bps.clone(),
        part.tx_max_bps.clone(),
        part.rx_min_bps.clone(),
        part.tx_min_bps.clone(),
        always(&part.covered_ms),
        always(&part.unplaced_rx_bytes),
        always(&part.unplaced_tx_bytes),
    ]
}

/// The host's columns of a part that has them, as in [`HOST_COLUMNS`]; none otherwise.
pub(super) fn host_columns(part: &RangeAnswer) -> Vec<Vec<Option<f64>>> {
    part.host.iter().flat_map(|host| host.named()).map(|(_, column)| column).collect()
}

/// The begin of each step, Unix milliseconds.
pub(super) fn times(part: &RangeAnswer) -> impl Iterator<Item = i64> {
    let (from_ms, step_ms) = (part.from_ms, part.step_ms);
    (0..part.rx_bytes.len() as u64).map(move |step| from_ms.saturating_add_unsigned(step * step_ms))
}

/// Lines as in RFC 4180, and names that no spreadsheet takes for formulas.
pub(super) struct Csv<W: Write>(Writer<W>);

impl<W: Write> Csv<W> {
    /// Writes the header.
    pub(super) fn begin(out: W, has_host: bool) -> anyhow::Result<Self> {
        let mut lines = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
        let host: &[&str] = if has_host { &HOST_COLUMNS } else { &[] };
        lines.write_record(["time", "name"].iter().chain(&TRAFFIC_COLUMNS).chain(host)).map_err(cause)?;
        Ok(Self(lines))
    }
}

impl<W: Write> Table for Csv<W> {
    fn add(&mut self, name: &str, part: &RangeAnswer) -> anyhow::Result<()> {
        let (name, columns, host) = (csv_text(name), columns(part), host_columns(part));
        for (row, ms) in times(part).enumerate() {
            let time = Timestamp::from_millisecond(ms)?.to_string();
            let values = columns.iter().map(|column| column.get(row).copied().flatten());
            let values = values.map(|value| value.map(|value| value.to_string()).unwrap_or_default());
            let host = host.iter().map(|column| column.get(row).copied().flatten());
            let host = host.map(|value| value.map(|value| value.to_string()).unwrap_or_default());
            let fields = [time, name.to_string()].into_iter().chain(values).chain(host);
            self.0.write_record(fields).map_err(cause)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.0.flush()?)
    }
}

/// What csv wraps without naming it as the cause.
fn cause(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => anyhow::anyhow!("{other:?}"),
    }
}
