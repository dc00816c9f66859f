//! The extremes of single nodes over a range of minutes.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
};

use tidemap_wire::Extremes;

use super::{live, node_minutes, spans};
use crate::{
    database::{StoreError, Tx},
    point::joined,
    store::{
        calendar::{DAY, HOUR},
        settled::{Band, Sums},
        state::{BAND, State},
    },
};

/// Finds them.
pub(super) struct Peaks<'a> {
    tx: &'a Tx<'a>,
    state: &'a State,
    sums: Option<&'a Sums>,
    minutes: Range<u32>,
    /// Those of the minutes that are read from tiles of many nodes, by band.
    open: HashMap<u32, Vec<Option<Extremes>>>,
}

impl<'a> Peaks<'a> {
    pub(super) fn new(tx: &'a Tx<'a>, state: &'a State, sums: Option<&'a Sums>, minutes: Range<u32>) -> Self {
        Self { tx, state, sums, minutes, open: HashMap::new() }
    }

    /// The extremes of a node's samples; absent when no minute has any.
    pub(super) fn of(&mut self, node: u32) -> Result<Option<Extremes>, StoreError> {
        let Range { start, end } = self.minutes;
        let progress = self.state.progress(node);
        let open = progress.hours * HOUR;
        let mut found = self.open(node, start.max(open)..end)?;
        let closed = start..end.min(open);
        // Whole days are stored as such.
        let days = closed.start.div_ceil(DAY)..(closed.end / DAY).min(progress.days);
        let mut pieces = vec![closed.clone()];
        if !days.is_empty() {
            let days = days.start * DAY..days.end * DAY;
            for (_, point) in spans(self.tx, node, days.clone(), DAY)? {
                found = joined(found, point.rates);
            }
            pieces = vec![closed.start..days.start, days.end..closed.end];
        }
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            for (_, point) in node_minutes(self.tx, self.state, node, piece, &[])? {
                found = joined(found, point.rates);
            }
        }
        Ok(found)
    }

    /// Those of minutes whose hour is not over.
    fn open(&mut self, node: u32, minutes: Range<u32>) -> Result<Option<Extremes>, StoreError> {
        if minutes.is_empty() {
            return Ok(None);
        }
        let (band, place) = (node / BAND, (node % BAND) as usize);
        let settled = self.sums.and_then(|sums| sums.band(band));
        let hours = settled.map_or(0..0, |settled| whole_settled(settled, &minutes));
        let read = match self.open.entry(band) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let parts = [minutes.start..hours.start, hours.end..minutes.end];
                let parts = if hours.is_empty() { [minutes.clone(), 0..0] } else { parts };
                new.insert(live::extremes_of_band(self.tx, self.state, band, &parts)?)
            }
        };
        let hours = settled.into_iter().flat_map(|settled| settled.hours.range(by_hour(&hours)));
        Ok(hours.fold(read[place], |found, (_, points)| joined(found, points[place].rates)))
    }
}

/// What of a range is in sums of whole hours that have settled in the range; the end lies within an hour if
/// what comes after it has not settled.
fn whole_settled(settled: &Band, minutes: &Range<u32>) -> Range<u32> {
    let start = minutes.start.div_ceil(HOUR) * HOUR;
    let end = if settled.until <= minutes.end { settled.until } else { minutes.end / HOUR * HOUR };
    start..end.max(start)
}

fn by_hour(minutes: &Range<u32>) -> Range<u32> {
    minutes.start / HOUR..minutes.end.div_ceil(HOUR)
}
