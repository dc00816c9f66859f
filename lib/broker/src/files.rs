//! Files and folders that only their owner may use, and the error that names the one that cannot be used.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// A file or folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {cause}", path.display())]
pub struct PathError {
    /// The file or folder.
    pub path: PathBuf,
    /// The operating system's error. It is in the message, so no `source`, which `{:#}` would append.
    pub cause: io::Error,
}

/// Names the file or folder that an error is about.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> PathError {
    let path = path.to_owned();
    move |cause| PathError { path: path.clone(), cause }
}

/// Creates a folder, and its parents, that only this user may enter. An existing folder stays as it is.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Creates what is missing of the folders in `dir`, then waits until no other process holds the lock file of
/// this name.
pub(crate) fn lock(dir: &Path, folders: &[&str], name: &str) -> Result<File, PathError> {
    for folder in folders {
        let path = dir.join(folder);
        let make = create_private(&path).and_then(|()| refuse_foreign_link(&path));
        make.and_then(|()| own_as_folder(&path)).map_err(at(&path))?;
    }
    let path = dir.join(name);
    let file = open_here(&path, OpenOptions::new().write(true).create(true)).map_err(at(&path))?;
    own_as_folder(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(file)
}

/// Opens a file, but never through a symbolic link: another user may have put it there to have a file
/// elsewhere overwritten.
pub(crate) fn open_here(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options.open(path)
}

/// Refuses a symbolic link that neither this user nor root has made, as the owner of a data folder could lead
/// root with it to a folder elsewhere.
#[cfg(unix)]
pub(crate) fn refuse_foreign_link(path: &Path) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    let owner = std::os::unix::fs::MetadataExt::uid(&found);
    if found.is_symlink() && owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("it is a symbolic link of another user ({owner})")));
    }
    Ok(())
}

/// This system has no such owners.
#[cfg(not(unix))]
pub(crate) fn refuse_foreign_link(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// The first file in these folders of `dir` that others can read, although it may hold a secret. Public
/// certificates and users do not.
#[cfg(unix)]
pub(crate) fn open_secret(dir: &Path, folders: &[&str]) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let is_secret = |path: &Path| {
        path.extension().is_some_and(|kind| ["nk", "key", "creds", "token"].iter().any(|it| kind == *it))
    };
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| dir.join(folder)).collect();
    while let Some(folder) = waiting.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        for (path, found) in entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?))) {
            if found.is_dir() {
                waiting.push(path);
            } else if is_secret(&path) && found.permissions().mode() & 0o077 != 0 {
                return Some(format!("others can read {}: chmod 600 it", path.display()));
            }
        }
    }
    None
}

/// This system has no such permissions.
#[cfg(not(unix))]
pub(crate) fn open_secret(_dir: &Path, _folders: &[&str]) -> Option<String> {
    None
}

/// A file's content; `None` when there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, PathError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Writes a file, unless it has this content already.
pub(crate) fn write_if_changed(path: &Path, content: &str) -> Result<(), PathError> {
    if fs::read_to_string(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    write_atomically(path, content)
}

/// Replaces a file in one step, so that neither a reader nor a crash finds half of it. Only its owner may
/// read it.
pub(crate) fn write_atomically(path: &Path, content: &str) -> Result<(), PathError> {
    let write = || {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::Write::write_all(&mut file, content.as_bytes())?;
        file.as_file().sync_all()?;
        own_as_folder(file.path())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(at(path))
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> Result<(), PathError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Gives a file or folder the owner of its parent folder: when root enrolls, the broker's user must still be
/// able to read its users. A symbolic link stays as it is.
#[cfg(unix)]
pub(crate) fn own_as_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, lchown};
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?.metadata()?;
    let found = path.symlink_metadata()?;
    if found.is_symlink() || found.uid() == folder.uid() {
        return Ok(());
    }
    match lchown(path, Some(folder.uid()), Some(folder.gid())) {
        // Only root can change owners. Others may work in a folder that belongs to another user, as in a
        // container.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// This system has no such owners.
#[cfg(not(unix))]
pub(crate) fn own_as_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}
