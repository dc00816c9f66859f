//! The nodes that move most.

use std::rc::Rc;

use tidemap_wire::Status;

use crate::pace::REORDER_MS;
use crate::store::Fleet;
use crate::totals::Direction;

/// How many are named for each direction.
pub const MOST: usize = 5;

/// A node that moves much.
#[derive(Clone, Debug, PartialEq)]
pub struct Talker {
    /// The name that identifies it.
    pub name: Rc<str>,
    /// How it is called.
    pub title: Rc<str>,
    /// What it moves now, bytes per second.
    pub rate_bps: Option<f64>,
}

/// The nodes named for one direction. They are sorted again every [`REORDER_MS`], and not at all while the
/// order is held.
#[derive(Debug, Default)]
pub struct Talkers {
    names: Vec<Rc<str>>,
    made_ms: f64,
}

impl Talkers {
    /// Those who move most, the first of them first, with what they move now.
    pub fn list(&mut self, fleet: &Fleet, direction: Direction, is_held: bool, now_ms: f64) -> Vec<Talker> {
        if self.names.is_empty() || (!is_held && now_ms - self.made_ms >= REORDER_MS) {
            self.names = top(fleet, direction);
            self.made_ms = now_ms;
        }
        let talker = |name: &Rc<str>| {
            let row = fleet.row_of(name)?;
            let title = Rc::clone(fleet.title(row)?);
            Some(Talker { name: Rc::clone(name), title, rate_bps: rate(fleet, direction, row) })
        };
        self.names.iter().filter_map(talker).collect()
    }
}

fn top(fleet: &Fleet, direction: Direction) -> Vec<Rc<str>> {
    let mut rows: Vec<(f64, usize)> = Vec::new();
    for row in 0..fleet.len() {
        let Some(rate) = rate(fleet, direction, row).filter(|rate| *rate > 0.0) else { continue };
        let at = rows.iter().position(|(other, _)| rate > *other).unwrap_or(rows.len());
        if at < MOST {
            rows.truncate(MOST - 1);
            rows.insert(at, (rate, row));
        }
    }
    rows.into_iter().filter_map(|(_, row)| fleet.name(row).cloned()).collect()
}

/// What the node moves now; the rate of a node that does not report is unknown.
fn rate(fleet: &Fleet, direction: Direction, row: usize) -> Option<f64> {
    let rate = match direction {
        Direction::Download => fleet.rx_bps(row),
        Direction::Upload => fleet.tx_bps(row),
    };
    rate.filter(|_| fleet.status(row) == Status::Online)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fleet;
    use proptest::prelude::*;
    use tidemap_wire::stream::{DeltaEvent, RateRows, StatusRows};

    const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

    fn moving(rates: [u64; 7]) -> Fleet {
        let mut fleet = fleet(&NAMES);
        rates_are(&mut fleet, rates);
        fleet
    }

    fn rates_are(fleet: &mut Fleet, rates: [u64; 7]) {
        let i = vec![0, 1, 1, 1, 1, 1, 1];
        let change = RateRows { i, rx: rates.map(Some).to_vec(), tx: vec![None; 7] };
        fleet.apply_delta(&DeltaEvent { rates: Some(change), ..DeltaEvent::default() }).unwrap();
    }

    fn names(talkers: &[Talker]) -> String {
        talkers.iter().map(|talker| &*talker.name).collect()
    }

    #[test]
    fn the_five_who_move_most_come_first_and_the_idle_never() {
        let list = |rates| names(&Talkers::default().list(&moving(rates), Direction::Download, false, 0.0));
        assert_eq!(list([5, 70, 0, 3, 9, 1, 4]), "beagd");
        assert_eq!(list([0, 0, 2, 0, 0, 0, 0]), "c");
    }

    #[test]
    fn a_held_list_tells_new_rates_in_its_old_order() {
        let (mut talkers, mut fleet) = (Talkers::default(), moving([7, 6, 5, 4, 3, 2, 1]));
        talkers.list(&fleet, Direction::Download, false, 0.0);
        rates_are(&mut fleet, [1, 2, 3, 4, 5, 6, 7]);
        let held = talkers.list(&fleet, Direction::Download, true, REORDER_MS);
        assert_eq!((&*names(&held), held[0].rate_bps), ("abcde", Some(1.0)));
        assert_eq!(names(&talkers.list(&fleet, Direction::Download, false, REORDER_MS)), "gfedc");
    }

    #[test]
    fn a_silent_node_is_not_among_them() {
        let mut fleet = moving([7, 6, 5, 4, 3, 2, 1]);
        let status = StatusRows { i: vec![0], status: vec![1], age_ms: vec![9000] };
        fleet.apply_delta(&DeltaEvent { status: Some(status), ..DeltaEvent::default() }).unwrap();
        assert_eq!(names(&Talkers::default().list(&fleet, Direction::Download, false, 0.0)), "bcdef");
    }

    proptest! {
        #[test]
        fn they_are_what_sorting_all_would_give(rates in proptest::array::uniform7(0_u64..20)) {
            let listed: Vec<u64> = Talkers::default()
                .list(&moving(rates), Direction::Download, false, 0.0)
                .iter()
                .map(|talker| talker.rate_bps.unwrap() as u64)
                .collect();
            let mut sorted: Vec<u64> = rates.into_iter().filter(|rate| *rate > 0).collect();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            sorted.truncate(MOST);
            prop_assert_eq!(listed, sorted);
        }
    }
}
