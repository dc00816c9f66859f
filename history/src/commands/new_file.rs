//! A file that appears whole, or not at all, and replaces none.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tidemap_service::cli::UsageError;

/// A file that is being written beside its place. Dropping it removes what was written.
#[derive(Debug)]
pub(super) struct NewFile {
    place: PathBuf,
    part: PathBuf,
}

impl NewFile {
    /// Begins a file, which its owner only may read.
    pub(super) fn create(place: &Path) -> anyhow::Result<(Self, File)> {
        let unusable = |problem: String| UsageError::in_file("FILE", place, problem);
        if place.symlink_metadata().is_ok() {
            return Err(unusable("it exists already, and no file is replaced".to_owned()).into());
        }
        let name = place.file_name().ok_or_else(|| unusable("it names no file".to_owned()))?;
        let part = place.with_file_name(format!("{}.part", name.display()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&part) {
            Ok(file) => Ok((Self { place: place.to_owned(), part }, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let words = format!(
                    "{} exists: another command writes it, or one was killed and it can be removed",
                    part.display()
                );
                Err(unusable(words).into())
            }
            Err(error) => Err(unusable(error.to_string()).into()),
        }
    }

    /// Where it is written.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Makes it durable, and puts it into its place. Returns its length.
    pub(super) fn finish(self) -> anyhow::Result<u64> {
        let cannot = || format!("cannot write {}", self.place.display());
        let file = File::open(&self.part).with_context(cannot)?;
        file.sync_all().with_context(cannot)?;
        // A link fails where a file has appeared meanwhile; renaming would replace it.
        match fs::hard_link(&self.part, &self.place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error).with_context(cannot)?,
            // Some file systems have no links.
            Err(_) => fs::rename(&self.part, &self.place).with_context(cannot)?,
            Ok(()) => {}
        }
        #[cfg(unix)]
        if let Some(folder) = self.place.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
        }
        Ok(file.metadata().with_context(cannot)?.len())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Renamed, or it was never more than a part: there is nothing to do about a failure.
        fs::remove_file(&self.part).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_appears_whole_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x");
        let (begun, mut file) = NewFile::create(&place).unwrap();
        file.write_all(b"abc").unwrap();
        assert!(!place.exists());
        let busy = NewFile::create(&place).unwrap_err().to_string();
        assert!(busy.contains("x.part exists: another command writes it"), "{busy}");
        assert_eq!(begun.finish().unwrap(), 3);
        assert_eq!(fs::read(&place).unwrap(), b"abc");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let there = NewFile::create(&place).unwrap_err();
        assert!(there.is::<UsageError>(), "{there}");
        assert!(there.to_string().ends_with("it exists already, and no file is replaced"), "{there}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_a_file_that_appears_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x");
        drop(NewFile::create(&place).unwrap());
        let (begun, _) = NewFile::create(&place).unwrap();
        fs::write(&place, "another's").unwrap();
        assert!(begun.finish().is_err());
        assert_eq!(fs::read(&place).unwrap(), b"another's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
