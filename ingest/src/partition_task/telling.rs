//! Tells the history what a partition's nodes have done, part after part, in the 15 s after a minute's end,
//! and once more when the task ends; and what groups of them moved by the second.

use std::{collections::VecDeque, time::Duration};

use tokio::sync::mpsc;

use super::{Assignment, TICK};
use crate::{
    checkpoint::Round,
    group_seconds::SpanAdder,
    minute_messages::{MinutesMessage, Receipts, messages},
    minutes::Receipt,
    minutes_publisher::{MinutesPublisher, Request},
    partition::{PartitionState, all_until},
    window::minute_of,
};

/// A minute's row is published as long after its end: by then an agent's last samples of it have come.
const DELAY_MS: i64 = 5_000;
/// Acknowledgements that wait for the next tick.
const ACKNOWLEDGED: usize = 64;
/// Messages of sums by the second that wait; of more, the oldest are dropped. Peaks of groups are then those
/// of minutes.
const SECONDS: usize = 64;
/// How long a task that ends waits for acknowledgements. The next owner tells again what has none.
const LAST_TIMEOUT: Duration = Duration::from_millis(700);

/// Which part is next.
#[derive(Debug)]
pub(super) struct Telling {
    publisher: MinutesPublisher,
    round: Round,
    stored: mpsc::Sender<Receipts>,
    acknowledged: mpsc::Receiver<Receipts>,
    sums: SpanAdder,
    seconds: VecDeque<MinutesMessage>,
}

impl Telling {
    pub(super) fn new(publisher: MinutesPublisher) -> Self {
        let ticks = publisher.period.as_millis() / TICK.as_millis();
        let (stored, acknowledged) = mpsc::channel(ACKNOWLEDGED);
        Self {
            publisher,
            round: Round::over(usize::try_from(ticks).unwrap_or(usize::MAX)),
            stored,
            acknowledged,
            sums: SpanAdder::default(),
            seconds: VecDeque::new(),
        }
    }

    /// Tells of the parts that are due, as long as the publisher keeps up, and then of seconds.
    pub(super) fn tick(&mut self, assignment: &Assignment, state: &mut PartitionState, at_ms: i64) {
        self.take_receipts(state);
        self.tell_minutes(assignment, state, at_ms);
        self.tell_seconds(assignment, state, at_ms);
    }

    fn tell_minutes(&mut self, assignment: &Assignment, state: &PartitionState, at_ms: i64) {
        self.round.tick(|| state.parts(&assignment.slots));
        let until = minute_of(at_ms - DELAY_MS);
        while let Some(part) = self.round.due() {
            let mut room = self.publisher.room();
            if room.is_none() {
                return;
            }
            self.round.done([part]);
            for message in messages((assignment.epoch, at_ms), part, state.untold(part, until)) {
                let Some(permit) = room.take().or_else(|| self.publisher.room()) else { return };
                permit.send(Request { message, stored: self.stored.clone() });
            }
        }
    }

    /// Tells everything, also of the minute that has not ended.
    pub(super) async fn finish(mut self, assignment: &Assignment, state: &mut PartitionState, at_ms: i64) {
        self.take_receipts(state);
        if self.publisher.is_failing() {
            return;
        }
        let header = (assignment.epoch, at_ms);
        self.seconds.extend(self.sums.finish(header, &assignment.slots, state));
        let last: Vec<MinutesMessage> = state
            .parts(&assignment.slots)
            .into_iter()
            .flat_map(|part| messages(header, part, state.untold(part, all_until(at_ms))))
            .chain(std::mem::take(&mut self.seconds))
            .collect();
        let (stored, mut acknowledged) = mpsc::channel(last.len().max(1));
        let telling = async {
            for message in last {
                self.publisher.send(Request { message, stored: stored.clone() }).await;
            }
            drop(stored);
            while let Some(receipts) = acknowledged.recv().await {
                acknowledge(state, &receipts);
            }
        };
        if tokio::time::timeout(LAST_TIMEOUT, telling).await.is_err() {
            tracing::debug!(partition = %assignment.partition, "the last minutes were not stored in time");
        }
    }

    /// Best effort: minutes come first, and what is not stored is not published again.
    fn tell_seconds(&mut self, assignment: &Assignment, state: &PartitionState, at_ms: i64) {
        self.seconds.extend(self.sums.tick((assignment.epoch, at_ms), &assignment.slots, state));
        self.seconds.drain(..self.seconds.len().saturating_sub(SECONDS));
        while !self.seconds.is_empty()
            && let Some(permit) = self.publisher.room()
            && let Some(message) = self.seconds.pop_front()
        {
            permit.send(Request { message, stored: self.stored.clone() });
        }
    }

    fn take_receipts(&mut self, state: &mut PartitionState) {
        while let Ok(receipts) = self.acknowledged.try_recv() {
            acknowledge(state, &receipts);
        }
    }
}

fn acknowledge(state: &mut PartitionState, receipts: &Receipts) {
    for of_node in receipts.chunk_by(|(one, _), (other, _)| one == other) {
        let receipts: Vec<Receipt> = of_node.iter().map(|(_, receipt)| *receipt).collect();
        state.acknowledge(&of_node[0].0, &receipts);
    }
}
