//! Rows as Apache Parquet.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::{Compression, Encoding},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{WriterProperties, WriterPropertiesBuilder},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use tidemap_wire::{
    history_query::{HOST_COLUMNS, RangeAnswer},
    http::TRAFFIC_COLUMNS,
};

use super::table::{Table, columns, host_columns, times};

/// Rows of a row group: some 10 MB of memory.
const ROWS: usize = 1 << 17;

/// A file of row groups.
pub(super) struct Parquet<W: Write + Send> {
    file: SerializedFileWriter<W>,
    times: Vec<i64>,
    names: Vec<ByteArray>,
    columns: [Vec<Option<u64>>; TRAFFIC_COLUMNS.len()],
    /// Empty where hosts are left out.
    host: Vec<Vec<Option<f64>>>,
}

impl<W: Write + Send> Parquet<W> {
    /// Writes the file's head. Numbers are unsigned, as they are everywhere in Tidemap.
    pub(super) fn begin(out: W, has_host: bool) -> anyhow::Result<Self> {
        let numbers: String = TRAFFIC_COLUMNS
            .iter()
            .map(|name| format!("optional int64 {name} (INTEGER(64, false)); "))
            .collect();
        let host: &[&str] = if has_host { &HOST_COLUMNS } else { &[] };
        let shares: String = host.iter().map(|name| format!("optional double {name}; ")).collect();
        let schema = format!(
            "message tidemap {{ required int64 time (TIMESTAMP(MILLIS, true)); required binary name (STRING); {numbers} {shares} }}"
        );
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_encoding(Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding("name".into(), Encoding::DELTA_BYTE_ARRAY);
        let of_doubles = |properties: WriterPropertiesBuilder, name: &&str| {
            properties.set_column_encoding((*name).into(), Encoding::PLAIN)
        };
        let properties = HOST_COLUMNS
            .iter()
            .fold(properties, of_doubles)
            .set_dictionary_enabled(false)
            .set_column_dictionary_enabled("name".into(), true)
            .set_created_by(format!("tidemap {}", env!("CARGO_PKG_VERSION")));
        let schema = Arc::new(parse_message_type(&schema)?);
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties.build()))?;
        Ok(Self {
            file,
            times: Vec::new(),
            names: Vec::new(),
            columns: Default::default(),
            host: vec![Vec::new(); host.len()],
        })
    }

    /// Writes the rows so far as a row group.
    fn flush(&mut self) -> anyhow::Result<()> {
        if self.times.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(cause)?;
        let times = std::mem::take(&mut self.times);
        write::<Int64Type, _>(&mut group, &times, None)?;
        write::<ByteArrayType, _>(&mut group, &std::mem::take(&mut self.names), None)?;
        for column in &mut self.columns {
            let levels: Vec<i16> = column.iter().map(|value| value.is_some().into()).collect();
            let values: Vec<i64> = column.drain(..).flatten().map(u64::cast_signed).collect();
            write::<Int64Type, _>(&mut group, &values, Some(&levels))?;
        }
        for column in &mut self.host {
            let levels: Vec<i16> = column.iter().map(|value| value.is_some().into()).collect();
            let values: Vec<f64> = column.drain(..).flatten().collect();
            write::<DoubleType, _>(&mut group, &values, Some(&levels))?;
        }
        group.close().map_err(cause)?;
        Ok(())
    }
}

impl<W: Write + Send> Table for Parquet<W> {
    fn add(&mut self, name: &str, part: &RangeAnswer) -> anyhow::Result<()> {
        self.times.extend(times(part));
        self.names.resize(self.times.len(), ByteArray::from(name));
        self.columns.iter_mut().zip(columns(part)).for_each(|(column, values)| column.extend(values));
        self.host.iter_mut().zip(host_columns(part)).for_each(|(column, values)| column.extend(values));
        if self.times.len() >= ROWS { self.flush() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.flush()?;
        let mut out = self.file.into_inner().map_err(cause)?;
        Ok(out.flush()?)
    }
}

/// Writes the next column of a row group; `levels` are 1 where a value is, and 0 where it is not known.
fn write<T: parquet::data_type::DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> anyhow::Result<()> {
    if let Some(mut column) = group.next_column().map_err(cause)? {
        column.typed::<T>().write_batch(values, levels, None).map_err(cause)?;
        column.close().map_err(cause)?;
    }
    Ok(())
}

/// What parquet wraps without naming it as the cause.
fn cause(error: ParquetError) -> anyhow::Error {
    match error {
        ParquetError::External(error) => anyhow::Error::from_boxed(error),
        other => other.into(),
    }
}
