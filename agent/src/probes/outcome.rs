//! How a probe ends.

use std::time::Duration;

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// After this time.
    Answered(Duration),
    /// No answer came, or one that refuses.
    Lost,
    /// Nothing could be sent, for this reason. That says nothing about the target.
    NotPossible(String),
}
