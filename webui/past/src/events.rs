//! What alert rules found, as `api/alerts` tells it, and how it is written.

use tidemap_format::{self as format, Unit};
use tidemap_parts::encoding::encoded;
use tidemap_parts::value::{Invalid, Text, Value};
use tidemap_wire::NodeId;

use crate::calendar::{self, Zone};
use crate::marks::{AlertMarks, AlertSpan};
use crate::range;

#[cfg(test)]
mod tests;

/// The most alerts of a list that are drawn: nobody reads more, and each is some elements.
pub const MOST: usize = 200;

/// Where the API tells what fires, and what did.
pub fn url(node: Option<&str>) -> String {
    let node = node.map_or_else(String::new, |node| ["&node=", &encoded(node)].concat());
    ["api/alerts?limit=", &MOST.to_string(), &node].concat()
}

/// The API's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Broker time of the answer, Unix milliseconds.
    pub at_ms: i64,
    /// How many rules are watched; `None` when nobody watches.
    pub rules: Option<u64>,
    /// Whether whoever watches hears the whole fleet.
    pub is_hearing: bool,
    /// What the station has to say, in its words.
    pub warnings: Vec<String>,
    /// How many alerts fire, listed or not.
    pub count: usize,
    /// Those that fire.
    pub firing: Vec<Finding>,
    /// Those that are over, newest first.
    pub log: Vec<Finding>,
}

/// How much an alert matters, or that it is over; by its name in style sheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Somebody must act.
    Critical,
    /// Somebody should look.
    Warning,
    /// Worth knowing.
    Info,
    /// It is over.
    Over,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Identifies it.
    pub id: String,
    rule: String,
    severity: Sign,
    kind: String,
    target: String,
    name: String,
    summary: String,
    peak: Option<f64>,
    threshold: Option<f64>,
    unit: String,
    since_ms: i64,
    fired_ms: Option<i64>,
    resolved_ms: Option<i64>,
    silenced_until_ms: Option<i64>,
}

/// What stands in an alert's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its sign.
    pub sign: Sign,
    /// Its target's name.
    pub name: String,
    /// Where its target is shown, as a query string.
    pub query: Option<String>,
    /// The condition.
    pub summary: String,
    /// For how long it fires, or when it was over.
    pub when: String,
    /// The same as exactly as it is known.
    pub exact: String,
    /// Everything else: the rule, and since when, or how long it lasted.
    pub notes: String,
}

impl Sign {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Over => "over",
        }
    }

    /// What it means, for who does not see it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Critical => "Critical:",
            Self::Warning => "Warning:",
            Self::Info => "For information:",
            Self::Over => "Over:",
        }
    }
}

impl Events {
    /// Reads the API's answer. What a later version adds is left out.
    ///
    /// # Errors
    ///
    /// When it is no such answer.
    pub fn read(text: &Text) -> Result<Self, Invalid> {
        let answer = Value::parse(text)?;
        let firing = answer.get("firing").list(Finding::read)?;
        let count = answer.get("counts").get("firing").whole().unwrap_or(firing.len());
        let rules = answer.get("evaluator").or_null(|evaluator| evaluator.get("rules").whole());
        Ok(Self {
            at_ms: answer.get("at_ms").signed()?,
            rules: rules?,
            is_hearing: answer.get("evaluator").get("is_hearing").or_null(Value::bool)?.unwrap_or(true),
            warnings: answer.get("warnings").or_null(|list| list.list(Value::text))?.unwrap_or_default(),
            count: count.max(firing.len()),
            firing,
            log: answer.get("log").list(Finding::read)?,
        })
    }

    /// Who watches, in a sentence.
    pub fn watch(&self) -> String {
        match self.rules {
            None => "Nobody watches: no station that judges the rules is heard. What is listed may be old."
                .to_owned(),
            Some(_) if !self.is_hearing => {
                "Not the whole fleet is heard: of nodes that are not, nothing is judged.".to_owned()
            }
            Some(0) => "No rule is watched.".to_owned(),
            Some(1) => "1 rule is watched.".to_owned(),
            Some(rules) => [&format::count(rules), " rules are watched."].concat(),
        }
    }

    /// Whether the whole fleet is watched.
    pub fn is_watched(&self) -> bool {
        self.rules.is_some() && self.is_hearing
    }

    /// What stands where no alert fires.
    pub fn calm(&self) -> &'static str {
        if !self.is_watched() { "Whether anything should fire is not known." } else { "Nothing is firing." }
    }

    /// How many fire besides those that are listed, in words; empty when there are no more.
    pub fn more(&self) -> String {
        let more = self.count - self.firing.len().min(MOST);
        if more == 0 { String::new() } else { ["and ", &format::count(more as u64), " more"].concat() }
    }
}

impl Finding {
    fn read(alert: &Value) -> Result<Self, Invalid> {
        let target = alert.get("target");
        let number = |name: &str| alert.get(name).or_null(Value::number);
        let moment = |name: &str| alert.get(name).or_null(Value::signed);
        Ok(Self {
            id: alert.get("id").text()?,
            rule: alert.get("rule").text()?,
            severity: match &*alert.get("severity").text()? {
                "critical" => Sign::Critical,
                "info" => Sign::Info,
                _ => Sign::Warning,
            },
            kind: target.get("kind").text()?,
            target: target.get("id").text()?,
            name: target.get("name").text()?,
            summary: alert.get("summary").text()?,
            peak: number("peak")?,
            threshold: number("threshold")?,
            unit: alert.get("unit").or_null(Value::text)?.unwrap_or_default(),
            since_ms: alert.get("since_ms").signed()?,
            fired_ms: moment("fired_ms")?,
            resolved_ms: moment("resolved_ms")?,
            silenced_until_ms: moment("silenced_until_ms")?,
        })
    }

    /// The id of the node that it is about, as addresses have it.
    pub fn node(&self) -> Option<String> {
        let text = || NodeId::from_token(&self.target).map_or_else(|_| self.target.clone(), |id| id.text());
        (self.kind == "node").then(text)
    }

    /// The limits of download and of upload that a rate has passed, bytes per second. The engine's words say
    /// which direction it is.
    fn limits(&self) -> [Option<f64>; 2] {
        let limit = self.threshold.filter(|limit| self.unit == "bps" && *limit > 0.0);
        let is_of = |words: [&str; 3]| {
            let is_measured = |word: &&str| {
                self.summary
                    .strip_prefix(*word)
                    .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
            };
            limit.filter(|_| words.iter().any(is_measured))
        };
        [["download ", "traffic ", "smaller direction "], ["upload ", "traffic ", "smaller direction "]]
            .map(is_of)
    }

    /// What charts of its node tell of it.
    pub fn span(&self) -> AlertSpan {
        AlertSpan {
            since_ms: self.since_ms,
            fired_ms: self.fired_ms,
            over_ms: self.resolved_ms,
            limits: self.limits(),
        }
    }

    /// How it is written. `now_ms` is broker time, `query` the page's address.
    pub fn line(&self, now_ms: i64, query: &str, unit: Unit, zone: Zone<'_>) -> Line {
        let end_ms = self.resolved_ms;
        let since = short(self.since_ms, now_ms, zone);
        let [when, exact, first] = match end_ms {
            None => {
                let age_ms = (now_ms - self.since_ms).max(0) as u64;
                [format::age(age_ms), exact(self.since_ms, zone), ["since ", &since].concat()]
            }
            Some(end_ms) => {
                let span = [&*exact(self.since_ms, zone), " – ", &exact(end_ms, zone)].concat();
                let lasted = format::duration((end_ms - self.since_ms).max(0) as u64 / 1000);
                [short(end_ms, now_ms, zone), span, ["lasted ", &lasted].concat()]
            }
        };
        let rule = (self.rule != self.summary).then(|| self.rule.clone());
        let peak = self.peak.map(|peak| ["peak ", &amount(peak, &self.unit, unit)].concat());
        // A length that only grows has no peak of its own.
        let peak = peak.filter(|_| self.unit != "s");
        let silence = self.silenced_until_ms.filter(|until_ms| end_ms.is_none() && *until_ms > now_ms);
        let silence = silence.map(|until_ms| ["silenced until ", &short(until_ms, now_ms, zone)].concat());
        let notes: Vec<String> = [rule, Some(first), peak, silence].into_iter().flatten().collect();
        Line {
            sign: if end_ms.is_some() { Sign::Over } else { self.severity },
            name: if self.name.is_empty() { self.called() } else { self.name.clone() },
            query: self.query(query),
            summary: self.summary.clone(),
            when,
            exact,
            notes: notes.join(" · "),
        }
    }

    /// What a target without a name is called.
    fn called(&self) -> String {
        match &*self.kind {
            "fleet" => "Fleet".to_owned(),
            "broker" => "Broker".to_owned(),
            "partition" => ["Partition ", &self.target].concat(),
            _ => self.target.clone(),
        }
    }

    fn query(&self, query: &str) -> Option<String> {
        match &*self.kind {
            "node" => Some(range::with_time(query, &range::time_of(query), self.node().as_deref())),
            "group" => {
                let (by, key) = self.target.split_once('=')?;
                let mut pairs = vec![["group=", &encoded(by)].concat()];
                pairs.extend((!key.is_empty()).then(|| ["is=", &encoded(key)].concat()));
                Some(instead(query, &pairs.join("&")))
            }
            "plan" => Some(instead(query, "view=traffic")),
            _ => None,
        }
    }
}

/// What a chart's marks mean: `Alerts: 2 fired (▼), 1 over (▽).` Nothing when there are none.
pub fn marked(marks: &AlertMarks) -> Option<String> {
    let over = marks.moments.iter().filter(|mark| mark.is_over).count();
    let fired = marks.moments.len() - over;
    let words = ["Alerts: ", &fired.to_string(), " fired (▼), ", &over.to_string(), " over (▽)."].concat();
    (!marks.moments.is_empty()).then_some(words)
}

/// The query string with these pairs in place of what is shown now; how it is shown stays.
fn instead(query: &str, pairs: &str) -> String {
    let is_kept = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        ["sort", "by", "unit", "debug", "range", "from", "to"].contains(&name)
    };
    let kept = query.trim_start_matches('?').split('&').filter(is_kept).chain([pairs]);
    "?".to_owned() + &kept.collect::<Vec<_>>().join("&")
}

/// A value in its rule's unit.
fn amount(value: f64, unit: &str, rates: Unit) -> String {
    let number = |decimals| format::fixed(value, if value.fract() == 0.0 { 0 } else { decimals });
    match unit {
        "bps" => rates.exact(Some(value)),
        "percent" => number(1) + " %",
        "s" => format::duration(value.max(0.0) as u64),
        "" => number(2),
        unit => [&number(1), " ", unit].concat(),
    }
}

/// A moment as short as it can be understood: today by its time.
fn short(ms: i64, now_ms: i64, zone: Zone<'_>) -> String {
    let is_today = calendar::date(ms, zone, true) == calendar::date(now_ms, zone, true);
    if is_today { calendar::time(ms, zone) } else { calendar::moment(ms, zone) }
}

/// `27 Nov 2026 14:05:10`.
fn exact(ms: i64, zone: Zone<'_>) -> String {
    let seconds = ms.div_euclid(1000).rem_euclid(60);
    let tens = if seconds < 10 { ":0" } else { ":" };
    [&calendar::date(ms, zone, true), " ", &*calendar::time(ms, zone), tens, &seconds.to_string()].concat()
}
