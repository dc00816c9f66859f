//! Packs that wait for the broker's acknowledgement, and the memory that they hold. Pure.

use tidemap_service::acks::InFlight;
use tidemap_wire::timing;

use crate::packer::OutgoingPack;

/// Memory of a report in addition to its bytes: its reply subject, and entries in lists.
const REPORT_BYTES: usize = 128;

/// Packs in flight.
#[derive(Debug)]
pub(crate) struct PacksInFlight<R> {
    packs: InFlight<OutgoingPack<R>>,
    held_bytes: usize,
}

impl<R> PacksInFlight<R> {
    pub(crate) fn new() -> Self {
        Self { packs: InFlight::new(timing::RELAY_ACK_TIMEOUT), held_bytes: 0 }
    }

    /// Adds a pack that is published now, and returns its number.
    pub(crate) fn add(&mut self, pack: OutgoingPack<R>, now_ms: u64) -> u64 {
        self.held_bytes += cost(&pack);
        self.packs.add(pack, now_ms)
    }

    /// Removes the pack with this number; `None` when it no longer waits.
    pub(crate) fn remove(&mut self, number: u64) -> Option<OutgoingPack<R>> {
        let pack = self.packs.remove(number);
        self.release(pack)
    }

    /// Removes the oldest pack if its acknowledgement is overdue.
    pub(crate) fn remove_overdue(&mut self, now_ms: u64) -> Option<OutgoingPack<R>> {
        let overdue = self.packs.remove_overdue(now_ms).map(|(_, pack)| pack);
        self.release(overdue)
    }

    /// Removes the oldest pack.
    pub(crate) fn remove_oldest(&mut self) -> Option<OutgoingPack<R>> {
        let oldest = self.packs.remove_oldest().map(|(_, pack)| pack);
        self.release(oldest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn release(&mut self, pack: Option<OutgoingPack<R>>) -> Option<OutgoingPack<R>> {
        self.held_bytes -= pack.as_ref().map_or(0, cost);
        pack
    }
}

fn cost<R>(pack: &OutgoingPack<R>) -> usize {
    pack.payload.len() + pack.replies.len() * REPORT_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(number: u64) -> OutgoingPack<u64> {
        OutgoingPack { slot: "7".parse().unwrap(), payload: vec![0; 10].into(), replies: vec![number] }
    }

    proptest! {
        #[test]
        fn memory_is_released_however_a_pack_leaves(
            ways in prop::collection::vec(0_u8..4, 0..60),
        ) {
            let mut in_flight = PacksInFlight::new();
            let mut waiting = 0;
            for (number, way) in (0_u64..).zip(ways) {
                in_flight.add(pack(number), number);
                let left = match way {
                    0 => None,
                    1 => in_flight.remove(number),
                    2 => in_flight.remove_oldest(),
                    _ => in_flight.remove_overdue(number + timing::millis(timing::RELAY_ACK_TIMEOUT)),
                };
                waiting += 1 - usize::from(left.is_some());
                prop_assert_eq!(in_flight.held_bytes(), waiting * (10 + REPORT_BYTES));
            }
            while in_flight.remove_oldest().is_some() {}
            prop_assert!(in_flight.is_empty() && in_flight.held_bytes() == 0);
        }
    }
}
