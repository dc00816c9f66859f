//! Memory of long answers that is used again.
//!
//! The list of a large fleet takes tens of megabytes and is written every second while somebody polls it.
//! Memory of that size that is freed goes back to the system, which clears each page before it hands it
//! out again: a quarter of the API's time in its bench.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Buffers that wait to be used again: a list and its compressed form, and those of the list before it, which
/// clients are still reading.
const KEPT: usize = 4;

/// Buffers that are not in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// Bytes whose memory is used again.
struct Lent {
    bytes: Vec<u8>,
    buffers: Buffers,
}

impl Buffers {
    /// An empty buffer: the smallest that has room for `len` bytes.
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        let mut spare = self.lock();
        let large_enough = spare.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= len);
        match large_enough.min_by_key(|(_, buffer)| buffer.capacity()).map(|(place, _)| place) {
            Some(place) => spare.swap_remove(place),
            None => Vec::with_capacity(len),
        }
    }

    /// Bytes that become a buffer when their last holder drops them.
    pub(super) fn lend(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { bytes, buffers: self.clone() })
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.lock();
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.buffers.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_after_its_last_holder_has_dropped_it() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(1_000);
        buffer.extend([7; 500]);
        let (place, capacity) = (buffer.as_ptr(), buffer.capacity());
        let lent = buffers.lend(buffer);
        let part = lent.slice(100..);
        drop(lent);
        let another = buffers.take(1_000);
        assert_ne!(another.as_ptr(), place, "a part of it is held");
        assert_eq!(part[0], 7);
        drop(part);
        let again = buffers.take(900);
        assert_eq!((again.as_ptr(), again.len(), again.capacity()), (place, 0, capacity));
    }

    #[test]
    fn the_smallest_buffer_that_suffices_is_taken_and_few_are_kept() {
        let buffers = Buffers::default();
        for len in [3_000, 1_000, 2_000, 5_000, 9_000] {
            drop(buffers.lend(Vec::with_capacity(len)));
        }
        assert_eq!(buffers.lock().len(), KEPT);
        assert_eq!(
            [1_500, 1_500, 10, 6_000].map(|len| buffers.take(len).capacity()),
            [2_000, 3_000, 1_000, 6_000]
        );
        buffers.clear();
        assert_eq!(buffers.take(10).capacity(), 10);
    }
}
