//! Rows as columns.

use tidemap_wire::{Location, stream::Columns};

use crate::sheet::Row;

/// Appends a row, or a vacant one, to every column.
pub(super) fn push(columns: &mut Columns, row: Option<&Row>, at_ms: i64) {
    let hello = row.and_then(|row| row.hello.as_deref());
    let location = hello.and_then(|hello| hello.location.as_ref());
    columns.name.push(row.map(|row| row.name.clone()));
    columns.location.push(location.and_then(|location| location.label.clone()));
    columns.provider.push(hello.and_then(|hello| hello.provider.clone()));
    columns.lat.push(location.map(|Location { lat, .. }| four_decimals(*lat)));
    columns.lon.push(location.map(|Location { lon, .. }| four_decimals(*lon)));
    columns.labels.push(hello.map(|hello| hello.labels.clone()).unwrap_or_default());
    columns.status.push(row.map_or(0, |row| row.status));
    columns.age_ms.push(row.map_or(0, |row| row.age_ms(at_ms)));
    columns.rx.push(row.and_then(|row| row.rates.rx));
    columns.tx.push(row.and_then(|row| row.rates.tx));
    columns.cpu.push(row.and_then(|row| row.host.cpu));
    columns.mem.push(row.and_then(|row| row.host.mem));
    columns.disk.push(row.and_then(|row| row.host.disk));
}

/// Eleven metres are near enough for a map, and shorter to write.
fn four_decimals(degrees: f64) -> f64 {
    (degrees * 1e4).round() / 1e4
}
