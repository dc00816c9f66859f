//! What clients of HTTP/2 have not taken yet.
//!
//! Such a client can leave an answer untaken on a connection that it reads, so how fast it reads the
//! connection says nothing. Every piece of an answer has a time by which it has to be on its way instead.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use warp::hyper::body::{Body, Frame, SizeHint};

use crate::http::server::slow_client::ReadPace;

/// How often the times are compared with the clock.
const CHECK_PERIOD: Duration = Duration::from_secs(5);

/// The pieces of one connection that are in memory.
#[derive(Clone, Debug)]
pub(super) struct Unsent {
    pace: ReadPace,
    /// By when each has to be sent.
    deadlines: Arc<Mutex<Deadlines>>,
}

#[derive(Debug, Default)]
struct Deadlines {
    next: u64,
    of: BTreeMap<u64, Instant>,
}

/// A piece, which leaves the list when its last owner drops it.
struct UnsentPart {
    bytes: Bytes,
    number: u64,
    unsent: Unsent,
}

/// A body whose pieces are in the list.
pub(super) struct Watched<B> {
    body: Pin<Box<B>>,
    unsent: Unsent,
}

impl Unsent {
    pub(super) fn new(pace: ReadPace) -> Self {
        Self { pace, deadlines: Arc::default() }
    }

    pub(super) fn watch<B>(&self, body: B) -> Watched<B> {
        Watched { body: Box::pin(body), unsent: self.clone() }
    }

    /// Ends when a piece should long have been sent.
    pub(super) async fn is_overdue(&self) {
        while self.lock().of.values().all(|deadline| Instant::now() < *deadline) {
            tokio::time::sleep(CHECK_PERIOD).await;
        }
    }

    fn add(&self, bytes: Bytes) -> Bytes {
        let taking = Duration::from_secs_f64(bytes.len() as f64 / f64::from(self.pace.bytes_per_second));
        let mut deadlines = self.lock();
        let number = deadlines.next;
        deadlines.next += 1;
        deadlines.of.insert(number, Instant::now() + self.pace.max_stall + taking);
        drop(deadlines);
        Bytes::from_owner(UnsentPart { bytes, number, unsent: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Deadlines> {
        self.deadlines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for UnsentPart {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for UnsentPart {
    fn drop(&mut self) {
        self.unsent.lock().of.remove(&self.number);
    }
}

impl<B: Body<Data = Bytes>> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(self.body.as_mut().poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| self.unsent.add(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_piece_that_is_not_taken_is_overdue_in_proportion_to_its_length() {
        let pace = ReadPace { max_stall: Duration::from_secs(30), bytes_per_second: 1_000 };
        let unsent = Unsent::new(pace);
        let overdue_after = async |lengths: &[usize]| {
            let kept: Vec<Bytes> = lengths.iter().map(|length| unsent.add(vec![0; *length].into())).collect();
            let begun = Instant::now();
            unsent.is_overdue().await;
            drop(kept);
            begun.elapsed().as_secs()
        };
        assert_eq!(overdue_after(&[10]).await, 35);
        assert_eq!(overdue_after(&[60_000]).await, 90);
        assert_eq!(overdue_after(&[60_000, 10]).await, 35);
        assert!(unsent.lock().of.is_empty(), "what was sent is no longer in the list");
    }
}
