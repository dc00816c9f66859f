//! `alerts.toml`: rules, and who is notified.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use tidemap_traffic::{
    FileError, Zone,
    document::{self, Checked, field},
};
use toml::{Spanned, Value};

use crate::{
    channels::{self, ChannelTables, ChannelToml, Channels, RouteToml},
    rules::{self, MaintenanceToml, QuietToml, RuleToml, Rules},
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
    page_url: Option<Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleToml>>,
    #[serde(default)]
    quiet: Vec<Spanned<QuietToml>>,
    #[serde(default)]
    maintenance: Vec<Spanned<MaintenanceToml>>,
    #[serde(default)]
    channel: Vec<Spanned<ChannelToml>>,
    #[serde(default)]
    route: Vec<Spanned<RouteToml>>,
    /// Not a struct, because an error of serde repeats values.
    heartbeat: Option<Spanned<Value>>,
}

impl FileToml {
    fn channels(&self) -> ChannelTables<'_> {
        ChannelTables {
            channels: &self.channel,
            routes: &self.route,
            heartbeat: self.heartbeat.as_ref(),
            page_url: self.page_url.as_ref(),
        }
    }
}

impl AlertFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// When it is not one; says where and why.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        document::read(text, |file: &FileToml| {
            let read = check(file)?;
            file.rule.iter().try_for_each(|rule| rule.get_ref().refuse_unjudged())?;
            Ok(read)
        })
    }

    /// Reads also the rules that no station judges.
    #[cfg(test)]
    pub(crate) fn parse_with_unjudged(text: &str) -> Result<Self, FileError> {
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
    let calendar = rules::read_calendar(&zone, &file.quiet, &file.maintenance, is_rule)?;
    let mut channels = channels::read(&file.channels(), &zone, is_rule)?;
    for (rule, table) in rules.iter().zip(&file.rule) {
        if let Some(names) = &table.get_ref().channels {
            channels.assign(&rule.name, names)?;
        }
    }
    Ok(AlertFile { rules: Rules { rules, calendar }, zone, channels })
}
