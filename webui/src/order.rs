//! Which rows the table lists, and in which order.
//!
//! Rows must never move under a pointer or a focus: while the order is *held* it changes only when somebody asks for
//! another one or row numbers lose their meaning. Otherwise it is renewed every [`RENEW_MS`].

use std::cmp::Ordering;

use tidemap_wire::Status;

use crate::store::Fleet;

/// How often the order follows the rates.
pub const RENEW_MS: f64 = 5000.0;

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

/// Which nodes are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only nodes with this status.
    pub status: Option<Status>,
    /// Only nodes that hold each of its words in their name, place, provider or labels.
    pub query: String,
}

/// The rows that the table lists, in their order.
#[derive(Debug, Default)]
pub struct Listing {
    rows: Vec<u32>,
    name_ranks: Vec<u32>,
    place_ranks: Vec<u32>,
    made: Option<Made>,
}

/// What the listing was made from.
#[derive(Debug)]
struct Made {
    snapshots: u64,
    generation: u64,
    filter: Filter,
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

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.query.trim().is_empty()
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

    /// Makes the order anew if it is time to; says whether it did.
    pub fn renew(&mut self, fleet: &Fleet, filter: &Filter, sort: Sort, held: bool, now_ms: f64) -> bool {
        if !self.is_due(fleet, filter, sort, held, now_ms) {
            return false;
        }
        if self.made.as_ref().is_none_or(|made| made.generation != fleet.generation()) {
            self.name_ranks = ranks(fleet.len(), &|row| fleet.name(row).map(|name| &**name));
            self.place_ranks = ranks(fleet.len(), &|row| fleet.location(row).map(|place| &**place));
        }
        let mut keyed: Vec<Keyed> =
            matching(fleet, filter).map(|row| (self.key(fleet, sort, row), self.name_ranks[row], row as u32)).collect();
        sort_keyed(&mut keyed);
        self.rows = keyed.into_iter().map(|(_, _, row)| row).collect();
        self.made = Some(Made {
            snapshots: fleet.snapshots(),
            generation: fleet.generation(),
            filter: filter.clone(),
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
            Key::Name => Some(self.name_ranks[row].into()),
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

    fn is_due(&self, fleet: &Fleet, filter: &Filter, sort: Sort, held: bool, now_ms: f64) -> bool {
        let Some(made) = &self.made else { return true };
        let asked = made.filter != *filter || made.sort != sort || made.snapshots != fleet.snapshots();
        asked || (!held && (made.generation != fleet.generation() || now_ms - made.at_ms >= RENEW_MS))
    }
}

/// A key, the rank of the name that breaks ties, and the row. Every order is one of these: sorting code is large, and the
/// page should hold it once.
type Keyed = (u64, u32, u32);

fn sort_keyed(keyed: &mut [Keyed]) {
    keyed.sort_unstable();
}

fn matching<'a>(fleet: &'a Fleet, filter: &'a Filter) -> impl Iterator<Item = usize> + 'a {
    let query = filter.query.to_lowercase();
    let words: Vec<String> = query.split_whitespace().map(str::to_owned).collect();
    (0..fleet.len()).filter(move |row| {
        fleet.name(*row).is_some()
            && filter.status.is_none_or(|status| fleet.status(*row) == status)
            && words.iter().all(|word| fleet.haystack(*row).contains(&**word))
    })
}

/// The rank of every row's text among all; equal texts have equal ranks. Comparing numbers beats comparing texts in
/// every later sort.
fn ranks<'a>(rows: usize, text: &dyn Fn(usize) -> Option<&'a str>) -> Vec<u32> {
    let mut sorted: Vec<(&str, usize)> = (0..rows).map(|row| (text(row).unwrap_or(""), row)).collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| natural(a, b));
    let mut ranks = vec![0; rows];
    let mut rank = 0;
    let mut before = "";
    for (text, row) in sorted {
        rank += u32::from(text != before);
        before = text;
        ranks[row] = rank;
    }
    ranks
}

/// Compares texts as people do: letters without regard to case, runs of digits as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let ordering = match (left, right) {
            ([], _) | (_, []) => return left.len().cmp(&right.len()).then_with(|| a.cmp(b)),
            ([x, ..], [y, ..]) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (x, y) = (number(&mut left), number(&mut right));
                x.len().cmp(&y.len()).then_with(|| x.cmp(y))
            }
            ([x, l @ ..], [y, r @ ..]) => {
                (left, right) = (l, r);
                x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase())
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

/// Takes the leading digits of a text, without zeros in front.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{columns, fleet};
    use proptest::prelude::*;
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
        let fleet = fleet(&["web-10", "Web-2", "db", "web-02", "web"]);
        check(&fleet, "", Key::Name, false, "db web Web-2 web-02 web-10");
        check(&fleet, "", Key::Name, true, "web-10 web-02 Web-2 web db");
    }

    #[test]
    fn what_is_not_known_comes_last_in_both_directions() {
        let mut fleet = fleet(&["a", "b", "c", "d"]);
        let delta = DeltaEvent {
            rates: Some(RateRows { i: vec![2], rx: vec![None], tx: vec![None] }),
            status: Some(StatusRows { i: vec![3], status: vec![1], age_ms: vec![9000] }),
            ..DeltaEvent::default()
        };
        fleet.apply_delta(delta).unwrap();
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
    fn a_held_order_changes_only_when_asked_to() {
        let mut fleet = fleet(&["a", "b"]);
        let (mut listing, filter, sort) = (Listing::default(), Filter::default(), Sort::DEFAULT);
        assert!(listing.renew(&fleet, &filter, sort, true, 0.0), "the first order is made at once");
        let put = PutRows { i: vec![2], nodes: columns(&["c"]) };
        fleet.apply_delta(DeltaEvent { put: Some(put), ..DeltaEvent::default() }).unwrap();
        assert!(!listing.renew(&fleet, &filter, sort, true, 60_000.0));
        assert!(listing.renew(&fleet, &filter, sort.clicked(Key::Name), true, 60_000.0));
        assert_eq!(listing.rows().len(), 3);
    }

    #[test]
    fn an_order_that_is_not_held_follows_the_fleet() {
        let mut fleet = fleet(&["a"]);
        let (mut listing, filter, sort) = (Listing::default(), Filter::default(), Sort::DEFAULT);
        listing.renew(&fleet, &filter, sort, false, 0.0);
        assert!(!listing.renew(&fleet, &filter, sort, false, RENEW_MS - 1.0));
        assert!(listing.renew(&fleet, &filter, sort, false, RENEW_MS));
        fleet.apply_delta(DeltaEvent { gone: vec![0], ..DeltaEvent::default() }).unwrap();
        assert!(listing.renew(&fleet, &filter, sort, false, RENEW_MS + 1.0), "a node has gone");
        assert!(listing.rows().is_empty());
    }

    proptest! {
        #[test]
        fn natural_order_is_an_order(mut names in proptest::collection::vec("[aB01-]{0,5}", 3)) {
            names.sort_by(|a, b| natural(a, b));
            prop_assert!(natural(&names[0], &names[1]).is_le() && natural(&names[1], &names[2]).is_le());
            prop_assert!(natural(&names[0], &names[2]).is_le());
            prop_assert_eq!(natural(&names[0], &names[1]).is_eq(), names[0] == names[1]);
            prop_assert_eq!(natural(&names[0], &names[1]), natural(&names[1], &names[0]).reverse());
        }
    }
}
