//! Whether a node still reports.

use tidemap_wire::Status;

use super::Node;

/// A node is online for at least this long after a report, however short its interval.
const MIN_ONLINE_MS: i64 = 5_000;

/// The broker's time is known to a few seconds: a report may seem to be from a future as near as this.
const FUTURE_MS: i64 = 10_000;

impl Node {
    /// Heals after the broker's clock was put back: what was heard in its future counts as heard now.
    fn follow(&mut self, now_ms: i64) {
        if self.seen_ms.max(self.current_heard_ms) <= now_ms + FUTURE_MS {
            return;
        }
        for heard_ms in [&mut self.seen_ms, &mut self.current_heard_ms, &mut self.since_ms] {
            *heard_ms = now_ms.min(*heard_ms);
        }
        self.changed.any = true;
    }

    /// Judges whether the node still reports. `alive_ms` is the earliest time from which silence counts,
    /// because no node can report while the broker is away. Returns the new status if it has changed.
    pub fn judge(&mut self, now_ms: i64, alive_ms: i64, offline_after_ms: i64) -> Option<Status> {
        self.follow(now_ms);
        let heard_ms = self.seen_ms.max(alive_ms);
        let (status, since_ms) = if now_ms - heard_ms < self.online_limit_ms() {
            (Status::Online, heard_ms)
        } else if now_ms - heard_ms < offline_after_ms {
            (Status::Warning, heard_ms + self.online_limit_ms())
        } else {
            (Status::Offline, heard_ms + offline_after_ms)
        };
        // Only a report makes a silent node come back; the broker's return alone does not.
        let only_by_grace = status < self.status && now_ms - self.seen_ms >= self.online_limit_ms();
        if status == self.status || only_by_grace {
            return None;
        }
        self.status = status;
        // Computed from the report's time, so that a worker that replays the log an hour later gets the same
        // value.
        self.since_ms = since_ms;
        self.changed.any = true;
        Some(status)
    }

    pub(super) fn is_current_silent(&self, published_ms: i64) -> bool {
        published_ms - self.current_heard_ms >= self.online_limit_ms()
    }

    fn online_limit_ms(&self) -> i64 {
        (i64::from(self.interval_ms) * 3).max(MIN_ONLINE_MS)
    }
}
