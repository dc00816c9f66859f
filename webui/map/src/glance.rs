//! The values in the selected node's popup.

/// The windows of the averages; the first entry is the newest rate.
pub const WINDOWS: [&str; 5] = ["Now", "10 s", "1 min", "5 min", "15 min"];

/// One node's newest rates and averages as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Whether the newest rates are the means of a time that is over; the others do not matter then.
    pub is_past: bool,
    /// Milliseconds since its newest report.
    pub age_ms: Option<u64>,
    /// Download over each of [`WINDOWS`].
    pub download: [String; WINDOWS.len()],
    /// Upload, likewise.
    pub upload: [String; WINDOWS.len()],
}
