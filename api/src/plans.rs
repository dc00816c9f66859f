//! The file that declares how nodes are billed.

use std::path::Path;

use tidemap_service::{cli::UsageError, text_file};
use tidemap_traffic::Plans;

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<Plans, UsageError> {
    let wrong = |problem: &dyn std::fmt::Display| UsageError::in_file("--traffic", path, problem);
    let text = text_file::read(path).map_err(|error| wrong(&error))?;
    Plans::parse(&text).map_err(|error| wrong(&error))
}
