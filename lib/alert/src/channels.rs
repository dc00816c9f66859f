//! Channels, routes and the heartbeat, as a file declares them, and what each channel is sent.

mod channel;
mod destination;
mod heartbeat;
mod mail;
mod message;
mod outgoing;
mod payload;
mod route;
mod service;
mod setting;
mod short;

mod template;
mod wording;

use std::collections::BTreeMap;

use tidemap_traffic::{
    Zone,
    document::{Checked, field, problem},
};
use tidemap_wire::{Alert, AlertChange, AlertNotice, AlertState, AlertTarget, Severity, TargetKind};
use toml::{Spanned, Value};
use url::Url;

use self::route::Route;
pub use self::{
    channel::Channel,
    heartbeat::Heartbeat,
    mail::{Encryption, Mail, MailServer, Person},
    message::Message,
    outgoing::{Outgoing, Post},
    setting::{Setting, Values},
};
pub(crate) use self::{channel::ChannelToml, route::RouteToml};

/// The most channels of a file. One notice is sent to each of them at a time.
const MAX_CHANNELS: usize = 100;
/// The most routes of a file.
const MAX_ROUTES: usize = 1_000;

/// Who is notified of what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Channels {
    channels: Vec<Channel>,
    routes: Vec<Route>,
    /// Rules that name their channels themselves.
    assigned: BTreeMap<String, Vec<String>>,
    heartbeat: Option<Heartbeat>,
    style: Style,
}

/// How texts are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// By whose clocks.
    pub zone: Zone,
    /// Where the page is, which texts link.
    pub page_url: Option<Url>,
}

impl Default for Style {
    fn default() -> Self {
        Self { zone: Zone::UTC, page_url: None }
    }
}

/// The tables of a file that declare channels.
pub(crate) struct ChannelTables<'a> {
    pub(crate) channels: &'a [Spanned<ChannelToml>],
    pub(crate) routes: &'a [Spanned<RouteToml>],
    pub(crate) heartbeat: Option<&'a Spanned<Value>>,
    pub(crate) page_url: Option<&'a Spanned<String>>,
}

pub(crate) fn read(
    tables: &ChannelTables<'_>,
    zone: &Zone,
    is_rule: impl Fn(&str) -> bool,
) -> Checked<Channels> {
    let page_url = tables.page_url.map(|url| field("page_url", url, page_url)).transpose()?;
    let mut channels: Vec<Channel> = Vec::new();
    for table in tables.channels {
        if channels.len() == MAX_CHANNELS {
            return Err(problem(table, format!("there are more than {MAX_CHANNELS} channels")));
        }
        let channel = table.get_ref().read(table)?;
        if channels.iter().any(|other| other.name() == channel.name()) {
            return Err(problem(table, format!("name: there is another channel {}", channel.name())));
        }
        channels.push(channel);
    }
    if let Some(table) = tables.routes.get(MAX_ROUTES) {
        return Err(problem(table, format!("there are more than {MAX_ROUTES} routes")));
    }
    let heartbeat = tables.heartbeat.map(heartbeat::read).transpose()?;
    let style = Style { zone: zone.clone(), page_url };
    let mut read = Channels { channels, routes: Vec::new(), assigned: BTreeMap::new(), heartbeat, style };
    for table in tables.routes {
        let route = table.get_ref().read(table, &read, &is_rule)?;
        read.routes.push(route);
    }
    Ok(read)
}

fn page_url(text: &str) -> Result<Url, &'static str> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() => Ok(url),
        _ => Err("must be the page's address, such as https://tidemap.example/"),
    }
}

impl Channels {
    /// The channels that a notice is sent to, in the file's order. Without routes, these are all of them.
    pub fn routes(&self, notice: &AlertNotice) -> Vec<&str> {
        let assigned = self.assigned.get(&notice.rule);
        let goes_to = |channel: &&str| match assigned {
            Some(names) => names.iter().any(|name| name == channel),
            None if self.routes.is_empty() => true,
            None => self.routes.iter().any(|route| route.names(channel) && route.takes(notice)),
        };
        self.names().filter(goes_to).collect()
    }

    /// The names of all channels, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(Channel::name)
    }

    /// The channel of this name.
    pub fn named(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name() == name)
    }

    /// What hears that alerts are judged.
    pub fn heartbeat(&self) -> Option<&Heartbeat> {
        self.heartbeat.as_ref()
    }

    /// How texts are written.
    pub fn style(&self) -> &Style {
        &self.style
    }

    /// Notes that the notices of a rule go to these channels, whatever the routes say.
    ///
    /// # Errors
    ///
    /// When there is no such channel.
    pub fn assign(&mut self, rule: &str, names: &Spanned<Vec<String>>) -> Checked<()> {
        self.check("channels", names)?;
        self.assigned.insert(rule.to_owned(), names.get_ref().clone());
        Ok(())
    }

    fn check(&self, field: &str, names: &Spanned<Vec<String>>) -> Checked<()> {
        match names.get_ref().iter().find(|name| self.named(name).is_none()) {
            Some(unknown) => Err(problem(names, format!("{field}: there is no channel {unknown:?}"))),
            None => Ok(()),
        }
    }
}

/// A notice that says nothing but that the channel works.
pub fn test_notice(channel: &str, now_ms: i64) -> AlertNotice {
    let id = format!("test-{now_ms}");
    let alert = Alert {
        id: id.clone(),
        rule: "test".to_owned(),
        severity: Severity::Info,
        target: AlertTarget {
            kind: TargetKind::Fleet,
            id: String::new(),
            name: "Tidemap".to_owned(),
            labels: BTreeMap::new(),
        },
        state: AlertState::Firing,
        summary: format!("a test of the channel {channel}"),
        value: None,
        peak: None,
        threshold: None,
        unit: String::new(),
        since_ms: now_ms,
        fired_ms: Some(now_ms),
        resolved_ms: None,
        silenced_until_ms: None,
        resets_ms: None,
    };
    AlertNotice {
        id,
        change: AlertChange::Test,
        at_ms: now_ms,
        rule: "test".to_owned(),
        severity: Severity::Info,
        alerts: vec![alert],
        count: 1,
    }
}

#[cfg(test)]
pub(crate) mod tests;
