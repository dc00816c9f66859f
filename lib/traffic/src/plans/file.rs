//! How the file is written: its tables as they stand there, and what they mean.

use serde::Deserialize;
use toml::{Spanned, Value};

use super::{Correction, Plan, Plans, Scope};
use crate::{
    Amount, Quota, Rate, Schedule, Unit, Zone,
    document::{self, Checked, FileError, Problem, field, problem},
    schedule::{WrongSchedule, local},
};

/// The most plans of a file.
const MAX_PLANS: usize = 1_000;
/// The most nodes that one plan names; a label has any number of them.
const MAX_NODES: usize = 100;
const MAX_NAME_BYTES: usize = 64;
/// The begin of 2026. Hours without an anchor are those that clocks showed then.
const RECENT_MS: i64 = 1_767_225_600_000;

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

pub(super) fn parse(text: &str) -> Result<Plans, FileError> {
    document::read(text, plans)
}

fn plans(file: &FileToml) -> Checked<Plans> {
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
        let cycle = self.cycle.as_ref().map_or("month", |cycle| cycle.get_ref());
        let anchor = self.anchor.as_ref().map(|anchor| moment_text(anchor.get_ref()));
        Schedule::read(cycle, anchor.as_deref(), zone, RECENT_MS).map_err(|error| {
            let (name, at) = match error {
                WrongSchedule::Cycle => ("cycle", self.cycle.as_ref().map(Spanned::span)),
                WrongSchedule::Anchor | WrongSchedule::NoAnchor => {
                    ("anchor", self.anchor.as_ref().map(Spanned::span))
                }
            };
            Problem { at: at.map_or(0, |span| span.start), what: format!("{name}: {error}") }
        })
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
        let at = local(&moment_text(self.at.get_ref()), zone).and_then(|at| zone.first_at(at));
        let at_ms = at.ok_or_else(|| problem(&self.at, format!("at: {}", WrongSchedule::Anchor)))?;
        let amount: Amount = field("amount", &self.amount, |text| text.parse())?;
        Ok(Correction { at_ms, bytes: amount.bytes })
    }
}

/// A moment as it is written, with quotes or without.
fn moment_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Datetime(moment) => moment.to_string(),
        _ => String::new(),
    }
}

fn zone(name: &Spanned<String>) -> Checked<Zone> {
    field("time_zone", name, Zone::named)
}

fn rate(text: &Spanned<String>) -> Checked<Rate> {
    field("commit", text, |text| text.parse())
}
