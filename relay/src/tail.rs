//! What the broker has acknowledged in the last seconds. Pure.
//!
//! A broker whose machine crashes may lose what it acknowledged up to `sync_interval` (nats.conf) before. Agents see that
//! their server is another one and send those seconds again; behind a relay their server stays, so the relay does it for
//! them. Twice is harmless: ingest knows samples that it has seen.

use std::collections::VecDeque;

use bytes::Bytes;
use tidemap_wire::Slot;

/// What was acknowledged in this time is kept: twice what a broker may lose, as agents have it.
const KEPT_MS: u64 = 10_000;
/// As much memory it may take. With more than 6 MB of reports a second the time is shorter, and beyond 12 MB a second
/// shorter than what a crash may take away.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// Packs that the broker has, and may lose.
#[derive(Debug, Default)]
pub struct Tail {
    packs: VecDeque<(u64, Slot, Bytes)>,
    bytes: usize,
}

impl Tail {
    /// Takes note of a pack that was just acknowledged.
    pub fn keep(&mut self, slot: Slot, payload: Bytes, now_ms: u64) {
        self.bytes += payload.len();
        self.packs.push_back((now_ms, slot, payload));
        // Counted from the newest one, however long ago that was: the broker may have been away since.
        while let Some((kept_ms, _, payload)) = self.packs.front()
            && (self.bytes > KEPT_BYTES || kept_ms + KEPT_MS < now_ms)
        {
            self.bytes -= payload.len();
            self.packs.pop_front();
        }
    }

    /// Hands out everything, oldest first.
    pub fn take(&mut self) -> impl Iterator<Item = (Slot, Bytes)> {
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
        let kept = |tail: &mut Tail| tail.take().map(|(_, payload)| payload[0]).collect::<Vec<_>>();
        let mut tail = Tail::default();
        for second in 0..20 {
            tail.keep(slot, pack(second, 10), u64::from(second) * 1_000);
        }
        assert_eq!(kept(&mut tail), (9..20).collect::<Vec<u8>>());
        for number in 0..10 {
            tail.keep(slot, pack(number, KEPT_BYTES / 4), 20_000);
        }
        assert_eq!(kept(&mut tail), [6, 7, 8, 9]);
        assert!(kept(&mut tail).is_empty());
    }
}
