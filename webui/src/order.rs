//! Which rows the table lists, and in which order.
//!
//! Rows must never move under a pointer or a focus. While the order is *held*, it changes only when the
//! reader chooses another one or when row numbers become invalid. Otherwise it is renewed every
//! [`REORDER_MS`].

use tidemap_format::lean;
use tidemap_map::projection::Bounds;
use tidemap_map::rank;
use tidemap_wire::Status;

use crate::filter::{Area, Filter};
use crate::pace::REORDER_MS;
use crate::store::Fleet;
use crate::text_order::in_order;

/// While the map moves, the list of what it shows is rebuilt no more often than this.
const FOLLOW_MS: f64 = 100.0;

/// What the table is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Worst first when descending.
    Status,
    /// Names, with numbers in them read as numbers.
    Name,
    /// Names of places.
    Place,
    /// Bytes per second received.
    Download,
    /// Bytes per second sent.
    Upload,
}

/// An order. Whatever its direction, nodes whose value is not known come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: Key,
    /// From high to low.
    pub descending: bool,
}

/// The rows that the table lists, in their order.
#[derive(Debug, Default)]
pub struct Listing {
    rows: Vec<u32>,
    /// All rows in the order of their names, and each row's rank among places: sorting by anything is then
    /// one sort by numbers, which keeps the order of names where they are equal.
    by_name: Vec<u32>,
    place_ranks: Vec<u32>,
    /// What the map shows; none while it is not seen.
    view: Option<Bounds>,
    made: Option<Made>,
}

/// What the listing was made from.
#[derive(Debug)]
struct Made {
    snapshots: u64,
    generation: u64,
    filter: Filter,
    view: Option<Bounds>,
    sort: Sort,
    at_ms: f64,
}

impl Sort {
    /// What the page starts with: who moves most.
    pub const DEFAULT: Sort = Sort { key: Key::Download, descending: true };

    /// The order after a click on the heading of `key`: the other direction if that is sorted by already.
    pub fn clicked(self, key: Key) -> Self {
        let numeric = matches!(key, Key::Download | Key::Upload | Key::Status);
        Self { key, descending: if self.key == key { !self.descending } else { numeric } }
    }
}

impl Listing {
    /// Listed rows, first to last.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Where the row is listed.
    pub fn position_of(&self, row: usize) -> Option<usize> {
        self.rows.iter().position(|listed| *listed as usize == row)
    }

    /// The map shows another part of the world.
    pub fn look_at(&mut self, view: Option<Bounds>) {
        self.view = view;
    }

    /// Whether it lists another part of the world than it should.
    pub fn is_behind(&self) -> bool {
        self.made.as_ref().is_some_and(|made| self.has_moved(made))
    }

    /// Sorts again if it is due. Returns whether it did.
    pub fn renew(&mut self, fleet: &Fleet, filter: &Filter, sort: Sort, held: bool, now_ms: f64) -> bool {
        if !self.is_due(fleet, filter, sort, held, now_ms) {
            return false;
        }
        if self.made.as_ref().is_none_or(|made| made.generation != fleet.generation()) {
            self.by_name = in_order(fleet.len(), &|row| fleet.title(row).map(|title| &**title));
            let by_place = in_order(fleet.len(), &|row| fleet.location(row).map(|place| &**place));
            self.place_ranks = ranks(fleet, &by_place);
        }
        let mut rows = self.matching(fleet, filter);
        if sort.key == Key::Name && sort.descending {
            rows.reverse();
        }
        let order = rank::ascending(rows.iter().map(|row| self.key(fleet, sort, *row as usize)));
        self.rows = order.into_iter().map(|at| rows[at as usize]).collect();
        self.made = Some(Made {
            snapshots: fleet.snapshots(),
            generation: fleet.generation(),
            filter: filter.clone(),
            view: self.view,
            sort,
            at_ms: now_ms,
        });
        true
    }

    /// What the row is sorted by: the smallest key comes first.
    fn key(&self, fleet: &Fleet, sort: Sort, row: usize) -> u64 {
        let is_online = fleet.status(row) == Status::Online;
        let value = match sort.key {
            Key::Status => Some(fleet.status(row).code().into()),
            // They are in this order already.
            Key::Name => return 0,
            Key::Place => fleet.location(row).map(|_| self.place_ranks[row].into()),
            // A node that does not report has no rate now, whatever its last one was.
            Key::Download => fleet.rx_bps(row).filter(|_| is_online).map(|rate| rate as u64),
            Key::Upload => fleet.tx_bps(row).filter(|_| is_online).map(|rate| rate as u64),
        };
        match value {
            None => u64::MAX,
            Some(value) if sort.descending => u64::MAX - 1 - value,
            Some(value) => value,
        }
    }

    /// The rows that the filter lets through, in the order of their names.
    fn matching(&self, fleet: &Fleet, filter: &Filter) -> Vec<u32> {
        let query = lean::lowercase(&filter.query);
        let words: Vec<&str> = query.split_ascii_whitespace().collect();
        let (lats, lons) = fleet.coordinates();
        let matches = |row: usize| {
            fleet.name(row).is_some()
                && filter.admits(lats[row], lons[row], self.view.as_ref())
                && filter.status.is_none_or(|status| fleet.status(row) == status)
                && filter.group.as_ref().is_none_or(|group| group.holds(fleet, row))
                && words.iter().all(|word| lean::contains(fleet.haystack(row), word))
        };
        self.by_name.iter().copied().filter(|row| matches(*row as usize)).collect()
    }

    fn is_due(&self, fleet: &Fleet, filter: &Filter, sort: Sort, held: bool, now_ms: f64) -> bool {
        let Some(made) = &self.made else { return true };
        let asked = made.filter != *filter || made.sort != sort || made.snapshots != fleet.snapshots();
        let moved = self.has_moved(made) && now_ms - made.at_ms >= FOLLOW_MS;
        asked
            || moved
            || (!held && (made.generation != fleet.generation() || now_ms - made.at_ms >= REORDER_MS))
    }

    fn has_moved(&self, made: &Made) -> bool {
        made.filter.area == Some(Area::InView) && made.view != self.view
    }
}

/// The rank of every row's place among all; rows of one place have one rank.
fn ranks(fleet: &Fleet, by_place: &[u32]) -> Vec<u32> {
    let mut ranks = vec![0; by_place.len()];
    let mut rank = 0;
    let mut before = None;
    for row in by_place {
        let place = fleet.location(*row as usize);
        rank += u32::from(place != before);
        before = place;
        ranks[*row as usize] = rank;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{columns, fleet};
    use tidemap_wire::stream::{DeltaEvent, PutRows, RateRows, StatusRows};

    fn check(fleet: &Fleet, filter: &str, key: Key, descending: bool, expected: &str) {
        let mut listing = Listing::default();
        let filter = Filter { query: filter.into(), ..Filter::default() };
        listing.renew(fleet, &filter, Sort { key, descending }, false, 0.0);
        let names: Vec<&str> =
            listing.rows().iter().map(|row| &**fleet.name(*row as usize).unwrap()).collect();
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn names_sort_as_people_read_them() {
        let fleet = fleet(&["web-10", "Web-2", "db", "web-03", "web"]);
        check(&fleet, "", Key::Name, false, "db web Web-2 web-03 web-10");
        check(&fleet, "", Key::Name, true, "web-10 web-03 Web-2 web db");
    }

    #[test]
    fn what_is_not_known_comes_last_in_both_directions() {
        let mut fleet = fleet(&["a", "b", "c", "d"]);
        let delta = DeltaEvent {
            rates: Some(RateRows { i: vec![2], rx: vec![None], tx: vec![None] }),
            status: Some(StatusRows { i: vec![3], status: vec![1], age_ms: vec![9000] }),
            ..DeltaEvent::default()
        };
        fleet.apply_delta(&delta).unwrap();
        check(&fleet, "", Key::Download, true, "b a c d");
        check(&fleet, "", Key::Download, false, "a b c d");
        check(&fleet, "", Key::Status, true, "d a b c");
    }

    #[test]
    fn a_search_needs_every_word() {
        let fleet = fleet(&["web-1", "db-1"]);
        check(&fleet, "OSLO web", Key::Name, false, "web-1");
        check(&fleet, "role=edge", Key::Name, false, "db-1 web-1");
        check(&fleet, "oslo paris", Key::Name, false, "");
    }

    #[test]
    fn the_part_of_the_world_in_view_is_listed_and_followed() {
        let names = ["oslo", "quito", "lost"];
        let (mut fleet, mut nodes) = (fleet(&names), columns(&names));
        (nodes.lat, nodes.lon) = (vec![Some(59.9), Some(-0.2), None], vec![Some(10.7), Some(-78.5), None]);
        let put = PutRows { i: vec![0, 1, 1], nodes };
        fleet.apply_delta(&DeltaEvent { put: Some(put), ..DeltaEvent::default() }).unwrap();
        let mut listing = Listing::default();
        let sort = Sort { key: Key::Name, descending: false };
        let mut check = |area, view: Option<Bounds>, now_ms, expected: &[u32]| {
            listing.look_at(view);
            let filter = Filter { area: Some(area), ..Filter::default() };
            listing.renew(&fleet, &filter, sort, true, now_ms);
            assert_eq!(listing.rows(), expected);
            listing.is_behind()
        };
        let europe = Bounds { west: 0.45, east: 0.6, north: 0.1, south: 0.4 };
        // As far as the map shows it: beyond the date line, where the world begins again.
        let pacific = Bounds { west: 0.7, east: 1.4, north: 0.2, south: 0.8 };
        check(Area::InView, None, 0.0, &[0, 1]);
        assert!(!check(Area::InView, Some(europe), 1000.0, &[0]));
        assert!(check(Area::InView, Some(pacific), 1010.0, &[0]), "it does not follow every frame of a drag");
        assert!(!check(Area::InView, Some(pacific), 1100.0, &[1]), "even while it is held");
        check(Area::Nowhere, Some(pacific), 1110.0, &[2]);
        assert!(!check(Area::Nowhere, Some(europe), 1111.0, &[2]));
    }

    #[test]
    fn a_held_order_changes_only_when_asked_to() {
        let mut fleet = fleet(&["a", "b"]);
        let (mut listing, filter, sort) = (Listing::default(), Filter::default(), Sort::DEFAULT);
        assert!(listing.renew(&fleet, &filter, sort, true, 0.0), "the first order is made at once");
        let put = PutRows { i: vec![2], nodes: columns(&["c"]) };
        fleet.apply_delta(&DeltaEvent { put: Some(put), ..DeltaEvent::default() }).unwrap();
        assert!(!listing.renew(&fleet, &filter, sort, true, 60_000.0));
        assert!(listing.renew(&fleet, &filter, sort.clicked(Key::Name), true, 60_000.0));
        assert_eq!(listing.rows().len(), 3);
    }

    #[test]
    fn an_order_that_is_not_held_follows_the_fleet() {
        let mut fleet = fleet(&["a"]);
        let (mut listing, filter, sort) = (Listing::default(), Filter::default(), Sort::DEFAULT);
        listing.renew(&fleet, &filter, sort, false, 0.0);
        assert!(!listing.renew(&fleet, &filter, sort, false, REORDER_MS - 1.0));
        assert!(listing.renew(&fleet, &filter, sort, false, REORDER_MS));
        fleet.apply_delta(&DeltaEvent { gone: vec![0], ..DeltaEvent::default() }).unwrap();
        assert!(listing.renew(&fleet, &filter, sort, false, REORDER_MS + 1.0), "a node has gone");
        assert!(listing.rows().is_empty());
    }
}
