//! A connection whose client must go on reading.
//!
//! What is written to a client that reads nothing stays in memory: the whole fleet's body, of a tick long past. One that
//! reads a byte now and then would keep it there as long as it likes, so what counts is the pace.

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

/// How long a client may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// In one go, when it has kept us waiting for nothing before.
    pub(super) most: Duration,
    /// What it takes gives it time for as much as it takes at this pace, in bytes a second.
    pub(super) pace: u32,
}

/// A stream that fails when the other side takes nothing for too long, or too little for much longer.
///
/// There is a store of time. It is used up while the other side keeps us waiting, and filled by what it takes, and by the
/// time in which nothing waits for it. So `bytes` that are written at once are held for `most` and `bytes / pace` at the most.
#[derive(Debug)]
pub(super) struct Patience<S> {
    stream: S,
    terms: Terms,
    /// What was left in the store at `since`.
    left: Duration,
    since: Instant,
    /// Runs while the other side keeps us waiting.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> Patience<S> {
    pub(super) fn new(stream: S, terms: Terms) -> Self {
        Self { stream, terms, left: terms.most, since: Instant::now(), stalled: None }
    }

    fn judge(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.settle();
            self.add(Duration::from_secs_f64(bytes as f64 / f64::from(self.terms.pace)));
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
            "the client takes nothing any more, or too little",
        )))
    }

    /// Counts the time since `since`, in which the client kept us waiting or did not.
    fn settle(&mut self) {
        let passed = self.since.elapsed();
        self.since += passed;
        match self.stalled.take() {
            Some(_) => self.left = self.left.saturating_sub(passed),
            None => self.add(passed),
        }
    }

    fn add(&mut self, time: Duration) {
        self.left = self.left.saturating_add(time).min(self.terms.most);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(written, context)
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

    const MOST: Duration = Duration::from_millis(500);
    const TICK: Duration = Duration::from_millis(25);
    /// What a client has to take in each tick.
    const ENOUGH: usize = 64;
    const TERMS: Terms = Terms { most: MOST, pace: (1_000 / 25) * ENOUGH as u32 };

    /// A client that takes so much in each tick, and a writer for it.
    fn client(taking: usize) -> Patience<impl AsyncWrite + Unpin> {
        let (ours, mut theirs) = duplex(16);
        tokio::spawn(async move {
            let mut taken = vec![0; taking];
            loop {
                tokio::time::sleep(TICK).await;
                if theirs.read_exact(&mut taken).await.is_err() {
                    return;
                }
            }
        });
        Patience::new(ours, TERMS)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = duplex(16);
        let mut writer = Patience::new(ours, TERMS);
        let begun = Instant::now();
        let failed = writer.write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= MOST, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_client_that_takes_too_little_is_given_up_and_one_that_takes_enough_is_not() {
        // Each is written to for three times as long as one may stop.
        client(ENOUGH * 2).write_all(&[0; ENOUGH * 2 * 60]).await.unwrap();
        let failed = client(ENOUGH / 4).write_all(&[0; ENOUGH / 4 * 60]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_takes_little_because_it_is_sent_little_is_not_given_up() {
        let mut writer = client(ENOUGH / 4);
        let begun = Instant::now();
        while begun.elapsed() < MOST * 3 {
            // It keeps us waiting for a while, and has as long to recover.
            writer.write_all(&[0; ENOUGH]).await.unwrap();
            tokio::time::sleep(TICK * 4).await;
        }
    }
}
