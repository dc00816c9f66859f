//! The data folder: all files of a host's Tidemap, used by one process at a time.

pub mod archive;
mod format;
mod trust;

use std::{
    env,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::files::{self, PathError, create_private, open_here};

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be created or written to.
    #[error("cannot write to the data folder {}: {cause}", path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// The operating system's error. It is in the message, so no `source`, which `{:#}` would append.
        cause: io::Error,
    },
    /// Another user may have put something into it.
    #[error("the data folder {} cannot be trusted: {reason}", path.display())]
    Untrusted {
        /// The folder.
        path: PathBuf,
        /// What makes it so, and what to do.
        reason: String,
    },
    /// A later version made it, and this one cannot know what its files mean.
    #[error(
        "the data folder {} is of format {found}, which a later tidemap has made; this one knows formats up to \
         {known}: install that version again", path.display()
    )]
    Later {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest known one.
        known: u32,
    },
    /// Another process uses it.
    #[error("the data folder {} is in use by another tidemap (process {holder})", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
        /// The process that holds the lock, by the number that it wrote into the lock file.
        holder: String,
    },
}

/// Replaces a file of the data folder in one step. A link in its place is replaced, not followed.
///
/// # Errors
///
/// When the folder cannot be written to.
pub fn write(path: &Path, content: &str) -> Result<(), PathError> {
    files::write_atomically(path, content)
}

/// Why others could write to a data folder, or read its keys, and what to do; `None` when all is well.
pub fn danger(path: &Path) -> Option<String> {
    trust::danger(path).or_else(|| files::open_secret(path, &["keys", "tls"]))
}

/// A locked data folder; dropping it releases the lock.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the folder if it is missing, accessible to its owner only, and locks it for this process.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written to, another user may have put something into it, or another process
    /// holds it.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        create(path)?;
        if let Some(danger) = trust::danger(path) {
            tracing::warn!("{danger}");
        }
        let lock = lock_file(path, "lock")?;
        format::establish(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `$XDG_DATA_HOME/tidemap`, else `~/.local/share/tidemap`; `None` when there is no home folder either.
    pub fn default_path() -> Option<PathBuf> {
        xdg_folder("XDG_DATA_HOME", ".local/share")
    }
}

/// Tidemap's folder below one of the user's base folders, which an environment variable may override.
pub(crate) fn xdg_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = env::var_os(variable).map(PathBuf::from).filter(absolute);
    Some(base.or_else(|| Some(env::home_dir()?.join(below_home)))?.join("tidemap"))
}

/// Creates a data folder if it is missing, readable to its owner only. One that exists must be this user's.
pub(crate) fn create(path: &Path) -> Result<(), DataDirError> {
    create_private(path).map_err(unwritable(path))?;
    trust::establish(path)
}

/// Takes the lock with this name in a folder, until the file is dropped or the process ends in any way.
pub(crate) fn lock_file(folder: &Path, name: &str) -> Result<File, DataDirError> {
    let unwritable = unwritable(folder);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = open_here(&folder.join(name), &mut options).map_err(&unwritable)?;
    match file.try_lock() {
        Ok(()) => {
            // The content serves only the error message of another process; the lock is the operating
            // system's.
            file.set_len(0).and_then(|()| file.rewind()).map_err(&unwritable)?;
            write!(file, "{}", std::process::id()).map_err(&unwritable)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(&unwritable)?;
            Err(DataDirError::Held { path: folder.to_owned(), holder })
        }
        Err(TryLockError::Error(cause)) => Err(unwritable(cause)),
    }
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |cause| DataDirError::Unwritable { path: path.clone(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/data");
        let held = DataDir::lock(&path).unwrap();
        let refused = DataDir::lock(&path).unwrap_err().to_string();
        let me = std::process::id();
        assert_eq!(
            refused,
            format!("the data folder {} is in use by another tidemap (process {me})", path.display())
        );
        drop(held);
        DataDir::lock(&path).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let path = file.join("data");
        let error = DataDir::lock(&path).unwrap_err();
        // The command prints an error with its sources, so each cause is printed once.
        assert!(std::error::Error::source(&error).is_none(), "{error:?}");
        let refused = error.to_string();
        assert!(
            refused.starts_with(&format!("cannot write to the data folder {}: ", path.display())),
            "{refused}"
        );
    }
}
