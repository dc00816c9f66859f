//! How far a stream was read, and how much of that it still holds.
//!
//! A broker that crashes loses what it had not yet synced to its disk, and gives those numbers to other
//! messages. The replacements must be read, although messages with their numbers were read before. The
//! messages that are left must not be read again, because a node remembers only its last few runs.
//!
//! A message's number and the nanosecond at which it was stored identify it. So a position carries the ids of
//! some earlier messages, its *marks*. The newest mark that the stream still has proves that everything
//! before it is still there, too, whatever the clocks of the broker's machines have done. Only messages
//! between that mark and the next, which is gone, are judged by time: those stored between the two are old. A
//! clock that was set back can make a message be read twice, which is harmless unless its run is forgotten.
//! It could hide a message only by storing it within exactly the second that was lost, and under one of the
//! lost numbers. Marks are a second apart where the broker's disk may lag (`sync_interval` in `nats.conf` is
//! 5 s), and wider apart the older they are.

use async_nats::jetstream::stream::{Info, RawMessageErrorKind, Stream};
use serde::{Deserialize, Serialize};

use super::{ANSWER_TIMEOUT, ask, nanos};

/// The gap between two marks is at most their age divided by this, or a second.
const FINENESS: u64 = 5;
/// The log reaches back less far than this.
const REACH_S: u64 = 1_024;
/// A clock that jumps back and forth could leave any number of marks. A steady one leaves fewer than this.
const MAX_MARKS: usize = 96;
const SECOND_NS: i64 = 1_000_000_000;

/// How far a stream was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// When the stream was created: one that was created again has the same name and other messages. 0 before
    /// it was read.
    pub created_ns: i64,
    /// The newest message that was read.
    pub applied: u64,
    /// When the broker stored that message: a stream that lost its end gives the number to another message.
    pub applied_ns: i64,
    /// Some of the messages up to this one, oldest first.
    #[serde(default)]
    pub marks: Vec<MessageId>,
}

/// A message's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageId(
    /// Its number in the stream.
    pub u64,
    /// When the broker stored it, Unix nanoseconds.
    pub i64,
);

/// The messages that a stream has now.
trait StoredMessages {
    /// The oldest and the newest number.
    fn range(&self) -> (u64, u64);

    /// When it stored a message; `None` when it has none of this number.
    async fn stored_ns(&self, sequence: u64) -> anyhow::Result<Option<i64>>;
}

impl StoredMessages for Stream {
    fn range(&self) -> (u64, u64) {
        let state = &self.cached_info().state;
        (state.first_sequence, state.last_sequence)
    }

    async fn stored_ns(&self, sequence: u64) -> anyhow::Result<Option<i64>> {
        match ask(ANSWER_TIMEOUT, || self.get_raw_message(sequence)).await? {
            Ok(message) => Ok(Some(nanos(message.time))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl LogPosition {
    /// The position before the oldest message of a stream. Messages that it dropped earlier do not count as
    /// lost.
    pub fn beginning(stream: &Info) -> Self {
        Self::before(nanos(stream.created), stream.state.first_sequence)
    }

    /// Moves on to the next message.
    pub fn pass(&mut self, sequence: u64, stored_ns: i64) {
        (self.applied, self.applied_ns) = (sequence, stored_ns);
        if self.marks.last().is_none_or(|mark| mark.second() != second(stored_ns)) {
            self.marks.push(MessageId(sequence, stored_ns));
            self.thin();
        }
    }

    /// When the broker stored the newest message, Unix milliseconds.
    pub fn applied_ms(&self) -> i64 {
        self.applied_ns.div_euclid(1_000_000)
    }

    /// The part of this position that a stream created at the same time still has, or has dropped because of
    /// its age.
    ///
    /// # Errors
    ///
    /// When the broker does not answer.
    pub async fn left_in(&self, stream: &Stream) -> anyhow::Result<Self> {
        self.left(stream).await
    }

    fn before(created_ns: i64, first: u64) -> Self {
        Self { created_ns, applied: first.saturating_sub(1), ..Self::default() }
    }

    async fn left(&self, held: &impl StoredMessages) -> anyhow::Result<Self> {
        let (first, last) = held.range();
        if self.applied_ns == 0 && self.applied <= last {
            return Ok(self.clone());
        }
        let mut gone = MessageId(self.applied, self.applied_ns);
        if gone.is_in(held).await? {
            return Ok(self.clone());
        }
        for mark in self.marks.iter().rev() {
            if mark.is_in(held).await? {
                let MessageId(applied, applied_ns) = newest_between(held, *mark, gone).await?;
                let marks = self.marks.iter().filter(|mark| mark.0 <= applied).copied().collect();
                return Ok(Self { created_ns: self.created_ns, applied, applied_ns, marks });
            }
            gone = *mark;
        }
        // Nothing is known to be left, so everything is read: better twice than never.
        Ok(Self::before(self.created_ns, first))
    }

    /// Drops the marks that lie close together for their age.
    fn thin(&mut self) {
        let now = second(self.applied_ns);
        let mut kept: Vec<MessageId> = Vec::with_capacity(self.marks.len());
        for (number, mark) in self.marks.iter().enumerate().rev() {
            let age_s = now.abs_diff(mark.second());
            let older = number.checked_sub(1).and_then(|older| self.marks.get(older));
            let is_close = older
                .zip(kept.last())
                .is_some_and(|(older, newer)| newer.second().abs_diff(older.second()) <= age_s / FINENESS);
            if age_s < REACH_S && !is_close && kept.len() < MAX_MARKS {
                kept.push(*mark);
            }
        }
        kept.reverse();
        self.marks = kept;
    }
}

impl MessageId {
    fn second(self) -> i64 {
        second(self.1)
    }

    async fn is_in(self, held: &impl StoredMessages) -> anyhow::Result<bool> {
        let (first, last) = held.range();
        Ok(self.0 <= last && (self.0 < first || held.stored_ns(self.0).await? == Some(self.1)))
    }
}

/// The newest message that was stored between one that is left and a later one that is gone.
async fn newest_between(
    held: &impl StoredMessages,
    left: MessageId,
    gone: MessageId,
) -> anyhow::Result<MessageId> {
    let (first, last) = held.range();
    let mut newest = MessageId(left.0.max(first.saturating_sub(1)), left.1);
    let mut beyond = gone.0.min(last + 1);
    while newest.0 + 1 < beyond {
        let middle = newest.0.midpoint(beyond);
        match held.stored_ns(middle).await? {
            Some(stored_ns) if (left.1..=gone.1).contains(&stored_ns) => {
                newest = MessageId(middle, stored_ns);
            }
            _ => beyond = middle,
        }
    }
    Ok(newest)
}

fn second(at_ns: i64) -> i64 {
    at_ns.div_euclid(SECOND_NS)
}

#[cfg(test)]
mod tests;
