//! The fleet's totals by what nodes have in common: place, provider or the value of a label.
//!
//! Computed from the page's own rows, by the rule of `GET /api/stats?by=…`: all nodes are counted, the rates
//! of online nodes are added up, and nodes without a key form a group. The stream rounds each rate to three
//! significant digits, so a sum may differ from the server's by half a percent.

use std::rc::Rc;

use tidemap_map::rank;
use tidemap_wire::Status;

use crate::pace::REORDER_MS;
use crate::store::Fleet;
use crate::text_order::{in_order, reads_alike};

/// The most groups that are listed, because each is a row of elements and nobody reads more.
pub const MOST_LISTED: usize = 100;

/// The key by which nodes are grouped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The place's name.
    #[default]
    Place,
    /// The provider.
    Provider,
    /// The value of the label with this key.
    Label(Rc<str>),
}

/// The nodes of one group, as a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The kind of key.
    pub by: By,
    /// The shared value; `None` for the nodes without one.
    pub key: Option<Rc<str>>,
}

/// One group and its traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The shared value; `None` for the nodes without one.
    pub key: Option<Rc<str>>,
    /// All its nodes.
    pub nodes: u32,
    /// Its online nodes.
    pub online: u32,
    /// Download of its online nodes, bytes per second.
    pub rx_bps: f64,
    /// Upload of its online nodes, bytes per second.
    pub tx_bps: f64,
}

/// Which row belongs to which group, and in which order groups are listed.
#[derive(Debug, Default)]
pub struct Grouping {
    made_of: Option<(By, u64)>,
    keys: Vec<Option<Rc<str>>>,
    group_of: Vec<u32>,
    labels: Vec<Rc<str>>,
    listed: Vec<Option<Rc<str>>>,
    listed_ms: f64,
}

impl By {
    /// Its name in the page's address, which is also the API's.
    pub fn name(&self) -> String {
        match self {
            Self::Place => "location".to_owned(),
            Self::Provider => "provider".to_owned(),
            Self::Label(key) => ["label:", key].concat(),
        }
    }

    /// The key with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "location" => Some(Self::Place),
            "provider" => Some(Self::Provider),
            _ => Some(Self::Label(name.strip_prefix("label:").filter(|key| !key.is_empty())?.into())),
        }
    }

    /// The value of the row's node.
    pub fn key<'a>(&self, fleet: &'a Fleet, row: usize) -> Option<&'a Rc<str>> {
        match self {
            Self::Place => fleet.location(row),
            Self::Provider => fleet.provider(row),
            Self::Label(label) => {
                fleet.labels(row).iter().find(|(key, _)| key == label).map(|(_, value)| value)
            }
        }
    }
}

impl Membership {
    /// Whether the row's node belongs to the group.
    pub fn holds(&self, fleet: &Fleet, row: usize) -> bool {
        self.by.key(fleet, row) == self.key.as_ref()
    }

    /// The filter's title.
    pub fn title(&self) -> String {
        match (&self.key, &self.by) {
            (Some(key), By::Label(label)) => [label, "=", key].concat(),
            (Some(key), _) => key.to_string(),
            (None, By::Place) => "no place".to_owned(),
            (None, By::Provider) => "no provider".to_owned(),
            (None, By::Label(label)) => ["no ", label].concat(),
        }
    }
}

impl Grouping {
    /// The groups with the most traffic first, at most [`MOST_LISTED`], and the number of all groups. While
    /// the order is held, listed groups keep their places.
    pub fn list(&mut self, fleet: &Fleet, by: &By, is_held: bool, now_ms: f64) -> (Vec<Group>, usize) {
        let is_other = self.made_of.as_ref().is_none_or(|(made_by, _)| made_by != by);
        if is_other || self.made_of.as_ref().is_none_or(|(_, made)| *made != fleet.generation()) {
            self.divide(fleet, by);
        }
        let groups = self.sums(fleet);
        let all = groups.len();
        let is_due = now_ms - self.listed_ms >= REORDER_MS;
        if is_other || self.listed.is_empty() || (!is_held && is_due) {
            let order =
                rank::ascending(groups.iter().map(|group| u64::MAX - (group.rx_bps + group.tx_bps) as u64));
            self.listed =
                order.into_iter().take(MOST_LISTED).map(|at| groups[at as usize].key.clone()).collect();
            self.listed_ms = now_ms;
        }
        let found = |key: &Option<Rc<str>>| groups.iter().find(|group| group.key == *key).cloned();
        (self.listed.iter().filter_map(found).collect(), all)
    }

    /// The keys of all labels in the fleet, in alphabetical order; known after the first list.
    pub fn labels(&self) -> &[Rc<str>] {
        &self.labels
    }

    fn divide(&mut self, fleet: &Fleet, by: &By) {
        self.made_of = Some((by.clone(), fleet.generation()));
        self.keys.clear();
        self.labels.clear();
        self.group_of = vec![0; fleet.len()];
        let text = |row: usize| by.key(fleet, row).map(|key| &**key);
        for row in in_order(fleet.len(), &text) {
            let row = row as usize;
            self.group_of[row] = self.number(by.key(fleet, row));
            for (label, _) in fleet.labels(row) {
                let at = self.labels.partition_point(|other| other < label);
                if self.labels.get(at) != Some(label) && self.labels.len() < MOST_LISTED {
                    self.labels.insert(at, Rc::clone(label));
                }
            }
        }
    }

    /// The number of the group with this key. Keys come in order, except that equivalent spellings may be
    /// mixed.
    fn number(&mut self, key: Option<&Rc<str>>) -> u32 {
        let text = |key: Option<&Rc<str>>| key.map_or_else(String::new, |key| key.to_string());
        for (number, other) in self.keys.iter().enumerate().rev() {
            if other.as_ref() == key {
                return number as u32;
            }
            if !reads_alike(&text(other.as_ref()), &text(key)) {
                break;
            }
        }
        self.keys.push(key.cloned());
        self.keys.len() as u32 - 1
    }

    fn sums(&self, fleet: &Fleet) -> Vec<Group> {
        let empty =
            |key: &Option<Rc<str>>| Group { key: key.clone(), nodes: 0, online: 0, rx_bps: 0.0, tx_bps: 0.0 };
        let mut groups: Vec<Group> = self.keys.iter().map(empty).collect();
        for (row, number) in self.group_of.iter().enumerate() {
            let Some(group) = groups.get_mut(*number as usize) else { continue };
            if fleet.name(row).is_none() {
                continue;
            }
            group.nodes += 1;
            if fleet.status(row) == Status::Online {
                group.online += 1;
                group.rx_bps += fleet.rx_bps(row).unwrap_or(0.0);
                group.tx_bps += fleet.tx_bps(row).unwrap_or(0.0);
            }
        }
        // Vacant rows have no key, but do not belong to the group of nodes without one.
        groups.retain(|group| group.nodes > 0);
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{columns, fleet};
    use proptest::prelude::*;
    use tidemap_wire::stream::{Columns, DeltaEvent, RateRows, SnapshotEvent, StatusRows, VERSION};

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn placed(places: [Option<&str>; 4]) -> Columns {
        let location = places.iter().map(|place| place.map(str::to_owned)).collect();
        let tx = vec![Some(10), None, Some(30), Some(40)];
        Columns { location, rx: vec![Some(1), Some(2), Some(3), Some(400)], tx, ..columns(&NAMES) }
    }

    fn snapshot(nodes: Columns) -> Fleet {
        let mut fleet = Fleet::default();
        fleet.apply_snapshot(&SnapshotEvent { v: VERSION, at_ms: 1, nodes }).unwrap();
        fleet
    }

    fn lines(groups: &[Group]) -> Vec<(Option<&str>, u32, u32, f64, f64)> {
        groups.iter().map(|g| (g.key.as_deref(), g.nodes, g.online, g.rx_bps, g.tx_bps)).collect()
    }

    #[test]
    fn groups_count_all_nodes_and_sum_up_those_online() {
        let mut fleet = snapshot(placed([Some("Oslo"), Some("Bern"), Some("Oslo"), None]));
        let status = StatusRows { i: vec![0], status: vec![2], age_ms: vec![1] };
        let gone = DeltaEvent { status: Some(status), ..DeltaEvent::default() };
        fleet.apply_delta(&gone).unwrap();
        let (groups, all) = Grouping::default().list(&fleet, &By::Place, false, 0.0);
        let expected =
            [(None, 1, 1, 400.0, 40.0), (Some("Oslo"), 2, 1, 3.0, 30.0), (Some("Bern"), 1, 1, 2.0, 0.0)];
        assert_eq!((lines(&groups), all), (expected.to_vec(), 3));
    }

    #[test]
    fn a_label_groups_by_its_value() {
        let fleet = fleet(&NAMES);
        let mut grouping = Grouping::default();
        let (groups, _) = grouping.list(&fleet, &By::Label("Role".into()), false, 0.0);
        assert_eq!(lines(&groups), [(Some("Edge"), 4, 4, 6.0, 0.0)]);
        assert_eq!(grouping.labels(), [Rc::from("Role")]);
        let (groups, _) = grouping.list(&fleet, &By::Label("role".into()), false, 0.0);
        assert_eq!(lines(&groups), [(None, 4, 4, 6.0, 0.0)]);
    }

    #[test]
    fn a_held_list_keeps_its_order_and_tells_new_sums() {
        let mut fleet = snapshot(placed([Some("A"), Some("B"), Some("C"), Some("D")]));
        let mut grouping = Grouping::default();
        let mut order = |fleet: &Fleet, is_held, now_ms| {
            let (groups, _) = grouping.list(fleet, &By::Place, is_held, now_ms);
            groups.iter().map(|g| g.key.as_deref().unwrap().to_owned()).collect::<String>()
        };
        assert_eq!(order(&fleet, false, 0.0), "DCAB");
        let rates = RateRows { i: vec![1], rx: vec![Some(9000)], tx: vec![None] };
        fleet.apply_delta(&DeltaEvent { rates: Some(rates), ..DeltaEvent::default() }).unwrap();
        assert_eq!(order(&fleet, false, REORDER_MS - 1.0), "DCAB");
        assert_eq!(order(&fleet, true, REORDER_MS), "DCAB");
        assert_eq!(order(&fleet, false, REORDER_MS), "BDCA");
        fleet.apply_delta(&DeltaEvent { gone: vec![3], ..DeltaEvent::default() }).unwrap();
        assert_eq!(order(&fleet, true, REORDER_MS), "BCA", "who has gone is not listed");
    }

    #[test]
    fn names_of_groupings_are_those_of_the_api() {
        for by in [By::Place, By::Provider, By::Label("role".into())] {
            assert_eq!(By::from_name(&by.name()), Some(by));
        }
        assert_eq!((By::from_name("label:"), By::from_name("colour")), (None, None));
    }

    proptest! {
        #[test]
        fn a_filter_for_a_group_finds_its_nodes(places in proptest::array::uniform4(proptest::option::of("[ab]"))) {
            let fleet = snapshot(placed(places.each_ref().map(Option::as_deref)));
            for group in Grouping::default().list(&fleet, &By::Place, false, 0.0).0 {
                let members = Membership { by: By::Place, key: group.key };
                let found = (0..fleet.len()).filter(|row| members.holds(&fleet, *row)).count();
                prop_assert_eq!(found, group.nodes as usize);
            }
        }
    }
}
