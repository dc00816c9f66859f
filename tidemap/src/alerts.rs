//! `tidemap alerts`: reads a file of rules, tries a rule against the past, and silences alerts.

mod replaying;
mod silencing;

use std::path::{Path, PathBuf};

use tidemap_alert::AlertFile;
use tidemap_service::{
    cli::{self, UsageError},
    text_file,
};
use tidemap_traffic::Plans;

use crate::api_answer::ApiAddressArgs;

/// What is done with rules.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum AlertsCommand {
    /// Reads a file of rules, and prints what each of them means; or what is wrong in it, and where.
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The file that declares plans: rules about plans are checked against it.
        #[arg(long, env = "TIDEMAP_TRAFFIC", value_name = "FILE")]
        traffic: Option<PathBuf>,
    },
    /// Prints when a rule would have fired, by what the history of a fleet knows.
    Test(TestArgs),
    /// Silences alerts: nobody is notified of them until a moment.
    Silence(Box<silencing::SilenceArgs>),
    /// Lists what is silenced.
    Silences(silencing::ListArgs),
    /// Ends a silence: what still fires is notified then.
    Unsilence(silencing::EndArgs),
}

/// Which rule, and which past.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TestArgs {
    /// The rule's name.
    #[arg(value_name = "RULE")]
    rule: String,
    /// The file that declares it.
    #[arg(long, alias = "file", env = "TIDEMAP_ALERTS", default_value = "alerts.toml", value_name = "FILE")]
    alerts: PathBuf,
    /// Up to how long ago, such as 24h or 7d.
    #[arg(long, default_value = "24h", value_name = "TIME")]
    replay: String,
    #[command(flatten)]
    api: ApiAddressArgs,
}

pub(crate) async fn run(command: AlertsCommand) -> anyhow::Result<()> {
    match command {
        AlertsCommand::Check { file, traffic } => {
            let read = read(&file)?;
            if let Some(traffic) = traffic {
                check_plans(&file, &read, &traffic)?;
            }
            let mut lines = read.rules.words();
            if lines.is_empty() {
                lines.push("no rules".to_owned());
            }
            Ok(cli::print(lines.join("\n"))?)
        }
        AlertsCommand::Test(args) => replaying::run(args).await,
        AlertsCommand::Silence(args) => silencing::silence(*args).await,
        AlertsCommand::Silences(args) => silencing::list(args).await,
        AlertsCommand::Unsilence(args) => silencing::end(args).await,
    }
}

/// Reads a file of rules.
fn read(path: &Path) -> Result<AlertFile, UsageError> {
    let text = text_file::read(path).map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
    AlertFile::parse(&text).map_err(|error| UsageError(format!("{}: {error}", path.display())))
}

/// Refuses rules about plans that a file of plans does not declare.
fn check_plans(path: &Path, file: &AlertFile, traffic: &Path) -> Result<(), UsageError> {
    let wrong = |problem: &dyn std::fmt::Display| UsageError::in_file("--traffic", traffic, problem);
    let text = text_file::read(traffic).map_err(|error| wrong(&error))?;
    let plans = Plans::parse(&text).map_err(|error| wrong(&error))?;
    match file.rules.wrong_plans(&plans).as_slice() {
        [] => Ok(()),
        problems => Err(UsageError(format!("{}: {}", path.display(), problems.join("; ")))),
    }
}
