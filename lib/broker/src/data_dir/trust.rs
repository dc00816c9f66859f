//! Whether a data folder, and what is in it, can only have been made by this user or by root.

use std::path::Path;

use super::DataDirError;

/// Takes others' access to a folder of this user away, and refuses one that another user may have prepared.
#[cfg(unix)]
pub(super) fn establish(path: &Path) -> Result<(), DataDirError> {
    users::establish(path, rustix::process::geteuid().as_raw())
}

/// This system has no such owners.
#[cfg(not(unix))]
pub(super) fn establish(_path: &Path) -> Result<(), DataDirError> {
    Ok(())
}

#[cfg(unix)]
mod users {
    use std::{
        fs::{self, Metadata, Permissions},
        io,
        os::unix::fs::{MetadataExt, PermissionsExt},
        path::{Path, PathBuf},
    };

    use crate::{
        data_dir::{DataDirError, unwritable},
        files::refuse_foreign_link,
    };

    const ROOT: u32 = 0;
    const STICKY: u32 = 0o1000;
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const OPEN_TO_OTHERS: u32 = 0o077;
    /// The broker's log. It holds no secret, and may hold thousands of files.
    const STORE: &str = "jetstream";

    pub(super) fn establish(path: &Path, me: u32) -> Result<(), DataDirError> {
        let untrusted = |reason: String| DataDirError::Untrusted { path: path.to_owned(), reason };
        refuse_foreign_link(path).map_err(|error| untrusted(error.to_string()))?;
        let folder = path.metadata().map_err(unwritable(path))?;
        refuse_owner(&folder, me).map_err(untrusted)?;
        if let Some(entry) = foreign_entry(path, me).map_err(unwritable(path))? {
            let reason = format!("{} belongs to another user; remove it, or chown it", entry.display());
            return Err(untrusted(reason));
        }
        // A folder of root's stays as it is: a container's is made so, with access for the container's group.
        if folder.uid() == me && folder.mode() & OPEN_TO_OTHERS != 0 {
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(unwritable(path))?;
            log_closing(path, folder.mode());
            // What others have put there between the check and the change.
            if let Some(entry) = foreign_entry(path, me).map_err(unwritable(path))? {
                return Err(untrusted(format!("{} belongs to another user", entry.display())));
            }
        }
        Ok(())
    }

    /// That others could write is a danger, that they could look is not.
    fn log_closing(path: &Path, mode: u32) {
        let (folder, before) = (path.display(), format!("{:o}", mode & 0o7777));
        if mode & WRITABLE_BY_OTHERS == 0 {
            tracing::info!(%folder, before, "the data folder's mode is 700 now");
        } else {
            tracing::warn!(%folder, before, "others could write to the data folder; its mode is 700 now");
        }
    }

    fn refuse_owner(folder: &Metadata, me: u32) -> Result<(), String> {
        let owner = folder.uid();
        if owner != me && owner != ROOT {
            return Err(format!(
                "it belongs to another user ({owner}); start tidemap as that user, or chown the folder"
            ));
        }
        let shared = folder.mode() & STICKY != 0 && folder.mode() & WRITABLE_BY_OTHERS != 0;
        if shared { Err("it is for every user's files; choose a folder in it".to_owned()) } else { Ok(()) }
    }

    /// Something that neither this user nor root has made. Links are not followed.
    fn foreign_entry(folder: &Path, me: u32) -> io::Result<Option<PathBuf>> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = match entry.metadata() {
                // Another process of ours, such as `enroll`, has renamed or removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if found.uid() != me && found.uid() != ROOT {
                return Ok(Some(entry.path()));
            }
            if !found.is_dir() || entry.file_name() == STORE {
                continue;
            }
            match foreign_entry(&entry.path(), me) {
                Ok(None) => {}
                // Root's alone, such as the `lost+found` of a disk that is mounted here.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && found.uid() == ROOT => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        Ok(None)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, chown, lchown, symlink},
    };

    use super::*;
    use crate::data_dir::DataDir;

    const ANOTHER_USER: u32 = 65_534;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Only root can make what belongs to another user.
    fn is_root() -> bool {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root {
            println!("NOT CHECKED, because only root can give files to another user");
        }
        is_root
    }

    fn refused(path: &Path) -> String {
        DataDir::lock(path).unwrap_err().to_string()
    }

    #[test]
    fn an_open_folder_of_ours_is_closed_and_used() {
        for open in [0o755, 0o750, 0o777] {
            let data = tempfile::tempdir().unwrap();
            fs::write(data.path().join("kept"), "").unwrap();
            set_mode(data.path(), open);
            DataDir::lock(data.path()).unwrap();
            assert_eq!(mode(data.path()), 0o700, "{open:o}");
        }
    }

    #[test]
    fn a_folder_of_every_users_files_is_refused_and_stays_as_it_is() {
        let data = tempfile::tempdir().unwrap();
        set_mode(data.path(), 0o1777);
        assert!(refused(data.path()).contains("every user's files"), "{}", refused(data.path()));
        assert_eq!(mode(data.path()), 0o1777);
    }

    #[test]
    fn another_users_folder_is_refused() {
        if !is_root() {
            return;
        }
        let data = tempfile::tempdir().unwrap();
        set_mode(data.path(), 0o777);
        chown(data.path(), Some(ANOTHER_USER), None).unwrap();
        assert!(refused(data.path()).contains("belongs to another user (65534)"), "{}", refused(data.path()));
        let none: Vec<_> = fs::read_dir(data.path()).unwrap().collect();
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn what_another_user_has_put_there_is_refused() {
        if !is_root() {
            return;
        }
        for name in
            ["lock", "broker.lock", "nats.conf", "nats-server.err", "nats-server.log", "keys/service.nk"]
        {
            let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
            fs::write(elsewhere.path(), "precious").unwrap();
            fs::create_dir(data.path().join("keys")).unwrap();
            let planted = data.path().join(name);
            symlink(elsewhere.path(), &planted).unwrap();
            lchown(&planted, Some(ANOTHER_USER), None).unwrap();
            set_mode(data.path(), 0o777);
            assert!(refused(data.path()).contains(name), "{}", refused(data.path()));
            assert_eq!(fs::read_to_string(elsewhere.path()).unwrap(), "precious");
        }
    }

    #[test]
    fn another_users_link_to_a_folder_is_refused() {
        if !is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let (target, link) = (root.path().join("target"), root.path().join("link"));
        fs::create_dir(&target).unwrap();
        symlink(&target, &link).unwrap();
        DataDir::lock(&link).unwrap();
        lchown(&link, Some(ANOTHER_USER), None).unwrap();
        assert!(refused(&link).contains("symbolic link of another user"), "{}", refused(&link));
    }

    #[test]
    fn a_lock_is_not_written_through_a_link() {
        let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        fs::write(elsewhere.path(), "precious").unwrap();
        symlink(elsewhere.path(), data.path().join("lock")).unwrap();
        DataDir::lock(data.path()).unwrap_err();
        assert_eq!(fs::read_to_string(elsewhere.path()).unwrap(), "precious");
    }
}
