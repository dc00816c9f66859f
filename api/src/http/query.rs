//! Query strings: known parameters with valid values, or 422.

use std::cmp::Ordering;

use tidemap_wire::{Bps, METRICS, Status, http::NodeJson, natural_key};
use warp::Filter;

use crate::{answers::Grouping, http::errors::ApiError};

/// Which nodes, in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NodeQuery {
    status: Option<Status>,
    /// In lower case.
    search: Option<String>,
    sort: Option<Sort>,
    limit: Option<usize>,
    offset: usize,
}

/// An order. Nodes whose field is not known come last in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sort {
    by: SortKey,
    descending: bool,
}

/// What nodes are sorted by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum SortKey {
    /// An index of [`FIELDS`].
    Field(usize),
    /// The id of a host metric.
    Metric(u8),
}

/// A field to sort by.
#[derive(Debug)]
struct Field {
    name: &'static str,
    key: fn(&NodeJson) -> Option<Key<'_>>,
}

/// What a node is sorted by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Key<'a> {
    Number(f64),
    Text(&'a str),
}

/// What is compared, made once for each node.
#[derive(Debug, PartialEq, PartialOrd)]
enum Rank {
    Number(f64),
    /// As the page orders texts.
    Text(Vec<u8>),
}

/// The sortable fields of a node, in addition to all host metrics.
static FIELDS: &[Field] = &[
    Field { name: "name", key: |node| Some(Key::Text(&node.display_name)) },
    Field { name: "hostname", key: |node| text(&node.hostname) },
    Field { name: "location", key: |node| text(&node.location) },
    Field { name: "provider", key: |node| text(&node.provider) },
    Field { name: "status", key: |node| Some(Key::Number(f64::from(node.status.code()))) },
    Field { name: "status_for_s", key: |node| Some(Key::Number(node.status_for_s as f64)) },
    Field { name: "memory_percent", key: |node| node.memory_percent.map(Key::Number) },
    Field { name: "disk_percent", key: |node| node.disk_percent.map(Key::Number) },
    Field { name: "network_tx_bytes_per_sec", key: |node| rate(node.network_tx_bytes_per_sec) },
    Field { name: "network_rx_bytes_per_sec", key: |node| rate(node.network_rx_bytes_per_sec) },
    Field {
        name: "network_tx_bytes_per_sec_avg_10s",
        key: |node| rate(node.network_tx_bytes_per_sec_avg_10s),
    },
    Field { name: "network_tx_bytes_per_sec_avg_1m", key: |node| rate(node.network_tx_bytes_per_sec_avg_1m) },
    Field { name: "network_tx_bytes_per_sec_avg_5m", key: |node| rate(node.network_tx_bytes_per_sec_avg_5m) },
    Field {
        name: "network_tx_bytes_per_sec_avg_15m",
        key: |node| rate(node.network_tx_bytes_per_sec_avg_15m),
    },
    Field {
        name: "network_rx_bytes_per_sec_avg_10s",
        key: |node| rate(node.network_rx_bytes_per_sec_avg_10s),
    },
    Field { name: "network_rx_bytes_per_sec_avg_1m", key: |node| rate(node.network_rx_bytes_per_sec_avg_1m) },
    Field { name: "network_rx_bytes_per_sec_avg_5m", key: |node| rate(node.network_rx_bytes_per_sec_avg_5m) },
    Field {
        name: "network_rx_bytes_per_sec_avg_15m",
        key: |node| rate(node.network_rx_bytes_per_sec_avg_15m),
    },
    Field {
        name: "network_tx_bytes_total",
        key: |node| Some(Key::Number(node.network_tx_bytes_total as f64)),
    },
    Field {
        name: "network_rx_bytes_total",
        key: |node| Some(Key::Number(node.network_rx_bytes_total as f64)),
    },
    Field {
        name: "network_tx_utilisation_percent",
        key: |node| node.network_tx_utilisation_percent.map(Key::Number),
    },
    Field {
        name: "network_rx_utilisation_percent",
        key: |node| node.network_rx_utilisation_percent.map(Key::Number),
    },
    Field { name: "last_seen_timestamp", key: |node| Some(Key::Number(node.last_seen_timestamp)) },
    Field { name: "age_ms", key: |node| Some(Key::Number(node.age_ms as f64)) },
];

/// What a query selects.
pub(super) struct Chosen {
    /// The positions of the nodes within `limit` and `offset`.
    pub(super) positions: Vec<usize>,
    /// How many nodes there are without `limit` and `offset`.
    pub(super) total: usize,
}

impl NodeQuery {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        each_once(query, |name, value| parsed.take(name, value))?;
        Ok(parsed)
    }

    /// Whether it selects every node in the default order.
    pub(super) fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The selected nodes, in the query's order.
    pub(super) fn choose(&self, nodes: &[NodeJson]) -> Chosen {
        let mut chosen: Vec<usize> = (0..nodes.len()).filter(|number| self.means(&nodes[*number])).collect();
        if let Some(sort) = self.sort {
            let mut ranked: Vec<_> =
                chosen.into_iter().map(|number| (sort.rank(&nodes[number]), number)).collect();
            ranked.sort_by(|(one, _), (other, _)| sort.compare(one.as_ref(), other.as_ref()));
            chosen = ranked.into_iter().map(|(_, number)| number).collect();
        }
        let total = chosen.len();
        let page = chosen.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX));
        Chosen { positions: page.collect(), total }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "status" => self.status = Some(status(value)?),
            "q" => self.search = Some(value.to_lowercase()),
            "sort" => self.sort = Some(Sort::parse(value)?),
            "limit" => self.limit = Some(whole_number(value)?),
            "offset" => self.offset = whole_number(value)?,
            _ => return Err("no such parameter; there are status, q, sort, limit and offset".to_owned()),
        }
        Ok(())
    }

    fn means(&self, node: &NodeJson) -> bool {
        let texts = || {
            let known = [&node.hostname, &node.location, &node.provider].into_iter().flatten();
            let names = [&node.name, &node.display_name].into_iter().chain(known);
            names.chain(node.labels.keys()).chain(node.labels.values())
        };
        self.status.is_none_or(|status| node.status == status)
            && self
                .search
                .as_ref()
                .is_none_or(|search| texts().any(|text| text.to_lowercase().contains(search)))
    }
}

impl Sort {
    fn parse(value: &str) -> Result<Self, String> {
        let (descending, name) = match value.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, value),
        };
        let field = FIELDS.iter().position(|field| field.name == name).map(SortKey::Field);
        let metric = || METRICS.iter().find(|metric| metric.json_name == name);
        let by = field.or_else(|| metric().map(|metric| SortKey::Metric(metric.id))).ok_or_else(|| {
            format!("not a field to sort by; there are {}", sort_fields().collect::<Vec<_>>().join(", "))
        })?;
        Ok(Self { by, descending })
    }

    fn rank(self, node: &NodeJson) -> Option<Rank> {
        self.by.of(node).map(|key| match key {
            Key::Number(number) => Rank::Number(number),
            Key::Text(text) => Rank::Text(natural_key(&text.to_lowercase())),
        })
    }

    fn compare(self, one: Option<&Rank>, other: Option<&Rank>) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) => {
                let order = one.partial_cmp(other).unwrap_or(Ordering::Equal);
                if self.descending { order.reverse() } else { order }
            }
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }
}

impl SortKey {
    fn of(self, node: &NodeJson) -> Option<Key<'_>> {
        match self {
            Self::Field(place) => (FIELDS[place].key)(node),
            Self::Metric(id) => node.host.get(id).map(|value| Key::Number(value.as_f64())),
        }
    }
}

/// The names of all sortable fields.
pub(super) fn sort_fields() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.name).chain(METRICS.map(|metric| metric.json_name))
}

/// The grouping of totals, if there is one.
pub(super) fn grouping(query: &str) -> Result<Option<Grouping>, ApiError> {
    let mut grouping = None;
    each_once(query, |name, value| {
        if name != "by" {
            return Err("no such parameter; there is by".to_owned());
        }
        grouping = Some(match (value, value.strip_prefix("label:")) {
            ("location", _) => Grouping::Location,
            ("provider", _) => Grouping::Provider,
            (_, Some(label)) if !label.is_empty() => Grouping::Label(label.to_owned()),
            _ => return Err("must be location, provider or label:KEY".to_owned()),
        });
        Ok(())
    })?;
    Ok(grouping)
}

/// The query string, empty when there is none.
pub(super) fn raw() -> impl Filter<Extract = (String,), Error = std::convert::Infallible> + Copy {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

/// Whether the event stream is to end with what is there already.
pub(super) fn is_once(query: &str) -> Result<bool, ApiError> {
    let mut is_once = false;
    each_once(query, |name, value| {
        if name != "once" {
            return Err("no such parameter; there is once".to_owned());
        }
        is_once = match value {
            "" | "true" => true,
            "false" => false,
            _ => return Err("must be true or false".to_owned()),
        };
        Ok(())
    })?;
    Ok(is_once)
}

/// Refuses any parameter.
pub(super) fn none(query: &str) -> Result<(), ApiError> {
    each_once(query, |_, _| Err("no such parameter".to_owned()))
}

/// Scripts add this parameter with a new value each time, so that no cache answers. It means nothing here.
const AGAINST_CACHES: &str = "_";

/// Takes parameters one by one; an error names the parameter that caused it.
pub(super) fn each_once(
    query: &str,
    mut take: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), ApiError> {
    let mut seen = Vec::new();
    let all = form_urlencoded::parse(query.as_bytes());
    for (name, value) in all.filter(|(name, _)| name != AGAINST_CACHES) {
        let taken = if seen.contains(&name) { Err("given twice".to_owned()) } else { take(&name, &value) };
        taken.map_err(|problem| ApiError::Query(format!("{name}: {problem}")))?;
        seen.push(name);
    }
    Ok(())
}

fn text(value: &Option<String>) -> Option<Key<'_>> {
    value.as_deref().map(Key::Text)
}

fn rate(value: Option<Bps>) -> Option<Key<'static>> {
    value.map(|rate| Key::Number(rate.get()))
}

fn status(value: &str) -> Result<Status, String> {
    Status::ALL
        .into_iter()
        .find(|status| status.as_str() == value)
        .ok_or_else(|| "must be online, warning, offline or unknown".to_owned())
}

fn whole_number(value: &str) -> Result<usize, String> {
    // Digits only, because a plus sign in a query string means a space.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too large becomes the largest possible one; both exceed any number of nodes.
    let number = digits.then(|| value.parse().unwrap_or(usize::MAX));
    number.ok_or_else(|| "must be a whole number, 0 or more".to_owned())
}
