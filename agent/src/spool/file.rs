//! The spool's file: a line that names the node, then records (see `records`) of two kinds, "this sample
//! waits" and "these samples are stored". Records are appended. When the file has grown, it is rewritten
//! without the stored samples but the newest, so it holds at most about three times the ring's 600 samples. A
//! second file beside it, `….lock`, keeps a second agent away.
//!
//! **What it withstands.** A record is in the kernel's buffers before its sample is sent, so a crash or `kill
//! -9` of the agent loses nothing. The file is not synced to the disk each second, because that would wear
//! out a flash card to save samples of a host without power. A power loss may lose what the kernel had not
//! written yet, some 30 s; checksums ensure that the file then ends early but never contains garbage. Only
//! when the file is rewritten with samples that wait is the new one synced before it replaces the old.

mod records;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tidemap_wire::{NodeId, Sample};

use crate::{baseline::Newest, outbox::Delivery};
use records::Record;

const MAGIC: &str = "tidemap-spool 1 ";
/// Much more than 600 samples take; a larger file is not a spool.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// The file is rewritten when it is larger than this plus twice its size after the last rewriting, which is
/// after some minutes of a healthy agent.
const GROWTH_BYTES: u64 = 64 * 1024;

/// An open file, locked for this process.
#[derive(Debug)]
pub(super) struct SpoolFile {
    path: PathBuf,
    header: Vec<u8>,
    file: File,
    size_bytes: u64,
    large_bytes: u64,
    /// The newest sample: of this run, or of the one before as long as this has none. It stays in the file
    /// although it may be stored: the next run begins where it ends.
    newest: Option<(u64, Sample)>,
    /// Whether it is of this run.
    is_own: bool,
    _lock: File,
}

/// The contents that an earlier run left in the file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Left {
    /// The samples that still wait, oldest first, with their runs.
    pub(super) samples: Vec<(u64, Sample)>,
    /// The newest one, waiting or stored; `None` where nobody knows whether it is.
    pub(super) newest: Option<Newest>,
    /// Bytes at the end that were not a complete record.
    pub(super) cut_bytes: u64,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    /// The file is something else; it is not changed.
    #[error("{0}")]
    NotOurs(String),
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl SpoolFile {
    /// Opens or creates the file, readable to its owner only, and locks it for this process.
    pub(super) fn open(path: &Path, node: &NodeId) -> Result<(Self, Left), SpoolError> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file() || found.len() > MAX_FILE_BYTES) {
            return Err(SpoolError::NotOurs("not a spool".to_owned()));
        }
        let lock = private(&beside(path, ".lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SpoolError::NotOurs("another agent uses it".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut file = private(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (left, newest, whole_bytes) = read(&bytes, node).map_err(SpoolError::NotOurs)?;
        let (path, header) = (path.to_owned(), header(node));
        let (size_bytes, large_bytes) = (0, GROWTH_BYTES);
        let is_own = false;
        let mut spool = Self { path, header, file, size_bytes, large_bytes, newest, is_own, _lock: lock };
        spool.cut_to(whole_bytes)?;
        Ok((spool, left))
    }

    /// Empties the file, which is possible even on a full disk. Its samples would otherwise be sent again at
    /// every start, because the file could not record that they were stored.
    pub(super) fn abandon(self) {
        if let Err(error) = self.file.set_len(self.header.len() as u64) {
            tracing::warn!(%error, path = %self.path.display(), "the spool cannot be emptied either: remove it");
        }
    }

    /// Writes a sample that waits.
    pub(super) fn keep(&mut self, boot: u64, sample: Sample) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(256);
        if !std::mem::replace(&mut self.is_own, true) {
            records::append(&mut bytes, &records::mark(boot));
        }
        self.newest = Some((boot, sample.clone()));
        records::append(&mut bytes, &Record::Waits { boot, sample: sample.into() });
        self.append(&bytes)
    }

    /// Writes that samples are stored.
    pub(super) fn stored(&mut self, delivery: Delivery) -> io::Result<()> {
        if delivery.seqs.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(64);
        records::append(&mut bytes, &Record::Stored { boot: delivery.boot, seqs: delivery.seqs });
        self.append(&bytes)
    }

    /// Whether it has grown so much that it should be rewritten.
    pub(super) fn is_large(&self) -> bool {
        self.size_bytes > self.large_bytes
    }

    /// Rewrites the file with the samples that still wait, and the newest.
    pub(super) fn compact(&mut self, mut pending: Vec<(u64, Sample)>) -> io::Result<()> {
        let is_worth_syncing = !pending.is_empty();
        let mut bytes = self.header.clone();
        let is = |(boot, sample): &(u64, Sample), other: &(u64, Sample)| {
            (*boot, sample.seq) == (other.0, other.1.seq)
        };
        let newest = self.newest.clone();
        let is_newest = |one: &(u64, Sample)| newest.as_ref().is_some_and(|newest| is(newest, one));
        let is_pending = pending.iter().any(is_newest);
        pending.retain(|one| !is_newest(one));
        for (boot, sample) in pending {
            records::append(&mut bytes, &Record::Waits { boot, sample: sample.into() });
        }
        if let Some((boot, sample)) = newest {
            let seqs = if is_pending { Vec::new() } else { vec![sample.seq] };
            records::append(&mut bytes, &records::mark(boot));
            records::append(&mut bytes, &Record::Waits { boot, sample: sample.into() });
            if !seqs.is_empty() {
                records::append(&mut bytes, &Record::Stored { boot, seqs });
            }
        }
        let file = replace(&self.path, &bytes, is_worth_syncing)?;
        (self.file, self.size_bytes) = (file, bytes.len() as u64);
        self.large_bytes = GROWTH_BYTES + 2 * self.size_bytes;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Shortens the file to this many bytes; if they do not include the whole header, writes the header
    /// again.
    fn cut_to(&mut self, bytes: u64) -> io::Result<()> {
        let header_bytes = self.header.len() as u64;
        self.size_bytes = bytes.max(header_bytes);
        if bytes < header_bytes {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(&self.header)?;
        }
        self.file.set_len(self.size_bytes)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

/// A run and its sample.
type OfRun = (u64, Sample);

/// Parses a file's bytes. Also returns the newest sample, and how many of the bytes were complete records;
/// the error says what the file is instead.
fn read(bytes: &[u8], node: &NodeId) -> Result<(Left, Option<OfRun>, u64), String> {
    let header = header(node);
    let Some(body) = bytes.strip_prefix(header.as_slice()) else {
        if header.starts_with(bytes) {
            // The agent was killed while it created the file, or has never written to it.
            return Ok((Left { cut_bytes: bytes.len() as u64, ..Left::default() }, None, 0));
        }
        return Err(match bytes.starts_with(MAGIC.as_bytes()) {
            true => "it holds samples of another node".to_owned(),
            false => "not a spool".to_owned(),
        });
    };
    let (found, body_bytes) = records::read(body);
    let newest = records::newest(&found);
    let left = Left {
        samples: records::waiting(found),
        newest: newest.as_ref().map(|(run, sample)| Newest::of(*run, sample)),
        cut_bytes: (body.len() - body_bytes) as u64,
    };
    Ok((left, newest, (header.len() + body_bytes) as u64))
}

fn header(node: &NodeId) -> Vec<u8> {
    format!("{MAGIC}{node}\n").into_bytes()
}

/// Replaces a file in one step by one that only its owner may read. Without syncing, a power loss may leave
/// an empty one.
pub(super) fn replace(path: &Path, bytes: &[u8], sync: bool) -> io::Result<File> {
    let new = beside(path, ".new");
    let mut file = private(&new)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_data()?;
    }
    fs::rename(&new, path)?;
    Ok(file)
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens or creates a file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
