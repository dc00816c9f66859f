//! Keeps the broker's streams and buckets within the disk budget.
//!
//! The owner of the first partition does this, because only one worker may at a time: each would take what
//! another has just reserved for a part of the disk that is not free.

use std::time::Duration;

use async_nats::jetstream;
use tidemap_service::{
    causes::causes,
    streams::{self, DiskBudget},
};
use tidemap_wire::{Partition, PartitionCount};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::leases::{Lease, lease_key};

/// Between checks that all have bounds: a stream that was created again has none.
const PERIOD: Duration = Duration::from_secs(10);
/// Between checks whether the first partition has an owner.
const NO_OWNER_PERIOD: Duration = Duration::from_secs(1);

/// Between attempts where the broker has no storage to reserve.
const NO_STORAGE_PERIOD: Duration = Duration::from_secs(600);

/// Bounds streams and buckets whenever worker `me` owns the first partition, until `stop`.
pub(crate) async fn keep(
    js: jetstream::Context,
    me: String,
    partitions: PartitionCount,
    given: Option<DiskBudget>,
    stop: CancellationToken,
) {
    let keeping = async {
        let mut redivide = given.is_some();
        loop {
            let owner = owner(&js, partitions).await;
            let mut pause = if owner.is_some() { PERIOD } else { NO_OWNER_PERIOD };
            if owner.as_ref() == Some(&me) {
                match streams::bound(&js, partitions, given, redivide).await {
                    // From now on only what has lost its bound needs its share.
                    Ok(true) => redivide = false,
                    Ok(false) => pause = NO_STORAGE_PERIOD,
                    Err(error) => {
                        tracing::debug!("cannot bound streams and buckets yet: {}", causes(error.as_ref()));
                    }
                }
            }
            sleep(pause).await;
        }
    };
    stop.run_until_cancelled(keeping).await;
}

/// The worker that owns the first partition, if that can be found out.
async fn owner(js: &jetstream::Context, partitions: PartitionCount) -> Option<String> {
    let first: Partition = partitions.all().next()?;
    let leases = js.get_key_value(streams::LEASES).await.ok()?;
    let lease = leases.get(lease_key(first)).await.ok()??;
    Some(serde_json::from_slice::<Lease>(&lease).ok()?.owner)
}
