//! The rules of the lease, without the broker and without a clock: which station judges.
//!
//! There is one lease, and its holder writes it again every second, by compare-and-swap. The only sign of
//! death is a revision that does not change, measured on the observer's own clock. An observer that could not
//! read the lease meanwhile concludes nothing, so an outage of the broker starts no takeover. Two stations
//! never judge at once: a holder whose writes fail stops well before another may take over, and of two that
//! write over the same revision only one succeeds.

use tidemap_wire::timing;

/// A lease that has not changed for this long is dead.
const DEAD_AFTER_MS: u64 = timing::millis(timing::LEASE_TAKEOVER);
/// A holder that has not written for this long does not judge.
const FREEZE_AFTER_MS: u64 = timing::millis(timing::LEASE_FREEZE);
/// Readings that an observer must have made while the lease did not change.
const READINGS_NEEDED: u64 = timing::HEARTBEATS_BEFORE_TAKEOVER;
/// Between two readings; after more, an observer begins again to watch whether the lease changes.
const READING_GAP_MS: u64 = 2_500;

/// What a station should write now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseAction {
    /// Nothing.
    Wait,
    /// The lease over `revision` (0: there is none), to take or to keep it.
    Write {
        /// What the compare-and-swap names.
        revision: u64,
    },
}

/// The lease in the bucket, as one station knows it.
#[derive(Debug)]
pub(crate) struct LeaseView {
    me: String,
    seen: Option<Sighting>,
    mine: Option<Held>,
}

#[derive(Debug)]
struct Sighting {
    /// In a bucket that was created again, revisions start over.
    created: i64,
    /// 0: there is no lease.
    revision: u64,
    is_free: bool,
    since_ms: u64,
    last_ms: u64,
    readings: u64,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    revision: u64,
    renewed_ms: u64,
}

impl LeaseView {
    /// The view of a station that has read nothing yet.
    pub(crate) fn new(me: &str) -> Self {
        Self { me: me.to_owned(), seen: None, mine: None }
    }

    /// Notes what was read: the owner and the revision, or that there is no lease, in the bucket that was
    /// created at `created`. `now_ms` is monotonic.
    pub(crate) fn observe(&mut self, lease: Option<(&str, u64)>, created: i64, now_ms: u64) {
        let (owner, revision) = lease.unwrap_or_default();
        if let Some(mine) = &mut self.mine {
            if owner == self.me {
                // A write whose answer was lost. When it was stored is not known, so it renews nothing.
                mine.revision = revision;
            } else if lease.is_none() && is_fresh(now_ms.saturating_sub(mine.renewed_ms)) {
                // The bucket was lost, and nobody can have taken the lease before.
                mine.revision = 0;
            } else {
                self.mine = None;
            }
        }
        let is_still = self.seen.as_ref().is_some_and(|seen| {
            (seen.created, seen.revision) == (created, revision)
                && now_ms.saturating_sub(seen.last_ms) <= READING_GAP_MS
        });
        match &mut self.seen {
            Some(seen) if is_still => (seen.last_ms, seen.readings) = (now_ms, seen.readings + 1),
            seen => {
                // A lease that is missing may have been lost, and its holder writes it again.
                let is_free = owner.is_empty() && lease.is_some();
                *seen = Some(Sighting {
                    created,
                    revision,
                    is_free,
                    since_ms: now_ms,
                    last_ms: now_ms,
                    readings: 0,
                });
            }
        }
    }

    /// Notes that the broker stored the lease of this station, which it had begun to write at `begun_ms`.
    pub(crate) fn written(&mut self, revision: u64, begun_ms: u64) {
        self.mine = Some(Held { revision, renewed_ms: begun_ms });
    }

    /// What to write now.
    pub(crate) fn plan(&self, now_ms: u64) -> LeaseAction {
        if let Some(mine) = self.mine {
            return LeaseAction::Write { revision: mine.revision };
        }
        match &self.seen {
            Some(seen) if seen.is_free || seen.is_dead(now_ms) => {
                LeaseAction::Write { revision: seen.revision }
            }
            _ => LeaseAction::Wait,
        }
    }

    /// Whether this station judges.
    #[cfg(test)]
    pub(crate) fn is_active(&self, now_ms: u64) -> bool {
        self.mine.is_some_and(|mine| is_fresh(now_ms.saturating_sub(mine.renewed_ms)))
    }

    /// The revision under which this station holds the lease, and when it was renewed.
    pub(crate) fn held(&self) -> Option<(u64, u64)> {
        self.mine.map(|mine| (mine.revision, mine.renewed_ms))
    }
}

impl Sighting {
    fn is_dead(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) <= READING_GAP_MS
            && self.last_ms.saturating_sub(self.since_ms) >= DEAD_AFTER_MS
            && self.readings >= READINGS_NEEDED
    }
}

/// Whether a holder that renewed its lease this long ago still judges.
pub(crate) fn is_fresh(since_renewal_ms: u64) -> bool {
    since_renewal_ms < FREEZE_AFTER_MS
}

#[cfg(test)]
mod tests;
