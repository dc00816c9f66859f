//! Files in the folder of settings.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use anyhow::Context;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner.
    Owner,
    /// Everybody, such as the user without privileges that runs the agent.
    Everybody,
    /// As before; everybody when it is new.
    AsBefore,
}

/// Creates the folder of settings if it is missing.
pub(super) fn create_folder(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {} (are you root?)", path.display()))
}

/// A file's text; `None` when there is no such file.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Replaces a file in one step.
pub(super) fn write(path: &Path, text: &str, readers: Readers) -> anyhow::Result<()> {
    replace(path, text, readers).with_context(|| format!("cannot write {} (are you root?)", path.display()))
}

fn replace(path: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let before = fs::metadata(path).ok().filter(|_| readers == Readers::AsBefore);
    // A new file, because an existing one would keep its permissions.
    remove_if_there(&new)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    #[cfg(unix)]
    match before {
        Some(before) => {
            use std::os::unix::fs::{MetadataExt, fchown};
            // Only root can give it to another, and then it was not ours.
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
            file.set_permissions(before.permissions())?;
        }
        None if readers != Readers::Owner => {
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        }
        None => {}
    }
    #[cfg(not(unix))]
    let _ = before;
    file.sync_all()?;
    fs::rename(new, path)
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    remove_if_there(path).with_context(|| format!("cannot remove {}", path.display()))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
