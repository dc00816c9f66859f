//! Which messages wait for acknowledgements, and which are to be published again. Pure: time comes in as
//! monotonic milliseconds.

use std::{collections::VecDeque, time::Duration};

use crate::clock::whole_ms;

/// Messages that wait for their answers, by number.
#[derive(Debug)]
pub struct InFlight<T> {
    /// By number, from `first` on. `None` is an answered message; it is removed once all before it are
    /// answered.
    waiting: VecDeque<Option<Waiting<T>>>,
    /// The number of the first entry.
    first: u64,
    len: usize,
    timeout_ms: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    message: T,
    sent_ms: u64,
}

impl<T> InFlight<T> {
    /// Creates an empty queue. A message without an answer is overdue after `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self { waiting: VecDeque::new(), first: 0, len: 0, timeout_ms: whole_ms(timeout) }
    }

    /// The number that the next message will have.
    pub fn next_number(&self) -> u64 {
        self.first + self.waiting.len() as u64
    }

    /// Adds a message that is published now, and returns its number.
    pub fn add(&mut self, message: T, now_ms: u64) -> u64 {
        let number = self.next_number();
        self.waiting.push_back(Some(Waiting { message, sent_ms: now_ms }));
        self.len += 1;
        number
    }

    /// Removes the message with this number because its answer came. `None` when it no longer waits.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let removed = self.waiting.get_mut(index)?.take()?;
        self.len -= 1;
        while self.waiting.front().is_some_and(Option::is_none) {
            self.waiting.pop_front();
            self.first += 1;
        }
        Some(removed.message)
    }

    /// Removes and returns the oldest message with its number, if its answer is overdue.
    pub fn remove_overdue(&mut self, now_ms: u64) -> Option<(u64, T)> {
        let oldest = self.waiting.front()?.as_ref()?;
        if now_ms.saturating_sub(oldest.sent_ms) < self.timeout_ms {
            return None;
        }
        self.remove_oldest()
    }

    /// Removes and returns the oldest message with its number. For a new connection, on which no answer can
    /// come.
    pub fn remove_oldest(&mut self) -> Option<(u64, T)> {
        let number = self.first;
        self.remove(number).map(|message| (number, message))
    }

    /// The messages, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().flatten().map(|waiting| &waiting.message)
    }

    /// The messages, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.waiting.iter_mut().flatten().map(|waiting| &mut waiting.message)
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Messages that are to be published again after a pause.
#[derive(Debug)]
pub struct RetryQueue<T> {
    /// Messages in the order in which they leave, with the times at which they are due.
    messages: VecDeque<(u64, T)>,
    pause_ms: u64,
}

impl<T> RetryQueue<T> {
    /// Creates an empty queue.
    pub fn new(pause: Duration) -> Self {
        Self { messages: VecDeque::new(), pause_ms: whole_ms(pause) }
    }

    /// Adds a message that has just failed.
    pub fn push(&mut self, message: T, now_ms: u64) {
        self.messages.push_back((now_ms + self.pause_ms, message));
    }

    /// Adds messages without a pause: each is due as soon as those before it have left.
    pub fn extend(&mut self, messages: impl IntoIterator<Item = T>) {
        self.messages.extend(messages.into_iter().map(|message| (0, message)));
    }

    /// Removes the oldest message if it is due.
    pub fn pop(&mut self, now_ms: u64) -> Option<T> {
        let (_, message) = self.messages.pop_front_if(|(due_ms, _)| *due_ms <= now_ms)?;
        Some(message)
    }

    /// How many messages wait to be published again.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is nothing to publish again.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(4);

    #[test]
    fn an_overdue_message_is_removed_and_its_late_answer_ignored() {
        let mut in_flight = InFlight::new(TIMEOUT);
        let (first, second) = (in_flight.add("a", 0), in_flight.add("b", 10));
        assert_eq!(in_flight.remove_overdue(3_999), None);
        assert_eq!(in_flight.remove_overdue(4_000), Some((first, "a")));
        assert_eq!(in_flight.remove_overdue(4_000), None);
        assert_eq!((in_flight.remove(first), in_flight.remove(second)), (None, Some("b")));
        assert!(in_flight.is_empty());
    }

    #[test]
    fn failed_messages_are_retried_in_order_after_a_pause() {
        let mut retry = RetryQueue::new(Duration::from_secs(1));
        retry.extend([1]);
        assert_eq!(retry.pop(0), Some(1));
        retry.push(2, 500);
        retry.push(3, 700);
        assert_eq!((retry.pop(1_499), retry.pop(1_500), retry.pop(1_500)), (None, Some(2), None));
        retry.extend([4]);
        assert_eq!(retry.pop(1_699), None);
        assert_eq!((retry.pop(1_700), retry.pop(1_700), retry.pop(1_700)), (Some(3), Some(4), None));
    }

    proptest! {
        #[test]
        fn answers_may_come_in_any_order_and_count_once(
            order in Just((0..30_u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut in_flight = InFlight::new(TIMEOUT);
            for number in 0..30 {
                prop_assert_eq!((in_flight.next_number(), in_flight.add(number, 0)), (number, number));
            }
            for (answered, number) in order.into_iter().enumerate() {
                prop_assert_eq!((in_flight.len(), in_flight.iter().count()), (30 - answered, 30 - answered));
                prop_assert_eq!(in_flight.remove(number), Some(number));
                prop_assert_eq!(in_flight.remove(number), None);
            }
            prop_assert!(in_flight.is_empty());
            prop_assert_eq!((in_flight.remove(99), in_flight.add(1, 0)), (None, 30));
        }

        #[test]
        fn every_message_leaves_by_its_answer_or_its_timeout(
            steps in prop::collection::vec((0_u64..2_000, any::<bool>(), 0_u64..60), 1..60),
        ) {
            let mut in_flight = InFlight::new(TIMEOUT);
            let (mut now_ms, mut sent, mut left) = (0, 0, 0);
            for (after_ms, adds, answered) in steps {
                now_ms += after_ms;
                if adds {
                    in_flight.add(now_ms, now_ms);
                    sent += 1;
                }
                left += usize::from(in_flight.remove(answered).is_some());
                while let Some((_, sent_ms)) = in_flight.remove_overdue(now_ms) {
                    prop_assert!(now_ms - sent_ms >= 4_000);
                    left += 1;
                }
                prop_assert!(in_flight.iter().all(|sent_ms| now_ms - sent_ms < 4_000));
                prop_assert_eq!(in_flight.len(), sent - left);
            }
        }
    }
}
