//! The file in which samples wait for the broker, so that an outage may outlast the agent.
//!
//! One file: a line that names the node, then records (see `records`) of two kinds, "this sample waits" and "these
//! were stored". It is appended to, and written anew without what is stored when it has grown; so it holds about three
//! times the ring's 600 samples at most. A second file beside it, `….lock`, keeps a second agent away.
//!
//! **What it withstands.** A record is in the kernel's hands before its sample is sent, so a crash or `kill -9` of the
//! agent loses nothing. It is not flushed to the disk each second: that would cost a flash card its life, to save samples
//! of a host that has lost its power. A power loss may take what the kernel had not written, some 30 s; checksums make
//! sure that it is a missing end and never garbage. Only a file that takes the place of another is flushed before.

mod records;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tidemap_service::cli::UsageError;
use tidemap_wire::{NodeId, Sample};

use crate::outbox::{Delivery, Outbox};
use records::Record;

const MAGIC: &str = "tidemap-spool 1 ";
/// Far more than 600 samples take; a larger file is not ours.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// The file may grow by this and twice what it held before it is written anew: some minutes of a healthy agent.
const GROWTH_BYTES: u64 = 64 * 1024;

/// The file in which samples wait for the broker.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    header: Vec<u8>,
    file: File,
    size_bytes: u64,
    full_bytes: u64,
    _lock: File,
}

/// What an earlier run left in the file.
#[derive(Debug, Default, PartialEq)]
pub struct Left {
    /// The samples that still wait, oldest first, with their runs.
    pub samples: Vec<(u64, Sample)>,
    /// Bytes at the end that were no whole record.
    pub cut_bytes: u64,
}

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file is something else; it is left as it is.
    #[error("--spool {}: {what}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// It cannot be used at all.
    #[error("--spool {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Spool {
    /// Opens the file and gives the outbox what an earlier run left. One that cannot be written is done without.
    ///
    /// # Errors
    ///
    /// When the file is another agent's, or no spool.
    pub fn take_up(path: &Path, node: &NodeId, outbox: &mut Outbox) -> Result<Option<Self>, UsageError> {
        match Self::open(path, node) {
            Ok((spool, left)) => {
                if left.cut_bytes > 0 {
                    tracing::warn!(left.cut_bytes, "the spool's end was damaged and is cut off");
                }
                if !left.samples.is_empty() {
                    tracing::info!(samples = left.samples.len(), "the spool holds samples of an earlier run");
                }
                outbox.restore(left.samples);
                Ok(Some(spool))
            }
            Err(error @ SpoolError::NotOurs { .. }) => Err(UsageError(error.to_string())),
            Err(error @ SpoolError::Io { .. }) => {
                tracing::warn!("{error}: samples wait in memory alone");
                Ok(None)
            }
        }
    }

    /// Opens or makes the file, readable to its owner only, and takes it for this process.
    ///
    /// # Errors
    ///
    /// When the file is another agent's or no spool, or cannot be read or written.
    pub fn open(path: &Path, node: &NodeId) -> Result<(Self, Left), SpoolError> {
        let failed = |source| SpoolError::Io { path: path.to_owned(), source };
        let not_ours = |what: &str| SpoolError::NotOurs { path: path.to_owned(), what: what.to_owned() };
        if fs::metadata(path).is_ok_and(|found| !found.is_file() || found.len() > MAX_FILE_BYTES) {
            return Err(not_ours("not a spool"));
        }
        let lock =
            match private(&beside(path, ".lock")).map(|file| (file.try_lock(), file)).map_err(failed)? {
                (Ok(()), lock) => lock,
                (Err(TryLockError::WouldBlock), _) => return Err(not_ours("another agent uses it")),
                (Err(TryLockError::Error(source)), _) => return Err(failed(source)),
            };
        let mut file = private(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let (left, whole_bytes) = read(&bytes, node).map_err(|what| not_ours(&what))?;
        let header = header(node);
        let (path, full_bytes) = (path.to_owned(), GROWTH_BYTES);
        let mut spool = Self { path, header, file, size_bytes: 0, full_bytes, _lock: lock };
        spool.cut_to(whole_bytes).map_err(|source| SpoolError::Io { path: spool.path.clone(), source })?;
        Ok((spool, left))
    }

    /// Gives the file up and empties it, which even a full disk allows: what it holds would be sent again at every start,
    /// and nobody could note any more that it was stored.
    pub fn abandon(self) {
        if let Err(error) = self.file.set_len(self.header.len() as u64) {
            tracing::warn!(%error, path = %self.path.display(), "the spool cannot be emptied either: remove it");
        }
    }

    /// A sample waits.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn keep(&mut self, boot: u64, sample: Sample) -> io::Result<()> {
        self.append(&Record::Waits { boot, sample: sample.into() })
    }

    /// Samples wait no more.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn stored(&mut self, delivery: Delivery) -> io::Result<()> {
        self.append(&Record::Stored { boot: delivery.boot, seqs: delivery.seqs })
    }

    /// Whether it has grown so much that it is to be written anew.
    pub fn is_full(&self) -> bool {
        self.size_bytes > self.full_bytes
    }

    /// Writes the file anew with what still waits.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn compact(&mut self, pending: Vec<(u64, Sample)>) -> io::Result<()> {
        if pending.is_empty() {
            self.cut_to(0)?;
        } else {
            let mut bytes = self.header.clone();
            for (boot, sample) in pending {
                records::append(&mut bytes, &Record::Waits { boot, sample: sample.into() });
            }
            let new = beside(&self.path, ".new");
            let mut file = private(&new)?;
            file.set_len(0)?;
            file.write_all(&bytes)?;
            file.sync_data()?;
            fs::rename(&new, &self.path)?;
            (self.file, self.size_bytes) = (file, bytes.len() as u64);
        }
        self.full_bytes = GROWTH_BYTES + 2 * self.size_bytes;
        Ok(())
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(256);
        records::append(&mut bytes, record);
        self.file.write_all(&bytes)?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Cuts off what follows the first bytes; less than the header is none.
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

/// What a file's bytes say, and how many of them say it.
///
/// # Errors
///
/// What the file is instead.
fn read(bytes: &[u8], node: &NodeId) -> Result<(Left, u64), String> {
    let header = header(node);
    let Some(body) = bytes.strip_prefix(header.as_slice()) else {
        if header.starts_with(bytes) {
            // The agent was killed while it made the file, or never wrote to it.
            return Ok((Left { cut_bytes: bytes.len() as u64, ..Left::default() }, 0));
        }
        return Err(match bytes.starts_with(MAGIC.as_bytes()) {
            true => "it holds samples of another node".to_owned(),
            false => "not a spool".to_owned(),
        });
    };
    let (found, body_bytes) = records::read(body);
    let left = Left { samples: records::waiting(found), cut_bytes: (body.len() - body_bytes) as u64 };
    Ok((left, (header.len() + body_bytes) as u64))
}

fn header(node: &NodeId) -> Vec<u8> {
    format!("{MAGIC}{node}\n").into_bytes()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens or makes a file that nobody else may read.
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
