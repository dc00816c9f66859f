//! Gathers reports into packs, one for each slot. Pure: time comes in as monotonic milliseconds.

use std::collections::VecDeque;

use bytes::Bytes;
use tidemap_wire::{PackWriter, Slot, timing};

/// How long the first report of a pack waits for others. A slot's packs share a subject, of which the log
/// keeps 10,000 messages for 10 minutes. At this pace a slot has 8,000 packs at most, which leaves room for
/// three full ones a second: 200 KB a second for each slot, 50 MB a second in all.
const LINGER_MS: u64 = timing::millis(timing::PACK_LINGER);

/// Packs that are being filled. Each report comes with an `R`, the information that is needed to answer it.
#[derive(Debug)]
pub struct Packer<R> {
    open: Vec<Open<R>>,
    /// When the slots' packs are due, earliest first. May contain a pack that was full and taken earlier.
    due: VecDeque<(u64, Slot)>,
    waiting: usize,
}

/// A pack that is ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingPack<R> {
    /// The slot of all its reports.
    pub slot: Slot,
    /// The message.
    pub payload: Bytes,
    /// The `R` of each report, in order.
    pub replies: Vec<R>,
}

#[derive(Debug)]
struct Open<R> {
    writer: PackWriter,
    replies: Vec<R>,
    due_ms: u64,
}

impl<R> Default for Open<R> {
    fn default() -> Self {
        Self { writer: PackWriter::default(), replies: Vec::new(), due_ms: 0 }
    }
}

impl<R> Default for Packer<R> {
    fn default() -> Self {
        let open = Slot::all().map(|_| Open::default()).collect();
        Self { open, due: VecDeque::new(), waiting: 0 }
    }
}

impl<R> Packer<R> {
    /// Adds a report, which must fit into an empty pack. If it does not fit into the slot's present pack,
    /// that one is returned and a new one begins.
    pub fn take(&mut self, slot: Slot, report: &[u8], reply: R, now_ms: u64) -> Option<OutgoingPack<R>> {
        let mut full = None;
        if !self.open_mut(slot).writer.push(report) {
            full = self.close(slot);
            self.open_mut(slot).writer.push(report);
        }
        let open = self.open_mut(slot);
        open.replies.push(reply);
        if open.writer.len() == 1 {
            open.due_ms = now_ms + LINGER_MS;
            self.due.push_back((now_ms + LINGER_MS, slot));
        }
        self.waiting += 1;
        full
    }

    /// The next pack that has waited long enough.
    pub fn due(&mut self, now_ms: u64) -> Option<OutgoingPack<R>> {
        while let Some((due_ms, slot)) = self.due.front().copied().filter(|(due_ms, _)| *due_ms <= now_ms) {
            self.due.pop_front();
            if self.open_mut(slot).due_ms == due_ms
                && let Some(pack) = self.close(slot)
            {
                return Some(pack);
            }
        }
        None
    }

    /// The next pack, due or not.
    pub fn flush(&mut self) -> Option<OutgoingPack<R>> {
        self.due(u64::MAX)
    }

    /// How many reports are gathered.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    fn close(&mut self, slot: Slot) -> Option<OutgoingPack<R>> {
        let Open { writer, replies, .. } = std::mem::take(self.open_mut(slot));
        self.waiting -= replies.len();
        (!writer.is_empty()).then(|| OutgoingPack { slot, payload: writer.finish().into(), replies })
    }

    fn open_mut(&mut self, slot: Slot) -> &mut Open<R> {
        &mut self.open[usize::from(slot.get())]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemap_wire::{Pack, decode};

    use super::*;

    /// What happens to a packer: a report of some length comes to a slot after some time.
    fn arrivals() -> impl Strategy<Value = Vec<(u8, usize, u64)>> {
        let length = prop_oneof![4 => 1_usize..400, 1 => 1_usize..=Pack::MAX_REPORT_BYTES];
        prop::collection::vec((0_u8..4, length, 0_u64..20), 0..120)
    }

    proptest! {
        #[test]
        fn every_report_is_in_one_pack_of_its_slot_in_order_and_in_time(arrivals in arrivals()) {
            let mut packer = Packer::default();
            let (mut now_ms, mut sent) = (0, Vec::new());
            for (number, (slot, length, after_ms)) in arrivals.iter().enumerate() {
                now_ms += after_ms;
                while let Some(pack) = packer.due(now_ms) {
                    sent.push((now_ms, pack));
                }
                let slot = slot.to_string().parse().unwrap();
                let full = packer.take(slot, &vec![number as u8; *length], (number, now_ms), now_ms);
                sent.extend(full.map(|pack| (now_ms, pack)));
            }
            for now_ms in now_ms..=now_ms + LINGER_MS {
                while let Some(pack) = packer.due(now_ms) {
                    sent.push((now_ms, pack));
                }
            }
            prop_assert_eq!((packer.waiting(), packer.flush()), (0, None));

            let mut seen = vec![Vec::new(); 4];
            for (sent_ms, OutgoingPack { slot, payload, replies }) in sent {
                prop_assert!(payload.len() <= Pack::MAX_BYTES);
                let pack: Pack<'_> = decode(&payload).unwrap();
                prop_assert_eq!(pack.reports().count(), replies.len());
                for (report, (number, came_ms)) in pack.reports().zip(replies) {
                    let (of, length, _) = arrivals[number];
                    prop_assert_eq!((report, slot.get()), (&*vec![number as u8; length], of));
                    // The next arrival comes up to 20 ms later, and only then does this test check the packs.
                    prop_assert!(sent_ms - came_ms <= LINGER_MS + 20);
                    seen[usize::from(of)].push(number);
                }
            }
            for (slot, seen) in (0_u8..).zip(seen) {
                let came: Vec<usize> = (0..arrivals.len()).filter(|number| arrivals[*number].0 == slot).collect();
                prop_assert_eq!(seen, came);
            }
        }
    }
}
