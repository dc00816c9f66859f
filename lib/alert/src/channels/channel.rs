//! A channel, as its table declares it.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use tidemap_traffic::document::{Checked, Problem, problem};
use tidemap_wire::AlertNotice;
use toml::{Spanned, Value};

use super::{
    Style,
    destination::Destination,
    outgoing::{self, Outgoing},
    service::Service,
    setting::{HEADER, Setting, Values, WrongSetting},
};

const MAX_NAME_BYTES: usize = 64;
/// The ends of the names of settings that say where a text comes from.
const FILE: &str = "_file";
const VARIABLE: &str = "_env";
/// Headers whose values are secrets.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// Where notices are sent.
#[derive(Clone, PartialEq)]
pub struct Channel {
    name: String,
    service: Service,
    /// By name: those of the service, and `headers.NAME`.
    settings: BTreeMap<String, Setting>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, service, settings } = self;
        f.debug_struct("Channel")
            .field("name", name)
            .field("service", service)
            .field("settings", settings)
            .finish()
    }
}

impl Channel {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the service that it leads to, such as `ntfy`.
    pub fn service(&self) -> &'static str {
        self.service.name()
    }

    /// All settings with their names.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// What is sent so that this channel shows a notice. `values` has the texts of all settings.
    ///
    /// # Errors
    ///
    /// When a text from another file or a variable is wrong. It is not repeated.
    pub fn outgoing(&self, values: &Values, notice: &AlertNotice, style: &Style) -> Result<Outgoing, String> {
        let target = Destination::read(self.service, values).map_err(|wrong| wrong.to_string())?;
        outgoing::outgoing(target, notice, style).map_err(|wrong| wrong.to_string())
    }
}

/// A table `[[channel]]`. Values are read by hand, because an error of serde repeats them.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct ChannelToml(BTreeMap<Spanned<String>, Spanned<Value>>);

impl ChannelToml {
    pub(crate) fn read(&self, table: &Spanned<Self>) -> Checked<Channel> {
        let name = self.get("name").ok_or_else(|| problem(table, "name: is missing".to_owned()))?;
        let name = self.name(name)?;
        let service = self.service(table)?;
        let mut settings = BTreeMap::new();
        for (key, value) in
            self.0.iter().filter(|(key, _)| !matches!(key.get_ref().as_str(), "name" | "type"))
        {
            for (name, setting) in setting(service, key, value)? {
                if settings.insert(name.clone(), setting).is_some() {
                    return Err(problem(key, format!("{name}: is given more than once")));
                }
            }
        }
        let channel = Channel { name, service, settings };
        self.check(&channel).map_err(|wrong| {
            let at = self.position(&wrong.field).unwrap_or(table.span().start);
            Problem { at, what: wrong.to_string() }
        })?;
        Ok(channel)
    }

    fn get(&self, name: &str) -> Option<&Spanned<Value>> {
        self.0.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    /// Where a setting is written.
    fn position(&self, field: &str) -> Option<usize> {
        let field = field.split('.').next().unwrap_or_default();
        let is_it = |key: &str| {
            key == field || key.strip_prefix(field).is_some_and(|end| end == FILE || end == VARIABLE)
        };
        self.0.iter().find(|(key, _)| is_it(key.get_ref())).map(|(_, value)| value.span().start)
    }

    fn name(&self, value: &Spanned<Value>) -> Checked<String> {
        match value.get_ref().as_str() {
            Some(name)
                if !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control) =>
            {
                Ok(name.to_owned())
            }
            _ => {
                let what =
                    format!("name: must be text of 1 to {MAX_NAME_BYTES} bytes without control characters");
                Err(problem(value, what))
            }
        }
    }

    fn service(&self, table: &Spanned<Self>) -> Checked<Service> {
        if let Some(value) = self.get("type") {
            let named = Service::named(value.get_ref().as_str().unwrap_or_default());
            return named.map_err(|what| problem(value, format!("type: {what}")));
        }
        match self.get("url") {
            Some(url) => Service::of(url.get_ref().as_str().unwrap_or_default()).ok_or_else(|| {
                problem(url, "url: leads to no service that Tidemap knows: is type missing?".to_owned())
            }),
            None => Err(problem(table, "type: is missing".to_owned())),
        }
    }

    /// Checks what is known now, with samples in place of what is read later.
    fn check(&self, channel: &Channel) -> Result<(), WrongSetting> {
        let mut values = Values::default();
        for (name, setting) in &channel.settings {
            let sample = channel.service.field(name).map_or("x", |field| field.sample);
            values
                .set(name, if let Setting::Given(text) = setting { text.clone() } else { sample.to_owned() });
        }
        Destination::read(channel.service, &values).map(drop)
    }
}

/// The settings that a line declares: one, or one for each header.
fn setting(
    service: Service,
    key: &Spanned<String>,
    value: &Spanned<Value>,
) -> Checked<Vec<(String, Setting)>> {
    let name = key.get_ref().as_str();
    let bad = |what: &str| Err(problem(value, format!("{name}: {what}")));
    if name == "headers" && service == Service::Webhook {
        let Some(table) = value.get_ref().as_table() else {
            return bad("must be a table, such as { X-Team = \"net\" }");
        };
        let header = |(header, value): (&String, &Value)| {
            let what = format!("headers: {header}: must be text, {{ file = \"…\" }} or {{ env = \"…\" }}");
            let setting = header_value(value).ok_or_else(|| problem(key, what))?;
            let is_secret = SECRET_HEADERS.contains(&header.to_ascii_lowercase().as_str());
            if is_secret && matches!(setting, Setting::Given(_)) {
                let what = format!(
                    "headers: {header}: a secret is not written into this file: set {{ file = \"…\" }} or {{ env = \"…\" }}"
                );
                return Err(problem(key, what));
            }
            Ok((format!("{HEADER}{header}"), setting))
        };
        return table.iter().map(header).collect();
    }
    if let Some(field) = service.field(name) {
        if field.is_secret {
            return bad(&format!(
                "a secret is not written into this file: set {name}{FILE} or {name}{VARIABLE}"
            ));
        }
        return match text(value.get_ref()) {
            Some(text) => Ok(vec![(name.to_owned(), Setting::Given(text))]),
            None => bad("must be text"),
        };
    }
    for (end, from) in [(FILE, from_file as fn(&str) -> Setting), (VARIABLE, from_variable)] {
        if let Some(field) = name.strip_suffix(end).and_then(|name| service.field(name)) {
            return match value.get_ref().as_str().filter(|text| !text.is_empty()) {
                Some(text) => Ok(vec![(field.name.to_owned(), from(text))]),
                None => bad("must be text"),
            };
        }
    }
    let names: Vec<_> = service.fields().iter().map(|field| field.name).collect();
    let what = format!("{name}: is no setting of {}, which has {}", service.name(), names.join(", "));
    Err(problem(key, what))
}

fn from_file(path: &str) -> Setting {
    Setting::File(path.into())
}

fn from_variable(name: &str) -> Setting {
    Setting::Variable(name.to_owned())
}

fn header_value(value: &Value) -> Option<Setting> {
    if let Some(text) = value.as_str() {
        return Some(Setting::Given(text.to_owned()));
    }
    let table = value.as_table().filter(|table| table.len() == 1)?;
    let text = |name: &str| table.get(name).and_then(Value::as_str);
    text("file").map(from_file).or_else(|| text("env").map(from_variable))
}

/// Text, a number, or a list of texts as one text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Array(list) => Some(list.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?.join(", ")),
        _ => None,
    }
}
