//! How much of the broker's disk Tidemap takes at most, divided among its streams and buckets.
//!
//! JetStream refuses every write when its storage is used up, whoever has filled it. It also counts a
//! stream's `max_bytes` as used from the beginning. So with a `max_bytes` for each stream and bucket, the log
//! of one partition can fill up, but it takes nothing from the leases, the checkpoints and the other logs.

mod division;

use std::{fmt, str::FromStr};

use tidemap_wire::PartitionCount;

use super::{MAX_MESSAGE_BYTES, MAX_REPORTS_OF_A_NODE};
pub use division::bound;

/// The most that Tidemap takes of each broker's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskBudget(u64);

/// The most that one agent can store: as many of the largest reports as the log accepts, each with its
/// subject.
pub const MAX_BYTES_OF_A_NODE: u64 = MAX_REPORTS_OF_A_NODE.unsigned_abs() * (MAX_MESSAGE_BYTES as u64 + 512);

impl DiskBudget {
    /// Unless another is given: ten minutes of 150,000 nodes that report each second.
    const DEFAULT: Self = Self(64_000_000_000);
    /// With less than this, streams and buckets have no bounds.
    const MIN: Self = Self(16_000_000);
    const MAX: Self = Self(1 << 60);

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// One 256th for the leases: some 100 bytes for each partition and each worker.
    fn leases(self) -> u64 {
        self.0 / 256
    }

    /// Checkpoints are about a hundredth of ten minutes of reports at one a second.
    fn checkpoints(self) -> u64 {
        self.0 / 256 * 10
    }

    /// One 256th for the alerts: about 500 bytes for each that fires; a part of what checkpoints had, so that
    /// no log's bound changes.
    fn alerts(self) -> u64 {
        self.0 / 256
    }

    /// Two days of minutes take four hundredths of the disk that the log takes if it is to hold ten minutes;
    /// a part of what checkpoints had, so that no log's bound changes.
    fn history(self) -> u64 {
        self.0 / 256 * 4
    }

    /// The rest, divided among the partitions.
    fn log(self, partitions: PartitionCount) -> u64 {
        self.0 / 16 * 15 / u64::from(partitions.get())
    }

    /// What must be free beyond the budget when it is divided. A broker whose disk becomes smaller than what
    /// its streams may take refuses to change any of them.
    fn room(self) -> u64 {
        self.0 / 16
    }

    /// The budget of which this is the share.
    fn of(bytes: u64, share: Share, partitions: PartitionCount) -> Self {
        const WHOLE: u64 = 1 << 50;
        let budget = u128::from(bytes) * u128::from(WHOLE) / u128::from(share(Self(WHOLE), partitions));
        Self(u64::try_from(budget).unwrap_or(u64::MAX).min(Self::MAX.0))
    }

    fn times(self, numerator: u64, denominator: u64) -> Self {
        Self((self.0 / denominator * numerator).max(Self::MIN.0))
    }
}

impl fmt::Display for DiskBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1_000_000 {
            few @ 0..10_000 => write!(f, "{few} MB"),
            many => write!(f, "{} GB", many / 1_000),
        }
    }
}

impl FromStr for DiskBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unit_at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let unit = match unit.trim() {
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err("not of the form 20GB (MB, GB, TB, MiB, GiB, TiB)".to_owned()),
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let within = Self::MIN.0..=Self::MAX.0;
        match bytes.filter(|bytes| within.contains(bytes)) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!("at least {}", Self::MIN)),
        }
    }
}

/// The part of a budget that a stream or bucket has.
type Share = fn(DiskBudget, PartitionCount) -> u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_written_with_its_unit() {
        for (text, bytes) in [("20GB", 20_000_000_000), (" 500 MB ", 500_000_000), ("2GiB", 2 << 30)] {
            assert_eq!(text.parse(), Ok(DiskBudget(bytes)), "{text}");
        }
        for bad in ["", "20", "GB", "1MB", "0GB", "-5GB", "20gb", "1.5GB", "99999999999TB"] {
            assert!(bad.parse::<DiskBudget>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_never_exceed_the_budget() {
        for partitions in [1, 2, 8, 64, 256] {
            let partitions = PartitionCount::new(partitions).unwrap();
            for bytes in [DiskBudget::MIN.0, 123_456_789, DiskBudget::DEFAULT.0, 1 << 60] {
                let budget = DiskBudget(bytes);
                let logs = budget.log(partitions) * u64::from(partitions.get());
                let sum = budget.leases() + budget.checkpoints() + budget.history() + budget.alerts() + logs;
                assert!(sum <= bytes && sum > bytes / 100 * 99, "{sum} of {bytes}");
                let log = |budget: DiskBudget, partitions| budget.log(partitions);
                let of_log = DiskBudget::of(budget.log(partitions), log, partitions);
                assert!(of_log <= budget && of_log.0 > bytes / 100 * 99, "{of_log} of {budget}");
            }
        }
    }
}
