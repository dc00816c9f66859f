//! Standard error, where logs and words for people go.
//!
//! A process must not end, or stand still, because nobody takes what it logs: the disk may be full, the
//! reader of a pipe gone, a terminal stopped. So lines are queued, and a thread of their own writes them. A
//! line that cannot be written, or for which there is no room, is dropped and counted.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    mem,
    sync::{Condvar, Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Room for lines that are not written yet: seconds of the busiest log.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;
/// How long a process waits for its last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static STDERR: Stderr =
    Stderr { queue: Mutex::new(Queue::new()), changed: Condvar::new(), writer: Once::new() };

/// Says something to the person who has started this program, in a line of its own.
pub fn say(words: impl fmt::Display) {
    STDERR.push(format!("{words}\n").into_bytes());
}

/// Waits until all lines so far are written, for at most a second.
pub fn flush() {
    STDERR.flush(FLUSH_TIMEOUT);
}

/// For the log: each write is one line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogWriter;

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDERR.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stderr {
    /// A standard mutex, held for moments only.
    queue: Mutex<Queue>,
    changed: Condvar,
    writer: Once,
}

impl Stderr {
    fn push(&'static self, line: Vec<u8>) {
        self.writer.call_once(|| {
            let thread = thread::Builder::new().name("stderr".to_owned());
            let writing = thread.spawn(|| self.write_all(&mut io::stderr()));
            self.queue().has_writer = writing.is_ok();
        });
        let mut queue = self.queue();
        if queue.has_writer {
            queue.push(line);
            drop(queue);
            self.changed.notify_all();
        } else {
            // The system has no thread left for this process.
            drop(queue);
            io::stderr().write_all(&line).ok();
        }
    }

    fn write_all(&self, out: &mut impl Write) {
        let mut queue = self.queue();
        loop {
            if let Some(line) = queue.begin() {
                drop(queue);
                let written = out.write_all(&line).is_ok();
                let lost = self.queue().end(written);
                self.changed.notify_all();
                if lost > 0 {
                    // By way of the log itself, so that it has the log's format.
                    tracing::warn!(lost, "lines of this log could not be written and are lost");
                }
                queue = self.queue();
            } else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn flush(&self, limit: Duration) {
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        // After the limit the lines are lost, and the process ends all the same.
        drop(self.changed.wait_timeout_while(self.queue(), limit, is_busy));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines that wait for the writer, and the number of those that were lost.
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lost since the last line that was written.
    lost: u64,
    is_writing: bool,
    has_writer: bool,
}

impl Queue {
    const fn new() -> Self {
        Self { lines: VecDeque::new(), bytes: 0, lost: 0, is_writing: false, has_writer: false }
    }

    fn push(&mut self, line: Vec<u8>) {
        if self.bytes + line.len() > MAX_QUEUED_BYTES {
            self.lost += 1;
        } else {
            self.bytes += line.len();
            self.lines.push_back(line);
        }
    }

    /// The next line to write.
    fn begin(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        self.is_writing = true;
        Some(line)
    }

    /// Notes whether it was written. Returns how many lines were lost before it, if that is to be said now.
    fn end(&mut self, written: bool) -> u64 {
        self.is_writing = false;
        if written {
            return mem::take(&mut self.lost);
        }
        self.lost += 1;
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_room_are_lost_and_counted_at_the_next_that_is_written() {
        let mut queue = Queue::new();
        let line = vec![b'x'; MAX_QUEUED_BYTES / 4];
        for _ in 0..7 {
            queue.push(line.clone());
        }
        assert_eq!((queue.lines.len(), queue.lost), (4, 3));
        assert_eq!(queue.begin().unwrap().len(), line.len());
        assert_eq!(queue.end(false), 0, "the disk is full, so nothing can be said");
        assert!(queue.begin().is_some());
        assert_eq!(queue.end(true), 4);
        queue.push(line);
        assert_eq!((queue.lines.len(), queue.lost), (3, 0));
    }
}
