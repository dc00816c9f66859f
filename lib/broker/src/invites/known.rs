//! The invites of a folder as they were read last. Requests of strangers are held against them, so they make
//! nobody read the file, nor wait for its lock.

use std::{fs, io, path::Path, time::SystemTime};

use super::{FILE, Invites, InvitesError, read};
use crate::files;

/// Invites that are read again when their file is another.
#[derive(Debug, Default)]
pub struct KnownInvites {
    stamp: Option<Stamp>,
    invites: Invites,
}

/// Which file it was. It is replaced whenever it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

impl KnownInvites {
    /// The invites as they are now.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn now(&mut self, dir: &Path) -> Result<&Invites, InvitesError> {
        // Looked at before it is read: one that is replaced in between is read again the next time.
        let path = dir.join(FILE);
        let stamp = stamp(&path).map_err(files::at(&path))?;
        if stamp != self.stamp {
            self.invites = read(dir)?;
            self.stamp = stamp;
        }
        Ok(&self.invites)
    }
}

fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&found);
    #[cfg(not(unix))]
    let inode = 0;
    Ok(Some(Stamp { modified: found.modified()?, length: found.len(), inode }))
}
