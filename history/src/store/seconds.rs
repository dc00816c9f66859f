//! Peaks of groups: the largest sum of one second.
//!
//! Owners tell sums by the second and partition. They are joined and added up here, and only the peak of each
//! minute is kept, in the group's tile of that minute. A partition that is late or missing makes a peak
//! lower, never higher: then the mean of the minute is a bound from below, as it is where no seconds were
//! published.

use std::{collections::BTreeMap, ops::Range};

use tidemap_wire::{Extremes, SecondSums};

use super::{GroupKey, effects::Effects, state::State};
use crate::{
    database::{StoreError, Tx},
    tile::SecondTile,
};

/// So many minutes after a minute, nothing more of its seconds is waited for: owners do not tell them again.
const KEPT: u32 = 15;

/// Joins sums by the second, of a batch that was stored at `at_ms`. Those of groups of which nothing is known
/// say nothing of rows, either.
pub(super) fn apply(
    tx: &Tx<'_>,
    state: &mut State,
    seconds: &[SecondSums],
    kept: &Range<u32>,
    at_ms: i64,
) -> Result<(), StoreError> {
    let mut published: BTreeMap<(u32, u32), Vec<&SecondSums>> = BTreeMap::new();
    for sums in seconds.iter().filter(|sums| kept.contains(&sums.minute)) {
        if let Some(group) = number(tx, state, sums)? {
            published.entry((sums.minute, group)).or_default().push(sums);
        }
    }
    let Some(((first, _), _)) = published.first_key_value() else { return Ok(()) };
    if tx.fact::<u32>("second_peaks_since")?.is_none() {
        tx.set_fact("second_peaks_since", first)?;
    }
    let mut effects = Effects::default();
    for ((minute, group), sums) in &published {
        // One that is damaged costs what was published before: this minute's peak may be too low.
        let known = tx.seconds(*minute, *group)?.and_then(|bytes| SecondTile::decode(&bytes).ok());
        let mut tile = known.unwrap_or_default();
        let before = tile.peaks();
        if sums.iter().filter(|sums| tile.join(sums)).count() == 0 {
            continue;
        }
        tx.put_seconds(*minute, *group, &tile.encode())?;
        let peaks = tile.peaks();
        if peaks != before {
            let [rx, tx] = peaks;
            effects.peak(*group, *minute, Extremes { rx_max: rx, tx_max: tx, rx_min: rx, tx_min: tx });
        }
    }
    effects.write(tx, state)?;
    let now = u32::try_from(at_ms / 60_000).unwrap_or(0);
    tx.drop_seconds_before(now.saturating_sub(KEPT))
}

fn number(tx: &Tx<'_>, state: &mut State, sums: &SecondSums) -> Result<Option<u32>, StoreError> {
    match GroupKey::of(&sums.group) {
        Some(GroupKey::Fleet) => state.number_of_group(tx, &GroupKey::Fleet.text()).map(Some),
        Some(group) => Ok(state.groups.get(&group.text()).copied()),
        None => Ok(None),
    }
}
