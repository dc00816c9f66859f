//! Nodes that have gone offline recently. Nodes that have been offline for longer are counted elsewhere.

use tidemap_wire::Status;

use crate::store::Fleet;

/// How long an offline node counts as recent.
const NEWS_MS: u64 = 300_000;

/// How many nodes have gone offline in the last minutes.
pub fn recently_offline(fleet: &Fleet) -> usize {
    let is_recent = |row: &usize| {
        fleet.status(*row) == Status::Offline
            && fleet.name(*row).is_some()
            && fleet.age_ms(*row, fleet.at_ms()).is_some_and(|age_ms| age_ms <= NEWS_MS)
    };
    (0..fleet.len()).filter(is_recent).count()
}

#[cfg(test)]
mod tests {
    use super::recently_offline;
    use crate::store::tests::fleet;
    use tidemap_wire::stream::{DeltaEvent, StatusRows, encode_rows};

    #[test]
    fn a_node_counts_as_recently_offline_for_five_minutes() {
        let mut fleet = fleet(&["a", "b", "c"]);
        let status = StatusRows {
            i: encode_rows([0, 1, 2]),
            status: vec![2, 2, 1],
            age_ms: vec![9_000, 400_000, 9_000],
        };
        fleet
            .apply_delta(&DeltaEvent { at_ms: 500_000, status: Some(status), ..DeltaEvent::default() })
            .unwrap();
        assert_eq!(recently_offline(&fleet), 1);
        fleet.apply_delta(&DeltaEvent { at_ms: 800_000, ..DeltaEvent::default() }).unwrap();
        assert_eq!(recently_offline(&fleet), 0);
    }
}
