//! The budget divided: each stream and bucket gets its bound, or as many as the broker has storage for.

use std::mem;

use anyhow::Context;
use async_nats::jetstream::{self, context::CreateStreamErrorKind, stream};
use tidemap_wire::PartitionCount;

use super::{
    super::{ALERTS, ANSWER_TIMEOUT, CHECKPOINTS, HISTORY, LEASES, bucket_stream, is_missing, name},
    DiskBudget, MAX_BYTES_OF_A_NODE, Share,
};

/// A stream, or the stream of a bucket.
struct Store {
    config: stream::Config,
    held_bytes: u64,
    share: Share,
}

impl Store {
    fn bound(&self) -> Option<u64> {
        u64::try_from(self.config.max_bytes).ok().filter(|bytes| *bytes > 0)
    }

    /// Its share, but not less than what it holds and a little: below that, it would take nothing until as
    /// much has expired.
    fn wanted(&self, budget: DiskBudget, partitions: PartitionCount) -> u64 {
        let held = self.held_bytes + self.held_bytes / 8;
        (self.share)(budget, partitions).max(self.bound().map_or(held, |bound| bound.min(held)))
    }

    /// Returns whether the broker has accepted the bound.
    async fn set(&mut self, js: &jetstream::Context, bound: u64) -> anyhow::Result<bool> {
        let bound = i64::try_from(bound)?;
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

/// Bounds all streams and buckets, which must exist but for those of minutes and of alerts, to a budget, or
/// to less where the broker has less. To `redivide` is for a budget that was not divided before. Otherwise,
/// bounds that are there stay, and only what has none gets its share. They are created without bounds,
/// because a cluster compares only changed streams with its storage, and so that workers of any version
/// create the same ones. Only one process may do this at a time. Returns whether all have bounds now.
///
/// # Errors
///
/// When the broker does not answer.
pub async fn bound(
    js: &jetstream::Context,
    partitions: PartitionCount,
    given: Option<DiskBudget>,
    redivide: bool,
) -> anyhow::Result<bool> {
    let mut js = js.clone();
    js.set_timeout(ANSWER_TIMEOUT);
    let mut stores = stores(&js, partitions).await?;
    let asked = given.unwrap_or_else(|| present(&stores, partitions));
    let wanted = bounds(&stores, asked, partitions, !redivide);
    if stores.iter().map(Store::bound).eq(wanted.iter().copied().map(Some)) {
        return Ok(true);
    }
    let mut outcome = divide(&js, &mut stores, &wanted, asked).await?;
    let mut budget = asked;
    // The disk has at least what is held: of a smaller budget, leases and checkpoints would have too little.
    let held: u64 = stores.iter().map(|store| store.held_bytes).sum();
    let least = DiskBudget(held).max(DiskBudget::MIN);
    while let Outcome::TooLarge { fitted } = outcome
        && budget > least
    {
        budget = next(&stores, budget, partitions, fitted).max(least);
        let wanted = bounds(&stores, budget, partitions, false);
        outcome = divide(&js, &mut stores, &wanted, budget).await?;
    }
    log_outcome(&outcome, budget, given.filter(|given| budget < *given), partitions);
    Ok(stores.iter().all(|store| store.bound().is_some()))
}

fn log_outcome(
    outcome: &Outcome,
    budget: DiskBudget,
    missed: Option<DiskBudget>,
    partitions: PartitionCount,
) {
    match (outcome, missed) {
        (Outcome::Fits, Some(given)) => {
            tracing::warn!("the broker has no {given} of storage: streams and buckets take at most {budget}");
        }
        (Outcome::Fits, None) => {
            tracing::info!("streams and buckets take at most {budget} of the broker's disk");
        }
        (Outcome::TooLarge { .. }, _) => tracing::warn!(
            "the broker has too little storage to reserve for all streams, so agents could take that of the leases: \
             free some of its disk, or raise its max_file_store"
        ),
        (Outcome::Stuck, _) => tracing::warn!(
            "the broker has less storage than it has promised to its streams, so their bounds stay as they are: \
             free some of its disk, or raise its max_file_store"
        ),
    }
    if budget.log(partitions) < MAX_BYTES_OF_A_NODE {
        tracing::warn!("one agent could fill its partition's log: give the broker a larger disk");
    }
}

/// The leases first.
async fn stores(js: &jetstream::Context, partitions: PartitionCount) -> anyhow::Result<Vec<Store>> {
    let buckets: [(String, Share); 3] = [
        (bucket_stream(LEASES), |budget, _| budget.leases()),
        (bucket_stream(CHECKPOINTS), |budget, _| budget.checkpoints()),
        (HISTORY.to_owned(), |budget, _| budget.history()),
    ];
    let logs = partitions.all().map(|partition| (name(partition), DiskBudget::log as Share));
    let alerts = (bucket_stream(ALERTS), (|budget, _| budget.alerts()) as Share);
    let mut stores = Vec::new();
    for (name, share) in buckets.into_iter().chain(logs).chain([alerts]) {
        let stream = match js.get_stream(&name).await {
            Ok(stream) => stream,
            // It is created when somebody has something for it.
            Err(error) if is_optional(&name) && is_missing(&error) => continue,
            Err(error) => return Err(error).with_context(|| format!("the stream {name}")),
        };
        let info = stream.cached_info();
        stores.push(Store { config: info.config.clone(), held_bytes: info.state.bytes, share });
    }
    Ok(stores)
}

/// Whether a stream is there only where somebody writes to it.
fn is_optional(name: &str) -> bool {
    name == HISTORY || name == bucket_stream(ALERTS)
}

/// The budget of which most have their shares: some may have lost theirs with their streams, and some may
/// have more. Of an older Tidemap, none has one: then one with twice of what the logs hold.
fn present(stores: &[Store], partitions: PartitionCount) -> DiskBudget {
    let of = |store: &Store| Some(DiskBudget::of(store.bound()?, store.share, partitions));
    let mut budgets: Vec<_> = stores.iter().filter_map(of).collect();
    budgets.sort_unstable();
    if let Some(last) = budgets.len().checked_sub(1) {
        return budgets[last / 2];
    }
    let is_log = |store: &&Store| !store.config.name.starts_with("KV_") && store.config.name != HISTORY;
    let logs = stores.iter().filter(is_log);
    let held = logs.map(|log| log.held_bytes).max().unwrap_or_default();
    DiskBudget::of(2 * held, |budget, partitions| budget.log(partitions), partitions).max(DiskBudget::DEFAULT)
}

/// What each is to have. In a budget of an older Tidemap, the checkpoints have what is now the history's and
/// the alerts'.
fn bounds(stores: &[Store], budget: DiskBudget, partitions: PartitionCount, keep: bool) -> Vec<u64> {
    let lacks_some = stores.iter().any(|store| is_optional(&store.config.name) && store.bound().is_none());
    let checkpoints = bucket_stream(CHECKPOINTS);
    let keeps = |store: &Store| keep && !(lacks_some && store.config.name == checkpoints);
    let wanted = |store: &Store| store.wanted(budget, partitions);
    let bound = |store: &Store| store.bound().filter(|_| keeps(store)).unwrap_or_else(|| wanted(store));
    stores.iter().map(bound).collect()
}

/// The budget to try after one was refused of which `fitted` bytes did fit: the largest that fits for sure,
/// but at least half, so that there are few attempts.
fn next(stores: &[Store], refused: DiskBudget, partitions: PartitionCount, fitted: u64) -> DiskBudget {
    let bytes =
        |budget: DiskBudget| bounds(stores, budget, partitions, false).iter().sum::<u64>() + budget.room();
    let half = refused.times(1, 2);
    let mut next = refused.times(7, 8);
    while next > half && bytes(next) > fitted {
        next = next.times(63, 64);
    }
    next.max(half)
}

/// What the broker says to bounds.
enum Outcome {
    Fits,
    /// It has storage for this many bytes of all streams, but not for all.
    TooLarge {
        fitted: u64,
    },
    /// It refuses even a lower bound, as it has promised more than it has.
    Stuck,
}

/// Gives each its bound, or as many as fit.
async fn divide(
    js: &jetstream::Context,
    stores: &mut [Store],
    bounds: &[u64],
    budget: DiskBudget,
) -> anyhow::Result<Outcome> {
    for (store, bound) in stores.iter_mut().zip(bounds) {
        if store.bound().is_some_and(|present| present > *bound) && !store.set(js, *bound).await? {
            return Ok(Outcome::Stuck);
        }
    }
    let mut fitted: u64 = stores.iter().filter_map(Store::bound).sum();
    let mut outcome = Outcome::Fits;
    // With the leases, which are the first, the room is shown to be free. It is given back at the end.
    let mut room = budget.room();
    for (store, bound) in stores.iter_mut().zip(bounds) {
        let bound = bound + mem::take(&mut room);
        let more = bound - store.bound().unwrap_or_default();
        if !store.set(js, bound).await? {
            outcome = Outcome::TooLarge { fitted };
            break;
        }
        fitted += more;
    }
    if let Some((leases, bound)) = stores.first_mut().zip(bounds.first())
        && leases.bound().is_some_and(|present| present > *bound)
        && !leases.set(js, *bound).await?
    {
        return Ok(Outcome::Stuck);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leases, the checkpoints, the history and the logs, with nothing in them.
    fn stores(partitions: PartitionCount, log: i64) -> Vec<Store> {
        let shares: [(String, Share); 3] = [
            (bucket_stream(LEASES), |budget, _| budget.leases()),
            (bucket_stream(CHECKPOINTS), |budget, _| budget.checkpoints()),
            (HISTORY.to_owned(), |budget, _| budget.history()),
        ];
        let logs = partitions.all().map(|partition| (name(partition), DiskBudget::log as Share));
        let store = |(name, share)| Store {
            config: stream::Config { name, max_bytes: log, ..stream::Config::default() },
            held_bytes: 0,
            share,
        };
        shares.into_iter().chain(logs).map(store).collect()
    }

    #[test]
    fn the_history_of_an_older_budget_takes_from_the_checkpoints_and_no_log_changes() {
        let partitions = PartitionCount::new(8).unwrap();
        let budget = DiskBudget(2_000_000_000);
        let mut stores = stores(partitions, -1);
        for store in &mut stores {
            store.config.max_bytes = i64::try_from((store.share)(budget, partitions)).unwrap();
        }
        stores[1].config.max_bytes = i64::try_from(budget.0 / 256 * 15).unwrap();
        stores[2].config.max_bytes = -1;
        let before: Vec<Option<u64>> = stores.iter().map(Store::bound).collect();
        let found = present(&stores, partitions);
        let wanted = bounds(&stores, found, partitions, true);
        assert!(wanted.iter().sum::<u64>() <= budget.0);
        assert_eq!(wanted[2], found.history());
        assert!(wanted[3..].iter().copied().map(Some).eq(before[3..].iter().copied()));
        // What checkpoints hold already, they may go on holding.
        stores[1].held_bytes = budget.0 / 256 * 14;
        assert_eq!(bounds(&stores, found, partitions, true)[1], budget.0 / 256 * 15);
    }

    #[test]
    fn few_budgets_are_tried_whatever_the_logs_hold() {
        for partitions in [1, 8, 256] {
            let partitions = PartitionCount::new(partitions).unwrap();
            for (held, fitted) in [(0, 0), (0, 5_000_000_000), (10_000_000_000, 5_000_000_000)] {
                let mut stores = stores(partitions, -1);
                for log in &mut stores[3..] {
                    log.held_bytes = held / u64::from(partitions.get());
                }
                let (mut budget, mut tries) = (DiskBudget::DEFAULT, 0);
                while budget > DiskBudget::MIN {
                    let next = next(&stores, budget, partitions, fitted);
                    assert!(next < budget);
                    (budget, tries) = (next, tries + 1);
                    let bytes: u64 = bounds(&stores, budget, partitions, false).iter().sum();
                    if bytes + budget.room() <= fitted {
                        assert!(budget.0 > fitted / 10 * 9, "{budget} where {fitted} fit");
                        break;
                    }
                }
                assert!(tries <= 13, "{tries} of {partitions:?}, {held}, {fitted}");
            }
        }
    }

    #[test]
    fn the_present_budget_is_that_of_most() {
        let partitions = PartitionCount::new(8).unwrap();
        let budget = DiskBudget(2_000_000_000);
        let mut stores = stores(partitions, -1);
        assert_eq!(present(&stores, partitions), DiskBudget::DEFAULT);
        stores[4].held_bytes = 20_000_000_000;
        let large = present(&stores, partitions);
        assert!(large.log(partitions) > 39_000_000_000, "{large}");
        for store in &mut stores {
            store.config.max_bytes = i64::try_from((store.share)(budget, partitions)).unwrap();
        }
        // The leases of a division that has not ended, a log that holds more, an operator's own.
        for index in [0, 4, 5] {
            stores[index].config.max_bytes *= 17;
        }
        stores[3].config.max_bytes = -1;
        let found = present(&stores, partitions);
        assert!(found <= budget && found.0 > budget.0 / 1_000 * 999, "{found}");
    }
}
