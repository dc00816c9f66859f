//! The tables of places: lines of tab-separated fields, compiled in.

/// The lines of a table.
pub(super) fn lines(table: &'static str) -> impl Iterator<Item = [&'static str; 3]> {
    table.lines().map(|line| {
        let mut fields = line.split('\t');
        [(); 3].map(|()| fields.next().unwrap_or_default())
    })
}

/// Latitude and longitude of the place with this name.
pub(super) fn coordinates(table: &'static str, name: &str) -> Option<(f64, f64)> {
    let [_, lat, lon] = lines(table).find(|[listed, ..]| *listed == name)?;
    Some((lat.parse().ok()?, lon.parse().ok()?))
}
