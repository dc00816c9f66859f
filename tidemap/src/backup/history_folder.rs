//! Where the history of a data folder is, and where that of a backup goes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tidemap_broker::data_dir;
use tidemap_history::FILE;
use tidemap_service::cli::{UsageError, say};

use crate::HISTORY_FOLDER;

/// In the data folder: where `tidemap up` keeps the history, when that is elsewhere. Its options may be known
/// to a service manager alone.
const POINTER: &str = "history-folder";

/// Writes there which folder `tidemap up` uses.
pub(crate) fn publish(dir: &Path, history: &Path) -> anyhow::Result<()> {
    let pointer = dir.join(POINTER);
    if history == dir.join(HISTORY_FOLDER) {
        return match fs::remove_file(pointer) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context(POINTER),
            _ => Ok(()),
        };
    }
    let absolute = std::path::absolute(history).context("--history-dir")?;
    Ok(data_dir::write(&pointer, &format!("{}\n", absolute.display()))?)
}

/// The folder with the history: the one that is named, or that `tidemap up` uses; else `None` if the usual
/// one has none.
pub(super) fn find(named: Option<PathBuf>, dir: &Path) -> Result<Option<PathBuf>, UsageError> {
    let used = || fs::read_to_string(dir.join(POINTER)).ok().map(|line| PathBuf::from(line.trim_end()));
    if let Some(folder) = named.or_else(used) {
        return match folder.join(FILE).try_exists() {
            Ok(true) => Ok(Some(folder)),
            Ok(false) => Err(UsageError::in_file("--history-dir", &folder, "there is no history in it")),
            Err(error) => Err(UsageError::in_file("--history-dir", &folder, error)),
        };
    }
    Ok(Some(dir.join(HISTORY_FOLDER)).filter(|usual| usual.join(FILE).exists()))
}

/// Refuses a folder that has a history already.
pub(super) fn check_none(folder: &Path) -> Result<(), UsageError> {
    match folder.join(FILE).try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(UsageError::in_file("--history-dir", folder, "there is a history in it already")),
        Err(error) => Err(UsageError::in_file("--history-dir", folder, error)),
    }
}

/// Moves a restored history to another folder, which may be on another disk.
pub(super) fn move_to(restored: &Path, folder: &Path) -> anyhow::Result<()> {
    let file = restored.join(FILE);
    if !file.exists() {
        say("the backup has no history");
        return Ok(());
    }
    let moving = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        if fs::rename(&file, folder.join(FILE)).is_err() {
            let half = tempfile::NamedTempFile::new_in(folder)?;
            io::copy(&mut fs::File::open(&file)?, &mut half.as_file())?;
            half.as_file().sync_all()?;
            half.persist(folder.join(FILE))?;
            fs::remove_file(&file)?;
        }
        fs::remove_dir(restored)
    };
    moving().with_context(|| {
        format!("the history is in {} and could not be moved to {}", restored.display(), folder.display())
    })?;
    say(format_args!("The history is in {}", folder.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_elsewhere_is_found_and_one_that_is_missing_is_said() {
        let root = tempfile::tempdir().unwrap();
        let (dir, elsewhere) = (root.path().join("data"), root.path().join("big"));
        fs::create_dir_all(dir.join(HISTORY_FOLDER)).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        assert_eq!(find(None, &dir).unwrap(), None);
        fs::write(dir.join(HISTORY_FOLDER).join(FILE), "").unwrap();
        assert_eq!(find(None, &dir).unwrap(), Some(dir.join(HISTORY_FOLDER)));
        publish(&dir, &elsewhere).unwrap();
        find(None, &dir).unwrap_err();
        fs::write(elsewhere.join(FILE), "").unwrap();
        assert_eq!(find(None, &dir).unwrap(), Some(elsewhere.clone()));
        check_none(&elsewhere).unwrap_err();
        find(Some(root.path().to_owned()), &dir).unwrap_err();
        publish(&dir, &dir.join(HISTORY_FOLDER)).unwrap();
        assert_eq!(find(None, &dir).unwrap(), Some(dir.join(HISTORY_FOLDER)));
    }

    #[test]
    fn a_restored_history_goes_where_it_should() {
        let root = tempfile::tempdir().unwrap();
        let (restored, folder) = (root.path().join("data/history"), root.path().join("a/b"));
        fs::create_dir_all(&restored).unwrap();
        fs::write(restored.join(FILE), "past").unwrap();
        move_to(&restored, &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), "past");
        assert!(!restored.exists());
        move_to(&restored, &folder).unwrap();
    }
}
