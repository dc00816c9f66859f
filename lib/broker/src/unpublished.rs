//! Whether brokers have yet to hear of a change in a data folder or an operator's folder. It is written
//! down before the change, so that whoever makes it may be stopped at any moment: the next one sees to it.

use std::path::Path;

use nkeys::KeyPair;

use crate::files::{self, PathError};

const FILE: &str = "keys/unpublished";

/// A change of which brokers may not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpublished(String);

/// Writes down that a change is about to be made.
///
/// # Errors
///
/// When the file cannot be written. Then the change must not be made.
pub fn mark(dir: &Path) -> Result<(), PathError> {
    // Each is another, so that who has published one does not clear the mark of the next one.
    files::write_atomically(&dir.join(FILE), &format!("{}\n", KeyPair::new_user().public_key()))
}

/// The last change of which brokers may not know.
///
/// # Errors
///
/// When the file cannot be read.
pub fn read(dir: &Path) -> Result<Option<Unpublished>, PathError> {
    Ok(files::read(&dir.join(FILE))?.map(Unpublished))
}

/// Brokers know of what had changed when this was read.
///
/// # Errors
///
/// When the file cannot be read or removed.
pub fn clear(dir: &Path, seen: &Unpublished) -> Result<(), PathError> {
    if read(dir)?.as_ref() == Some(seen) { files::remove(&dir.join(FILE)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_comes_while_another_is_published_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keys")).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        mark(dir.path()).unwrap();
        let first = read(dir.path()).unwrap().unwrap();
        mark(dir.path()).unwrap();
        clear(dir.path(), &first).unwrap();
        let second = read(dir.path()).unwrap().unwrap();
        assert_ne!(second, first);
        clear(dir.path(), &second).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        clear(dir.path(), &second).unwrap();
    }
}
