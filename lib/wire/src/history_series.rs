//! Whose traffic the history knows.

use serde::{Deserialize, Serialize};

use crate::{Hello, NodeId};

/// Whose traffic. A node belongs to the groups that it belonged to at the time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistorySeries {
    /// A node's.
    Node(NodeId),
    /// That of all nodes.
    Fleet,
    /// That of the nodes in one place.
    Location(String),
    /// That of one provider's nodes.
    Provider(String),
    /// That of the nodes with one value of a label: name and value.
    Label(String, String),
}

impl HistorySeries {
    /// The groups that a node belongs to by what it says of itself, besides that of all nodes.
    pub fn groups_of(hello: &Hello) -> impl Iterator<Item = Self> {
        let place = hello.location.as_ref().and_then(|location| location.label.clone()).map(Self::Location);
        let provider = hello.provider.clone().map(Self::Provider);
        let labels = hello.labels.iter().map(|(name, value)| Self::Label(name.clone(), value.clone()));
        place.into_iter().chain(provider).chain(labels)
    }
}
