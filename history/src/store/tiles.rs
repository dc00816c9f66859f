//! Tiles, decoded. One that is damaged is noted and counts as missing, so it costs what it contained and
//! nothing else.

use crate::{
    database::{StoreError, Tier, Tx},
    tile::{PointTile, RowTile},
};

/// A tile of rows.
pub(super) fn rows(tx: &Tx<'_>, tier: Tier, period: u32, series: u32) -> Result<Option<RowTile>, StoreError> {
    let Some(bytes) = tx.get(tier, period, series)? else { return Ok(None) };
    match RowTile::decode(&bytes) {
        Ok(tile) => Ok(Some(tile)),
        Err(_) => tx.set_aside(tier, period, series).map(|()| None),
    }
}

/// A tile of points; an empty one where there is none.
pub(super) fn points(tx: &Tx<'_>, tier: Tier, period: u32, series: u32) -> Result<PointTile, StoreError> {
    let Some(bytes) = tx.get(tier, period, series)? else { return Ok(PointTile::default()) };
    match PointTile::decode(&bytes) {
        Ok(tile) => Ok(tile),
        Err(_) => tx.set_aside(tier, period, series).map(|()| PointTile::default()),
    }
}
