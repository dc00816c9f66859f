//! Errors and drops of the counted uplinks since the agent's run began.

use std::collections::BTreeMap;

use crate::{kernel::Faults, meter::Key};

/// Errors and drops, summed as bytes are: sums never fall.
#[derive(Clone, Debug, Default)]
pub struct FaultMeter {
    last: BTreeMap<Key, Faults>,
    total: Option<Faults>,
}

impl FaultMeter {
    /// Takes one reading of each counted uplink; returns the sums, unless nothing could be read ever.
    pub fn read(&mut self, readings: &[(Key, Option<Faults>)]) -> Option<Faults> {
        self.last.retain(|key, _| readings.iter().any(|(known, _)| known == key));
        for (key, faults) in readings {
            let Some(now) = *faults else { continue };
            let before = self.last.insert(key.clone(), now).unwrap_or(now);
            let total = self.total.get_or_insert(Faults { errors: 0, drops: 0 });
            // After a reset nobody knows what happened before it.
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
    fn faults_are_counted_from_the_first_reading_and_survive_a_reset() {
        let mut meter = FaultMeter::default();
        let mut read = |faults: Option<(u64, u64)>| {
            let faults = faults.map(|(errors, drops)| Faults { errors, drops });
            meter.read(&[(("eth0".into(), 1), faults)]).map(|total| (total.errors, total.drops))
        };
        assert_eq!(read(None), None);
        assert_eq!(read(Some((5, 7))), Some((0, 0)));
        assert_eq!(read(Some((6, 9))), Some((1, 2)));
        assert_eq!(read(None), Some((1, 2)));
        assert_eq!(read(Some((0, 0))), Some((1, 2)));
        assert_eq!(read(Some((1, 0))), Some((2, 2)));
    }
}
