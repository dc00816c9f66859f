//! The names under which agents may know the broker, one in each line of a file.

use std::path::{Path, PathBuf};

use crate::files::{self, PathError};

/// A host whose address changes daily must not make its certificate longer for ever.
const MOST: usize = 100;

/// Joins names to those that are kept in this folder; returns all. Of too many, those that were not asked for
/// longest are dropped.
pub(super) fn kept(folder: &Path, asked: &[String]) -> Result<Vec<String>, PathError> {
    let mut names = read(folder)?;
    names.retain(|name| !asked.contains(name));
    names.extend_from_slice(asked);
    let excess = names.len().saturating_sub(MOST);
    for name in names.drain(..excess) {
        tracing::warn!("more than {MOST} names: the broker's certificate is no longer valid for {name}");
    }
    write(folder, &names)?;
    Ok(names)
}

/// Keeps these no longer.
pub(super) fn forget(folder: &Path, dropped: &[String]) -> Result<(), PathError> {
    let mut names = read(folder)?;
    let before = names.len();
    names.retain(|name| !dropped.contains(name));
    if names.len() < before { write(folder, &names) } else { Ok(()) }
}

fn read(folder: &Path) -> Result<Vec<String>, PathError> {
    let text = files::read(&path(folder))?.unwrap_or_default();
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn write(folder: &Path, names: &[String]) -> Result<(), PathError> {
    files::write_if_changed(&path(folder), &(names.join("\n") + "\n"))
}

fn path(folder: &Path) -> PathBuf {
    folder.join("names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_names_those_go_that_were_not_used_longest() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MOST {
            kept(folder.path(), &[format!("192.0.2.{number}")]).unwrap();
        }
        kept(folder.path(), &["192.0.2.0".to_owned()]).unwrap();
        let names = kept(folder.path(), &["broker.example".to_owned()]).unwrap();
        assert_eq!(names.len(), MOST);
        for (name, is_kept) in [("192.0.2.0", true), ("192.0.2.1", false), ("broker.example", true)] {
            assert_eq!(names.iter().any(|kept| kept == name), is_kept, "{name}");
        }
    }
}
