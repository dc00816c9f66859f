//! How much of the broker's disk Tidemap takes at most, divided among its streams and buckets.
//!
//! JetStream refuses every write when its storage is used up, whoever has filled it. It also counts a
//! stream's `max_bytes` as used from the beginning. So with a `max_bytes` for each stream and bucket, the log
//! of one partition can fill up, but it takes nothing from the leases, the checkpoints and the other logs.

use std::{fmt, str::FromStr};

use anyhow::Context;
use async_nats::jetstream::{self, context::CreateStreamErrorKind, stream};
use tidemap_wire::PartitionCount;

use super::{
    ANSWER_TIMEOUT, CHECKPOINTS, LEASES, MAX_MESSAGE_BYTES, MAX_REPORTS_OF_A_NODE, bucket_stream, name,
};

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

    /// One 256th for the leases: some 100 bytes for each partition and each worker.
    fn leases(self) -> u64 {
        self.0 / 256
    }

    /// Checkpoints are about a hundredth of ten minutes of reports at one a second.
    fn checkpoints(self) -> u64 {
        self.0 / 256 * 15
    }

    /// The rest, divided among the partitions.
    fn log(self, partitions: PartitionCount) -> u64 {
        self.0 / 16 * 15 / u64::from(partitions.get())
    }

    fn of_logs(log: u64, partitions: PartitionCount) -> Self {
        Self(log * u64::from(partitions.get()) / 15 * 16)
    }

    /// What must be free beyond the budget when it is divided. A broker whose disk becomes smaller than what
    /// its streams may take refuses to change any of them.
    fn room(self) -> u64 {
        self.0 / 16
    }

    /// What to try after this budget, of which `fitted` did fit, was refused.
    fn after(self, fitted: u64) -> Self {
        Self(fitted.clamp(self.0 / 2, self.0 / 8 * 7))
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
        let within = Self::MIN.0..=1 << 60;
        match bytes.filter(|bytes| within.contains(bytes)) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!("at least {}", Self::MIN)),
        }
    }
}

/// A stream, or the stream of a bucket.
struct Store {
    config: stream::Config,
    held_bytes: u64,
    share: fn(DiskBudget, PartitionCount) -> u64,
}

impl Store {
    fn bound(&self) -> Option<u64> {
        u64::try_from(self.config.max_bytes).ok().filter(|bytes| *bytes > 0)
    }

    /// The bound that it should have. Unless the operator gave the budget, a bound that is there stays if
    /// there is room for it, and a stream of an older Tidemap keeps twice what it holds.
    fn wanted(&self, budget: DiskBudget, partitions: PartitionCount, given: bool) -> u64 {
        let share = (self.share)(budget, partitions);
        if given {
            // Below what it holds, it would take nothing until that much has expired.
            return share.max(self.held_bytes + self.held_bytes / 8);
        }
        let share = share.max(2 * self.held_bytes);
        self.bound().map_or(share, |bound| bound.min(share))
    }

    /// Returns whether the broker has accepted the bound.
    async fn set(&mut self, js: &jetstream::Context, bound: u64) -> anyhow::Result<bool> {
        self.set_max_bytes(js, i64::try_from(bound)?).await
    }

    async fn set_max_bytes(&mut self, js: &jetstream::Context, bound: i64) -> anyhow::Result<bool> {
        if self.config.max_bytes == bound {
            return Ok(true);
        }
        let config = stream::Config { max_bytes: bound, ..self.config.clone() };
        match js.update_stream(&config).await {
            Ok(_) => {
                self.config = config;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), CreateStreamErrorKind::JetStream(_)) => {
                tracing::debug!(stream = config.name, bound, "the broker refuses the bound: {error}");
                Ok(false)
            }
            Err(error) => Err(error).with_context(|| format!("cannot bound the stream {}", config.name)),
        }
    }
}

/// Bounds all streams and buckets, which must exist, to a budget, or to less where the broker has less.
/// Without a budget, bounds that they have stay. They are created without bounds, because a cluster compares
/// only changed streams with its storage, and so that workers of any version create the same ones. Only one
/// process may do this at a time. Returns whether all have bounds now.
///
/// # Errors
///
/// When the broker does not answer.
pub async fn bound(
    js: &jetstream::Context,
    partitions: PartitionCount,
    given: Option<DiskBudget>,
) -> anyhow::Result<bool> {
    let mut js = js.clone();
    js.set_timeout(ANSWER_TIMEOUT);
    let mut stores = stores(&js, partitions).await?;
    if given.is_none() && stores.iter().all(|store| store.bound().is_some()) {
        return Ok(true);
    }
    let before: Vec<i64> = stores.iter().map(|store| store.config.max_bytes).collect();
    let asked = given.unwrap_or_else(|| present(&stores, partitions));
    let mut budget = asked;
    while let Some(fitted) = divide(&js, &mut stores, budget, partitions, given.is_some()).await? {
        budget = budget.after(fitted);
        if budget < DiskBudget::MIN {
            tracing::warn!(
                "the broker has no storage to reserve, so agents could take that of the leases: free some of its disk, \
                 or raise its max_file_store"
            );
            for (store, bound) in stores.iter_mut().zip(before) {
                store.set_max_bytes(&js, bound).await?;
            }
            return Ok(stores.iter().all(|store| store.bound().is_some()));
        }
    }
    if given.is_some() && budget < asked {
        tracing::warn!("the broker has no {asked} of storage: streams and buckets take at most {budget}");
    } else {
        tracing::info!("streams and buckets take at most {budget} of the broker's disk");
    }
    if budget.log(partitions) < MAX_BYTES_OF_A_NODE {
        tracing::warn!("one agent could fill its partition's log: give the broker a larger disk");
    }
    Ok(true)
}

/// The leases first.
async fn stores(js: &jetstream::Context, partitions: PartitionCount) -> anyhow::Result<Vec<Store>> {
    type Share = fn(DiskBudget, PartitionCount) -> u64;
    let buckets: [(String, Share); 2] = [
        (bucket_stream(LEASES), |budget, _| budget.leases()),
        (bucket_stream(CHECKPOINTS), |budget, _| budget.checkpoints()),
    ];
    let logs = partitions.all().map(|partition| (name(partition), DiskBudget::log as Share));
    let mut stores = Vec::new();
    for (name, share) in buckets.into_iter().chain(logs) {
        let stream = js.get_stream(&name).await.with_context(|| format!("the stream {name}"))?;
        let info = stream.cached_info();
        stores.push(Store { config: info.config.clone(), held_bytes: info.state.bytes, share });
    }
    Ok(stores)
}

/// The budget of which the logs have their shares: some may have lost theirs with their streams.
fn present(stores: &[Store], partitions: PartitionCount) -> DiskBudget {
    let is_log = |store: &&Store| !store.config.name.starts_with("KV_");
    let bounds = stores.iter().filter(is_log).filter_map(Store::bound);
    bounds.max().map_or(DiskBudget::DEFAULT, |log| DiskBudget::of_logs(log, partitions))
}

/// Gives each its share. `None` when all fit, else the bytes of those that did.
async fn divide(
    js: &jetstream::Context,
    stores: &mut [Store],
    budget: DiskBudget,
    partitions: PartitionCount,
    given: bool,
) -> anyhow::Result<Option<u64>> {
    for store in &mut *stores {
        let bound = store.wanted(budget, partitions, given);
        if store.bound().is_some_and(|present| present > bound) {
            store.set(js, bound).await?;
        }
    }
    let Some((leases, others)) = stores.split_first_mut() else { return Ok(None) };
    let leases_bound = leases.wanted(budget, partitions, given);
    // Shown to be free here, and given back at the end.
    if !leases.set(js, leases_bound + budget.room()).await? {
        return Ok(Some(0));
    }
    let mut fitted = leases_bound;
    for store in others {
        let bound = store.wanted(budget, partitions, given);
        if !store.set(js, bound).await? {
            return Ok(Some(fitted));
        }
        fitted += bound;
    }
    Ok(if leases.set(js, leases_bound).await? { None } else { Some(fitted) })
}

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
                let sum = budget.leases() + budget.checkpoints() + logs;
                assert!(sum <= bytes && sum > bytes / 100 * 99, "{sum} of {bytes}");
                assert!(DiskBudget::of_logs(budget.log(partitions), partitions) <= budget);
            }
        }
    }

    #[test]
    fn the_next_budget_is_always_smaller() {
        let budget = DiskBudget(1_000);
        assert_eq!(budget.after(0), DiskBudget(500));
        assert_eq!(budget.after(700), DiskBudget(700));
        assert_eq!(budget.after(5_000), DiskBudget(875));
    }
}
