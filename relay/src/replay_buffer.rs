//! Packs that the broker acknowledged in the last seconds. Pure.
//!
//! A broker that crashes may lose what it acknowledged within the last `sync_interval` (`nats.conf`). Agents
//! notice that their server is another one and send these seconds again. Behind a relay, the agents' server
//! stays the same, so the relay does it for them. A report that arrives twice does no harm, as ingest drops
//! duplicates.

use std::collections::VecDeque;

use bytes::Bytes;
use tidemap_wire::{Slot, timing};

/// Packs stay for this long, as samples do in agents.
const KEPT_MS: u64 = timing::millis(timing::RESEND);
/// The limit of memory. Above 6 MB of reports a second, packs are kept for less than 10 s; above 12 MB a
/// second, for less than a crash may lose.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// Packs that the broker has acknowledged but may still lose.
#[derive(Debug, Default)]
pub(crate) struct ReplayBuffer {
    packs: VecDeque<(u64, Slot, Bytes)>,
    bytes: usize,
}

impl ReplayBuffer {
    /// Adds a pack that is acknowledged now.
    pub(crate) fn push(&mut self, slot: Slot, payload: Bytes, now_ms: u64) {
        self.bytes += payload.len();
        self.packs.push_back((now_ms, slot, payload));
        // Age is counted from the newest pack, however long ago that was, because the broker may have been
        // away since.
        while let Some((kept_ms, _, payload)) = self.packs.front()
            && (self.bytes > KEPT_BYTES || kept_ms + KEPT_MS < now_ms)
        {
            self.bytes -= payload.len();
            self.packs.pop_front();
        }
    }

    /// Removes all packs, oldest first.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (Slot, Bytes)> {
        self.bytes = 0;
        std::mem::take(&mut self.packs).into_iter().map(|(_, slot, payload)| (slot, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seconds_before_the_newest_pack_are_kept_and_no_more_than_fits() {
        let slot: Slot = "7".parse().unwrap();
        let pack = |first: u8, len: usize| Bytes::from(vec![first; len]);
        let kept =
            |buffer: &mut ReplayBuffer| buffer.take().map(|(_, payload)| payload[0]).collect::<Vec<_>>();
        let mut buffer = ReplayBuffer::default();
        for second in 0..20 {
            buffer.push(slot, pack(second, 10), u64::from(second) * 1_000);
        }
        assert_eq!(kept(&mut buffer), (9..20).collect::<Vec<u8>>());
        for number in 0..10 {
            buffer.push(slot, pack(number, KEPT_BYTES / 4), 20_000);
        }
        assert_eq!(kept(&mut buffer), [6, 7, 8, 9]);
        assert!(kept(&mut buffer).is_empty());
    }
}
