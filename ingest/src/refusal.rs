//! Why a message, or a report in it, is refused.

/// The reason of a refusal. Metrics and totals count refusals by [`Refusal::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It cannot be decoded.
    Garbage,
    /// Its subject is not one of a sample or a pack, or the node does not belong to the subject's slot.
    Subject,
    /// It is in a pack of another slot than its node's.
    OtherSlot,
    /// It names another node than its subject does.
    NodeMismatch,
    /// It has no samples.
    Empty,
    /// A number in it is out of range.
    Implausible,
    /// It has more samples, or a longer list, or more values than a report may have, or more reports than a
    /// pack may have.
    TooLong,
    /// A list or a text in it is longer than an agent reports, or has control characters. They are cut off.
    Oversized,
    /// A host metric in it has a value that no host has. The metric is dropped.
    Metric,
    /// The node's hello changes too often. This one is dropped.
    HelloRate,
    /// The node is not known yet, and its partition has as many nodes as it may have.
    TooManyNodes,
    /// A second agent reports under the same name.
    SecondAgent,
}

impl Refusal {
    /// The name under which it is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Subject => "subject",
            Self::OtherSlot => "other-slot",
            Self::NodeMismatch => "node-mismatch",
            Self::Empty => "empty",
            Self::Implausible => "implausible",
            Self::TooLong => "too-long",
            Self::Oversized => "oversized",
            Self::Metric => "metric",
            Self::HelloRate => "hello-rate",
            Self::TooManyNodes => "too-many-nodes",
            Self::SecondAgent => "second-agent",
        }
    }
}
