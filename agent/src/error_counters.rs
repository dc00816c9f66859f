//! Errors and drops of the counted uplinks since this run of the agent began.

use std::collections::BTreeMap;

use crate::{kernel::ErrorCounts, meter::Key};

/// Errors and drops, summed in the same way as bytes: the sums never fall.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorCounters {
    last: BTreeMap<Key, ErrorCounts>,
    total: Option<ErrorCounts>,
}

impl ErrorCounters {
    /// Takes one reading of each counted uplink; returns the sums, or `None` if no reading has succeeded so
    /// far.
    pub(crate) fn read(&mut self, readings: &[(Key, Option<ErrorCounts>)]) -> Option<ErrorCounts> {
        self.last.retain(|key, _| readings.iter().any(|(known, _)| known == key));
        for (key, counts) in readings {
            let Some(now) = *counts else { continue };
            let before = self.last.insert(key.clone(), now).unwrap_or(now);
            let total = self.total.get_or_insert(ErrorCounts { errors: 0, drops: 0 });
            // Errors between the last reading and a reset are not known.
            total.errors += now.errors.saturating_sub(before.errors);
            total.drops += now.drops.saturating_sub(before.drops);
        }
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_count_from_the_first_reading_and_do_not_fall_at_a_reset() {
        let mut counters = ErrorCounters::default();
        let mut read = |counts: Option<(u64, u64)>| {
            let counts = counts.map(|(errors, drops)| ErrorCounts { errors, drops });
            counters.read(&[(("eth0".into(), 1), counts)]).map(|total| (total.errors, total.drops))
        };
        assert_eq!(read(None), None);
        assert_eq!(read(Some((5, 7))), Some((0, 0)));
        assert_eq!(read(Some((6, 9))), Some((1, 2)));
        assert_eq!(read(None), Some((1, 2)));
        assert_eq!(read(Some((0, 0))), Some((1, 2)));
        assert_eq!(read(Some((1, 0))), Some((2, 2)));
    }
}
