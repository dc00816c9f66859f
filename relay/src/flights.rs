//! Packs that wait for the broker's answer, by number. Pure.

use std::collections::VecDeque;

use crate::packer::Parcel;

/// A pack without an answer for this long is given up. An agent waits 5 s, and must hear in time.
pub const TIMEOUT_MS: u64 = 4_000;

/// A report that is held costs about this much beside its bytes: its answer's subject, and room in lists.
const REPORT_BYTES: usize = 128;

/// What is under way.
#[derive(Debug)]
pub struct Flights<R> {
    /// In the order of their numbers; answered ones are gone once all before them are.
    flying: VecDeque<Option<Flight<R>>>,
    /// The number of the first.
    first: u64,
    held_bytes: usize,
}

#[derive(Debug)]
struct Flight<R> {
    parcel: Parcel<R>,
    sent_ms: u64,
}

impl<R> Default for Flights<R> {
    fn default() -> Self {
        Self { flying: VecDeque::new(), first: 0, held_bytes: 0 }
    }
}

impl<R> Flights<R> {
    /// Takes note of a pack that sets out; returns its number.
    pub fn start(&mut self, parcel: Parcel<R>, now_ms: u64) -> u64 {
        self.held_bytes += cost(&parcel);
        self.flying.push_back(Some(Flight { parcel, sent_ms: now_ms }));
        self.first + self.flying.len() as u64 - 1
    }

    /// The pack with this number, which was answered; `None` when it had been given up before.
    pub fn land(&mut self, number: u64) -> Option<Parcel<R>> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let flight = self.flying.get_mut(index)?.take()?;
        self.tidy();
        self.held_bytes -= cost(&flight.parcel);
        Some(flight.parcel)
    }

    /// The next pack that has waited for too long.
    pub fn expire(&mut self, now_ms: u64) -> Option<Parcel<R>> {
        let oldest = self.flying.front()?.as_ref()?;
        (oldest.sent_ms + TIMEOUT_MS <= now_ms).then(|| self.land(self.first)).flatten()
    }

    /// Gives up the oldest pack.
    pub fn give_up(&mut self) -> Option<Parcel<R>> {
        self.land(self.first)
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.flying.is_empty()
    }

    /// How much memory is held.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The first is always one that has no answer.
    fn tidy(&mut self) {
        while self.flying.front().is_some_and(Option::is_none) {
            self.flying.pop_front();
            self.first += 1;
        }
    }
}

fn cost<R>(parcel: &Parcel<R>) -> usize {
    parcel.payload.len() + parcel.answers.len() * REPORT_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parcel(number: u64) -> Parcel<u64> {
        Parcel { slot: "7".parse().unwrap(), payload: vec![0; 10].into(), answers: vec![number] }
    }

    #[test]
    fn what_is_not_answered_in_time_is_given_up_and_its_answer_is_late() {
        let mut flights = Flights::default();
        let first = flights.start(parcel(1), 0);
        let second = flights.start(parcel(2), 10);
        assert_eq!(flights.expire(TIMEOUT_MS - 1), None);
        assert_eq!(flights.expire(TIMEOUT_MS), Some(parcel(1)));
        assert_eq!(flights.expire(TIMEOUT_MS), None);
        assert_eq!((flights.land(first), flights.land(second)), (None, Some(parcel(2))));
        assert!(flights.is_empty() && flights.held_bytes() == 0);
    }

    proptest! {
        #[test]
        fn each_pack_lands_once_in_whatever_order(order in Just((0..30_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut flights = Flights::default();
            for number in 0..30 {
                prop_assert_eq!(flights.start(parcel(number), 0), number);
            }
            for number in order {
                prop_assert_eq!(flights.land(number), Some(parcel(number)));
                prop_assert_eq!(flights.land(number), None);
            }
            prop_assert!(flights.is_empty() && flights.held_bytes() == 0);
            prop_assert_eq!((flights.land(99), flights.start(parcel(1), 0)), (None, 30));
        }
    }
}
