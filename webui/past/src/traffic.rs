//! What billing cycles and months came to, as lines of a table.

use tidemap_format as format;
use tidemap_parts::encoding::encoded;
use tidemap_parts::value::{Invalid, Text, Value};
use tidemap_wire::http::TopJson;

use crate::calendar;

/// The most nodes that have a line.
pub const MOST_NODES: usize = 100;
/// As many months and the present one are asked for of a plan.
const MONTHS: i64 = 13;

/// What the page's address asks of the view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A month before the present one, counted from year 0.
    pub month: Option<i64>,
    /// Whether lines are ordered by their forecast, and not by the share that is used.
    pub by_forecast: bool,
}

/// A plan, and what its cycle came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Whose traffic, in words; a node's name where it is one node's.
    pub of: String,
    /// `month`, `2 weeks`, `rolling 24h`.
    pub cycle: String,
    /// By whose clocks.
    pub zone: String,
    /// Which bytes count.
    pub direction: String,
    /// What a cycle may use.
    pub quota_bytes: Option<f64>,
    /// Whether the quota was written in units of 1024.
    pub is_binary: bool,
    /// Its cycle; none while it cannot be counted, and where there is none in the month.
    pub period: Option<Period>,
}

/// A cycle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// Begin as clocks of the zone show it: `2026-11-01T00:00:00+01:00`.
    pub from: String,
    /// End, Unix milliseconds.
    pub to_ms: i64,
    /// End likewise as clocks show it.
    pub to: String,
    /// Whether it may still grow.
    pub is_partial: bool,
    /// Bytes received; none where nothing is known.
    pub rx: Option<f64>,
    /// Bytes sent.
    pub tx: Option<f64>,
    /// Bytes that count, with a correction.
    pub used: Option<f64>,
    /// Bytes at its end if it goes on like this.
    pub forecast: Option<f64>,
    /// How much of the quota is used.
    pub percent: Option<f64>,
    /// The highest threshold that is reached, in percent.
    pub threshold: Option<f64>,
    /// The rate that is billed, bytes per second.
    pub billed_bps: Option<f64>,
}

/// How much of a quota is used, and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The part of the bar, in percent.
    pub part: f64,
    /// Whether all is used.
    pub is_over: bool,
    /// `735 GB of 1.00 TB, 74 %`; `over 90 %` and `used up` are words, too.
    pub text: String,
}

impl Wanted {
    /// Reads the page's query string; none unless it asks for the view. `present` is the present month.
    pub fn parse(query: &str, present: i64) -> Option<Self> {
        let pairs = || query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
        let value = |wanted: &str| pairs().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        (value("view") == Some("traffic")).then(|| Self {
            month: value("month").and_then(calendar::month_from).filter(|month| *month < present),
            by_forecast: value("rank") == Some("forecast"),
        })
    }

    /// The query string with these choices.
    pub fn query(&self, query: &str) -> String {
        let is_kept = |pair: &&str| {
            !pair.is_empty() && !["month", "rank"].contains(&pair.split('=').next().unwrap_or_default())
        };
        let mut pairs: Vec<String> =
            query.trim_start_matches('?').split('&').filter(is_kept).map(str::to_owned).collect();
        pairs.extend(self.month.map(|month| ["month=", &calendar::month_text(month)].concat()));
        pairs.extend(self.by_forecast.then(|| "rank=forecast".to_owned()));
        ["?", &pairs.join("&")].concat()
    }
}

impl Plan {
    /// Reads the answer for all plans: their present cycles, and why their file is not in force.
    ///
    /// # Errors
    ///
    /// When it is not such an answer.
    pub fn list(text: &Text) -> Result<(Vec<Self>, Option<String>), Invalid> {
        let value = Value::parse(text)?;
        let plans = value.get("plans").list(|plan| {
            let present = plan.get("present").or_null(|present| Self::read(present, |_| true))?;
            Ok(Self { name: plan.get("name").text()?, ..present.unwrap_or_default() })
        })?;
        Ok((plans, value.get("warning").or_null(Value::text).unwrap_or(None)))
    }

    /// Reads the answer for one plan's cycles: the last that begins in a month.
    ///
    /// # Errors
    ///
    /// When it is not such an answer.
    pub fn of_month(text: &Text, month: i64) -> Result<Self, Invalid> {
        let begin = calendar::month_text(month);
        let plan = Value::parse(text)?;
        Ok(Self {
            name: plan.get("plan").text()?,
            ..Self::read(&plan, |period| period.from.starts_with(&begin))?
        })
    }

    fn read(value: &Value, is_wanted: impl Fn(&Period) -> bool) -> Result<Self, Invalid> {
        let unit = value.get("quota_unit").or_null(Value::text)?.unwrap_or_default();
        let periods = value.get("periods").list(period)?;
        Ok(Self {
            name: String::new(),
            of: value.get("of").text()?,
            cycle: value.get("cycle").text()?,
            zone: value.get("time_zone").text()?,
            direction: value.get("direction").text()?,
            quota_bytes: value.get("quota_bytes").or_null(Value::number)?,
            is_binary: unit.ends_with("iB"),
            period: periods.into_iter().rfind(is_wanted),
        })
    }

    /// Where the API tells what its last cycles came to: as JSON, or as CSV for the reader.
    pub fn url(&self, is_csv: bool) -> String {
        let form = if is_csv { "&format=csv" } else { "" };
        ["api/traffic?plan=", &encoded(&self.name), "&periods=", &MONTHS.to_string(), form].concat()
    }

    /// Whether a node is one of those that are named, or belongs to the group, as [`groups`] says.
    pub fn covers(&self, node: &str, groups: &[String]) -> bool {
        self.of == "the fleet"
            || groups.contains(&self.of)
            || self.of.split(", ").any(|name| name.eq_ignore_ascii_case(node))
    }

    /// What is billed: bytes that count, or the rate of the percentile.
    pub fn billed(&self) -> String {
        let Some(period) = &self.period else { return format::UNKNOWN.to_owned() };
        let rate = period.billed_bps.map(|bps| [&bits(bps), " (p95)"].concat());
        let bytes = || period.used.map(|bytes| [&self.amount(bytes), " ", &*self.direction].concat());
        match (rate, self.quota_bytes) {
            (Some(rate), Some(_)) => bytes().into_iter().chain([rate]).collect::<Vec<_>>().join(", "),
            (Some(rate), None) => rate,
            (None, _) => bytes().unwrap_or_else(|| format::UNKNOWN.to_owned()),
        }
    }

    /// How much of the quota is used; none without one.
    pub fn bar(&self) -> Option<Bar> {
        let (quota, period) = (self.quota_bytes?, self.period.as_ref()?);
        let (used, percent) = (period.used?, period.percent?);
        let is_over = percent >= 100.0;
        // Rounded down: 100 % means all.
        let share = [&format::fixed(percent.floor(), 0), " %"].concat();
        let word = match period.threshold {
            _ if is_over => ", used up".to_owned(),
            Some(threshold) => [", over ", &format::fixed(threshold, 0), " %"].concat(),
            None => String::new(),
        };
        let text = [&self.amount(used), " of ", &*self.amount(quota), ", ", &share, &word].concat();
        Some(Bar { part: percent.min(100.0), is_over, text })
    }

    /// What the cycle comes to if it goes on like this.
    pub fn forecast(&self) -> String {
        let forecast = self.period.as_ref().and_then(|period| period.forecast);
        forecast.map_or_else(|| format::UNKNOWN.to_owned(), |bytes| self.amount(bytes))
    }

    /// When the cycle begins again: `in 6 d 4 h`, and `1 Jun 00:00 Europe/Zurich`. None of a window that
    /// moves, and of a cycle that is over.
    pub fn resets(&self, now_ms: i64) -> Option<(String, String)> {
        let period = self.period.as_ref().filter(|period| period.to_ms > now_ms)?;
        if self.cycle.starts_with("rolling") {
            return None;
        }
        let left = format::duration((period.to_ms - now_ms).unsigned_abs() / 60_000 * 60);
        let at = clock(&period.to).unwrap_or_else(|| period.to.clone());
        Some((["in ", &left].concat(), [&at, " ", &*self.zone].concat()))
    }

    fn amount(&self, bytes: f64) -> String {
        if self.is_binary { format::memory(bytes) } else { format::bytes(bytes) }
    }

    /// The share of the quota at the end of the cycle, or of what is used.
    fn rank(&self, by_forecast: bool) -> f64 {
        let Some(period) = &self.period else { return -1.0 };
        let of_quota =
            |bytes: Option<f64>| Some(bytes? / self.quota_bytes.filter(|quota| *quota > 0.0)? * 100.0);
        let forecast = if by_forecast { of_quota(period.forecast) } else { None };
        forecast.or(period.percent).unwrap_or(-1.0)
    }
}

/// The groups that a node belongs to, as plans write them: `label site=fra`. From the API's answer about it.
///
/// # Errors
///
/// When it is not such an answer.
pub fn groups(text: &Text) -> Result<Vec<String>, Invalid> {
    let node = Value::parse(text)?;
    let mut groups = Vec::new();
    for kind in ["location", "provider"] {
        groups.extend(node.get(kind).or_null(Value::text)?.map(|name| [kind, " ", &name].concat()));
    }
    let labels = node.get("labels").pairs(Value::text)?;
    groups.extend(labels.iter().map(|(name, value)| ["label ", name, "=", value].concat()));
    Ok(groups)
}

/// Orders plans: those first that use most of their quota, those without one as their file has them.
pub fn order(plans: &mut [Plan], by_forecast: bool) {
    plans.sort_by(|a, b| b.rank(by_forecast).total_cmp(&a.rank(by_forecast)));
}

/// Where the API tells which nodes moved most in a month, whose ends are Unix milliseconds.
pub fn top_url(from_ms: i64, to_ms: i64, is_csv: bool) -> String {
    let (from, to) = (from_ms.to_string(), to_ms.to_string());
    let form = if is_csv { "&format=csv" } else { "" };
    ["api/top?by=sum&limit=", &MOST_NODES.to_string(), "&from=", &from, "&to=", &to, form].concat()
}

/// What is said below the nodes.
pub fn of_nodes(top: &TopJson) -> String {
    if top.nodes.len() >= MOST_NODES {
        ["The ", &MOST_NODES.to_string(), " nodes that moved most, by your clock's month."].concat()
    } else {
        "By your clock's month.".to_owned()
    }
}

fn period(value: &Value) -> Result<Period, Invalid> {
    let (quota, p95) = (value.get("quota"), value.get("p95"));
    let of_quota = |name: &str| quota.get(name).or_null(Value::number);
    let number = |name: &str| value.get(name).or_null(Value::number);
    let has_quota = of_quota("percent")?.is_some();
    Ok(Period {
        from: value.get("from").text()?,
        to_ms: value.get("to_ms").signed()?,
        to: value.get("to").text()?,
        is_partial: value.get("partial").bool()?,
        rx: number("rx_bytes")?,
        tx: number("tx_bytes")?,
        used: if has_quota { of_quota("used_bytes")? } else { number("counted_bytes")? },
        forecast: if has_quota { of_quota("forecast_bytes")? } else { number("forecast_bytes")? },
        percent: of_quota("percent")?,
        threshold: of_quota("threshold")?,
        billed_bps: p95.get("billed_bps").or_null(Value::number)?,
    })
}

/// A rate in bits, as it is billed.
fn bits(bps: f64) -> String {
    let text = format::bytes(bps * 8.0);
    let (number, unit) = text.split_once(' ').unwrap_or((&text, "B"));
    [number, " ", unit.trim_end_matches('B'), "bit/s"].concat()
}

/// `2026-06-01T00:00:00+02:00` as `1 Jun 00:00`.
fn clock(moment: &str) -> Option<String> {
    let (date, time) = moment.split_once('T')?;
    let (month, day) = date.rsplit_once('-')?;
    let title = calendar::month_title(calendar::month_from(month)?);
    let month = title.split(' ').next()?;
    Some([day.trim_start_matches('0'), " ", month, " ", time.get(..5)?].concat())
}

#[cfg(test)]
mod tests;
