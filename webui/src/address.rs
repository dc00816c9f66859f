//! The part of the page's state that is in its address, so that a link shows what its sender saw.

use tidemap_format::Unit;
use tidemap_parts::encoding::{decoded, encoded};
use tidemap_wire::Status;

use crate::filter::{Area, Filter};
use crate::groups::{By, Membership};
use crate::order::{Key, Sort};

/// The page's state in the query string. Default values are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The node whose details are open.
    pub node: Option<String>,
    /// Which nodes are listed.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// What is shown in place of the table, and of which time or kind, as the address writes it:
    /// `view=traffic&month=2026-11`. Empty: the table.
    pub view: String,
    /// By what they are grouped.
    pub by: By,
    /// The time that is shown, as the address writes it: `range=24h`, `from=…&to=…`. Empty: now.
    pub time: String,
    /// How rates are written.
    pub unit: Unit,
    /// Whether frame times and counts are shown.
    pub debug: bool,
}

impl Default for Address {
    fn default() -> Self {
        Self {
            node: None,
            filter: Filter::default(),
            sort: Sort::DEFAULT,
            view: String::new(),
            by: By::default(),
            time: String::new(),
            unit: Unit::default(),
            debug: false,
        }
    }
}

impl Address {
    /// Parses a query string, with or without `?`. Unknown parts are ignored.
    pub fn parse(query: &str) -> Self {
        let mut address = Self::default();
        let mut key = None;
        for pair in query.trim_start_matches('?').split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // What these mean is read by the boot script and by the page's second program.
            match name {
                "range" | "from" | "to" | "spike" => join(&mut address.time, pair),
                "view" | "month" | "rank" | "state" => join(&mut address.view, pair),
                _ => {}
            }
            let value = decoded(value);
            match name {
                "node" if !value.is_empty() => address.node = Some(value),
                "q" => address.filter.query = value,
                "status" => address.filter.status = status(&value),
                "area" => address.filter.area = area(&value),
                "group" => {
                    address.filter.group = By::from_name(&value).map(|by| Membership { by, key: None });
                }
                "is" => key = Some(value.into()),
                "by" => address.by = By::from_name(&value).unwrap_or_default(),
                "sort" => address.sort = sort(&value).unwrap_or(Sort::DEFAULT),
                "unit" => address.unit = Unit::from_label(&value).unwrap_or_default(),
                "debug" => address.debug = true,
                _ => {}
            }
        }
        if let Some(group) = &mut address.filter.group {
            group.key = key;
        }
        address
    }

    /// The query string with `?`; empty when everything has its default value.
    pub fn query(&self) -> String {
        let mut pairs = Vec::new();
        if let Some(node) = &self.node {
            pairs.push(pair("node", node));
        }
        if !self.filter.query.is_empty() {
            pairs.push(pair("q", &self.filter.query));
        }
        if let Some(status) = self.filter.status {
            pairs.push(pair("status", status.as_str()));
        }
        if let Some(area) = self.filter.area {
            pairs.push(pair("area", area_name(area)));
        }
        if let Some(group) = &self.filter.group {
            pairs.push(pair("group", &group.by.name()));
            pairs.extend(group.key.as_ref().map(|key| pair("is", key)));
        }
        if self.by != By::default() {
            pairs.push(pair("by", &self.by.name()));
        }
        if self.sort != Sort::DEFAULT {
            let sign = if self.sort.descending { "-" } else { "" };
            pairs.push(pair("sort", &[sign, key_name(self.sort.key)].concat()));
        }
        pairs.extend([&self.view, &self.time].into_iter().filter(|pairs| !pairs.is_empty()).cloned());
        if self.unit != Unit::default() {
            pairs.push(pair("unit", self.unit.label()));
        }
        if self.debug {
            pairs.push("debug".to_owned());
        }
        if pairs.is_empty() { String::new() } else { "?".to_owned() + &pairs.join("&") }
    }
}

fn join(pairs: &mut String, pair: &str) {
    if !pairs.is_empty() {
        pairs.push('&');
    }
    pairs.push_str(pair);
}

const KEYS: [(Key, &str); 5] = [
    (Key::Status, "status"),
    (Key::Name, "name"),
    (Key::Place, "place"),
    (Key::Download, "down"),
    (Key::Upload, "up"),
];

fn key_name(key: Key) -> &'static str {
    KEYS.into_iter().find(|(other, _)| *other == key).map_or("", |(_, name)| name)
}

fn sort(value: &str) -> Option<Sort> {
    let name = value.trim_start_matches('-');
    let (key, _) = KEYS.into_iter().find(|(_, other)| *other == name)?;
    Some(Sort { key, descending: name.len() < value.len() })
}

fn status(value: &str) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status.as_str() == value)
}

fn area_name(area: Area) -> &'static str {
    match area {
        Area::InView => "view",
        Area::Nowhere => "none",
    }
}

fn area(value: &str) -> Option<Area> {
    [Area::InView, Area::Nowhere].into_iter().find(|area| area_name(*area) == value)
}

fn pair(name: &str, value: &str) -> String {
    [name, "=", &encoded(value)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_plain_page_has_a_plain_address() {
        assert_eq!(Address::default().query(), "");
        assert_eq!(Address::parse(""), Address::default());
    }

    #[test]
    fn an_address_says_only_what_differs() {
        let address = Address {
            node: Some("web 1/a".into()),
            sort: Sort { key: Key::Name, descending: false },
            unit: Unit::MegaBits,
            ..Address::default()
        };
        assert_eq!(address.query(), "?node=web%201%2Fa&sort=name&unit=Mbit%2Fs");
        assert_eq!(Address::parse("?q=oslo+edge").filter.query, "oslo edge");
        let past = "?q=a&from=2026-11-27T14:05:00Z&to=2026-11-28T00:00:00Z";
        assert_eq!(Address::parse(past).query(), past);
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        assert_eq!(
            Address::parse("?sort=-colour&status=dizzy&area=51&unit=furlongs&x&=&%&node="),
            Address::default()
        );
        assert_eq!(Address::parse("?q=%zz%4").filter.query, "%zz%4");
    }

    proptest! {
        #[test]
        fn an_address_can_be_read_back(
            node in proptest::option::of(".{1,20}"),
            query in ".{0,20}",
            area in 0_usize..3,
            status in proptest::option::of(0_u8..3),
            key in 0_usize..5,
            descending: bool,
            unit in 0_usize..3,
            debug: bool,
            time in 0_usize..3,
            view in 0_usize..3,
            by in 0_usize..3,
            group in proptest::option::of((0_usize..3, proptest::option::of(".{0,9}"))),
        ) {
            let all = [By::Place, By::Provider, By::Label("a b&=".into())];
            let group = group.map(|(by, key)| Membership { by: all[by].clone(), key: key.map(Into::into) });
            let area = [None, Some(Area::InView), Some(Area::Nowhere)][area];
            let filter = Filter { status: status.and_then(Status::from_code), query, area, group };
            let sort = Sort { key: KEYS[key].0, descending };
            let time = ["", "range=24h", "from=7&to=%38"][time].to_owned();
            let by = all[by].clone();
            let view = ["", "view=traffic&month=2026-11", "view=summary"][view].to_owned();
            let address = Address { node, filter, sort, view, by, time, unit: Unit::ALL[unit], debug };
            prop_assert_eq!(Address::parse(&address.query()), address);
        }
    }
}
