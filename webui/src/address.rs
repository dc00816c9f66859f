//! The part of the page's state that is in its address, so that a link shows what its sender saw.

use tidemap_format::Unit;
use tidemap_wire::{NodeId, Status};

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
    /// Whether totals are shown in place of the table.
    pub summary: bool,
    /// By what they are grouped.
    pub by: By,
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
            summary: false,
            by: By::default(),
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
                "view" => address.summary = value == SUMMARY,
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
        if self.summary {
            pairs.push(pair("view", SUMMARY));
        }
        if self.by != By::default() {
            pairs.push(pair("by", &self.by.name()));
        }
        if self.sort != Sort::DEFAULT {
            let sign = if self.sort.descending { "-" } else { "" };
            pairs.push(pair("sort", &[sign, key_name(self.sort.key)].concat()));
        }
        if self.unit != Unit::default() {
            pairs.push(pair("unit", self.unit.label()));
        }
        if self.debug {
            pairs.push("debug".to_owned());
        }
        if pairs.is_empty() { String::new() } else { "?".to_owned() + &pairs.join("&") }
    }
}

const SUMMARY: &str = "summary";

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

/// A node's name as a part of a path. Browsers resolve `.` and `..`, and proxies decode slashes: there the
/// node's id stands for the name.
pub fn path_segment(name: &str) -> String {
    let id = || NodeId::from_text(name).ok().map(|id| id.as_str().to_owned());
    let is_resolved = name == "." || name == ".." || name.contains(['/', '\\']);
    is_resolved.then(id).flatten().unwrap_or_else(|| encoded(name))
}

/// Percent-encodes a text as part of an address, for a query or for a path.
pub fn encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut code = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            code.push(byte.into());
        } else {
            code.push('%');
            code.push(HEX[usize::from(byte >> 4)].into());
            code.push(HEX[usize::from(byte & 15)].into());
        }
    }
    code
}

fn decoded(code: &str) -> String {
    let mut bytes = Vec::with_capacity(code.len());
    let mut rest = code.as_bytes();
    while let [first, tail @ ..] = rest {
        match escaped(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[3..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The byte that an escape at the front of the text stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
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
    }

    #[test]
    fn a_name_in_a_path_reaches_the_server_unchanged() {
        for (name, segment) in [
            ("web-01.example", "web-01.example"),
            ("..", "=2E=2E"),
            (".", "=2E"),
            ("...", "..."),
            ("a/../b", "a=2F=2E=2E=2Fb"),
            ("a?b#c%d e", "a%3Fb%23c%25d%20e"),
            ("zürich", "z%C3%BCrich"),
        ] {
            assert_eq!(path_segment(name), segment);
        }
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
            summary: bool,
            by in 0_usize..3,
            group in proptest::option::of((0_usize..3, proptest::option::of(".{0,9}"))),
        ) {
            let all = [By::Place, By::Provider, By::Label("a b&=".into())];
            let group = group.map(|(by, key)| Membership { by: all[by].clone(), key: key.map(Into::into) });
            let area = [None, Some(Area::InView), Some(Area::Nowhere)][area];
            let filter = Filter { status: status.and_then(Status::from_code), query, area, group };
            let sort = Sort { key: KEYS[key].0, descending };
            let address = Address { node, filter, sort, summary, by: all[by].clone(), unit: Unit::ALL[unit], debug };
            prop_assert_eq!(Address::parse(&address.query()), address);
        }
    }
}
