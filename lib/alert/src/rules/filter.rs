//! Which nodes a rule is about, and by what they are gathered.

use std::{collections::BTreeMap, fmt};

use tidemap_wire::{Hello, NodeId, history_query::HistorySeries};

/// Which nodes: those that fulfil all that is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    /// Sorted; with the names as they were written.
    pub(crate) nodes: Option<Vec<(NodeId, String)>>,
    pub(crate) location: Option<String>,
    pub(crate) provider: Option<String>,
    /// A label's name and value.
    pub(crate) label: Option<(String, String)>,
}

/// By what nodes are gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupKey {
    Location,
    Provider,
    /// A label's name.
    Label(String),
}

/// What one alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Node,
    /// The nodes that have something in common.
    Group(GroupKey),
    /// All nodes that the filter lets through, together.
    All,
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn matches(&self, id: &NodeId, hello: Option<&Hello>) -> bool {
        let is_named = |nodes: &Vec<(NodeId, String)>| nodes.binary_search_by(|(node, _)| node.cmp(id)).is_ok();
        let has = |key: &GroupKey, value: &str| hello.and_then(|hello| key.of(hello)) == Some(value);
        self.nodes.as_ref().is_none_or(is_named)
            && self.location.as_ref().is_none_or(|place| has(&GroupKey::Location, place))
            && self.provider.as_ref().is_none_or(|provider| has(&GroupKey::Provider, provider))
            && self.label.as_ref().is_none_or(|(name, value)| {
                hello.and_then(|hello| hello.labels.get(name)) == Some(value)
            })
    }

    /// Whether it lets all nodes of a group through that is identified like this.
    pub(crate) fn covers_group(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |name: &str, value: &String| labels.get(name) == Some(value);
        self.nodes.is_none()
            && self.location.as_ref().is_none_or(|place| has("location", place))
            && self.provider.as_ref().is_none_or(|provider| has("provider", provider))
            && self.label.as_ref().is_none_or(|(name, value)| has(name, value))
    }

    /// Whose traffic the history knows under this filter.
    pub(crate) fn series(&self) -> Option<HistorySeries> {
        match (&self.nodes, &self.location, &self.provider, &self.label) {
            (None, None, None, None) => Some(HistorySeries::Fleet),
            (None, Some(place), None, None) => Some(HistorySeries::Location(place.clone())),
            (None, None, Some(provider), None) => Some(HistorySeries::Provider(provider.clone())),
            (None, None, None, Some((name, value))) => Some(HistorySeries::Label(name.clone(), value.clone())),
            _ => None,
        }
    }

    /// What all of its nodes have in common.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let location = self.location.clone().map(|place| ("location".to_owned(), place));
        let provider = self.provider.clone().map(|provider| ("provider".to_owned(), provider));
        [location, provider, self.label.clone()].into_iter().flatten().collect()
    }

    /// What identifies the nodes together: `label:site=fra`.
    pub(crate) fn id(&self) -> String {
        self.parts("&", |nodes| format!("node={}", nodes.join(",")), "=", "label:")
    }

    fn parts(&self, between: &str, named: fn(Vec<&str>) -> String, is: &str, label: &str) -> String {
        let nodes = self.nodes.as_ref();
        let nodes = nodes.map(|nodes| named(nodes.iter().map(|(_, name)| name.as_str()).collect()));
        let location = self.location.as_ref().map(|place| format!("location{is}{place}"));
        let provider = self.provider.as_ref().map(|provider| format!("provider{is}{provider}"));
        let label = self.label.as_ref().map(|(name, value)| format!("{label}{name}={value}"));
        [nodes, location, provider, label].into_iter().flatten().collect::<Vec<_>>().join(between)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts(", ", |nodes| nodes.join(" or "), " ", "label "))
    }
}

impl GroupKey {
    /// `location`, `provider` or `label:NAME`.
    pub(crate) fn named(text: &str) -> Option<Self> {
        match text {
            "location" => Some(Self::Location),
            "provider" => Some(Self::Provider),
            _ => text.strip_prefix("label:").filter(|name| !name.is_empty()).map(|name| Self::Label(name.to_owned())),
        }
    }

    /// The node's place, provider or value of the label.
    pub(crate) fn of<'a>(&self, hello: &'a Hello) -> Option<&'a str> {
        match self {
            Self::Location => hello.location.as_ref()?.label.as_deref(),
            Self::Provider => hello.provider.as_deref(),
            Self::Label(name) => hello.labels.get(name).map(String::as_str),
        }
    }

    /// Where it is found among the labels of a target.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Location => "location",
            Self::Provider => "provider",
            Self::Label(name) => name,
        }
    }

    /// What identifies a group: `location=Berlin`, `label:site=fra`.
    pub(crate) fn id(&self, value: &str) -> String {
        format!("{self}={value}")
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(name) => write!(f, "label:{name}"),
            other => f.write_str(other.label()),
        }
    }
}
