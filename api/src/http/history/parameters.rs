//! The parameters of questions to the history, checked. Pure: `now_ms` is this host's clock.

use percent_encoding::percent_decode_str;
use tidemap_service::moment::{digits, duration_ms, moment_ms};
use tidemap_wire::{
    NodeId,
    history_query::{HOST_COLUMNS, HistorySeries, MAX_STEPS, MAX_TOP, RangeRequest, TopBy, TopRequest},
    http::TRAFFIC_COLUMNS,
};

use crate::http::{errors::ApiError, query::each_once};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How long the range is unless `from` is given.
const DEFAULT_RANGE_MS: i64 = HOUR_MS;
/// How far ahead a range may end: somebody may ask for this month or year as a whole.
const AHEAD_MS: i64 = 366 * DAY_MS;
/// The longest step. It is longer than what Tidemap can have seen.
const LONGEST_STEP_MS: i64 = 36_500 * DAY_MS;
/// How many nodes are listed unless `limit` is given.
const DEFAULT_TOP: u32 = 10;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Format {
    Json,
    Csv,
}

/// A question for a range of time, and the form of its answer, if it was named.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RangeQuery {
    pub(super) request: RangeRequest,
    pub(super) format: Option<Format>,
    /// The columns of the answer; those of traffic unless they were named.
    pub(super) columns: Option<Vec<&'static str>>,
}

/// A question for the nodes with the most traffic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TopQuery {
    pub(super) request: TopRequest,
    pub(super) format: Option<Format>,
}

/// What several questions have in common.
#[derive(Clone, Copy, Debug, Default)]
struct Common {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    step_ms: Option<i64>,
    format: Option<Format>,
}

/// What groups are made by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http) enum GroupBy {
    #[default]
    Fleet,
    Location,
    Provider,
    Label(String),
}

/// `from=&to=&step=&columns=&format=`
pub(super) fn of_node(query: &str, node: NodeId, now_ms: i64) -> Result<RangeQuery, ApiError> {
    let (mut common, mut columns) = (Common::default(), None);
    each(query, |name, value| {
        match name {
            "columns" => columns = Some(self::columns(value)?),
            _ if common.take(name, value, now_ms)? => {}
            _ => return Err("no such parameter; there are from, to, step, columns and format".to_owned()),
        }
        Ok(())
    })?;
    let mut range = common.range(HistorySeries::Node(node), now_ms)?;
    let is_of_host = |name: &&str| HOST_COLUMNS.contains(name);
    range.request.host = columns.iter().flatten().any(is_of_host);
    Ok(RangeQuery { columns, ..range })
}

/// `by=&key=&from=&to=&step=&format=`
pub(super) fn of_group(query: &str, now_ms: i64) -> Result<RangeQuery, ApiError> {
    let (mut common, mut by, mut key) = (Common::default(), GroupBy::default(), None);
    each(query, |name, value| {
        match name {
            "by" => by = GroupBy::parse(value)?,
            "key" => key = Some(value.to_owned()),
            "columns" => {
                let why = "goes with /api/nodes/NAME/history: groups have the columns of traffic alone";
                return Err(why.to_owned());
            }
            _ if common.take(name, value, now_ms)? => {}
            _ => return Err("no such parameter; there are by, key, from, to, step and format".to_owned()),
        }
        Ok(())
    })?;
    common.range(by.of(key)?, now_ms)
}

/// `by=&from=&to=&limit=&format=`
pub(super) fn top(query: &str, now_ms: i64) -> Result<TopQuery, ApiError> {
    let (mut common, mut by, mut limit) = (Common::default(), TopBy::Sum, DEFAULT_TOP);
    each(query, |name, value| {
        match name {
            "by" => by = top_by(value)?,
            "limit" => limit = top_limit(value)?,
            _ if name != "step" && common.take(name, value, now_ms)? => {}
            _ => return Err("no such parameter; there are by, from, to, limit and format".to_owned()),
        }
        Ok(())
    })?;
    let (from_ms, to_ms) = common.limits(now_ms)?;
    Ok(TopQuery { request: TopRequest { by, from_ms, to_ms, limit }, format: common.format })
}

/// As [`each_once`]; a value that is not UTF-8 is not what somebody meant.
pub(in crate::http) fn each(
    query: &str,
    take: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), ApiError> {
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(ApiError::Query("the query is not UTF-8".to_owned()));
    }
    each_once(query, take)
}

impl Common {
    /// Takes a parameter; returns whether it is one of these.
    fn take(&mut self, name: &str, value: &str, now_ms: i64) -> Result<bool, String> {
        match name {
            "from" => self.from_ms = Some(time(value, now_ms)?),
            "to" => self.to_ms = Some(time(value, now_ms)?),
            "step" => self.step_ms = step(value)?,
            "format" => self.format = Some(format(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Begin and end.
    fn limits(&self, now_ms: i64) -> Result<(i64, i64), ApiError> {
        let to_ms = self.to_ms.unwrap_or(now_ms);
        let from_ms = self.from_ms.unwrap_or((to_ms - DEFAULT_RANGE_MS).max(0));
        if from_ms < to_ms {
            return Ok((from_ms, to_ms));
        }
        let (name, other) = if self.from_ms.is_some() { ("from", "before to") } else { ("to", "after 1970") };
        let to = if self.to_ms.is_some() { "" } else { ", which is now unless given" };
        Err(ApiError::Query(format!("{name}: must lie {other}{to}")))
    }

    fn range(self, of: HistorySeries, now_ms: i64) -> Result<RangeQuery, ApiError> {
        let (from_ms, to_ms) = self.limits(now_ms)?;
        let step_ms = self.step_ms.map(|step| fits(from_ms, to_ms, step)).transpose()?;
        let request = RangeRequest { of, from_ms, to_ms, step_ms, host: false, recent: None };
        Ok(RangeQuery { request, format: self.format, columns: None })
    }
}

impl GroupBy {
    pub(in crate::http) fn parse(value: &str) -> Result<Self, String> {
        match (value, value.strip_prefix("label:")) {
            ("fleet", _) => Ok(Self::Fleet),
            ("location", _) => Ok(Self::Location),
            ("provider", _) => Ok(Self::Provider),
            (_, Some(label)) if !label.is_empty() => Ok(Self::Label(label.to_owned())),
            _ => Err("must be fleet, location, provider or label:NAME".to_owned()),
        }
    }

    pub(in crate::http) fn of(self, key: Option<String>) -> Result<HistorySeries, ApiError> {
        let of = match (self, key) {
            (Self::Fleet, None) => HistorySeries::Fleet,
            (Self::Location, Some(key)) => HistorySeries::Location(key),
            (Self::Provider, Some(key)) => HistorySeries::Provider(key),
            (Self::Label(name), Some(key)) => HistorySeries::Label(name, key),
            (Self::Fleet, Some(_)) => {
                let detail = "key: goes with by=location, by=provider or by=label:NAME";
                return Err(ApiError::Query(detail.to_owned()));
            }
            (_, None) => {
                let detail = "key: is missing: which location, which provider, or which value of the label";
                return Err(ApiError::Query(detail.to_owned()));
            }
        };
        Ok(of)
    }
}

/// Names of columns, or of all of traffic or of the host.
fn columns(value: &str) -> Result<Vec<&'static str>, String> {
    let mut named = Vec::new();
    for word in value.split(',') {
        let all = || TRAFFIC_COLUMNS.into_iter().chain(HOST_COLUMNS);
        match word {
            "traffic" => named.extend(TRAFFIC_COLUMNS),
            "host" => named.extend(HOST_COLUMNS),
            _ => named.push(all().find(|name| *name == word).ok_or_else(|| {
                let all: Vec<&str> = all().collect();
                format!("must be traffic, host, or columns separated by commas: {}", all.join(", "))
            })?),
        }
    }
    Ok(named)
}

/// A moment, Unix milliseconds.
fn time(value: &str, now_ms: i64) -> Result<i64, String> {
    let ms = moment_ms(value, now_ms).ok_or(
        "must be a time such as 2026-11-29T09:00:00Z (a plus sign in an address is %2B), Unix milliseconds, \
         -24h, -30d or now",
    )?;
    if (0..=now_ms.saturating_add(AHEAD_MS)).contains(&ms) {
        return Ok(ms);
    }
    Err("must lie between 1970 and a year from now".to_owned())
}

/// The step in milliseconds; absent when it is to be chosen.
fn step(value: &str) -> Result<Option<i64>, String> {
    if value == "auto" {
        return Ok(None);
    }
    let ms = duration_ms(value).or_else(|| digits(value));
    let ms = ms.filter(|ms| (MINUTE_MS..=LONGEST_STEP_MS).contains(ms) && ms % MINUTE_MS == 0);
    let wrong = "must be auto or a multiple of a minute: 60s, 15m, 1h, 1d, or milliseconds";
    ms.map(Some).ok_or_else(|| wrong.to_owned())
}

/// Checks that the steps, which begin at multiples of their length, are few enough.
fn fits(from_ms: i64, to_ms: i64, step_ms: i64) -> Result<u64, ApiError> {
    let steps = to_ms / step_ms + i64::from(to_ms % step_ms > 0) - from_ms / step_ms;
    if steps <= i64::from(MAX_STEPS) {
        return Ok(step_ms.unsigned_abs());
    }
    Err(ApiError::Query(format!(
        "step: the range has {steps} of these steps, and {MAX_STEPS} are the most: ask for longer steps or a \
         shorter range"
    )))
}

pub(in crate::http) fn format(value: &str) -> Result<Format, String> {
    match value {
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv),
        _ => Err("must be json or csv".to_owned()),
    }
}

fn top_by(value: &str) -> Result<TopBy, String> {
    match value {
        "rx" => Ok(TopBy::Rx),
        "tx" => Ok(TopBy::Tx),
        "sum" => Ok(TopBy::Sum),
        _ => Err("must be rx, tx or sum".to_owned()),
    }
}

fn top_limit(value: &str) -> Result<u32, String> {
    let limit = digits(value).and_then(|limit| u32::try_from(limit).ok());
    let wrong = || format!("must be a whole number from 1 to {MAX_TOP}");
    limit.filter(|limit| (1..=MAX_TOP).contains(limit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
