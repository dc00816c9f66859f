//! The station's options.

use std::path::{Path, PathBuf};

use tidemap_alert::AlertFile;
use tidemap_service::{
    cli::UsageError,
    watched_file::{FileContent, WatchedFile},
};
use tidemap_traffic::Plans;
use tidemap_wire::PartitionCount;
use tokio::sync::watch;

/// A station's options. The number of partitions is not among them: `tidemap up` shares it with the API.
#[derive(clap::Args, Clone, Debug)]
// Beside a worker's in one command.
#[group(id = "AlertsArgs")]
pub struct Args {
    /// The file with alert rules and channels; without one, nodes that go offline are shown on the page.
    #[arg(long, env = "TIDEMAP_ALERTS", value_name = "FILE")]
    pub alerts: Option<PathBuf>,
}

/// The file of plans. It is not among the station's other options: `tidemap up` shares it with the API.
#[derive(clap::Args, Clone, Debug)]
pub struct PlansArgs {
    /// The file that declares quotas and billing cycles, such as `traffic.toml` (see docs/traffic.md), for
    /// rules about plans. It is read again when it has changed; one that is wrong then leaves the plans of
    /// before in force.
    #[arg(long, env = "TIDEMAP_TRAFFIC", value_name = "FILE")]
    pub traffic: Option<PathBuf>,
}

impl PlansArgs {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is wrong.
    pub fn open(self) -> Result<Option<WatchedFile<Plans>>, UsageError> {
        self.traffic.map(|path| WatchedFile::open("--traffic", path, Plans::parse)).transpose()
    }
}

/// A station's checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) file: Option<WatchedFile<AlertFile>>,
    /// The folder of the file, to which the paths of secrets are relative.
    pub(crate) folder: PathBuf,
    pub(crate) partitions: PartitionCount,
    /// What the file of plans says.
    pub(crate) plans: Option<watch::Receiver<FileContent<Plans>>>,
    /// That file, where the station itself has to follow it.
    pub(crate) plans_file: Option<WatchedFile<Plans>>,
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
        let file = self.alerts.map(open).transpose()?;
        Ok(Config { file, folder, partitions, plans: None, plans_file: None })
    }
}

impl Config {
    /// The same with the plans of a file that the station follows.
    #[must_use]
    pub fn following(self, file: Option<WatchedFile<Plans>>) -> Self {
        Self { plans: file.as_ref().map(WatchedFile::subscribe), plans_file: file, ..self }
    }

    /// The same with the plans of a file that somebody else in this process follows.
    #[must_use]
    pub fn sharing(self, plans: Option<watch::Receiver<FileContent<Plans>>>) -> Self {
        Self { plans, plans_file: None, ..self }
    }
}
