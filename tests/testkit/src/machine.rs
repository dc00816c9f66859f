//! How fast this machine is: a fixed loop, in wall-clock time, so that a slow processor and the load of other
//! programs count alike.
//!
//! Tests scale their time limits by it, which are written for an idle machine of usual speed. The loop is
//! measured once per process, again before a wait is given up, and from then on the slowest measurement
//! counts. Benches print it beside their figures.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// Steps of the loop, and their time in a debug build on an idle processor of usual speed.
const STEPS: u64 = 4_000_000;
const USUAL: Duration = Duration::from_millis(40);
/// Rounds of the loop; the median counts, because an interrupt may disturb a single round.
const ROUNDS: usize = 5;
/// A bound is stretched at most this many times.
const HIGHEST_FACTOR: f64 = 10.0;

/// How often [`StallWatch`] checks that it runs.
const BLINK: Duration = Duration::from_millis(20);

/// The highest factor measured so far, as the bits of an `f64`; 0 before the first measurement. Positive
/// floats and their bits have the same order.
static FACTOR: AtomicU64 = AtomicU64::new(0);

/// How many times longer than usual work takes on this machine: 1 or more.
pub fn slowness() -> f64 {
    match FACTOR.load(Ordering::Relaxed) {
        0 => measure(),
        bits => f64::from_bits(bits),
    }
}

/// A bound as long as it has to be on this machine.
pub fn scaled(bound: Duration) -> Duration {
    bound.mul_f64(slowness())
}

/// The same after another measurement: the machine may have become busier since the last one.
pub fn scaled_again(bound: Duration) -> Duration {
    bound.mul_f64(measure())
}

/// Says that a bound has passed, and what it was stretched by.
pub(crate) fn describe(bound: Duration) -> String {
    format!("not within {bound:?}, times {:.1} for the speed of this machine", slowness())
}

/// How fast this machine is now, in words: so figures of two days, or of two machines, can be compared.
pub fn speed() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let loop_ms = loop_time().as_secs_f64() * 1_000.0;
    // The compiler changes the loop, so times of different builds cannot be compared.
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("machine: {cores} cores, and a fixed loop takes {loop_ms:.1} ms ({build} build)")
}

/// The time of the fixed loop, in the middle one of a few rounds.
#[expect(clippy::disallowed_types, reason = "it measures the processor, also while a test pauses the clock")]
pub fn loop_time() -> Duration {
    let mut rounds = [(); ROUNDS].map(|()| {
        let start = std::time::Instant::now();
        let mut state = 1_u64;
        for step in 0..STEPS {
            state = black_box(state.rotate_left(5) ^ step);
        }
        black_box(state);
        start.elapsed()
    });
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

fn measure() -> f64 {
    let factor = (loop_time().as_secs_f64() / USUAL.as_secs_f64()).clamp(1.0, HIGHEST_FACTOR);
    let before = f64::from_bits(FACTOR.fetch_max(factor.to_bits(), Ordering::Relaxed));
    if factor > before {
        eprintln!("machine: {factor:.2} times slower than usual; bounds of time are so much longer");
    }
    factor.max(before)
}

/// How long this process was kept from running: how much later than asked its sleeps have ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stalls {
    total: Duration,
}

impl Stalls {
    /// Adds a sleep that was to last `asked`.
    pub(crate) fn add(&mut self, lasted: Duration, asked: Duration) {
        self.total += lasted.saturating_sub(asked);
    }

    /// The sum.
    pub fn total(&self) -> Duration {
        self.total
    }
}

/// Measures for how long nothing runs on this machine, until it is dropped.
pub struct StallWatch {
    stalled_us: Arc<AtomicU64>,
    _watching: JoinSet<()>,
}

impl StallWatch {
    /// Begins to measure.
    pub fn start() -> Self {
        let stalled_us = Arc::new(AtomicU64::new(0));
        let sum = Arc::clone(&stalled_us);
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            loop {
                let asleep = Instant::now();
                sleep(BLINK).await;
                let late = asleep.elapsed().saturating_sub(BLINK).as_micros();
                sum.fetch_add(u64::try_from(late).unwrap_or_default(), Ordering::Relaxed);
            }
        });
        Self { stalled_us, _watching: watching }
    }

    /// The sum since this was asked before.
    pub fn take(&self) -> Duration {
        Duration::from_micros(self.stalled_us.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_shorter_than_it_is_written() {
        let bound = Duration::from_secs(3);
        assert!(slowness() >= 1.0);
        assert!(scaled(bound) >= bound && scaled(bound) <= bound.mul_f64(HIGHEST_FACTOR));
        assert!(scaled_again(bound) >= scaled(bound));
    }

    #[test]
    fn only_what_a_sleep_took_too_long_is_a_stall() {
        let mut stalls = Stalls::default();
        stalls.add(Duration::from_millis(50), Duration::from_millis(50));
        assert_eq!(stalls.total(), Duration::ZERO);
        stalls.add(Duration::from_millis(350), Duration::from_millis(50));
        assert_eq!(stalls.total(), Duration::from_millis(300));
    }
}
