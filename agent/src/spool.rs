//! Samples that wait for the broker, kept in a file so that they survive a restart of the agent during an
//! outage.

mod file;

use std::{io, path::Path};

use tidemap_service::cli::UsageError;
use tidemap_wire::{NodeId, Sample};

use crate::outbox::{Delivery, Outbox};
use file::{SpoolError, SpoolFile};

/// The agent's spool. Without a file, or after it has failed, samples wait in memory alone.
#[derive(Debug)]
pub(crate) struct Spool(Option<SpoolFile>);

impl Spool {
    /// Opens the file, if there is to be one, and passes to the outbox what an earlier run left in it. If the
    /// file cannot be written, the agent works without it.
    pub(crate) fn open(path: Option<&Path>, node: &NodeId, outbox: &mut Outbox) -> Result<Self, UsageError> {
        let Some(path) = path else { return Ok(Self(None)) };
        match SpoolFile::open(path, node) {
            Ok((file, left)) => {
                if left.cut_bytes > 0 {
                    tracing::warn!(left.cut_bytes, "the spool's end was damaged and is cut off");
                }
                if !left.samples.is_empty() {
                    tracing::info!(samples = left.samples.len(), "the spool holds samples of an earlier run");
                }
                outbox.restore(left.samples);
                Ok(Self(Some(file)))
            }
            Err(error @ SpoolError::NotOurs(_)) => Err(UsageError::in_file("--spool", path, error)),
            Err(error @ SpoolError::Io(_)) => {
                let error = UsageError::in_file("--spool", path, error);
                tracing::warn!("{error}: samples wait in memory alone");
                Ok(Self(None))
            }
        }
    }

    /// Whether samples are kept in a file.
    pub(crate) fn is_in_use(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a sample to the file before it is sent.
    pub(crate) fn keep(&mut self, boot: u64, sample: Sample) {
        self.write(|file| file.keep(boot, sample));
    }

    /// Notes in the file that samples are stored.
    pub(crate) fn stored(&mut self, delivery: Delivery) {
        self.write(|file| file.stored(delivery));
    }

    /// Rewrites the file without what the broker has by now, when it has grown.
    pub(crate) fn compact_if_large(&mut self, outbox: &Outbox) {
        if !self.0.as_ref().is_some_and(SpoolFile::is_large) {
            return;
        }
        let pending = outbox.pending().map(|(boot, sample)| (boot, sample.clone())).collect();
        self.write(|file| file.compact(pending));
    }

    /// After a failure the file is no longer used.
    fn write(&mut self, write: impl FnOnce(&mut SpoolFile) -> io::Result<()>) {
        let Some(file) = &mut self.0 else { return };
        let Err(error) = write(file) else { return };
        tracing::warn!(%error, "the spool cannot be written: from now on samples wait in memory alone");
        if let Some(file) = self.0.take() {
            file.abandon();
        }
    }
}
