//! Where `tidemap up` keeps its data.

use std::path::PathBuf;

use tidemap_broker::data_dir::DataDir;
use tidemap_service::cli::UsageError;

/// The folder of `--data-dir`, or the default one.
pub(crate) fn data_folder(named: Option<PathBuf>) -> Result<PathBuf, UsageError> {
    named
        .or_else(DataDir::default_path)
        .ok_or_else(|| UsageError("--data-dir: there is no home folder to choose a default in".to_owned()))
}
