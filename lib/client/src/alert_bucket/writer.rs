//! Writes to the bucket of alerts, each by compare-and-swap, many at once.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::{
    self,
    kv::{self, UpdateErrorKind},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tidemap_service::{causes::causes, deadline, streams};
use tidemap_wire::timing;

use super::AlertBucket;

/// For each write.
const TIMEOUT: Duration = timing::LEASE_WRITE_TIMEOUT;
/// Writes under way at once.
const AT_ONCE: usize = 256;

/// A write of one key.
#[derive(Debug)]
pub struct KeyWrite {
    key: String,
    value: Vec<u8>,
    /// What the compare-and-swap names.
    revision: u64,
}

/// What came of writes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// What the bucket has now.
    pub stored: usize,
    /// Neither stored, nor written by another process.
    pub failed: usize,
    /// Why the last of these failed.
    pub failure: Option<String>,
}

impl KeyWrite {
    /// A write of `value` over `revision` (0: there is none).
    ///
    /// # Errors
    ///
    /// When the value cannot be encoded.
    pub fn new(key: String, value: &impl Serialize, revision: u64) -> anyhow::Result<Self> {
        Ok(Self { key, value: serde_json::to_vec(value)?, revision })
    }

    /// Whether it makes the bucket larger by a key.
    pub fn is_new(&self) -> bool {
        self.revision == 0
    }

    /// Whether it makes the bucket larger by an alert.
    pub fn is_new_alert(&self) -> bool {
        self.is_new() && self.key.starts_with("a.")
    }

    /// The bytes of its value.
    pub fn size(&self) -> usize {
        self.value.len()
    }
}

/// The bucket, open for writing.
#[derive(Clone, Debug)]
pub struct AlertWriter(kv::Store);

impl AlertWriter {
    /// Opens the bucket, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// When the broker refuses or does not answer.
    pub async fn create(js: &jetstream::Context) -> anyhow::Result<Self> {
        within(streams::ensure_alerts(js)).await?;
        Self::open(js).await
    }

    /// Opens the bucket, which a station has made.
    ///
    /// # Errors
    ///
    /// When there is none, and when the broker does not answer.
    pub async fn open(js: &jetstream::Context) -> anyhow::Result<Self> {
        let bucket = within(js.get_key_value(streams::ALERTS)).await;
        Ok(Self(bucket.context("cannot open the bucket of alerts")?))
    }

    /// Writes all, and notes in `known` what the bucket has then: this process's values, or those of another.
    pub async fn write(&self, writes: Vec<KeyWrite>, known: &mut AlertBucket) -> Written {
        let outcomes = stream::iter(writes.into_iter().map(|write| async move {
            let stored = self.swap(&write).await;
            (write, stored)
        }));
        let outcomes: Vec<_> = outcomes.buffered(AT_ONCE).collect().await;
        let mut written = Written::default();
        for (write, stored) in outcomes {
            match stored {
                Swap::Stored(revision) => {
                    written.stored += 1;
                    known.note(&write.key, Some(&write.value), revision);
                }
                Swap::Conflict => self.read_again(&write.key, known).await,
                Swap::Unknown(error) => {
                    written.failed += 1;
                    written.failure = Some(format!("{}: {}", write.key, causes(error.as_ref())));
                }
            }
        }
        written
    }

    async fn swap(&self, write: &KeyWrite) -> Swap {
        let written = self.0.update(&write.key, write.value.clone().into(), write.revision);
        match tokio::time::timeout(TIMEOUT, written).await {
            Ok(Ok(revision)) => Swap::Stored(revision),
            Ok(Err(error)) if error.kind() == UpdateErrorKind::WrongLastRevision => Swap::Conflict,
            Ok(Err(error)) => Swap::Unknown(error.into()),
            Err(late) => Swap::Unknown(late.into()),
        }
    }

    async fn read_again(&self, key: &str, known: &mut AlertBucket) {
        match within(self.0.entry(key)).await {
            Ok(Some(entry)) => {
                let value = (entry.operation == kv::Operation::Put).then_some(entry.value);
                known.note(key, value.as_deref(), entry.revision);
            }
            Ok(None) => known.forget(key),
            Err(error) => tracing::debug!(key, "not read: {}", causes(error.as_ref())),
        }
    }

    /// Removes a key and leaves no marker. What another station has written over it stays.
    ///
    /// # Errors
    ///
    /// When the broker refuses or does not answer.
    pub async fn purge(&self, key: &str, known: &mut AlertBucket) -> anyhow::Result<()> {
        let Some(revision) = known.revision(key) else { return Ok(()) };
        let subject = streams::bucket_subject(streams::ALERTS, key);
        within(self.0.stream.purge().sequence(revision + 1).filter(subject).into_future()).await?;
        known.forget(key);
        Ok(())
    }
}

enum Swap {
    Stored(u64),
    /// Another process has written.
    Conflict,
    /// Nobody knows.
    Unknown(anyhow::Error),
}

async fn within<T, E: Into<anyhow::Error>>(request: impl Future<Output = Result<T, E>>) -> anyhow::Result<T> {
    deadline::within(TIMEOUT, "the broker does not answer", request).await
}
