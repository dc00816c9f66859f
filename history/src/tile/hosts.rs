//! Metrics of hosts at the end of a tile, where any is known. A program of an earlier version reads all
//! before them, and a tile that it has written has none.

use crate::columns::{Damaged, Reader, Writer};

/// What an entry tells, as numbers; nothing if all are 0.
pub(super) type Numbers = [u64; 6];

/// Writes the numbers of a tile's entries.
pub(super) fn write(out: &mut Writer, entries: &[Numbers]) {
    if entries.iter().flatten().all(|number| *number == 0) {
        return;
    }
    for column in 0..6 {
        out.column(&entries.iter().map(|numbers| numbers[column]).collect::<Vec<_>>());
    }
}

/// Reads those of so many entries; none where nothing was known.
pub(super) fn read(input: &mut Reader<'_>, length: usize) -> Result<Vec<Numbers>, Damaged> {
    if input.is_at_end() {
        return Ok(vec![[0; 6]; length]);
    }
    let columns = (0..6).map(|_| input.column(length)).collect::<Result<Vec<_>, _>>()?;
    Ok((0..length).map(|entry| std::array::from_fn(|column| columns[column][entry])).collect())
}
