//! Creates streams and buckets again that are missing while workers run.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream;
use tidemap_service::{causes::causes, cli::UsageError, logging::Throttle, streams};
use tidemap_wire::PartitionCount;
use tokio::{sync::Notify, task::JoinHandle};

use super::WorkerContext;

/// Whoever finds something missing asks for it; the lease manager drives it.
pub(super) struct Repair {
    js: jetstream::Context,
    count: PartitionCount,
    replicas: usize,
    missing: Arc<Notify>,
    /// Whether it was asked for and has not succeeded since.
    is_due: bool,
    attempt: Option<JoinHandle<anyhow::Result<()>>>,
    beginning_log: Throttle,
    failure_log: Throttle,
}

/// At most one attempt in this time is logged.
const LOG_PERIOD: Duration = Duration::from_secs(5);

impl Repair {
    pub(super) fn new(context: &WorkerContext) -> Self {
        let WorkerContext { leases, count, replicas, .. } = context;
        Self {
            js: leases.clone(),
            count: *count,
            replicas: *replicas,
            missing: Arc::default(),
            is_due: false,
            attempt: None,
            beginning_log: Throttle::new(LOG_PERIOD),
            failure_log: Throttle::new(LOG_PERIOD),
        }
    }

    /// To be notified when a stream or a bucket may be missing.
    pub(super) fn missing(&self) -> &Arc<Notify> {
        &self.missing
    }

    /// Waits until somebody has found something missing.
    pub(super) async fn is_asked_for(&mut self) {
        self.missing.notified().await;
        self.is_due = true;
    }

    /// Creates what is missing, until all of it is back; agents send again what they have buffered. A cluster
    /// may take half a minute for an attempt, so that it has a task of its own: another worker may have
    /// created the bucket of leases long before.
    ///
    /// # Errors
    ///
    /// When the broker has streams for another number of partitions.
    pub(super) async fn go_on(&mut self) -> anyhow::Result<()> {
        if let Some(attempt) = self.attempt.take_if(|attempt| attempt.is_finished()) {
            match attempt.await? {
                Ok(()) => self.is_due = false,
                Err(error) if error.is::<UsageError>() => return Err(error),
                Err(error) if self.failure_log.is_due() => {
                    tracing::warn!(
                        "cannot create streams and buckets yet (others may follow unlogged): {}",
                        causes(error.as_ref())
                    );
                }
                Err(error) => {
                    tracing::debug!("cannot create streams and buckets yet: {}", causes(error.as_ref()));
                }
            }
        }
        if self.is_due && self.attempt.is_none() {
            if self.beginning_log.is_due() {
                tracing::warn!("streams or buckets of the broker are missing; creating them again");
            }
            let (js, count, replicas) = (self.js.clone(), self.count, self.replicas);
            self.attempt =
                Some(tokio::spawn(async move { streams::ensure_again(&js, count, replicas).await }));
        }
        Ok(())
    }
}
