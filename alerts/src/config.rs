//! The station's options.

use std::path::{Path, PathBuf};

use tidemap_alert::AlertFile;
use tidemap_service::{cli::UsageError, watched_file::WatchedFile};
use tidemap_wire::PartitionCount;

/// A station's options. The number of partitions is not among them: `tidemap up` shares it with the API.
#[derive(clap::Args, Clone, Debug)]
// Beside a worker's in one command.
#[group(id = "AlertsArgs")]
pub struct Args {
    /// The file with alert rules and channels; without one, nodes that go offline are shown on the page.
    #[arg(long, env = "TIDEMAP_ALERTS", value_name = "FILE")]
    pub alerts: Option<PathBuf>,
}

/// A station's checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) file: Option<WatchedFile<AlertFile>>,
    /// The folder of the file, to which the paths of secrets are relative.
    pub(crate) folder: PathBuf,
    pub(crate) partitions: PartitionCount,
}

impl Args {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is wrong.
    pub fn check(self, partitions: PartitionCount) -> Result<Config, UsageError> {
        let folder = self.alerts.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let open = |path| WatchedFile::open("--alerts", path, AlertFile::parse);
        Ok(Config { file: self.alerts.map(open).transpose()?, folder, partitions })
    }
}
