//! Samples that wait for the broker, kept in a file so that they survive a restart of the agent during an
//! outage.

mod baseline_file;
mod file;

use std::{io, path::Path};

use tidemap_service::cli::UsageError;
use tidemap_wire::{NodeId, Sample};

use crate::{
    baseline::{Baseline, Earlier, SampleId, Stand},
    outbox::{Delivery, Outbox},
};
use baseline_file::BaselineFile;
use file::{SpoolError, SpoolFile};

/// The agent's spool. Without a file, or after it has failed, samples wait in memory alone.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    files: Option<Files>,
    earlier: Option<Earlier>,
}

#[derive(Debug)]
struct Files {
    samples: SpoolFile,
    baseline: BaselineFile,
    /// The newest sample of the run before.
    before: Option<SampleId>,
}

impl Spool {
    /// Opens the file, if there is to be one, and passes to the outbox what an earlier run left in it. If the
    /// file cannot be written, the agent works without it.
    pub(crate) fn open(path: Option<&Path>, node: &NodeId, outbox: &mut Outbox) -> Result<Self, UsageError> {
        let Some(path) = path else { return Ok(Self::default()) };
        match SpoolFile::open(path, node) {
            Ok((samples, left)) => {
                if left.cut_bytes > 0 {
                    tracing::warn!(left.cut_bytes, "the spool's end was damaged and is cut off");
                }
                if !left.samples.is_empty() {
                    tracing::info!(samples = left.samples.len(), "the spool holds samples of an earlier run");
                }
                outbox.restore(left.samples);
                let mut baseline = BaselineFile::new(path);
                let kept = baseline.read().unwrap_or_else(|why| {
                    baseline.warn(&why);
                    None
                });
                let earlier = kept.and_then(|kept| kept.beside(left.newest));
                let before = left.newest.map(|newest| newest.id);
                Ok(Self { files: Some(Files { samples, baseline, before }), earlier })
            }
            Err(error @ SpoolError::NotOurs(_)) => Err(UsageError::in_file("--spool", path, error)),
            Err(error @ SpoolError::Io(_)) => {
                let error = UsageError::in_file("--spool", path, error);
                tracing::warn!("{error}: samples wait in memory alone");
                // What this run reports, the next one would report again.
                BaselineFile::new(path).remove();
                Ok(Self::default())
            }
        }
    }

    /// Whether samples are kept in a file.
    pub(crate) fn is_in_use(&self) -> bool {
        self.files.is_some()
    }

    /// What an earlier run has left of its counters.
    pub(crate) fn take_earlier(&mut self) -> Option<Earlier> {
        self.earlier.take()
    }

    /// Keeps where the counters stand before the run's first sample.
    pub(crate) fn begin(&mut self, run: u64, stand: Stand) {
        let Some(Files { baseline, before, .. }) = &mut self.files else { return };
        if let Err(error) = baseline.begin(&Baseline { run, follows: *before, stand }) {
            baseline.warn(&error.to_string());
        }
    }

    /// Keeps where the counters stand at a sample that the file has.
    pub(crate) fn keep_stand(&self, run: u64, stand: Stand) {
        if let Some(files) = &self.files {
            files.baseline.keep(Baseline { run, follows: None, stand });
        }
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
        if !self.files.as_ref().is_some_and(|files| files.samples.is_large()) {
            return;
        }
        self.compact(outbox);
    }

    /// Rewrites the file with what the broker does not have.
    pub(crate) fn compact(&mut self, outbox: &Outbox) {
        let pending = outbox.pending().map(|(boot, sample)| (boot, sample.clone())).collect();
        self.write(|file| file.compact(pending));
    }

    /// After a failure the file is no longer used.
    fn write(&mut self, write: impl FnOnce(&mut SpoolFile) -> io::Result<()>) {
        let Some(files) = &mut self.files else { return };
        let Err(error) = write(&mut files.samples) else { return };
        tracing::warn!(%error, "the spool cannot be written: from now on samples wait in memory alone");
        if let Some(files) = self.files.take() {
            files.samples.abandon();
        }
    }
}
