//! Tiles: what is stored under one key. [`RowTile`] holds rows of minutes, of many nodes or of one, without
//! loss; [`PointTile`] holds sums of spans.

mod points;
mod rows;

pub(crate) use points::PointTile;
pub(crate) use rows::{Entry, RowTile};

#[cfg(test)]
mod tests;
