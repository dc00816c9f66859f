//! Rows as columns.

use tidemap_wire::{Location, stream::Columns};

use crate::stream_rows::Row;

/// Appends a row, or a vacant one, to every column.
pub(super) fn push(columns: &mut Columns, row: Option<&Row>, at_ms: i64) {
    let hello = row.and_then(|row| row.hello.as_deref());
    let location = hello.and_then(|hello| hello.location.as_ref());
    let name = row.map(|row| row.node.text());
    let display_name = hello.and_then(|hello| hello.display_name.clone());
    columns.display_name.push(display_name.filter(|shown| !shown.is_empty() && Some(shown) != name.as_ref()));
    columns.name.push(name);
    columns.location.push(location.and_then(|location| location.label.clone()));
    columns.provider.push(hello.and_then(|hello| hello.provider.clone()));
    columns.lat.push(location.map(|Location { lat, .. }| four_decimals(*lat)));
    columns.lon.push(location.map(|Location { lon, .. }| four_decimals(*lon)));
    columns.labels.push(hello.map(|hello| hello.labels.clone()).unwrap_or_default());
    let shown = row.map(|row| row.shown);
    columns.status.push(shown.map_or(0, |shown| shown.status));
    columns.age_ms.push(row.map_or(0, |row| row.age_ms(at_ms)));
    columns.rx.push(shown.and_then(|shown| shown.rates.rx));
    columns.tx.push(shown.and_then(|shown| shown.rates.tx));
    columns.cpu.push(shown.and_then(|shown| shown.host.cpu));
    columns.mem.push(shown.and_then(|shown| shown.host.mem));
    columns.disk.push(shown.and_then(|shown| shown.host.disk));
}

/// Four decimals are eleven metres, which suffices for a map and is shorter.
fn four_decimals(degrees: f64) -> f64 {
    (degrees * 1e4).round() / 1e4
}
