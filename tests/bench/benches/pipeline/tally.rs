//! The totals that the owners publish.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_nats::Client;
use futures_util::StreamExt;
use tidemap_wire::{PartitionStats, decode, subject};
use tokio::task::JoinSet;

/// The newest totals of each partition.
pub(crate) struct Tally {
    newest: Arc<Mutex<BTreeMap<u16, PartitionStats>>>,
    _listening: JoinSet<()>,
}

/// All partitions together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Samples that the state contains.
    pub(crate) samples: u64,
    /// Messages that the owners have not read yet.
    pub(crate) lag: u64,
    /// Messages that were refused.
    pub(crate) refused: u64,
}

impl Tally {
    pub(crate) async fn start(client: Client) -> anyhow::Result<Self> {
        let mut stats = client.subscribe(subject::ALL_STATS).await?;
        client.flush().await?;
        let newest = Arc::new(Mutex::new(BTreeMap::new()));
        let noting = Arc::clone(&newest);
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            while let Some(message) = stats.next().await {
                if let Ok(totals) = decode::<PartitionStats>(&message.payload) {
                    noting.lock().unwrap_or_else(PoisonError::into_inner).insert(totals.partition, totals);
                }
            }
        });
        Ok(Self { newest, _listening: listening })
    }

    pub(crate) fn sums(&self) -> Sums {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = Sums::default();
        for stats in newest.values() {
            sums.samples += stats.total_samples;
            sums.lag += stats.lag;
            sums.refused += stats.refused.values().sum::<u64>();
        }
        sums
    }
}
