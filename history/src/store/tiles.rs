//! Tiles, decoded. One that is damaged is noted and counts as missing, so it costs what it contained and
//! nothing else.

use super::{calendar::minutes_of, state::State};
use crate::{
    columns::Damaged,
    database::{StoreError, Tier, Tx},
    tile::{PointTile, RowTile},
};

/// A tile of rows.
pub(super) fn rows(tx: &Tx<'_>, tier: Tier, period: u32, series: u32) -> Result<Option<RowTile>, StoreError> {
    decoded(tx, tier, period, series, RowTile::decode)
}

/// A tile of rows without their extremes.
pub(super) fn rows_for_sums(
    tx: &Tx<'_>,
    tier: Tier,
    period: u32,
    series: u32,
) -> Result<Option<RowTile>, StoreError> {
    decoded(tx, tier, period, series, RowTile::decode_for_sums)
}

/// A tile of points; an empty one where there is none.
pub(super) fn points(tx: &Tx<'_>, tier: Tier, period: u32, series: u32) -> Result<PointTile, StoreError> {
    Ok(decoded(tx, tier, period, series, PointTile::decode)?.unwrap_or_default())
}

/// Whether a series had a tile that is lost; `is_there` tells of the one that is stored.
pub(super) fn is_lost(
    tx: &Tx<'_>,
    state: &State,
    tier: Tier,
    period: u32,
    series: u32,
    is_there: bool,
) -> Result<bool, StoreError> {
    if may_be_missing(state, tier, period, is_there) {
        // From now on it is remembered, whatever comes.
        tx.mark_lost(tier, period, series)?;
        return Ok(true);
    }
    tx.is_lost(tier, period, series)
}

/// Whether a tile that is not there may have been there before the file was built again.
pub(super) fn may_be_missing(state: &State, tier: Tier, period: u32, is_there: bool) -> bool {
    !is_there && minutes_of(tier, period).start < state.rebuilt_until
}

fn decoded<T>(
    tx: &Tx<'_>,
    tier: Tier,
    period: u32,
    series: u32,
    decode: impl Fn(&[u8]) -> Result<T, Damaged>,
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = tx.get(tier, period, series)? else { return Ok(None) };
    match decode(&bytes) {
        Ok(tile) => Ok(Some(tile)),
        Err(_) => tx.set_aside(tier, period, series).map(|()| None),
    }
}
