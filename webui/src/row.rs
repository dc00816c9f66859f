//! A row of the table, ready to be written.

use std::rc::Rc;

use tidemap_format::{self as format, Unit};
use tidemap_wire::Status;

use crate::store::Fleet;
use tidemap_parts::chart::Sparkline;

/// The box of a row's small line.
pub const TREND_SIZE: (u32, u32) = (118, 20);

/// What a row of the table says.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number in the fleet.
    pub row: usize,
    /// Its position in the list.
    pub position: usize,
    /// The name that identifies the node; empty where the node has gone while the order was held.
    pub name: Rc<str>,
    /// How the node is called.
    pub title: Rc<str>,
    /// The place's name.
    pub place: Option<Rc<str>>,
    /// The node's status.
    pub status: Status,
    /// Download in the reader's unit.
    pub download: String,
    /// Upload, likewise.
    pub upload: String,
    /// For a node that is late, since when: `3 min`, and `3 min 20 s`.
    pub age: Option<[String; 2]>,
    /// The small line, an SVG path.
    pub trend: String,
    /// Whether it is the selected one.
    pub is_selected: bool,
    /// Whether the tab key comes here.
    pub is_tab_stop: bool,
}

impl Row {
    /// The row of the fleet with this number, listed at `position`. `now_ms` is broker time.
    pub fn new(fleet: &Fleet, row: usize, position: usize, unit: Unit, now_ms: i64) -> Self {
        let points: Vec<_> = fleet.trends().of(row).collect();
        Self {
            row,
            position,
            name: fleet.name(row).cloned().unwrap_or_else(|| Rc::from("")),
            title: fleet.title(row).cloned().unwrap_or_else(|| Rc::from("")),
            place: fleet.location(row).cloned(),
            status: fleet.status(row),
            download: unit.bare(fleet.rx_bps(row)),
            upload: unit.bare(fleet.tx_bps(row)),
            age: fleet.age_ms(row, now_ms).map(|ms| [format::age(ms), format::duration(ms / 1000)]),
            trend: Sparkline::new(&points, TREND_SIZE.0, TREND_SIZE.1).line,
            is_selected: false,
            is_tab_stop: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fleet;
    use tidemap_wire::stream::{DeltaEvent, StatusRows};

    #[test]
    fn a_late_node_keeps_its_last_rate_and_says_how_old_it_is() {
        let mut fleet = fleet(&["a"]);
        assert_eq!(Row::new(&fleet, 0, 0, Unit::MegaBytes, 12_000).age, None);
        let status = StatusRows { i: vec![0], status: vec![2], age_ms: vec![200_000] };
        fleet
            .apply_delta(&DeltaEvent { at_ms: 12_000, status: Some(status), ..DeltaEvent::default() })
            .unwrap();
        let row = Row::new(&fleet, 0, 0, Unit::MegaBytes, 12_000);
        assert_eq!(row.age, Some(["3 min", "3 min 20 s"].map(str::to_owned)));
        assert_eq!((&*row.download, &*row.upload), ("0.00", "–"));
    }
}
