//! The fleet as it was in a time that is over: the same nodes, with what they moved then.

use tidemap_wire::Status;

use super::Fleet;

/// Generations and changes of a past fleet are as far beyond those of the live one, so that whoever compares
/// them sees another fleet.
const APART: u64 = 1 << 32;

/// What nodes moved in a time that is over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Means {
    /// The nodes' names, ordered by their bytes.
    pub names: Vec<String>,
    /// The mean download of each, bytes per second.
    pub rx_bps: Vec<f64>,
    /// The mean upload of each.
    pub tx_bps: Vec<f64>,
}

impl Fleet {
    /// The same nodes with these rates. Who is not named was not heard in that time.
    pub(crate) fn with_means(&self, means: &Means) -> Self {
        let mut fleet = self.clone();
        fleet.is_past = true;
        fleet.generation += APART;
        fleet.changes += APART;
        fleet.trends = super::Trends::default();
        for row in 0..fleet.len() {
            let found = fleet.names[row].as_deref().and_then(|name| means.position_of(name));
            let rate = |rates: &[f64]| found.map_or(f32::NAN, |at| rates[at] as f32);
            (fleet.rx_bps[row], fleet.tx_bps[row]) = (rate(&means.rx_bps), rate(&means.tx_bps));
            let status = if found.is_some() { Status::Online } else { Status::Unknown };
            fleet.statuses[row] = status.code();
        }
        fleet
    }

    /// Whether it is of a time that is over.
    pub fn is_past(&self) -> bool {
        self.is_past
    }
}

impl Means {
    fn position_of(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|other| (**other).cmp(name)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::store::tests::fleet;

    #[test]
    fn nodes_show_what_they_moved_then_and_who_was_not_heard_has_no_rate() {
        let live = fleet(&["b", "a", "c"]);
        let means = json::means(r#"{"names":["a","b","gone"],"rx":[5,0,9],"tx":[1,2.5,9]}"#).unwrap();
        let past = live.with_means(&means);
        let rates = |row| (past.rx_bps(row), past.tx_bps(row), past.status(row));
        assert_eq!(rates(0), (Some(0.0), Some(2.5), Status::Online));
        assert_eq!(rates(1), (Some(5.0), Some(1.0), Status::Online));
        assert_eq!(rates(2), (None, None, Status::Unknown));
        assert_eq!(past.age_ms(2, 99_000), None, "how long ago the last report was says nothing of then");
        assert!(past.is_past() && past.generation() != live.generation() && past.changes() != live.changes());
        assert!(json::means(r#"{"names":["a"],"rx":[],"tx":[1]}"#).is_err());
        assert!(json::means("null").is_err());
    }
}
