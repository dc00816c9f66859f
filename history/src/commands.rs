//! What an operator does with a history: `tidemap history backup`, `export` and `forget`.

mod backup;
mod export;
mod forget;
mod new_file;

use std::path::{Path, PathBuf};

use tidemap_service::cli::UsageError;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use self::{backup::BackupArgs, export::ExportArgs, forget::ForgetArgs};
use crate::folder::FILE;

/// Something to do with a history, beside keeping it.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum HistoryCommand {
    /// Copies the history into a file, while its station runs or not.
    ///
    /// The copy is of one moment, and whole. To restore it, or to begin another station with it, put it into
    /// the station's folder as history.sqlite.
    Backup(BackupArgs),
    /// Writes a range of time as CSV or Parquet, from the files of a station that runs or not.
    Export(ExportArgs),
    /// Removes a node from the history of every station that runs.
    ///
    /// Its rows, sums and name are removed; what it moved stays in the sums of the fleet and of groups. A
    /// node that still reports begins again: stop its agent before. A station that does not run keeps the
    /// node, and so does a backup.
    Forget(ForgetArgs),
}

impl HistoryCommand {
    /// Does it; `default` is the station's folder unless one is given. At `shutdown` nothing of it remains,
    /// except that a node which a station is forgetting is forgotten.
    ///
    /// # Errors
    ///
    /// When something given cannot be used ([`UsageError`]), or the work fails.
    pub async fn run(self, default: Option<PathBuf>, shutdown: CancellationToken) -> anyhow::Result<()> {
        match self {
            Self::Backup(args) => {
                spawn_blocking(move || args.run(&file_in(args.history_dir.clone(), default)?, &shutdown))
                    .await?
            }
            Self::Export(args) => {
                spawn_blocking(move || args.run(&file_in(args.history_dir.clone(), default)?, &shutdown))
                    .await?
            }
            Self::Forget(args) => args.run(&shutdown).await,
        }
    }
}

/// Copies the history in a station's folder into a new file, as it is at one moment, while its station runs
/// or not. Returns whether there is one.
///
/// # Errors
///
/// When it cannot be read, or the file cannot be written, or at `shutdown`.
pub fn back_up(folder: &Path, file: &Path, shutdown: &CancellationToken) -> anyhow::Result<bool> {
    let history = folder.join(FILE);
    if !history.try_exists()? {
        return Ok(false);
    }
    backup::back_up(&history, file, shutdown, |_| {}).map(|_| true)
}

/// The history in a folder.
fn file_in(given: Option<PathBuf>, default: Option<PathBuf>) -> Result<PathBuf, UsageError> {
    let folder = given.or(default).ok_or_else(|| {
        UsageError("--history-dir: there is no home folder to choose a default in".to_owned())
    })?;
    let file = folder.join(FILE);
    match file.try_exists() {
        Ok(true) => Ok(file),
        Ok(false) => Err(UsageError::in_file("--history-dir", &folder, "there is no history in it")),
        Err(error) => Err(UsageError::in_file("--history-dir", &folder, error)),
    }
}
