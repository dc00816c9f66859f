//! `tidemap notify`: tries a channel of `alerts.toml`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use tidemap_alert::{
    AlertFile,
    channels::{Channels, test_notice},
};
use tidemap_alerts::notify::{SendFailure, Sender};
use tidemap_service::{
    cli::{self, UsageError},
    clock, text_file,
};

/// What is tried.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum NotifyCommand {
    /// Sends a test through one channel, and prints what the other side answers.
    Test {
        /// The channel's name in the file.
        #[arg(value_name = "NAME")]
        name: String,
        /// The file that declares it.
        #[arg(long, env = "TIDEMAP_ALERTS", default_value = "alerts.toml", value_name = "FILE")]
        alerts: PathBuf,
    },
}

pub(crate) async fn run(command: NotifyCommand) -> anyhow::Result<()> {
    let NotifyCommand::Test { name, alerts } = command;
    let wrong = |problem: &dyn std::fmt::Display| UsageError::in_file("--alerts", &alerts, problem);
    let text = text_file::read(&alerts).map_err(|error| wrong(&error))?;
    let channels = AlertFile::parse(&text).map_err(|error| wrong(&error))?.channels;
    let Some(channel) = channels.named(&name) else {
        return Err(wrong(&unknown(&name, &channels)).into());
    };
    let sender = Sender::new(alerts.parent().unwrap_or(Path::new("")));
    let now_ms = clock::unix_ms();
    let notice = test_notice(&name, now_ms);
    match sender.send(channel, &notice, channels.style(), now_ms).await {
        Ok(delivered) => Ok(cli::print(format_args!(
            "channel {name} ({}): delivered; {}",
            channel.service(),
            delivered.answer
        ))?),
        Err(SendFailure::Retry { reason, .. }) => {
            bail!("{reason} (a notice would be sent again)")
        }
        Err(SendFailure::Refused { reason }) => {
            bail!("{reason} (a notice would not be sent again before the file is changed, or an hour later)")
        }
    }
}

fn unknown(name: &str, channels: &Channels) -> String {
    let names: Vec<_> = channels.names().collect();
    match names.as_slice() {
        [] => "it declares no channel".to_owned(),
        names => format!("there is no channel {name}: there are {}", names.join(", ")),
    }
}
