//! A budget for answers that are being read.
//!
//! Bytes for a slow client stay in memory: the list of a whole fleet, or the snapshot that opens an event
//! stream, of an old tick. Many such clients would fill the memory with lists of many ticks. So long answers
//! are charged to a budget, and once it is used up, no further one is made.

mod buffers;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use buffers::Buffers;

/// The unit that bytes are charged in.
const UNIT_BYTES: usize = 1024;

/// A limit on bytes in memory. Bytes are charged until the last holder drops them.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    free: Arc<Semaphore>,
    units: u32,
    buffers: Buffers,
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many long answers wait for clients that are slow to read them")]
pub(crate) struct OverBudget;

/// Bytes that are charged.
struct Charged {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: u32) -> Self {
        let units = bytes / UNIT_BYTES as u32;
        Self { free: Arc::new(Semaphore::new(units as usize)), units, buffers: Buffers::default() }
    }

    /// An empty buffer for about this many bytes, for [`Self::charge_buffer`].
    pub(crate) fn buffer(&self, len: usize) -> Vec<u8> {
        self.buffers.take(len)
    }

    /// As [`Self::charge`]. The memory becomes a buffer again when the last holder drops the bytes.
    pub(crate) fn charge_buffer(&self, bytes: Vec<u8>) -> Result<Bytes, OverBudget> {
        self.charge(self.buffers.lend(bytes))
    }

    /// Gives back the memory of all buffers that are not in use.
    pub(crate) fn drop_buffers(&self) {
        self.buffers.clear();
    }

    /// Charges these bytes until the last holder drops them. A value larger than the whole budget takes
    /// all of it.
    pub(crate) fn charge(&self, bytes: impl Into<Bytes>) -> Result<Bytes, OverBudget> {
        let bytes = bytes.into();
        let units = u32::try_from(bytes.len().div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units);
        let permit = Arc::clone(&self.free).try_acquire_many_owned(units).map_err(|_| OverBudget)?;
        Ok(Bytes::from_owner(Charged { bytes, _permit: permit }))
    }
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_charged_until_their_last_holder_drops_them() {
        let budget = MemoryBudget::new(10 * 1024);
        let half = budget.charge(vec![1; 5 * 1024]).unwrap();
        let (rest, more) = (budget.charge(vec![2; 4 * 1024 + 1]).unwrap(), budget.charge(vec![3; 1]));
        assert_eq!((half[0], rest[0], more), (1, 2, Err(OverBudget)));
        let same = rest.slice(7..);
        drop(rest);
        assert_eq!(budget.charge(vec![3; 1]), Err(OverBudget));
        drop(same);
        assert!(budget.charge(vec![3; 1]).is_ok());
        assert_eq!(budget.charge(vec![4; 1 << 20]), Err(OverBudget));
        drop(half);
        assert!(budget.charge(vec![4; 1 << 20]).is_ok(), "what is larger than the budget takes all of it");
    }
}
