//! Probes: round trips to targets that this agent's own operator names. An agent obeys nobody, so no message
//! can add one.
//!
//! `target` reads what the operator names, `book` adds outcomes up to minutes; both are pure. `attempt` sends
//! one probe, `lookup` resolves its host. Each target has a task of its own and nothing waits for it: neither
//! the sampler nor the publisher, which takes a minute once it is there.

mod attempt;
mod book;
mod icmp;
mod lookup;
mod outcome;
mod target;

use std::time::Duration;

use tidemap_wire::Probe;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};

use attempt::Attempts;
use book::Book;
use outcome::Outcome;

pub(crate) use target::Target;

/// Between two results. The first comes earlier, so that a new probe is soon seen to work.
const RESULTS: Duration = Duration::from_secs(60);
const FIRST_RESULT_AFTER: Duration = Duration::from_secs(10);
/// Probes begin within this time, so that they do not all go out together.
const SPREAD: Duration = Duration::from_secs(1);
/// Outcomes between a probe and the book. Each task waits for room, so a full queue makes probes rarer.
const OUTCOMES: usize = 16;
/// Minutes that the publisher has not taken. More are dropped: it publishes a sample a minute at least, so it
/// is stuck then.
const MINUTES: usize = 2;

/// Probes in the background, until it is dropped.
pub(crate) struct Probes {
    minutes: mpsc::Receiver<Vec<Probe>>,
    _tasks: JoinSet<()>,
}

impl Probes {
    /// Probes each target once per `period`. Must be called within a runtime.
    pub(crate) fn start(targets: &[Target], period: Duration) -> Self {
        let (minute_sender, minutes) = mpsc::channel(MINUTES);
        let (outcome_sender, outcomes) = mpsc::channel(OUTCOMES);
        let mut tasks = JoinSet::new();
        for (number, target) in targets.iter().enumerate() {
            tasks.spawn(repeat(target.clone(), number, period, outcome_sender.clone()));
        }
        if !targets.is_empty() {
            tasks.spawn(add_up(Book::new(targets), outcomes, minute_sender));
        }
        Self { minutes, _tasks: tasks }
    }

    /// The newest minute, if there is one that was not taken yet.
    pub(crate) fn take(&mut self) -> Option<Vec<Probe>> {
        let mut newest = None;
        while let Ok(minute) = self.minutes.try_recv() {
            newest = Some(minute);
        }
        newest
    }
}

/// Probes one target until nobody listens any more.
async fn repeat(target: Target, number: usize, period: Duration, outcomes: mpsc::Sender<(usize, Outcome)>) {
    sleep(SPREAD.mul_f64(fastrand::f64())).await;
    let mut attempts = Attempts::new(target);
    let mut ticks = interval_at(Instant::now(), period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = attempts.next().await;
        if outcomes.send((number, outcome)).await.is_err() {
            return;
        }
    }
}

/// Adds outcomes up, and passes each minute on.
async fn add_up(
    mut book: Book,
    mut outcomes: mpsc::Receiver<(usize, Outcome)>,
    minutes: mpsc::Sender<Vec<Probe>>,
) {
    let mut ends = interval_at(Instant::now() + FIRST_RESULT_AFTER, RESULTS);
    ends.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            outcome = outcomes.recv() => match outcome {
                Some((number, outcome)) => book.add(number, outcome),
                None => return,
            },
            _ = ends.tick() => {
                let minute = book.close();
                if !minute.is_empty() && minutes.try_send(minute).is_err() {
                    tracing::warn!("the publisher is stuck: a minute of probes is lost");
                }
            }
        }
    }
}
