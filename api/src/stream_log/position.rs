//! A client's position in the stream.

use std::{fmt, str::FromStr};

/// The id of a `snapshot` or `delta` event: `epoch-seq`.
///
/// Rows are numbered within an epoch. In another epoch the same numbers mean other nodes, so positions of
/// other epochs cannot be resumed. `seq` is the frame's tick of broker time, so replicas of one epoch use the
/// same number for the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamPosition {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl FromStr for StreamPosition {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, seq) = text.trim().split_once('-').unwrap_or((text, ""));
        Ok(Self { epoch: epoch.parse()?, seq: seq.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let position = StreamPosition { epoch: 1_700_000_000_000, seq: 42 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "1", "1-", "-1", "1-x", "1-2-3", "99999999999999999999-1"] {
            assert!(bad.parse::<StreamPosition>().is_err(), "{bad}");
        }
    }
}
