//! How the file is written: its tables as they stand there, and what they mean.

use std::num::NonZeroU32;

use jiff::{Timestamp, civil::DateTime};
use serde::Deserialize;
use toml::{Spanned, Value};

use super::{Correction, Plan, Plans, Scope};
use crate::{
    Amount, Cycle, Length, Quota, Rate, Schedule, Unit, Zone, amount::WrongAmount, cycle::CycleUnit,
};

/// The most plans of a file.
const MAX_PLANS: usize = 1_000;
/// The most nodes that one plan names; a label has any number of them.
const MAX_NODES: usize = 100;
const MAX_NAME_BYTES: usize = 64;
const MAX_ROLLING_HOURS: u32 = 31 * 24;

/// What is wrong in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct FileError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    time_zone: Option<Spanned<String>>,
    #[serde(default)]
    plan: Vec<Spanned<PlanToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanToml {
    name: Spanned<String>,
    fleet: Option<Spanned<bool>>,
    node: Option<Spanned<String>>,
    nodes: Option<Spanned<Vec<String>>>,
    location: Option<Spanned<String>>,
    provider: Option<Spanned<String>>,
    label: Option<Spanned<String>>,
    cycle: Option<Spanned<String>>,
    anchor: Option<Spanned<Value>>,
    time_zone: Option<Spanned<String>>,
    direction: Option<Spanned<String>>,
    quota: Option<Spanned<String>>,
    thresholds: Option<Spanned<Vec<u16>>>,
    #[serde(default)]
    correction: Vec<CorrectionToml>,
    p95: Option<Spanned<bool>>,
    commit: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CorrectionToml {
    at: Spanned<Value>,
    amount: Spanned<String>,
}

/// A problem at a byte of the text.
struct Problem {
    at: usize,
    what: String,
}

type Checked<T> = Result<T, Problem>;

pub(super) fn parse(text: &str) -> Result<Plans, FileError> {
    read(text).map_err(|Problem { at, what }| {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rfind('\n').map_or(before, |end| &before[end + 1..]);
        FileError { line: before.matches('\n').count() + 1, column: line.chars().count() + 1, problem: what }
    })
}

fn read(text: &str) -> Checked<Plans> {
    let file: FileToml = toml::from_str(text).map_err(|error| Problem {
        at: error.span().map_or(0, |span| span.start),
        what: error.message().lines().collect::<Vec<_>>().join(" "),
    })?;
    let zone = file.time_zone.as_ref().map_or(Ok(Zone::UTC), zone)?;
    let mut plans = Plans { zone, plans: Vec::new() };
    for plan in &file.plan {
        if plans.plans.len() == MAX_PLANS {
            return Err(problem(plan, format!("there are more than {MAX_PLANS} plans")));
        }
        let read = plan.get_ref().read(plan, &plans.zone)?;
        if plans.named(&read.name).is_some() {
            return Err(problem(&plan.get_ref().name, format!("name: there is another plan {}", read.name)));
        }
        plans.plans.push(read);
    }
    Ok(plans)
}

impl PlanToml {
    fn read(&self, whole: &Spanned<PlanToml>, default: &Zone) -> Checked<Plan> {
        let zone = self.time_zone.as_ref().map_or(Ok(default.clone()), zone)?;
        let direction = self.direction.as_ref().map(|text| field("direction", text, |text| text.parse()));
        let plan = Plan {
            name: self.name()?,
            scope: self.scope(whole)?,
            schedule: self.schedule(&zone)?,
            direction: direction.transpose()?,
            quota: self.quota()?,
            corrections: self.correction.iter().map(|one| one.read(&zone)).collect::<Checked<_>>()?,
            p95: self.p95.as_ref().is_some_and(|p95| *p95.get_ref()),
            commit: self.commit.as_ref().map(rate).transpose()?,
            zone,
        };
        if plan.quota.is_none() && !plan.p95 {
            let what = format!("plan {} has neither a quota nor p95 = true", plan.name);
            return Err(problem(&self.name, what));
        }
        match (&self.thresholds, &self.commit, self.correction.first()) {
            (Some(thresholds), ..) if plan.quota.is_none() => {
                Err(problem(thresholds, "thresholds: are of no use without a quota".to_owned()))
            }
            (_, Some(commit), _) if !plan.p95 => {
                Err(problem(commit, "commit: is of no use without p95 = true".to_owned()))
            }
            (.., Some(first)) if plan.quota.is_none() => {
                Err(problem(&first.amount, "correction: is of no use without a quota".to_owned()))
            }
            _ => Ok(plan),
        }
    }

    fn name(&self) -> Checked<String> {
        field("name", &self.name, |name| {
            let is_name =
                !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control);
            let wrong = format!("must have 1 to {MAX_NAME_BYTES} bytes and no control characters");
            if is_name { Ok(name.to_owned()) } else { Err(wrong) }
        })
    }

    fn scope(&self, whole: &Spanned<PlanToml>) -> Checked<Scope> {
        let mut found: Vec<(usize, Scope)> = Vec::new();
        if let Some(fleet) = self.fleet.as_ref().filter(|fleet| *fleet.get_ref()) {
            found.push((fleet.span().start, Scope::Fleet));
        }
        let mut text = |value: &Option<Spanned<String>>, scope: fn(String) -> Scope| {
            found.extend(value.as_ref().map(|value| (value.span().start, scope(value.get_ref().clone()))));
        };
        text(&self.node, |node| Scope::Nodes(vec![node]));
        text(&self.location, Scope::Location);
        text(&self.provider, Scope::Provider);
        if let Some(label) = &self.label {
            let scope = field("label", label, |text| match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    Ok(Scope::Label(name.to_owned(), value.to_owned()))
                }
                _ => Err("must be NAME=VALUE, such as site=fra"),
            })?;
            found.push((label.span().start, scope));
        }
        if let Some(nodes) = &self.nodes {
            let mut named = nodes.get_ref().clone();
            named.sort_unstable();
            named.dedup();
            if named.is_empty() || named.len() > MAX_NODES || named.len() < nodes.get_ref().len() {
                let what =
                    format!("nodes: must be 1 to {MAX_NODES} different names; a label may have more nodes");
                return Err(problem(nodes, what));
            }
            found.push((nodes.span().start, Scope::Nodes(named)));
        }
        let kinds = "fleet = true, node, nodes, location, provider or label";
        match <[(usize, Scope); 1]>::try_from(found) {
            Ok([(_, scope)]) => Ok(scope),
            Err(found) => match found.get(1) {
                None => Err(problem(whole, format!("a plan must say whose traffic it counts: {kinds}"))),
                Some((at, _)) => Err(Problem { at: *at, what: format!("a plan has only one of {kinds}") }),
            },
        }
    }

    fn schedule(&self, zone: &Zone) -> Checked<Schedule> {
        let rolling =
            self.cycle.as_ref().and_then(|cycle| Some((cycle, cycle.get_ref().strip_prefix("rolling ")?)));
        if let Some((cycle, text)) = rolling {
            if let Some(anchor) = &self.anchor {
                return Err(problem(anchor, "anchor: a window that moves has none".to_owned()));
            }
            let hours = rolling_hours(text);
            let wrong =
                || problem(cycle, "cycle: must be such as rolling 24h or rolling 7d, at most 31d".to_owned());
            return Ok(Schedule::Rolling { hours: hours.ok_or_else(wrong)? });
        }
        let length = self.cycle.as_ref().map(|cycle| field("cycle", cycle, |text| text.parse::<Length>()));
        let length = length.transpose()?.unwrap_or(Length::one(CycleUnit::Month));
        let cycle = match &self.anchor {
            Some(anchor) => Cycle::new(moment("anchor", anchor, zone)?, length, zone.clone()),
            None => Cycle::new(calendar_anchor(length.unit), length, zone.clone()),
        };
        let beyond = || Problem { at: 0, what: "the calendar ends before the anchor".to_owned() };
        cycle.map(Schedule::Cycle).ok_or_else(beyond)
    }

    fn quota(&self) -> Checked<Option<(Quota, Unit)>> {
        let Some(text) = &self.quota else { return Ok(None) };
        let amount: Amount = field("quota", text, |text| text.parse())?;
        let bytes =
            u64::try_from(amount.bytes).map_err(|_| problem(text, "quota: is less than none".to_owned()))?;
        let thresholds = self.thresholds.as_ref().map(|list| list.get_ref().clone());
        let wrong = |error| {
            let at = self.thresholds.as_ref().map_or(0, |list| list.span().start);
            Problem { at, what: format!("thresholds: {error}") }
        };
        Ok(Some((Quota::new(bytes, thresholds).map_err(wrong)?, amount.unit)))
    }
}

impl CorrectionToml {
    fn read(&self, zone: &Zone) -> Checked<Correction> {
        let at = moment("at", &self.at, zone)?;
        let at_ms =
            zone.first_at(at).ok_or_else(|| problem(&self.at, "at: is beyond the calendar".to_owned()))?;
        let amount: Amount = field("amount", &self.amount, |text| text.parse())?;
        Ok(Correction { at_ms, bytes: amount.bytes })
    }
}

/// `24h` or `7d`, in hours.
pub(crate) fn rolling_hours(text: &str) -> Option<NonZeroU32> {
    let (number, unit) = match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 24),
        _ => return None,
    };
    let hours = number.parse::<u32>().ok()?.checked_mul(unit)?;
    NonZeroU32::new(hours).filter(|hours| hours.get() <= MAX_ROLLING_HOURS)
}

/// Where cycles without an anchor begin: with a day, a month, a year; weeks on a Monday.
fn calendar_anchor(unit: CycleUnit) -> DateTime {
    let year = if unit == CycleUnit::Week { 2001 } else { 2000 };
    DateTime::constant(year, 1, 1, 0, 0, 0, 0)
}

/// A date, with or without a time; with an offset, what clocks of the zone show then.
fn moment(name: &str, value: &Spanned<Value>, zone: &Zone) -> Checked<DateTime> {
    let text = match value.get_ref() {
        Value::String(text) => text.clone(),
        Value::Datetime(moment) => moment.to_string(),
        _ => String::new(),
    };
    local(&text, zone).ok_or_else(|| {
        let what = "must be a date from 1970 to 2099 such as 2026-01-31, with a time 2026-01-31 22:30, or \
                    with an offset 2026-01-31T22:30:00+01:00, in whole minutes";
        problem(value, format!("{name}: {what}"))
    })
}

/// What clocks of the zone show at a moment that somebody has written; `None` if it is none.
pub(crate) fn local(text: &str, zone: &Zone) -> Option<DateTime> {
    let local = match text.parse::<Timestamp>() {
        Ok(moment) => zone.local(moment.as_millisecond())?,
        Err(_) => text.parse::<DateTime>().ok()?,
    };
    let is_whole = local.second() == 0 && local.subsec_nanosecond() == 0;
    (is_whole && (1970..2100).contains(&local.year())).then_some(local)
}

fn zone(name: &Spanned<String>) -> Checked<Zone> {
    field("time_zone", name, Zone::named)
}

fn rate(text: &Spanned<String>) -> Checked<Rate> {
    field("commit", text, |text| text.parse::<Rate>().map_err(|_| WrongAmount::Rate))
}

fn field<T, E: std::fmt::Display>(
    name: &str,
    text: &Spanned<String>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Checked<T> {
    read(text.get_ref()).map_err(|error| problem(text, format!("{name}: {error}")))
}

fn problem<T>(at: &Spanned<T>, what: String) -> Problem {
    Problem { at: at.span().start, what }
}
