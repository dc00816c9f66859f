//! The station's options.

use std::path::{Path, PathBuf};

use tidemap_service::{cli::UsageError, streams::DiskBudget};
use tidemap_wire::PartitionCount;

use crate::{
    remote::{Remote, RemoteArgs},
    store::Keep,
};

/// A station's options. The number of partitions is not among them: `tidemap up` shares it with the API.
#[derive(clap::Args, Clone, Debug)]
// Beside a worker's in one command.
#[group(id = "HistoryArgs")]
pub struct Args {
    /// Where the history is kept.
    #[arg(long, env = "TIDEMAP_HISTORY_DIR", value_name = "FOLDER")]
    pub history_dir: Option<PathBuf>,
    /// The most that the history takes of the disk, such as 20GB: the oldest minutes go first.
    #[arg(long, env = "TIDEMAP_HISTORY_DISK", default_value = "20GB", value_name = "SIZE")]
    pub history_disk: DiskBudget,
    /// Days for which each minute is kept.
    #[arg(long, env = "TIDEMAP_HISTORY_MINUTES", default_value_t = 35, value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(2..=36_500))]
    pub history_minutes: u32,
    /// Days for which each quarter of an hour is kept; hours and days are kept for ever.
    #[arg(long, env = "TIDEMAP_HISTORY_QUARTERS", default_value_t = 400, value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(2..=36_500))]
    pub history_quarters: u32,
    /// Days for which sums of five minutes are kept, of which percentiles are made: beyond the days of
    /// minutes they take about 2 KB a node and day. With 0, percentiles end with the minutes.
    #[arg(long, env = "TIDEMAP_HISTORY_FIVE_MINUTES", default_value_t = 400, value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub history_five_minutes: u32,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A station's checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) dir: PathBuf,
    pub(crate) keep: Keep,
    pub(crate) partitions: PartitionCount,
    pub(crate) remote: Remote,
}

impl Config {
    /// The folder of the history.
    pub fn folder(&self) -> &Path {
        &self.dir
    }
}

impl Args {
    /// Checks the options; `default` is the folder unless one is given.
    ///
    /// # Errors
    ///
    /// When no folder is known, or an address or a file cannot be used.
    pub fn check(self, default: Option<PathBuf>, partitions: PartitionCount) -> Result<Config, UsageError> {
        let Self {
            history_dir,
            history_disk,
            history_minutes,
            history_quarters,
            history_five_minutes,
            remote,
        } = self;
        let remote = remote.check()?;
        let no_folder =
            || UsageError("--history-dir: there is no home folder to choose a default in".to_owned());
        let dir = history_dir.or(default).ok_or_else(no_folder)?;
        let keep = Keep {
            minute_days: history_minutes,
            quarter_days: history_quarters,
            five_days: history_five_minutes,
            bytes: history_disk.bytes(),
            until_sent: remote.write.is_some(),
        };
        Ok(Config { dir, keep, partitions, remote })
    }
}
