//! A reading that may take any time, off the loop of its caller.

use std::{
    mem,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tidemap_service::clock::Stopwatch;

/// How long a caller waits for a reading. Most take less than a millisecond.
pub(super) const WAIT: Duration = Duration::from_millis(500);
/// After a reading that took this long, the next one is not waited for: its value is shown one reading later.
const SLOW_MS: u64 = 100;
/// A value is shown for this long after it was read: three of the agent's readings.
const STALE_MS: u64 = 15_000;
/// Readers call few functions, and keep their texts on the heap.
const STACK_BYTES: usize = 256 << 10;

/// One reader in a thread of its own. It has one request at a time, so there is never a second thread stuck
/// in it, and it holds up neither its caller nor the end of the process.
#[derive(Debug)]
pub(super) struct Background<T> {
    name: &'static str,
    requests: SyncSender<Request>,
    answers: Receiver<Answer<T>>,
    /// Whether a request has not been answered.
    is_pending: bool,
    /// Whether the caller may wait for it.
    is_worth_waiting: bool,
    is_slow: bool,
    /// Time since the last request was made.
    unrequested_ms: u64,
    latest: Option<T>,
    /// Time since the last answer.
    age_ms: u64,
    has_warned: bool,
}

/// A request to read.
#[derive(Debug)]
pub(super) struct Request {
    /// Time since the request before.
    pub(super) elapsed_ms: u64,
    made: Stopwatch,
}

#[derive(Debug)]
struct Answer<T> {
    value: T,
    took_ms: u64,
}

impl Request {
    /// A request made now, this long after the one before.
    pub(super) fn new(elapsed_ms: u64) -> Self {
        Self { elapsed_ms, made: Stopwatch::start() }
    }

    /// How much later than the request it is now, for rates: a file may have been opened for minutes. While
    /// the caller waits, nothing is late.
    pub(super) fn late_ms(&self) -> u64 {
        Some(self.made.now_ms()).filter(|late_ms| u128::from(*late_ms) >= WAIT.as_millis()).unwrap_or(0)
    }
}

impl<T: Send + 'static> Background<T> {
    /// Starts the thread, which reads nothing before it is asked. The name is the thread's, too.
    pub(super) fn start(name: &'static str, mut read: impl FnMut(&Request) -> T + Send + 'static) -> Self {
        // One request or answer at a time: the caller asks again only after it has taken the answer.
        let (requests, requested) = sync_channel::<Request>(1);
        let (answered, answers) = sync_channel(1);
        let work = move || {
            while let Ok(request) = requested.recv() {
                let begun = Stopwatch::start();
                let value = read(&request);
                let took_ms = begun.now_ms();
                if answered.send(Answer { value, took_ms }).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
        if let Err(error) = thread.spawn(work) {
            tracing::warn!(reader = name, %error, "cannot start a thread: its metrics are not known");
        }
        Self {
            name,
            requests,
            answers,
            is_pending: false,
            is_worth_waiting: false,
            is_slow: false,
            unrequested_ms: 0,
            latest: None,
            age_ms: 0,
            has_warned: false,
        }
    }

    /// Requests a reading, unless one is pending.
    pub(super) fn ask(&mut self, elapsed_ms: u64) {
        self.unrequested_ms = self.unrequested_ms.saturating_add(elapsed_ms);
        self.age_ms = self.age_ms.saturating_add(elapsed_ms);
        if let Ok(late) = self.answers.try_recv() {
            self.take(late);
        }
        self.is_worth_waiting = !self.is_pending && !self.is_slow;
        if !self.is_pending {
            let elapsed_ms = mem::take(&mut self.unrequested_ms);
            // Without its thread, a request stays pending, and the value is not known.
            self.is_pending = true;
            self.is_worth_waiting &= self.requests.try_send(Request::new(elapsed_ms)).is_ok();
        }
    }

    /// The value: of the last request if it is answered in time, otherwise the last one that is not too old.
    pub(super) fn answer(&mut self, wait: Duration) -> Option<&T> {
        if mem::take(&mut self.is_worth_waiting)
            && let Ok(answer) = self.answers.recv_timeout(wait)
        {
            self.take(answer);
        }
        if self.age_ms <= STALE_MS {
            return self.latest.as_ref();
        }
        if !mem::replace(&mut self.has_warned, true) {
            tracing::warn!(reader = self.name, "a reading hangs: its metrics are not known until it ends");
        }
        None
    }

    /// The last value, whatever its age.
    pub(super) fn latest(&self) -> Option<&T> {
        self.latest.as_ref()
    }

    fn take(&mut self, answer: Answer<T>) {
        self.is_pending = false;
        self.is_slow = answer.took_ms >= SLOW_MS;
        self.latest = Some(answer.value);
        self.age_ms = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const NOT_AT_ALL: Duration = Duration::ZERO;

    /// A reader that answers whenever it is let, with the time since its last request.
    fn reader() -> (Background<u64>, SyncSender<()>) {
        let (go, gate) = sync_channel(8);
        let read = move |request: &Request| {
            gate.recv().unwrap();
            request.elapsed_ms
        };
        (Background::start("test", read), go)
    }

    /// Waits for the answer to a request that was given up.
    fn wait_for_late(reader: &mut Background<u64>) {
        let answer = reader.answers.recv_timeout(LONG).unwrap();
        reader.take(answer);
    }

    #[test]
    fn an_answer_in_time_is_the_value() {
        let (mut reader, go) = reader();
        for elapsed_ms in [0, 2_000, 5_000] {
            go.send(()).unwrap();
            reader.ask(elapsed_ms);
            assert_eq!(reader.answer(LONG), Some(&elapsed_ms));
        }
    }

    #[test]
    fn a_reading_that_hangs_is_given_up_asked_once_and_stale_after_a_while() {
        let (mut reader, go) = reader();
        go.send(()).unwrap();
        reader.ask(1);
        assert_eq!(reader.answer(LONG), Some(&1));
        for _ in 0..3 {
            reader.ask(5_000);
            assert_eq!(reader.answer(NOT_AT_ALL), Some(&1), "the last value, for a while");
        }
        reader.ask(5_000);
        assert_eq!(reader.answer(LONG), None, "it is stale, and no longer waited for");
        // The request that hung was made after 5 s; the next one is about all the time since.
        go.send(()).unwrap();
        wait_for_late(&mut reader);
        assert_eq!(reader.answer(NOT_AT_ALL), Some(&5_000));
        reader.is_slow = false;
        go.send(()).unwrap();
        reader.ask(7);
        assert_eq!(reader.answer(LONG), Some(&15_007));
    }

    #[test]
    fn a_slow_reading_is_not_waited_for_and_shown_one_reading_later() {
        let (mut reader, go) = reader();
        reader.ask(1);
        assert_eq!(reader.answer(NOT_AT_ALL), None);
        go.send(()).unwrap();
        wait_for_late(&mut reader);
        reader.is_slow = true;
        reader.ask(2);
        assert_eq!(reader.answer(LONG), Some(&1), "of the request before");
        go.send(()).unwrap();
        wait_for_late(&mut reader);
        reader.is_slow = true;
        reader.ask(3);
        assert_eq!(reader.answer(LONG), Some(&2));
    }

    #[test]
    fn a_reader_without_a_thread_has_no_value() {
        let mut reader = Background::<u64>::start("test", |_| panic!("this reader fails"));
        for _ in 0..3 {
            reader.ask(5_000);
            assert_eq!(reader.answer(LONG), None);
        }
    }
}
