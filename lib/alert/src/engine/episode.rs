//! One time that a condition holds, from its begin to its end.

use crate::rules::{Rule, Test, Verdict};

/// Of a gap between two evaluators up to this long, the time counts.
const HANDOVER_MS: i64 = 60_000;

/// Whether people were notified of a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notified {
    NotYet,
    Yes,
    /// They will not be: it fired in quiet hours that drop.
    Never,
}

/// Moments are Unix milliseconds of the broker's clock.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Episode {
    /// Since when the condition holds. It is the same for every evaluator.
    pub(super) since_ms: i64,
    /// From when `for` counts: later than `since_ms` by the time in which nobody could say.
    pub(super) held_from_ms: i64,
    /// When the engine first knew of it.
    pub(super) seen_ms: i64,
    pub(super) fired_ms: Option<i64>,
    /// Since when the condition is over, while the alert fires on.
    pub(super) clear_ms: Option<i64>,
    /// Since when nobody can say whether it holds.
    pub(super) frozen_ms: Option<i64>,
    /// Whether it was frozen by the end of an evaluator.
    pub(super) is_restored: bool,
    pub(super) value: Option<f64>,
    pub(super) peak: Option<f64>,
    pub(super) notified: Notified,
    pub(super) repeats: u32,
    /// When people were last notified of it.
    pub(super) notified_ms: i64,
}

/// What is due of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Fire,
    Resolve,
    Repeat,
}

impl Episode {
    pub(super) fn new(since_ms: i64, now_ms: i64) -> Self {
        Self {
            since_ms: since_ms.min(now_ms),
            held_from_ms: since_ms.min(now_ms),
            seen_ms: now_ms,
            fired_ms: None,
            clear_ms: None,
            frozen_ms: None,
            is_restored: false,
            value: None,
            peak: None,
            notified: Notified::NotYet,
            repeats: 0,
            notified_ms: now_ms,
        }
    }

    /// What is next, and when; `None` while only a new reading changes something.
    pub(super) fn due(&self, rule: &Rule) -> Option<(i64, Due)> {
        if self.frozen_ms.is_some() {
            return None;
        }
        if self.fired_ms.is_none() {
            return Some((self.held_from_ms.saturating_add(rule.for_ms).max(self.seen_ms), Due::Fire));
        }
        if let Some(clear_ms) = self.clear_ms {
            return Some((clear_ms.saturating_add(rule.keep_firing_ms), Due::Resolve));
        }
        let wait_ms = rule.repeat.wait_ms(self.repeats).filter(|_| self.notified == Notified::Yes);
        wait_ms.map(|wait_ms| (self.notified_ms.saturating_add(wait_ms), Due::Repeat))
    }

    /// Nobody can say whether it goes on.
    pub(super) fn freeze(&mut self, now_ms: i64) {
        self.frozen_ms.get_or_insert(now_ms);
    }

    /// Somebody can say so again. The time between does not count.
    fn thaw(&mut self, now_ms: i64) {
        let Some(frozen_ms) = self.frozen_ms.take() else { return };
        let gap_ms = (now_ms - frozen_ms).max(0);
        if !(std::mem::take(&mut self.is_restored) && gap_ms <= HANDOVER_MS) {
            self.held_from_ms += gap_ms;
            self.clear_ms = self.clear_ms.map(|clear_ms| clear_ms + gap_ms);
        }
    }

    /// Applies a reading. Returns whether the episode goes on; one that has fired does until it is resolved.
    /// `status_since_ms` is since when the condition holds, where that is known.
    pub(super) fn apply(
        &mut self,
        verdict: Verdict,
        value: Option<f64>,
        test: &Test,
        status_since_ms: Option<i64>,
        now_ms: i64,
    ) -> bool {
        if verdict == Verdict::Frozen {
            self.freeze(now_ms);
            return true;
        }
        self.thaw(now_ms);
        if verdict == Verdict::Kept {
            return true;
        }
        if self.fired_ms.is_none() && verdict != Verdict::Holds {
            return false;
        }
        self.value = value;
        if let Some(value) = value.filter(|_| verdict == Verdict::Holds) {
            self.peak = Some(self.peak.map_or(value, |peak| test.worse(peak, value)));
        }
        if let Some(since_ms) = status_since_ms.filter(|_| self.fired_ms.is_none()) {
            self.held_from_ms = since_ms.min(now_ms);
        }
        if verdict == Verdict::Over {
            self.clear_ms.get_or_insert(now_ms);
        } else {
            self.clear_ms = None;
        }
        true
    }
}
