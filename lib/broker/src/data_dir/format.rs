//! Which versions can use a data folder: a number in it, which rises when older versions cannot.

use std::path::Path;

use super::{DataDirError, unwritable};
use crate::files;

/// The format of folders that this version makes, and the latest that it can use.
pub(super) const FORMAT: u32 = 1;
const FILE: &str = "format";

/// Refuses a folder of a later format. One of version 0.1 has no number, and gets one.
pub(super) fn establish(dir: &Path) -> Result<(), DataDirError> {
    let path = dir.join(FILE);
    let text = files::read(&path).map_err(|error| unwritable(dir)(error.cause))?;
    let found = text.map_or(0, |text| text.trim().parse().unwrap_or(u32::MAX));
    if found > FORMAT {
        return Err(DataDirError::Later { path: dir.to_owned(), found, known: FORMAT });
    }
    let written = files::write_if_changed(&path, &format!("{FORMAT}\n"));
    written.map_err(|error| unwritable(dir)(error.cause))
}
