//! The file beside the spool that keeps where the counters stood: a line that names its kind, a checksum, and
//! MessagePack.
//!
//! It is replaced in one step by a thread of its own, so nobody waits for the disk. It is never synced: it is
//! of use on the same boot of the kernel alone, and a power loss ends that. If it is older than the newest
//! sample in the spool, nothing is counted twice, and nothing lost unless one of several interfaces was
//! reset.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use tidemap_wire::{decode, encode};

use super::file::{beside, replace};
use crate::baseline::Baseline;

const MAGIC: &[u8] = b"tidemap-baseline 1\n";
const CHECKSUM_BYTES: usize = 4;
/// Much more than a thousand interfaces take.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const STACK_BYTES: usize = 256 << 10;

/// Writes the file.
#[derive(Debug)]
pub(super) struct BaselineFile {
    path: PathBuf,
    writer: Option<SyncSender<Baseline>>,
    has_warned: bool,
}

impl BaselineFile {
    /// The file beside this spool.
    pub(super) fn new(spool: &Path) -> Self {
        Self { path: beside(spool, ".baseline"), writer: None, has_warned: false }
    }

    /// What an earlier run has left in it, if anything; the error says why it cannot be used.
    pub(super) fn read(&self) -> Result<Option<Baseline>, String> {
        let mut bytes = Vec::new();
        if fs::metadata(&self.path).is_ok_and(|found| !found.is_file()) {
            return Err("not a file".to_owned());
        }
        match File::open(&self.path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)) {
            Ok(_) => parse(&bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Removes what an earlier run has left in it, as far as that is possible.
    pub(super) fn remove(&self) {
        fs::remove_file(&self.path).ok();
    }

    /// Writes the run's first one, and waits for it.
    pub(super) fn begin(&mut self, baseline: &Baseline) -> io::Result<()> {
        replace(&self.path, &bytes_of(baseline), false)?;
        let path = self.path.clone();
        // One waits at most. While the disk hangs, later ones are left out.
        let (writer, baselines) = sync_channel::<Baseline>(1);
        let mut has_warned = self.has_warned;
        let work = move || {
            while let Ok(baseline) = baselines.recv() {
                if let Err(error) = replace(&path, &bytes_of(&baseline), false)
                    && !std::mem::replace(&mut has_warned, true)
                {
                    warn(&path, &error.to_string());
                }
            }
        };
        thread::Builder::new().name("baseline".to_owned()).stack_size(STACK_BYTES).spawn(work)?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Replaces it some time soon.
    pub(super) fn keep(&self, baseline: Baseline) {
        if let Some(writer) = &self.writer {
            writer.try_send(baseline).ok();
        }
    }

    /// Says once that bytes between two runs may not be counted.
    pub(super) fn warn(&mut self, why: &str) {
        if !std::mem::replace(&mut self.has_warned, true) {
            warn(&self.path, why);
        }
    }
}

fn warn(path: &Path, why: &str) {
    tracing::warn!(path = %path.display(), why, "bytes that move between two runs of the agent may not be counted");
}

fn bytes_of(baseline: &Baseline) -> Vec<u8> {
    let payload = encode(baseline);
    [MAGIC, &crc32fast::hash(&payload).to_le_bytes(), &payload].concat()
}

fn parse(bytes: &[u8]) -> Result<Baseline, String> {
    let body = bytes.strip_prefix(MAGIC).ok_or("it is of another version or kind")?;
    let (checksum, payload) = body.split_at_checked(CHECKSUM_BYTES).ok_or("it is damaged")?;
    if crc32fast::hash(payload).to_le_bytes() != checksum {
        return Err("it is damaged".to_owned());
    }
    decode(payload).map_err(|_| "it is of another version".to_owned())
}

#[cfg(test)]
mod tests;
