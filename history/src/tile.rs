//! Tiles: what is stored under one key. [`RowTile`] holds rows of minutes, of many nodes or of one, without
//! loss; [`PointTile`] holds sums of spans, [`SecondTile`] sums of seconds.

mod hosts;
mod points;
mod rows;
mod seconds;

pub(crate) use points::PointTile;
pub(crate) use rows::{Entry, RowTile};
pub(crate) use seconds::SecondTile;

#[cfg(test)]
mod tests;
