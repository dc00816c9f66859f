//! What is sent to another database: which minutes are due, and those of a band of nodes.
//!
//! Minutes are sent in order, a span of them at a time, band by band: a band's tiles are read once for all
//! its nodes, and what is in memory is a band's span, whatever the fleet's size.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use tidemap_wire::NodeId;

use super::{
    Store,
    calendar::{DAY, HOUR, minutes_of},
    read::live,
    retention::minutes_from,
    state::{BAND, CHANGED},
    tiles,
};
use crate::{
    database::{StoreError, Tx},
    point::Point,
};

/// Rows of a minute may change for as many minutes after it as an owner has them, and two more.
const FINAL_AFTER: u32 = 16;
/// So many minutes are sent at a time: for each time, the tiles of the hours that are not cut yet are read.
const SPAN: u32 = 5;

/// What moved in minutes of some nodes, in the order of time.
pub(crate) type NodeMinutes = Vec<(NodeId, Vec<(u32, Point)>)>;

/// How far minutes are sent, and what has become of them since the file began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The first minute that was ever sent.
    pub since: u32,
    /// All earlier minutes are sent.
    pub until: u32,
    /// The end of the span that is being sent; `until` between two spans.
    pub span_end: u32,
    /// Of the span, so many bands are sent.
    pub bands: u32,
    /// Values that were taken.
    pub samples: u64,
    /// Values that were refused for other reasons than their age.
    pub refused: u64,
    /// Values that were refused because they were too old.
    pub too_old: u64,
    /// Minutes that were dropped before they were sent.
    pub dropped: u64,
    /// Rows that changed after they were sent.
    pub changed: u64,
}

/// What is to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The band.
    pub band: u32,
    /// The minutes.
    pub minutes: Range<u32>,
    /// How far minutes are sent once these are.
    pub then: Sent,
}

/// What there is to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sending {
    /// How far minutes are sent; `None` before the first.
    pub sent: Option<Sent>,
    /// Minutes that are final and not sent yet.
    pub behind: u32,
    /// What is next.
    pub due: Option<Due>,
}

/// The names of facts, in the order of [`Sent::facts`].
const FACTS: [&str; 8] = [
    "sent_until",
    "sent_since",
    "sent_span_end",
    "sent_bands",
    "sent_samples",
    "sent_refused",
    "sent_too_old",
    "sent_dropped",
];
impl Sent {
    fn facts(&self) -> [u64; 8] {
        let Self { since, until, span_end, bands, samples, refused, too_old, dropped, changed: _ } = *self;
        let small = [until, since, span_end, bands].map(u64::from);
        [small[0], small[1], small[2], small[3], samples, refused, too_old, dropped]
    }

    fn read(tx: &Tx<'_>) -> Result<Option<Self>, StoreError> {
        let Some(until) = tx.fact::<u32>(FACTS[0])? else { return Ok(None) };
        let count = |name| Ok::<_, StoreError>(tx.fact::<i64>(name)?.unwrap_or(0).cast_unsigned());
        Ok(Some(Self {
            until,
            since: tx.fact(FACTS[1])?.unwrap_or(until),
            span_end: tx.fact(FACTS[2])?.unwrap_or(until),
            bands: tx.fact(FACTS[3])?.unwrap_or(0),
            samples: count(FACTS[4])?,
            refused: count(FACTS[5])?,
            too_old: count(FACTS[6])?,
            dropped: count(FACTS[7])?,
            changed: count(CHANGED)?,
        }))
    }

    /// What is next, if minutes are kept from `oldest` on and are final until `end`. `days_until` is the
    /// first minute that is not yet in a day's tiles, and `bands` how many there are.
    fn next(mut self, oldest: u32, end: u32, days_until: u32, bands: u32) -> Option<Due> {
        if self.until < oldest {
            self.dropped += u64::from(oldest - self.until);
            // What is left of the span is sent to all bands: those that have it take it as a repetition.
            (self.until, self.bands) = (oldest, 0);
        }
        if self.span_end <= self.until {
            // A whole day or hour, or so much of it as is final.
            let length = if self.until < days_until { DAY } else { HOUR };
            let whole = (self.until / length + 1) * length;
            self.span_end = if whole <= end { whole } else { end / SPAN * SPAN };
            self.bands = 0;
        }
        if self.span_end <= self.until || bands == 0 {
            return None;
        }
        let band = self.bands.min(bands - 1);
        let minutes = self.until..self.span_end;
        self.bands = band + 1;
        if self.bands >= bands {
            (self.until, self.bands) = (self.span_end, 0);
        }
        Some(Due { band, minutes, then: self })
    }
}

impl Store {
    /// How far minutes are sent, and what is next.
    pub(crate) fn sending(&mut self) -> Result<Sending, StoreError> {
        let tx = self.database.read()?;
        self.state.refresh(&tx)?;
        let Some(first) = minutes_from(&tx)? else {
            return Ok(Sending { sent: Sent::read(&tx)?, ..Sending::default() });
        };
        let now = u32::try_from(self.state.at_ms / 60_000).unwrap_or(0);
        let end = now.saturating_sub(FINAL_AFTER);
        let sent = Sent::read(&tx)?;
        let from = sent.unwrap_or(Sent { since: first, until: first, span_end: first, ..Sent::default() });
        let kept = tx.fact::<u32>("minutes_from")?.unwrap_or(0).saturating_mul(DAY);
        let sealed = self.state.bands.iter().map(|band| band.days).min().unwrap_or(0);
        let bands = u32::try_from(self.state.bands.len()).unwrap_or(0);
        let due = from.next(kept, end, sealed.saturating_mul(DAY), bands);
        Ok(Sending { sent, behind: end.saturating_sub(from.until), due })
    }

    /// From which minute on another database has minutes of this history; `None` when it has none.
    pub(crate) fn sent_since(&mut self) -> Result<Option<u32>, StoreError> {
        let tx = self.database.read()?;
        Ok(Sent::read(&tx)?.filter(|sent| sent.since < sent.until).map(|sent| sent.since))
    }

    /// Notes how far minutes are sent.
    pub(crate) fn set_sent(&mut self, sent: &Sent) -> Result<(), StoreError> {
        self.transact(|tx, state| {
            state.sent_until = Some(sent.until);
            FACTS.iter().zip(sent.facts()).try_for_each(|(name, fact)| tx.set_fact(name, fact.cast_signed()))
        })
    }

    /// What moved in each of some minutes, for each node of a band.
    pub(crate) fn band_minutes(&mut self, band: u32, minutes: Range<u32>) -> Result<NodeMinutes, StoreError> {
        let tx = self.database.read()?;
        self.state.refresh(&tx)?;
        let state = &self.state;
        let progress = state.progress(band * BAND);
        let mut names: BTreeMap<u32, NodeId> = state.names_of_band(&tx, band)?;
        let mut found: HashMap<u32, Vec<(u32, Point)>> = HashMap::new();
        for (tier, period) in progress.tiles_from(minutes.start) {
            if minutes_of(tier, period).start >= minutes.end {
                break;
            }
            for node in names.keys() {
                if let Some(tile) = tiles::rows(&tx, tier, period, *node)? {
                    let points = tile.points().0.into_iter().filter(|(minute, _)| minutes.contains(minute));
                    found.entry(*node).or_default().extend(points);
                }
            }
        }
        if minutes.end > progress.hours * HOUR {
            live::each_point_of_band(&tx, state, band, minutes.end, |minute, node, point| {
                if minutes.contains(&minute) {
                    found.entry(node).or_default().push((minute, *point));
                }
            })?;
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable_by_key(|(node, _)| *node);
        // A node that was forgotten has no name.
        Ok(found.into_iter().filter_map(|(node, points)| Some((names.remove(&node)?, points))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(until: u32) -> Sent {
        Sent { until, span_end: until, ..Sent::default() }
    }

    /// All that is due, one after another.
    fn all(mut from: Sent, end: u32, days_until: u32, bands: u32) -> (Vec<(u32, Range<u32>)>, Sent) {
        let mut due = Vec::new();
        while let Some(next) = from.next(0, end, days_until, bands) {
            due.push((next.band, next.minutes));
            from = next.then;
        }
        (due, from)
    }

    #[test]
    fn spans_are_days_then_hours_then_minutes_and_every_band_has_each() {
        let (due, then) = all(sent(DAY - 7), DAY + 2 * HOUR + 13, DAY, 2);
        let spans =
            [DAY - 7..DAY, DAY..DAY + HOUR, DAY + HOUR..DAY + 2 * HOUR, DAY + 2 * HOUR..DAY + 2 * HOUR + 10];
        let expected: Vec<_> = spans.into_iter().flat_map(|span| [(0, span.clone()), (1, span)]).collect();
        assert_eq!(due, expected);
        assert_eq!((then.until, then.bands), (DAY + 130, 0));
        assert_eq!(sent(7).next(0, 100, 0, 0), None, "without nodes nothing is due");
        // The minutes until the next multiple of five come when they are final.
        assert_eq!(sent(61).next(0, 64, 0, 1), None);
        assert_eq!(sent(61).next(0, 65, 0, 1).unwrap().minutes, 61..65);
    }

    #[test]
    fn a_span_goes_on_with_the_band_that_is_next_and_what_was_dropped_is_counted() {
        let begun = sent(60).next(0, 200, 0, 3).unwrap();
        assert_eq!((begun.then.until, begun.then.span_end, begun.then.bands), (60, 120, 1));
        let second = begun.then.next(0, 500, 0, 3).unwrap();
        assert_eq!((second.band, second.minutes), (1, 60..120));
        let gone = begun.then.next(100, 500, 0, 3).unwrap();
        assert_eq!((gone.band, gone.minutes, gone.then.dropped), (0, 100..120, 40));
        let gone = begun.then.next(DAY, DAY + 500, 0, 3).unwrap();
        assert_eq!((gone.band, gone.minutes), (0, DAY..DAY + HOUR));
        assert_eq!(gone.then.dropped, u64::from(DAY - 60));
    }
}
