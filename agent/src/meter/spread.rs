//! Bytes of a driver that updates a counter seldom, spread over the time in which they moved.

/// Bytes that were read and not reported yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    held: u64,
    left_ms: u64,
}

impl Spread {
    /// Takes the bytes of a reading; returns those that moved in its time, one period ago. Without a period,
    /// they moved now.
    pub(super) fn pass(&mut self, moved: u64, elapsed_ms: u64, period_ms: Option<u64>) -> u64 {
        let Some(period_ms) = period_ms else {
            return self.share(elapsed_ms).saturating_add(moved);
        };
        if moved > 0 {
            self.held = self.held.saturating_add(moved);
            // One reading more, because the next update may come a little late.
            self.left_ms = period_ms + elapsed_ms;
        }
        self.share(elapsed_ms)
    }

    /// How much is held.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Everything that is held.
    pub(super) fn take(&mut self) -> u64 {
        self.left_ms = 0;
        std::mem::take(&mut self.held)
    }

    fn share(&mut self, elapsed_ms: u64) -> u64 {
        if self.left_ms <= elapsed_ms {
            return self.take();
        }
        let part = u128::from(self.held) * u128::from(elapsed_ms) / u128::from(self.left_ms);
        let part = u64::try_from(part).unwrap_or(self.held);
        self.held -= part;
        self.left_ms -= elapsed_ms;
        part
    }
}
