//! When nobody is notified: quiet hours, and maintenance.

use serde::Deserialize;
use tidemap_traffic::{
    Zone,
    document::{Checked, Problem, field, problem},
};
use tidemap_wire::Severity;
use toml::{Spanned, Value};

use super::{
    Filter,
    read::{label, named_nodes, severity},
};

/// The most of each in a file.
const MAX_ENTRIES: usize = 100;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Quiet hours and maintenance.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calendar {
    pub(crate) quiet: Vec<Quiet>,
    pub(crate) maintenance: Vec<Maintenance>,
}

/// Hours in which some alerts are held back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quiet {
    hours: Hours,
    severities: Vec<Severity>,
    /// Rules' names; all unless given.
    rules: Option<Vec<String>>,
    pub(crate) is_dropping: bool,
}

/// A time in which alerts of some nodes are held back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Maintenance {
    when: When,
    pub(crate) filter: Filter,
}

#[derive(Clone, Debug, PartialEq)]
enum When {
    /// Unix milliseconds.
    Once {
        from_ms: i64,
        to_ms: i64,
    },
    Weekly(Hours),
}

/// The same hours of some days of each week.
#[derive(Clone, Debug, PartialEq)]
struct Hours {
    zone: Zone,
    /// From Monday.
    days: [bool; 7],
    /// Minutes since midnight.
    from: u16,
    /// Likewise; not later than `from` where it is on the next day.
    to: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietToml {
    days: Option<Spanned<Vec<String>>>,
    from: Spanned<String>,
    to: Spanned<String>,
    time_zone: Option<Spanned<String>>,
    severities: Option<Spanned<Vec<String>>>,
    rules: Option<Spanned<Vec<String>>>,
    then: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaintenanceToml {
    days: Option<Spanned<Vec<String>>>,
    from: Spanned<Value>,
    to: Spanned<Value>,
    time_zone: Option<Spanned<String>>,
    nodes: Option<Spanned<Vec<String>>>,
    location: Option<String>,
    provider: Option<String>,
    label: Option<Spanned<String>>,
}

/// Reads the tables; hours are those of `zone` unless they name another. `is_rule` says whether there is a
/// rule of a name.
pub(crate) fn read(
    zone: &Zone,
    quiet: &[Spanned<QuietToml>],
    maintenance: &[Spanned<MaintenanceToml>],
    is_rule: impl Fn(&str) -> bool,
) -> Checked<Calendar> {
    let beyond = quiet.get(MAX_ENTRIES).map(Spanned::span);
    if let Some(span) = beyond.or(maintenance.get(MAX_ENTRIES).map(Spanned::span)) {
        let what = format!("there are more than {MAX_ENTRIES} of these");
        return Err(Problem { at: span.start, what });
    }
    let quiet = quiet.iter().map(|one| one.get_ref().read(zone, &is_rule)).collect::<Checked<_>>()?;
    let maintenance = maintenance.iter().map(|one| one.get_ref().read(zone)).collect::<Checked<_>>()?;
    Ok(Calendar { quiet, maintenance })
}

impl QuietToml {
    fn read(&self, default: &Zone, is_rule: impl Fn(&str) -> bool) -> Checked<Quiet> {
        let zone = zone(self.time_zone.as_ref(), default)?;
        let from = field("from", &self.from, minute)?;
        let to = field("to", &self.to, minute)?;
        let severities = match &self.severities {
            None => vec![Severity::Info, Severity::Warning],
            Some(list) => {
                let read = list.get_ref().iter().map(|text| severity(text));
                read.collect::<Result<_, _>>()
                    .map_err(|error| problem(list, format!("severities: {error}")))?
            }
        };
        if let Some(list) = &self.rules
            && let Some(name) = list.get_ref().iter().find(|name| !is_rule(name))
        {
            return Err(problem(list, format!("rules: there is no rule {name}")));
        }
        let is_dropping = self.then.as_ref().map_or(Ok(false), |text| {
            field("then", text, |text| match text {
                "queue" => Ok(false),
                "drop" => Ok(true),
                _ => Err("must be queue or drop"),
            })
        })?;
        let hours = Hours { zone, days: days(self.days.as_ref())?, from, to };
        let rules = self.rules.as_ref().map(|list| list.get_ref().clone());
        Ok(Quiet { hours, severities, rules, is_dropping })
    }
}

impl MaintenanceToml {
    fn read(&self, default: &Zone) -> Checked<Maintenance> {
        let zone = zone(self.time_zone.as_ref(), default)?;
        let (from, to) = (moment_text(self.from.get_ref()), moment_text(self.to.get_ref()));
        let when = match (minute(&from), minute(&to)) {
            (Ok(from), Ok(to)) => When::Weekly(Hours { zone, days: days(self.days.as_ref())?, from, to }),
            _ if self.days.is_some() => {
                return Err(problem(&self.from, format!("from, to: {WRONG_MINUTE}, beside days")));
            }
            _ => {
                let read = |at: &Spanned<Value>, name: &str, text: &str| {
                    let wrong = "must be a moment such as 2026-12-01 22:00, or a time of day such as 22:00";
                    zone.moment(text).ok_or_else(|| problem(at, format!("{name}: {wrong}")))
                };
                let from_ms = read(&self.from, "from", &from)?;
                let to_ms = read(&self.to, "to", &to)?;
                if to_ms <= from_ms {
                    return Err(problem(&self.to, "to: must be later than from".to_owned()));
                }
                When::Once { from_ms, to_ms }
            }
        };
        let filter = Filter {
            nodes: self.nodes.as_ref().map(named_nodes).transpose()?,
            location: self.location.clone(),
            provider: self.provider.clone(),
            label: self.label.as_ref().map(|text| field("label", text, label)).transpose()?,
        };
        Ok(Maintenance { when, filter })
    }
}

impl Quiet {
    /// Whether it holds at a moment.
    pub(crate) fn is_at(&self, ms: i64) -> bool {
        self.hours.contain(ms)
    }

    /// Whether it is about this rule.
    pub(crate) fn is_of(&self, rule: &str, severity: Severity) -> bool {
        let names = self.rules.as_ref();
        self.severities.contains(&severity) && names.is_none_or(|names| names.iter().any(|name| name == rule))
    }
}

impl Maintenance {
    /// Whether it is on at a moment.
    pub(crate) fn is_at(&self, ms: i64) -> bool {
        match &self.when {
            When::Once { from_ms, to_ms } => (*from_ms..*to_ms).contains(&ms),
            When::Weekly(hours) => hours.contain(ms),
        }
    }
}

impl Hours {
    fn contain(&self, ms: i64) -> bool {
        let Some((day, minute)) = self.zone.day_and_minute(ms) else { return false };
        let day = usize::from(day) % 7;
        let (today, yesterday) = (self.days[day], self.days[(day + 6) % 7]);
        if self.from < self.to {
            return today && (self.from..self.to).contains(&minute);
        }
        (today && minute >= self.from) || (yesterday && minute < self.to)
    }
}

const WRONG_MINUTE: &str = "must be a time of day such as 22:00";

/// `22:00`, in minutes since midnight; `24:00` is its end.
fn minute(text: &str) -> Result<u16, &'static str> {
    let (hour, minute) = text
        .split_once(':')
        .filter(|(hour, minute)| hour.len() <= 2 && minute.len() == 2)
        .ok_or(WRONG_MINUTE)?;
    let hour: u16 = hour.parse().map_err(|_| WRONG_MINUTE)?;
    let minute: u16 = minute.parse().map_err(|_| WRONG_MINUTE)?;
    let sum = hour * 60 + minute;
    if minute < 60 && sum <= 24 * 60 { Ok(sum) } else { Err(WRONG_MINUTE) }
}

/// Every day unless given.
fn days(names: Option<&Spanned<Vec<String>>>) -> Checked<[bool; 7]> {
    let Some(names) = names else { return Ok([true; 7]) };
    let mut days = [false; 7];
    for name in names.get_ref() {
        let day = DAYS.iter().position(|day| *day == name.to_ascii_lowercase());
        let day =
            day.ok_or_else(|| problem(names, format!("days: {name} must be one of {}", DAYS.join(", "))))?;
        days[day] = true;
    }
    Ok(days)
}

fn zone(name: Option<&Spanned<String>>, default: &Zone) -> Checked<Zone> {
    name.map_or(Ok(default.clone()), |name| field("time_zone", name, Zone::named))
}

/// A moment as it is written, with quotes or without.
fn moment_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Datetime(moment) => moment.to_string(),
        _ => String::new(),
    }
}
