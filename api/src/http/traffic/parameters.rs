//! The parameters of questions for traffic, checked. Pure: `now_ms` is this host's clock.

#[cfg(test)]
mod tests;

use tidemap_service::moment::digits;
use tidemap_traffic::{
    Amount, CycleUnit, Direction, Plan, Plans, Quota, Rate, Schedule, Scope, WrongAmount, WrongSchedule, Zone,
};
use tidemap_wire::history_query::HistorySeries;

use crate::http::{
    errors::ApiError,
    history::{
        Format,
        parameters::{GroupBy, each, format},
    },
};

/// The most periods of an answer.
const MAX_PERIODS: usize = 400;
const PARAMETERS: &str =
    "there are node, by, key, plan, cycle, anchor, tz, periods, direction, quota, p95, commit and format";
/// What a declared plan says already.
const OF_A_PLAN: &str = "cannot be given with plan, which says that already";

/// A question for traffic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TrafficQuery {
    /// Whose traffic, and over which cycles.
    pub(super) plan: Plan,
    /// Whether the operator has declared it.
    pub(super) is_declared: bool,
    /// How many periods, up to the present one.
    pub(super) periods: usize,
    /// The form of the answer, if it was named.
    pub(super) format: Option<Format>,
}

/// The parameters as they were given.
#[derive(Debug, Default)]
struct Given {
    node: Option<String>,
    by: Option<GroupBy>,
    key: Option<String>,
    plan: Option<String>,
    cycle: Option<String>,
    anchor: Option<String>,
    zone: Option<Zone>,
    periods: Option<usize>,
    direction: Option<Direction>,
    quota: Option<Amount>,
    p95: Option<bool>,
    commit: Option<Rate>,
    format: Option<Format>,
}

/// Reads a query string.
pub(super) fn read(query: &str, plans: &Plans, now_ms: i64) -> Result<TrafficQuery, ApiError> {
    let mut given = Given::default();
    each(query, |name, value| given.take(name, value))?;
    let format = given.format;
    let (periods, name) = (given.periods, given.plan.take());
    let is_declared = name.is_some();
    let plan = match name {
        Some(name) => {
            given.check_nothing_else()?;
            plans.named(&name).cloned().ok_or_else(|| ApiError::NotFound(format!("plan named {name}")))?
        }
        None => given.plan(&plans.zone, now_ms)?,
    };
    let periods = periods.unwrap_or_else(|| usual_periods(&plan.schedule));
    Ok(TrafficQuery { plan, is_declared, periods, format })
}

impl Given {
    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "node" => self.node = Some(value.to_owned()),
            "by" => self.by = Some(GroupBy::parse(value)?),
            "key" => self.key = Some(value.to_owned()),
            "plan" => self.plan = Some(value.to_owned()),
            "cycle" => self.cycle = Some(value.to_owned()),
            "anchor" => self.anchor = Some(value.to_owned()),
            "tz" => self.zone = Some(Zone::named(value).map_err(|error| error.to_string())?),
            "periods" => self.periods = Some(count(value)?),
            "direction" => self.direction = Some(value.parse()?),
            "quota" => self.quota = Some(amount(value)?),
            "p95" => self.p95 = Some(yes(value)?),
            "commit" => self.commit = Some(rate(value)?),
            "format" => self.format = Some(format(value)?),
            _ => return Err(format!("no such parameter; {PARAMETERS}")),
        }
        Ok(())
    }

    /// Refuses what would contradict a declared plan.
    fn check_nothing_else(&self) -> Result<(), ApiError> {
        let others = [
            ("node", self.node.is_some()),
            ("by", self.by.is_some()),
            ("key", self.key.is_some()),
            ("cycle", self.cycle.is_some()),
            ("anchor", self.anchor.is_some()),
            ("tz", self.zone.is_some()),
            ("direction", self.direction.is_some()),
            ("quota", self.quota.is_some()),
            ("p95", self.p95.is_some()),
            ("commit", self.commit.is_some()),
        ];
        match others.iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => Err(ApiError::Query(format!("{name}: {OF_A_PLAN}"))),
            None => Ok(()),
        }
    }

    fn plan(self, default: &Zone, now_ms: i64) -> Result<Plan, ApiError> {
        let zone = self.zone.unwrap_or_else(|| default.clone());
        let cycle = self.cycle.as_deref().unwrap_or("month");
        let schedule = Schedule::read(cycle, self.anchor.as_deref(), &zone, now_ms).map_err(|error| {
            let name = if error == WrongSchedule::Cycle { "cycle" } else { "anchor" };
            ApiError::Query(format!("{name}: {error}"))
        })?;
        let p95 = self.p95.unwrap_or(false);
        if self.commit.is_some() && !p95 {
            return Err(ApiError::Query("commit: is of no use without p95=true".to_owned()));
        }
        let quota = self.quota.map(|amount| {
            let quota = Quota::new(amount.bytes.unsigned_abs(), None);
            quota.map(|quota| (quota, amount.unit)).map_err(|error| ApiError::Query(error.to_string()))
        });
        Ok(Plan {
            name: String::new(),
            scope: scope(self.node, self.by, self.key)?,
            schedule,
            zone,
            direction: self.direction,
            quota: quota.transpose()?,
            corrections: Vec::new(),
            p95,
            commit: self.commit,
        })
    }
}

fn scope(node: Option<String>, by: Option<GroupBy>, key: Option<String>) -> Result<Scope, ApiError> {
    let Some(node) = node else {
        return Ok(match by.unwrap_or_default().of(key)? {
            HistorySeries::Location(value) => Scope::Location(value),
            HistorySeries::Provider(value) => Scope::Provider(value),
            HistorySeries::Label(name, value) => Scope::Label(name, value),
            HistorySeries::Fleet | HistorySeries::Node(_) => Scope::Fleet,
        });
    };
    if by.is_some() || key.is_some() {
        return Err(ApiError::Query("node: cannot be given with by or key".to_owned()));
    }
    Ok(Scope::Nodes(vec![node]))
}

/// As many as people look at.
fn usual_periods(schedule: &Schedule) -> usize {
    match schedule {
        Schedule::Cycle(cycle) => match cycle.length().unit {
            CycleUnit::Hour => 24,
            CycleUnit::Day => 30,
            CycleUnit::Week | CycleUnit::Month | CycleUnit::Year => 12,
        },
        Schedule::Rolling { .. } => 1,
    }
}

fn count(value: &str) -> Result<usize, String> {
    let count = digits(value).and_then(|count| usize::try_from(count).ok());
    let wrong = || format!("must be a whole number from 1 to {MAX_PERIODS}");
    count.filter(|count| (1..=MAX_PERIODS).contains(count)).ok_or_else(wrong)
}

fn amount(value: &str) -> Result<Amount, String> {
    let amount: Amount = value.parse().map_err(|error: WrongAmount| error.to_string())?;
    if amount.bytes < 0 { Err("is less than none".to_owned()) } else { Ok(amount) }
}

fn rate(value: &str) -> Result<Rate, String> {
    value.parse().map_err(|error: WrongAmount| error.to_string())
}

fn yes(value: &str) -> Result<bool, String> {
    match value {
        "true" | "" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}
