//! Looks at the interfaces as often as it is worth its cost.

use super::schedule::Schedule;
use crate::{
    config::AgentConfig,
    links::{Change, Links},
};

/// Between looks at what may have changed about interfaces that were there before. New and vanished
/// interfaces are noticed at every tick.
const THOROUGH_PERIOD_MS: u64 = 15_000;
/// Thorough looks after a change or a doubtful reading: a new device may get its master, and a link its new
/// speed, a moment later.
const THOROUGH_LOOKS: u8 = 3;

/// The interfaces, and what has changed about them.
pub(super) struct LinkWatch {
    pub(super) links: Links,
    thorough: Schedule,
    /// Thorough looks to come, whatever the time.
    thorough_looks: u8,
    /// The greatest change since it was taken last.
    change: Change,
}

impl LinkWatch {
    pub(super) fn new(config: &AgentConfig) -> anyhow::Result<Self> {
        Ok(Self {
            links: Links::new(config)?,
            thorough: Schedule::new(THOROUGH_PERIOD_MS, config.interval),
            thorough_looks: 0,
            change: Change::Counted,
        })
    }

    /// Looks as a tick demands it.
    pub(super) fn tick(&mut self, now_ms: u64) {
        let thorough = self.thorough.is_due(now_ms);
        if thorough {
            self.thorough.done(now_ms);
        }
        self.look(thorough || self.thorough_looks > 0);
    }

    pub(super) fn look(&mut self, thorough: bool) {
        let change = self.links.look(thorough);
        if change == Change::Counted {
            self.thorough_looks = THOROUGH_LOOKS;
        } else {
            self.thorough_looks = self.thorough_looks.saturating_sub(1);
        }
        self.change = self.change.max(change);
    }

    /// A reading was doubtful: something may have changed that a plain look does not notice.
    pub(super) fn doubt(&mut self) {
        self.thorough_looks = THOROUGH_LOOKS;
    }

    pub(super) fn change(&self) -> Change {
        self.change
    }

    /// The change is dealt with.
    pub(super) fn clear_change(&mut self) {
        self.change = Change::None;
    }
}
