//! Whether a data folder, and what is in it, can only have been made by this user or by root.

use std::path::Path;

use super::DataDirError;

/// Takes others' access to a folder of this user away, and refuses one that another user may have prepared.
#[cfg(unix)]
pub(super) fn establish(path: &Path) -> Result<(), DataDirError> {
    users::establish(path, rustix::process::geteuid().as_raw())
}

/// Why others can write to a folder that was established all the same, and what to do, for the log.
#[cfg(unix)]
pub(super) fn danger(path: &Path) -> Option<String> {
    users::danger(path, rustix::process::geteuid().as_raw())
}

/// This system has no such owners.
#[cfg(not(unix))]
pub(super) fn establish(_path: &Path) -> Result<(), DataDirError> {
    Ok(())
}

/// This system has no such owners.
#[cfg(not(unix))]
pub(super) fn danger(_path: &Path) -> Option<String> {
    None
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
    /// The owner of what root makes on NFS, unless its server trusts root.
    const NOBODY: u32 = 65_534;
    const STICKY: u32 = 0o1000;
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    const WRITABLE_BY_ALL: u32 = 0o002;
    const OPEN_TO_OTHERS: u32 = 0o077;
    /// The broker's log. It holds no secret, and may hold thousands of files.
    const STORE: &str = "jetstream";
    /// Folders for every user's files, even while there are none.
    const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

    pub(super) fn establish(path: &Path, me: u32) -> Result<(), DataDirError> {
        let untrusted = |reason: String| DataDirError::Untrusted { path: path.to_owned(), reason };
        refuse_foreign_link(path).map_err(|error| untrusted(error.to_string()))?;
        let folder = path.metadata().map_err(unwritable(path))?;
        refuse_owner(&folder, me).map_err(untrusted)?;
        if is_shared(&folder) && !(folder.uid() == me && is_new(path).map_err(unwritable(path))?) {
            return Err(untrusted(format!(
                "it is for every user's files; choose a folder in it, or make it this user's alone (a mount, with \
                 mode=0700,uid={me})"
            )));
        }
        refuse_foreign_entry(path, me)?;
        // A folder of root's stays as it is: a container's is made so, with access for the container's group.
        if folder.uid() == me && folder.mode() & OPEN_TO_OTHERS != 0 {
            match fs::set_permissions(path, Permissions::from_mode(0o700)) {
                Ok(()) => log_closing(path, folder.mode()),
                // As on FAT.
                Err(error) if folder.mode() & WRITABLE_BY_OTHERS == 0 => {
                    let folder = path.display();
                    tracing::warn!(%folder, "the file system keeps the data folder open to others: {error}");
                }
                Err(error) => return Err(unwritable(path)(error)),
            }
            // What others have put there between the check and the change.
            refuse_foreign_entry(path, me)?;
        }
        Ok(())
    }

    pub(super) fn danger(path: &Path, me: u32) -> Option<String> {
        let folder = path.metadata().ok()?;
        (folder.uid() != me && folder.mode() & WRITABLE_BY_ALL != 0).then(|| {
            let path = path.display();
            format!(
                "every user can write to the data folder {path}, which is root's: choose a folder in it, or have \
                 root run `chown {me} {path}`"
            )
        })
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
        if owner == me || owner == ROOT {
            return Ok(());
        }
        Err(format!(
            "it belongs to another user ({owner}); start tidemap as that user (`sudo -u '#{owner}' tidemap …`), or \
             chown the folder{}",
            hint(owner)
        ))
    }

    fn refuse_foreign_entry(path: &Path, me: u32) -> Result<(), DataDirError> {
        let Some((entry, owner)) = foreign_entry(path, me).map_err(unwritable(path))? else { return Ok(()) };
        let (entry, hint) = (entry.display(), hint(owner));
        let reason = format!("{entry} belongs to another user ({owner}); remove it, or chown it{hint}");
        Err(DataDirError::Untrusted { path: path.to_owned(), reason })
    }

    fn hint(owner: u32) -> &'static str {
        if owner == NOBODY {
            ". On NFS, what root makes is nobody's: start tidemap as a user who owns the folder there"
        } else {
            ""
        }
    }

    fn is_shared(folder: &Metadata) -> bool {
        folder.mode() & STICKY != 0 && folder.mode() & WRITABLE_BY_ALL != 0
    }

    /// Whether a folder is empty and has no other purpose, as a `tmpfs` that was mounted for Tidemap.
    fn is_new(path: &Path) -> io::Result<bool> {
        let place = path.canonicalize()?;
        Ok(!TEMPORARY.iter().any(|other| place == Path::new(other)) && path.read_dir()?.next().is_none())
    }

    /// Something that neither this user nor root has made. Links are not followed.
    fn foreign_entry(folder: &Path, me: u32) -> io::Result<Option<(PathBuf, u32)>> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = match entry.metadata() {
                // Another process of ours, such as `enroll`, has renamed or removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            if found.uid() != me && found.uid() != ROOT {
                return Ok(Some((entry.path(), found.uid())));
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
        os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
    };

    use tidemap_wire::NodeId;

    use super::*;
    use crate::{
        data_dir::DataDir,
        jwt::{EnrollKey, Operator},
        keys::{self, Keys, RelaySide},
    };

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
        fs::write(data.path().join("of another program"), "").unwrap();
        set_mode(data.path(), 0o1777);
        assert!(refused(data.path()).contains("every user's files"), "{}", refused(data.path()));
        assert_eq!(mode(data.path()), 0o1777);
    }

    #[test]
    fn a_new_mount_of_ours_is_closed_and_used() {
        let data = tempfile::tempdir().unwrap();
        // As `mount -t tmpfs` and `docker run --tmpfs` make it.
        set_mode(data.path(), 0o1777);
        DataDir::lock(data.path()).unwrap();
        assert_eq!(mode(data.path()), 0o700);
        DataDir::lock(data.path()).unwrap();
    }

    #[test]
    fn a_folder_of_roots_that_everybody_can_write_to_is_used_with_a_warning() {
        if !is_root() {
            return;
        }
        let data = tempfile::tempdir().unwrap();
        for (mode, is_dangerous) in [(0o777, true), (0o755, false), (0o2775, false)] {
            set_mode(data.path(), mode);
            users::establish(data.path(), ANOTHER_USER).unwrap();
            let warning = users::danger(data.path(), ANOTHER_USER);
            assert_eq!(warning.is_some_and(|text| text.contains("`chown 65534 /")), is_dangerous, "{mode:o}");
        }
        set_mode(data.path(), 0o1777);
        let refused = users::establish(data.path(), ANOTHER_USER).unwrap_err().to_string();
        assert!(refused.contains("mode=0700,uid=65534"), "{refused}");
        DataDir::lock(data.path()).unwrap();
        assert_eq!(users::danger(data.path(), 0), None);
    }

    /// So that the service can read what `sudo tidemap enroll` writes.
    #[test]
    fn what_root_makes_in_a_users_folder_is_that_users() {
        if !is_root() {
            return;
        }
        let (data, signed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&data, &signed] {
            chown(folder.path(), Some(ANOTHER_USER), Some(ANOTHER_USER)).unwrap();
        }
        let node = NodeId::from_name("web-01").unwrap();
        Keys::open_or_create(data.path()).unwrap();
        keys::enroll(data.path(), &node).unwrap();
        keys::enroll_relay(data.path(), &node, RelaySide::Packs).unwrap();
        let operator = Operator::open_or_create(signed.path(), EnrollKey::Keep, 1_800_000_000).unwrap();
        operator.enroll(&node, 1_800_000_000).unwrap();
        let mut files = 0;
        let mut folders = vec![data.path().to_owned(), signed.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let (path, found) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
                assert_eq!((found.uid(), found.gid()), (ANOTHER_USER, ANOTHER_USER), "{}", path.display());
                files += usize::from(found.is_file());
                folders.extend(found.is_dir().then_some(path));
            }
        }
        assert!(files > 10, "{files} files");
    }

    #[test]
    fn another_users_folder_is_refused() {
        if !is_root() {
            return;
        }
        let data = tempfile::tempdir().unwrap();
        set_mode(data.path(), 0o777);
        chown(data.path(), Some(ANOTHER_USER), None).unwrap();
        let refused = refused(data.path());
        assert!(refused.contains("belongs to another user (65534)") && refused.contains("NFS"), "{refused}");
        chown(data.path(), Some(4_242), None).unwrap();
        let refused = self::refused(data.path());
        assert!(refused.contains("sudo -u '#4242' tidemap") && !refused.contains("NFS"), "{refused}");
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
