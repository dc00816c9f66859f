//! The pause of the backlog after failures.

/// The first pause. It doubles with each failure, up to the last.
const FIRST_PAUSE_MS: u64 = 500;
const LAST_PAUSE_MS: u64 = 10_000;

/// The pause after failures, which doubles until something succeeds.
#[derive(Debug)]
pub(super) struct Backoff {
    pause_ms: u64,
    until_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pause_ms: FIRST_PAUSE_MS, until_ms: 0 }
    }
}

impl Backoff {
    /// Begins a pause.
    pub(super) fn start(&mut self, now_ms: u64) {
        self.until_ms = now_ms + self.pause_ms;
        self.pause_ms = (self.pause_ms * 2).min(LAST_PAUSE_MS);
    }

    /// Ends the pause; the next one is short again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn pauses(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }
}
