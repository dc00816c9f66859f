//! `alerts.toml`: rules, and whom they notify.

use serde::Deserialize;
use tidemap_traffic::{
    FileError, Zone,
    document::{self, Checked, field},
};
use toml::Spanned;

use crate::{
    calendar::{self, MaintenanceToml, QuietToml},
    channels::{self, ChannelToml, Channels},
    rules::{self, RuleToml, Rules},
};

/// All that a file declares.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertFile {
    /// By whose clocks quiet hours and times in texts are.
    pub zone: Zone,
    /// What is judged.
    pub rules: Rules,
    /// Who is notified.
    pub channels: Channels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    time_zone: Option<Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleToml>>,
    #[serde(default)]
    quiet: Vec<Spanned<QuietToml>>,
    #[serde(default)]
    maintenance: Vec<Spanned<MaintenanceToml>>,
    #[serde(default)]
    channel: Vec<Spanned<ChannelToml>>,
}

impl AlertFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// When it is not one; says where and why.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        document::read(text, check)
    }
}

/// Where there is no file: nodes that are offline, on the page only.
impl Default for AlertFile {
    fn default() -> Self {
        Self { zone: Zone::UTC, rules: Rules::default(), channels: Channels::default() }
    }
}

fn check(file: &FileToml) -> Checked<AlertFile> {
    let zone = file.time_zone.as_ref().map(|name| field("time_zone", name, Zone::named));
    let zone = zone.transpose()?.unwrap_or(Zone::UTC);
    let rules = rules::read(&file.rule)?;
    let is_rule = |name: &str| rules.iter().any(|rule| rule.name == name);
    let calendar = calendar::read(zone.clone(), &file.quiet, &file.maintenance, is_rule)?;
    let channels = channels::read(&file.channel)?;
    Ok(AlertFile { rules: Rules { rules, calendar }, zone, channels })
}
