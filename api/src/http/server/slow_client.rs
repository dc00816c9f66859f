//! A connection that fails when its client is too slow to read.
//!
//! Bytes for a client that reads nothing stay in memory: the whole fleet's list of an old tick. A client that
//! reads a byte now and then could keep it there without limit, so the average rate counts.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// The minimum pace of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadPace {
    /// How long it may read nothing at a time.
    pub(super) max_stall: Duration,
    /// The rate that it must reach on average once that time is used up.
    pub(super) bytes_per_second: u32,
}

/// A stream that fails when the other side reads nothing for too long, or too little for much longer.
///
/// It works like a token bucket of time: waiting for the other side empties it; bytes that the other side
/// reads, and time in which no write waits, refill it. So `bytes` that are written at once stay in memory for
/// at most `max_stall` plus `bytes / bytes_per_second`.
#[derive(Debug)]
pub(super) struct SlowClientLimit<S> {
    stream: S,
    pace: ReadPace,
    /// The time left in the bucket at `since`.
    left: Duration,
    since: Instant,
    /// Runs while a write waits for the other side.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> SlowClientLimit<S> {
    pub(super) fn new(stream: S, pace: ReadPace) -> Self {
        Self { stream, pace, left: pace.max_stall, since: Instant::now(), stalled: None }
    }

    fn charge(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.settle();
            self.add(Duration::from_secs_f64(bytes as f64 / f64::from(self.pace.bytes_per_second)));
        }
        if written.is_ready() {
            return written;
        }
        if self.stalled.is_none() {
            self.settle();
        }
        let left = self.left;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client reads nothing any more, or too little",
        )))
    }

    /// Accounts for the time since `since`, during which a write either waited or did not.
    fn settle(&mut self) {
        let passed = self.since.elapsed();
        self.since += passed;
        match self.stalled.take() {
            Some(_) => self.left = self.left.saturating_sub(passed),
            None => self.add(passed),
        }
    }

    fn add(&mut self, time: Duration) {
        self.left = self.left.saturating_add(time).min(self.pace.max_stall);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SlowClientLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SlowClientLimit<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.charge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.charge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const MAX_STALL: Duration = Duration::from_millis(500);
    const TICK: Duration = Duration::from_millis(25);
    /// How much a client has to read in each tick.
    const ENOUGH: usize = 64;
    const READ_PACE: ReadPace =
        ReadPace { max_stall: MAX_STALL, bytes_per_second: (1_000 / 25) * ENOUGH as u32 };

    /// A client that reads this much in each tick, and a writer for it.
    fn client(reading: usize) -> SlowClientLimit<impl AsyncWrite + Unpin> {
        let (ours, mut theirs) = duplex(16);
        tokio::spawn(async move {
            let mut read = vec![0; reading];
            loop {
                tokio::time::sleep(TICK).await;
                if theirs.read_exact(&mut read).await.is_err() {
                    return;
                }
            }
        });
        SlowClientLimit::new(ours, READ_PACE)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let (ours, _theirs) = duplex(16);
        let mut writer = SlowClientLimit::new(ours, READ_PACE);
        let begun = Instant::now();
        let failed = writer.write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= MAX_STALL, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_too_little_is_disconnected_and_one_that_reads_enough_is_not() {
        // Each is written to for three times the longest allowed stall.
        client(ENOUGH * 2).write_all(&[0; ENOUGH * 2 * 60]).await.unwrap();
        let failed = client(ENOUGH / 4).write_all(&[0; ENOUGH / 4 * 60]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_little_because_it_is_sent_little_is_not_disconnected() {
        let mut writer = client(ENOUGH / 4);
        let begun = Instant::now();
        while begun.elapsed() < MAX_STALL * 3 {
            // The write waits for a while, and then no write waits for the same time.
            writer.write_all(&[0; ENOUGH]).await.unwrap();
            tokio::time::sleep(TICK * 4).await;
        }
    }
}
