//! Room for answers that wait to be read.
//!
//! What a client is slow to take stays in memory: the list of a whole fleet, or the snapshot that an event stream opens with,
//! of a tick long past. Many such clients would fill the memory with lists of as many ticks. So what is long takes room, and
//! when there is none, no further one is made.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answers::NotBuilt;

/// In what steps room is counted.
const STEP_BYTES: usize = 1024;

/// Room for so many bytes. Who holds some of it gives it back by dropping the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    steps: u32,
}

/// Bytes that take room.
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Room {
    pub(crate) fn new(bytes: u32) -> Self {
        let steps = bytes / STEP_BYTES as u32;
        Self { free: Arc::new(Semaphore::new(steps as usize)), steps }
    }

    /// Takes the room that these bytes need, for as long as somebody has them. What is larger than all of it needs all.
    pub(crate) fn hold(&self, bytes: impl Into<Bytes>) -> Result<Bytes, NotBuilt> {
        let bytes = bytes.into();
        let steps = u32::try_from(bytes.len().div_ceil(STEP_BYTES)).unwrap_or(u32::MAX).min(self.steps);
        let room = Arc::clone(&self.free).try_acquire_many_owned(steps).map_err(|_| NotBuilt::NoRoom)?;
        Ok(Bytes::from_owner(Held { bytes, _room: room }))
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_until_the_last_who_has_the_bytes_drops_them() {
        let room = Room::new(10 * 1024);
        let half = room.hold(vec![1; 5 * 1024]).unwrap();
        let (rest, more) = (room.hold(vec![2; 4 * 1024 + 1]).unwrap(), room.hold(vec![3; 1]));
        assert_eq!((half[0], rest[0], more), (1, 2, Err(NotBuilt::NoRoom)));
        let same = rest.slice(7..);
        drop(rest);
        assert_eq!(room.hold(vec![3; 1]), Err(NotBuilt::NoRoom));
        drop(same);
        assert!(room.hold(vec![3; 1]).is_ok());
        assert_eq!(room.hold(vec![4; 1 << 20]), Err(NotBuilt::NoRoom));
        drop(half);
        assert!(room.hold(vec![4; 1 << 20]).is_ok(), "what fits nowhere gets all there is");
    }
}
