//! Sums of five minutes, which are kept when the minutes themselves are dropped: the slots of percentiles.
//!
//! They are written then and not before. While there are minutes, these answer; and of a day that is dropped
//! no row is taken any more, so what is written never changes. An earlier program drops days without them.

use std::collections::HashSet;

use super::{
    calendar::{DAY, FIVE},
    effects::{group_points, sums},
    state::State,
};
use crate::{
    database::{StoreError, Tier, Tx},
    point::Point,
    tile::{PointTile, RowTile},
};

/// Tiles that are in memory at a time, some ten megabytes.
const AT_ONCE: u32 = 256;

/// Keeps the sums of days before `end` that are about to be dropped. What cannot be read is left out.
pub(super) fn keep(tx: &Tx<'_>, state: &State, end: u32) -> Result<(), StoreError> {
    let groups: HashSet<u32> = state.groups.values().copied().collect();
    for day in tx.periods(Tier::Day)?.into_iter().take_while(|day| *day < end) {
        let mut next = 0;
        loop {
            let tiles = tx.some(Tier::Day, day, next, AT_ONCE)?;
            let Some((last, _)) = tiles.last() else { break };
            next = last + 1;
            for (series, bytes) in &tiles {
                let minutes = if groups.contains(series) {
                    PointTile::decode(bytes).map(|tile| group_points(&tile))
                } else {
                    RowTile::decode_for_sums(bytes).map(|tile| tile.points().0)
                };
                if let Ok(minutes) = minutes {
                    tx.put(Tier::Fives, day, *series, &of(&minutes).encode())?;
                }
            }
        }
    }
    Ok(())
}

/// The sums of minutes, without the extremes: these are kept by quarters of an hour.
fn of(minutes: &[(u32, Point)]) -> PointTile {
    let sums = sums(minutes, FIVE).into_iter();
    PointTile(sums.map(|(slot, point)| (slot, point.sums())).collect())
}

/// The first minute of days of which minutes are kept: earlier ones may have such sums.
pub(super) fn end(tx: &Tx<'_>) -> Result<u32, StoreError> {
    Ok(tx.fact::<u32>("minutes_from")?.unwrap_or(0).saturating_mul(DAY))
}
