//! What groups of a partition's nodes moved by the second, for the history: peaks of nodes do not add up.
//! Pure.
//!
//! Each span of [`SPAN_S`] seconds is added up once, some seconds after its end, from what the nodes' windows
//! have then. It is a picture: samples that come later are missing in it, as those of an agent that reports
//! less often, or of a host whose clock is behind by more than that. So a sum is never above what the nodes'
//! samples say. A new owner adds up again what its windows reach; readers take the larger one.

mod members;
#[cfg(test)]
mod tests;

use tidemap_wire::{
    GroupSeconds, Minutes, PartitionCount, SLOTS, Slot, encode, history_query::HistorySeries, subject,
};

use crate::{checkpoint::Part, minute_messages::MinutesMessage, partition::PartitionState};
use members::Members;

/// Seconds of a span: a part of a minute.
const SPAN_S: usize = 20;
const SPAN: i64 = SPAN_S as i64;
const _: () = assert!(60 % SPAN == 0);
/// A span is added up from so many seconds after its end on. An agent's last samples of it have come by then.
const LAG_S: i64 = 10;
/// Ticks over which the adding of a span is spread.
const TICKS: usize = 20;
/// Windows reach back 60 s from a node's newest sample; less what passes while a span is added up.
const REACH_S: i64 = 60 - TICKS as i64 / 4;
/// A broker's clock that was ahead by more was wrong.
const AHEAD_S: i64 = 120;
/// Groups of one message, so that it is smaller than a third of what the stream takes.
const GROUPS_OF_A_MESSAGE: usize = 64;

/// A span's sums of one group, by the second: received and sent.
type Sums = [[u64; SPAN_S]; 2];

/// Adds up a partition's seconds, span after span.
#[derive(Debug, Default)]
pub struct SpanAdder {
    members: Members,
    /// The first second after the last span that was begun.
    next: Option<i64>,
    adding: Option<Adding>,
}

/// A span that is being added up.
#[derive(Debug)]
struct Adding {
    first: i64,
    /// Slots that were added.
    slots: usize,
    /// By the groups' numbers.
    sums: Vec<Sums>,
}

impl SpanAdder {
    /// Goes on adding at broker time `at_ms`. Returns messages once a span is whole.
    pub fn tick(
        &mut self,
        (epoch, at_ms): (u64, i64),
        slots: &[Slot],
        state: &PartitionState,
    ) -> Vec<MinutesMessage> {
        if self.adding.is_none() {
            let now = at_ms.div_euclid(1_000);
            self.begin(now, now - LAG_S);
        }
        let Some(mut adding) = self.adding.take() else { return Vec::new() };
        let end = slots.len().min(adding.slots + slots.len().div_ceil(TICKS));
        for slot in slots.get(adding.slots..end).unwrap_or_default() {
            self.members.add(*slot, state, &mut adding);
        }
        adding.slots = end;
        if end == slots.len() {
            return self.messages((epoch, at_ms), slots, &adding);
        }
        self.adding = Some(adding);
        Vec::new()
    }

    /// Adds up all that was not yet, also of the span that has not ended: the owner ends.
    pub(crate) fn finish(
        &mut self,
        (epoch, at_ms): (u64, i64),
        slots: &[Slot],
        state: &PartitionState,
    ) -> Vec<MinutesMessage> {
        let mut messages = Vec::new();
        loop {
            if self.adding.is_none() {
                let now = at_ms.div_euclid(1_000);
                self.begin(now, now + SPAN);
            }
            if self.adding.is_none() {
                return messages;
            }
            messages.extend(self.tick((epoch, at_ms), slots, state));
        }
    }

    /// Begins the next span that ends at `until` at the latest, if there is one that windows reach at `now`.
    fn begin(&mut self, now: i64, until: i64) {
        if self.next.is_some_and(|next| next > now + AHEAD_S) {
            self.next = None;
        }
        let reached = (now - REACH_S).div_euclid(SPAN) * SPAN + SPAN;
        let first = self.next.map_or(reached, |next| next.max(reached));
        if first + SPAN <= until {
            self.next = Some(first + SPAN);
            self.adding = Some(Adding { first, slots: 0, sums: Vec::new() });
            self.members.renew(first / SPAN);
        }
    }

    fn messages(&self, (epoch, at_ms): (u64, i64), slots: &[Slot], adding: &Adding) -> Vec<MinutesMessage> {
        // An owner has all slots of its partition, whose number follows from the first.
        let partitions =
            usize::from(SLOTS).checked_div(slots.len()).and_then(|count| u16::try_from(count).ok());
        let Some(partitions) = partitions.and_then(|count| PartitionCount::new(count).ok()) else {
            return Vec::new();
        };
        let (Some(slot), Ok(first_s)) = (slots.first(), u64::try_from(adding.first)) else {
            return Vec::new();
        };
        let partition = partitions.of(*slot);
        let moved: Vec<(&HistorySeries, &Sums)> = (self.members.groups().iter().zip(&adding.sums))
            .filter(|(_, sums)| sums.iter().flatten().any(|sum| *sum > 0))
            .collect();
        let message = |groups: &[(&HistorySeries, &Sums)]| {
            let mut seconds = GroupSeconds::new(partitions, partition, first_s, SPAN_S as u32);
            groups.iter().for_each(|(group, [rx, tx])| seconds.push(group, rx, tx));
            MinutesMessage {
                subject: subject::group_seconds(partitions, partition),
                payload: encode(&Minutes::of_seconds((epoch, at_ms), seconds)).into(),
                receipts: Vec::new(),
            }
        };
        moved.chunks(GROUPS_OF_A_MESSAGE).map(message).collect()
    }
}

impl Members {
    /// Adds what the nodes of a slot moved to their groups' sums.
    fn add(&mut self, slot: Slot, state: &PartitionState, adding: &mut Adding) {
        for (_, node) in state.part(Part { slot, of: 1, index: 0 }) {
            let rates = node.rates_from::<SPAN_S>(adding.first);
            if rates.iter().all(Option::is_none) {
                continue;
            }
            let moved = [0, 1].map(|way| rates.map(|rate| rate.map_or(0, |rates| rates[way])));
            for group in self.of(node) {
                let group = *group as usize;
                if adding.sums.len() <= group {
                    adding.sums.resize(group + 1, [[0; SPAN_S]; 2]);
                }
                let sums = adding.sums[group].iter_mut().flatten();
                for (sum, moved) in sums.zip(moved.iter().flatten()) {
                    *sum = sum.saturating_add(*moved);
                }
            }
        }
    }
}
