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
            let total = self.total.get_or_insert_default();
            // Errors between the last reading and a reset are not known.
            for (sum, now, before) in [
                (&mut total.rx_errors, now.rx_errors, before.rx_errors),
                (&mut total.tx_errors, now.tx_errors, before.tx_errors),
                (&mut total.rx_drops, now.rx_drops, before.rx_drops),
                (&mut total.tx_drops, now.tx_drops, before.tx_drops),
            ] {
                *sum = sum.saturating_add(now.saturating_sub(before));
            }
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
        let mut read = |counts: Option<[u64; 4]>| {
            let counts = counts.map(|[rx_errors, tx_errors, rx_drops, tx_drops]| ErrorCounts {
                rx_errors,
                tx_errors,
                rx_drops,
                tx_drops,
            });
            let total = counters.read(&[(("eth0".into(), 1), counts)])?;
            Some([total.rx_errors, total.tx_errors, total.rx_drops, total.tx_drops])
        };
        assert_eq!(read(None), None);
        assert_eq!(read(Some([5, 7, 9, 11])), Some([0; 4]));
        assert_eq!(read(Some([6, 9, 12, 15])), Some([1, 2, 3, 4]));
        assert_eq!(read(None), Some([1, 2, 3, 4]));
        assert_eq!(read(Some([0; 4])), Some([1, 2, 3, 4]));
        assert_eq!(read(Some([1, 0, 0, 2])), Some([2, 2, 3, 6]));
    }
}
