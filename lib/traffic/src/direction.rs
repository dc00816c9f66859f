//! Which bytes count.

use std::str::FromStr;

/// Bytes in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Received.
    pub rx: u64,
    /// Sent.
    pub tx: u64,
}

/// Which direction of the traffic counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What was received and what was sent, together.
    Both,
    /// The larger one of the two.
    Larger,
    /// The smaller one of the two.
    Smaller,
    /// What was sent.
    Out,
    /// What was received.
    In,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Both, Self::Larger, Self::Smaller, Self::Out, Self::In];

    /// How it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Larger => "larger",
            Self::Smaller => "smaller",
            Self::Out => "out",
            Self::In => "in",
        }
    }

    /// The bytes that count.
    pub fn of(self, bytes: Bytes) -> u64 {
        match self {
            Self::Both => bytes.rx.saturating_add(bytes.tx),
            Self::Larger => bytes.rx.max(bytes.tx),
            Self::Smaller => bytes.rx.min(bytes.tx),
            Self::Out => bytes.tx,
            Self::In => bytes.rx,
        }
    }
}

impl FromStr for Direction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|direction| direction.as_str() == text);
        found.ok_or("must be both, larger, smaller, out or in")
    }
}

impl Bytes {
    /// Both sums.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { rx: self.rx.saturating_add(other.rx), tx: self.tx.saturating_add(other.tx) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_direction_counts_its_bytes() {
        let bytes = Bytes { rx: 3, tx: 5 };
        let counted = Direction::ALL.map(|direction| (direction.as_str(), direction.of(bytes)));
        assert_eq!(counted, [("both", 8), ("larger", 5), ("smaller", 3), ("out", 5), ("in", 3)]);
        assert!(Direction::ALL.iter().all(|direction| direction.as_str().parse() == Ok(*direction)));
        assert!("sum".parse::<Direction>().is_err());
    }
}
