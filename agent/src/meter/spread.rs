//! Bytes of a driver that updates its counters seldom, spread over the time in which they moved.

use super::Moved;

/// Bytes that were read and not reported yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    held: Moved,
    left_ms: u64,
}

impl Spread {
    /// Takes the bytes of a reading; returns those that moved in its time, one period ago. Without a period,
    /// they moved now.
    pub(super) fn pass(&mut self, moved: Moved, elapsed_ms: u64, period_ms: Option<u64>) -> Moved {
        let Some(period_ms) = period_ms else {
            let mut all = self.share(elapsed_ms);
            all.add(moved);
            return all;
        };
        if moved != Moved::default() {
            self.held.add(moved);
            // One reading more, because the next update may come a little late.
            self.left_ms = period_ms + elapsed_ms;
        }
        self.share(elapsed_ms)
    }

    /// Everything that is held.
    pub(super) fn take(&mut self) -> Moved {
        self.left_ms = 0;
        std::mem::take(&mut self.held)
    }

    fn share(&mut self, elapsed_ms: u64) -> Moved {
        if self.left_ms <= elapsed_ms {
            return self.take();
        }
        let part = |bytes: &mut u64| {
            let part = u128::from(*bytes) * u128::from(elapsed_ms) / u128::from(self.left_ms);
            let part = u64::try_from(part).unwrap_or(*bytes);
            *bytes -= part;
            part
        };
        let share =
            Moved { rx_bytes: part(&mut self.held.rx_bytes), tx_bytes: part(&mut self.held.tx_bytes) };
        self.left_ms -= elapsed_ms;
        share
    }
}
