//! From when on every minute is there that was published.
//!
//! A history that was built again reads the stream from its beginning. Until it has read up to where it was
//! before, it is whole from there on; then from the first message of the stream on.

use super::{Batch, State};
use crate::database::{StoreError, Tx};

/// Minutes from this one on are there.
const WHOLE_FROM: &str = "whole_from";
/// Once the stream is read up to there, minutes from this one on are.
const REFILLED_FROM: &str = "refilled_from";

/// Notes that minutes before `minute` may be missing.
pub(super) fn lose_before(tx: &Tx<'_>, minute: u32) -> Result<(), StoreError> {
    tx.remove_fact(REFILLED_FROM)?;
    let known = tx.fact::<u32>(WHOLE_FROM)?.unwrap_or(0);
    tx.set_fact(WHOLE_FROM, known.max(minute))
}

/// Notes what a batch that is stored now adds.
pub(super) fn note(tx: &Tx<'_>, state: &mut State, batch: &Batch) -> Result<(), StoreError> {
    // The first minute of which all rows were published later.
    let next = |ms: i64| u32::try_from(ms.min(state.at_ms) / 60_000).unwrap_or(0).saturating_add(1);
    if let Some(before_ms) = batch.lost_before_ms {
        lose_before(tx, next(before_ms))?;
    } else if state.whole_from > 0 {
        if state.place.is_none() {
            tx.set_fact(REFILLED_FROM, next(batch.begun_ms))?;
        }
        let is_refilled = batch.at_ms / 60_000 >= i64::from(state.whole_from);
        if is_refilled && let Some(from) = tx.fact::<u32>(REFILLED_FROM)? {
            tx.remove_fact(REFILLED_FROM)?;
            tx.set_fact(WHOLE_FROM, from.min(state.whole_from))?;
        }
    } else {
        return Ok(());
    }
    state.whole_from = tx.fact(WHOLE_FROM)?.unwrap_or(0);
    Ok(())
}
