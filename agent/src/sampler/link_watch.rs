//! Decides how thoroughly to check the interfaces at each tick.

use super::schedule::Schedule;
use crate::{
    config::AgentConfig,
    links::{Change, Links},
};

/// Between checks of interfaces that were there before for changes. New and vanished interfaces are noticed
/// at every tick.
const THOROUGH_PERIOD_MS: u64 = 15_000;
/// Thorough checks after a change or a doubtful reading: a new device may get its master, or a link its new
/// speed, a moment later.
const MAX_THOROUGH_CHECKS: u8 = 3;

/// The interfaces, and what has changed about them.
pub(super) struct LinkWatch {
    pub(super) links: Links,
    thorough: Schedule,
    /// Thorough checks that are due regardless of the time.
    thorough_checks: u8,
    /// The greatest change since the last `clear_change`.
    change: Change,
}

impl LinkWatch {
    pub(super) fn new(config: &AgentConfig) -> anyhow::Result<Self> {
        Ok(Self {
            links: Links::new(config)?,
            thorough: Schedule::new(THOROUGH_PERIOD_MS, config.interval),
            thorough_checks: 0,
            change: Change::Counted,
        })
    }

    /// Checks as thoroughly as is due at this tick.
    pub(super) fn tick(&mut self, now_ms: u64) {
        let thorough = self.thorough.is_due(now_ms);
        if thorough {
            self.thorough.done(now_ms);
        }
        self.look(thorough || self.thorough_checks > 0);
    }

    pub(super) fn look(&mut self, thorough: bool) {
        let change = self.links.look(thorough);
        if change == Change::Counted {
            self.thorough_checks = MAX_THOROUGH_CHECKS;
        } else {
            self.thorough_checks = self.thorough_checks.saturating_sub(1);
        }
        self.change = self.change.max(change);
    }

    /// A reading was doubtful: something may have changed that a plain check does not notice.
    pub(super) fn doubt(&mut self) {
        self.thorough_checks = MAX_THOROUGH_CHECKS;
    }

    /// Notes a change that is not one of the topology.
    pub(super) fn note(&mut self, change: Change) {
        self.change = self.change.max(change);
    }

    pub(super) fn change(&self) -> Change {
        self.change
    }

    /// Notes that the change has been handled.
    pub(super) fn clear_change(&mut self) {
        self.change = Change::None;
    }
}
