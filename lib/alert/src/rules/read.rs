//! How a rule is written.

mod parts;

use serde::Deserialize;
use tidemap_traffic::{
    Direction,
    document::{Checked, Problem, field, problem},
};
use tidemap_wire::{NodeId, Severity};
use toml::{Spanned, Value};

use self::parts::{grouping, no_data, number, repeat, text_of, time};
pub(super) use self::parts::{label, named_nodes, severity};
use super::{
    Aggregate, Comparison, Filter, GroupKey, LIVE_WINDOW_MS, Measure, NoData, NoticeGroup, Per, Repeat, Rule,
    Signal, Subject, Test, dependencies, measure,
};
use crate::quantity::{Quantity, Shown};

/// The most rules of a file.
const MAX_RULES: usize = 1_000;
/// The windows over which workers keep means.
const WORKERS_WINDOWS_MS: [i64; 5] = [0, 10_000, 60_000, 300_000, LIVE_WINDOW_MS];
const DAY_MS: i64 = 86_400_000;
/// The longest `for`.
const MAX_FOR_MS: i64 = 30 * DAY_MS;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleToml {
    name: Spanned<String>,
    metric: Spanned<String>,
    node: Option<Spanned<String>>,
    nodes: Option<Spanned<Vec<String>>>,
    label: Option<Spanned<String>>,
    location: Option<String>,
    provider: Option<String>,
    plan: Option<Spanned<String>>,
    per: Option<Spanned<String>>,
    direction: Option<Spanned<String>>,
    window: Option<Spanned<String>>,
    aggregate: Option<Spanned<String>>,
    above: Option<Spanned<Value>>,
    at_least: Option<Spanned<Value>>,
    below: Option<Spanned<Value>>,
    at_most: Option<Spanned<Value>>,
    clear: Option<Spanned<Value>>,
    r#for: Option<Spanned<String>>,
    keep_firing_for: Option<Spanned<String>>,
    no_data: Option<Spanned<String>>,
    severity: Option<Spanned<String>>,
    repeat: Option<Spanned<String>>,
    group_by: Option<Spanned<String>>,
    depends_on: Option<Spanned<Vec<String>>>,
    pub(crate) channels: Option<Spanned<Vec<String>>>,
}

/// The threshold as it is written.
type Written<'a> = (&'static str, Comparison, &'a Spanned<Value>);

pub(crate) fn read(rules: &[Spanned<RuleToml>]) -> Checked<Vec<Rule>> {
    let mut read: Vec<Rule> = Vec::new();
    for rule in rules {
        if read.len() == MAX_RULES {
            return Err(problem(rule, format!("there are more than {MAX_RULES} rules")));
        }
        let one = rule.get_ref().read(rule)?;
        if read.iter().any(|other| other.name == one.name) {
            return Err(problem(&rule.get_ref().name, format!("name: there is another rule {}", one.name)));
        }
        read.push(one);
    }
    let named: Vec<_> = rules.iter().map(|rule| rule.get_ref().depends_on.as_ref()).collect();
    dependencies::resolve(&mut read, &named)?;
    Ok(read)
}

impl RuleToml {
    fn read(&self, whole: &Spanned<Self>) -> Checked<Rule> {
        let name = field("name", &self.name, parts::name)?;
        let written = self.threshold()?;
        let per = self.per.as_ref().map_or(Ok(Per::Node), |per| field("per", per, parts::per))?;
        let measure = self.measure(&per, written)?;
        let subject = measure.subject();
        self.refuse_useless(measure, &per)?;
        let window_ms = self.window(measure)?;
        let signal = Signal {
            measure,
            direction: self.direction(measure)?,
            window_ms,
            aggregate: self.aggregate(measure, window_ms)?,
        };
        let (test, shown) = self.test(whole, measure, &per, written)?;
        let rule = Rule {
            severity: self
                .severity
                .as_ref()
                .map_or(Ok(Severity::Warning), |text| field("severity", text, severity))?,
            filter: self.filter()?,
            per,
            plan: self.plan.as_ref().map(|plan| plan.get_ref().clone()),
            test,
            shown,
            for_ms: time("for", self.r#for.as_ref(), 0, MAX_FOR_MS)?,
            keep_firing_ms: time("keep_firing_for", self.keep_firing_for.as_ref(), 0, MAX_FOR_MS)?,
            no_data: self
                .no_data
                .as_ref()
                .map_or(Ok(NoData::Ignore), |text| field("no_data", text, no_data))?,
            repeat: self.repeat.as_ref().map_or(Ok(Repeat::Off), |text| field("repeat", text, repeat))?,
            grouping: match &self.group_by {
                Some(text) => field("group_by", text, grouping)?,
                None if subject == Subject::Nodes => NoticeGroup::By(GroupKey::Location),
                None => NoticeGroup::Rule,
            },
            depends_on: Vec::new(),
            name,
            signal,
        };
        match &self.window {
            // The history knows groups as nodes name them, and no others.
            Some(window) if rule.signal.is_of_history() && !rule.is_known_to_history() => Err(problem(
                window,
                "window: beyond 15m, a rule is about single nodes, or groups or the fleet without a filter"
                    .to_owned(),
            )),
            _ => Ok(rule),
        }
    }

    /// What is compared, and how; `None` where nothing is said.
    fn threshold(&self) -> Checked<Option<Written<'_>>> {
        let given = [
            ("above", Comparison::Above, &self.above),
            ("at_least", Comparison::AtLeast, &self.at_least),
            ("below", Comparison::Below, &self.below),
            ("at_most", Comparison::AtMost, &self.at_most),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(name, comparison, value)| Some((name, comparison, value.as_ref()?)));
        match (given.next(), given.next()) {
            (_, Some((name, _, at))) => {
                Err(problem(at, format!("{name}: a rule has only one of above, at_least, below and at_most")))
            }
            (first, None) => Ok(first),
        }
    }

    /// Refuses a metric of which no rule would ever fire: without the broker nobody judges.
    pub(crate) fn refuse_unjudged(&self) -> Checked<()> {
        let refuse = |name: &str| match Measure::named(name).map(|measure| measure.subject()) {
            Some(Subject::Broker) => {
                Err(format!("{name} cannot be judged without it; a [heartbeat] can tell"))
            }
            _ => Ok(()),
        };
        field("metric", &self.metric, refuse)
    }

    fn measure(&self, per: &Per, threshold: Option<Written<'_>>) -> Checked<Measure> {
        let read =
            |name: &str| Measure::named(name).ok_or_else(|| format!("must be one of {}", measure::NAMES));
        let is_percent =
            threshold.is_some_and(|(.., value)| text_of(value.get_ref()).trim_end().ends_with('%'));
        let direction = self.direction.as_ref().map(|direction| direction.get_ref().as_str());
        Ok(match (field("metric", &self.metric, read)?, self.metric.get_ref().as_str(), direction) {
            (Measure::Rate, "rate", _) if is_percent => Measure::Utilisation,
            (Measure::Offline, ..) if is_percent && *per != Per::Node => Measure::OfflineShare,
            (_, "errors", Some("in")) => field("metric", &self.metric, |_| read("network_rx_errors"))?,
            (_, "errors", Some("out")) => field("metric", &self.metric, |_| read("network_tx_errors"))?,
            (_, "drops", Some("in")) => field("metric", &self.metric, |_| read("network_rx_drops"))?,
            (_, "drops", Some("out")) => field("metric", &self.metric, |_| read("network_tx_drops"))?,
            (measure, ..) => measure,
        })
    }

    /// Refuses fields that mean nothing beside the metric.
    fn refuse_useless(&self, measure: Measure, per: &Per) -> Checked<()> {
        let of = |what: &str| format!("is of no use with metric = \"{}\"{what}", self.metric.get_ref());
        let is_of_nodes = measure.subject() == Subject::Nodes;
        let nodes = self.node.as_ref().map(Spanned::span).or(self.nodes.as_ref().map(Spanned::span));
        let selected =
            nodes.or(self.label.as_ref().map(Spanned::span)).or(self.per.as_ref().map(Spanned::span));
        if let Some(span) = selected.filter(|_| !is_of_nodes) {
            return Err(Problem { at: span.start, what: of(", which is not about nodes") });
        }
        if (self.location.is_some() || self.provider.is_some()) && !is_of_nodes {
            return Err(problem(&self.metric, format!("location or provider {}", of(""))));
        }
        if let Some(plan) = self.plan.as_ref().filter(|_| measure.subject() != Subject::Plans) {
            return Err(problem(plan, format!("plan: {}", of(", which is not about plans"))));
        }
        let is_counted = ["errors", "drops"].contains(&self.metric.get_ref().as_str());
        if let Some(direction) = self.direction.as_ref().filter(|_| !measure.has_direction() && !is_counted) {
            return Err(problem(direction, format!("direction: {}", of(""))));
        }
        if *per != Per::Node && measure == Measure::AgentVersion {
            let at = self.per.as_ref().map_or(0, |per| per.span().start);
            return Err(Problem { at, what: format!("per: {}", of("")) });
        }
        Ok(())
    }

    fn window(&self, measure: Measure) -> Checked<i64> {
        let default = match measure {
            Measure::Rate | Measure::Utilisation => 10_000,
            Measure::Counter(_) => 300_000,
            _ => 0,
        };
        let Some(window) = &self.window else { return Ok(default) };
        let ms = match window.get_ref().as_str() {
            "now" => 0,
            _ => time("window", Some(window), 1_000, DAY_MS)?,
        };
        let is_extreme = self.aggregate.as_ref().is_some_and(|aggregate| aggregate.get_ref() != "avg");
        match measure {
            Measure::Counter(_) if (10_000..=LIVE_WINDOW_MS).contains(&ms) => Ok(ms),
            Measure::Counter(_) => Err(problem(window, "window: must be 10s to 15m".to_owned())),
            Measure::Rate | Measure::Utilisation => {
                let is_kept = WORKERS_WINDOWS_MS.contains(&ms)
                    || (is_extreme && (10_000..=LIVE_WINDOW_MS).contains(&ms));
                let is_of_history = ms > LIVE_WINDOW_MS && ms % 60_000 == 0;
                let wrong = "window: must be now, 10s, 1m, 5m, 15m, or more whole minutes up to 24h (max and min: anything \
                             from 10s to 15m, too)";
                if is_kept || is_of_history { Ok(ms) } else { Err(problem(window, wrong.to_owned())) }
            }
            _ => Err(problem(window, "window: is for rates, errors and drops; others have `for`".to_owned())),
        }
    }

    fn direction(&self, measure: Measure) -> Checked<Direction> {
        match &self.direction {
            Some(text) if measure.has_direction() => field("direction", text, |text| text.parse()),
            Some(text) => {
                let is_known = ["in", "out", "both"].contains(&text.get_ref().as_str());
                let wrong = || problem(text, "direction: must be in, out or both".to_owned());
                if is_known { Ok(Direction::Both) } else { Err(wrong()) }
            }
            None if measure.has_direction() => Ok(Direction::Larger),
            None => Ok(Direction::Both),
        }
    }

    fn aggregate(&self, measure: Measure, window_ms: i64) -> Checked<Aggregate> {
        let Some(text) = &self.aggregate else { return Ok(Aggregate::Mean) };
        let aggregate = field("aggregate", text, |text| match text {
            "avg" => Ok(Aggregate::Mean),
            "max" => Ok(Aggregate::Max),
            "min" => Ok(Aggregate::Min),
            _ => Err("must be avg, max or min"),
        })?;
        if measure.has_direction() && window_ms > 0 {
            return Ok(aggregate);
        }
        Err(problem(text, "aggregate: is for rates over a window".to_owned()))
    }

    fn test(
        &self,
        whole: &Spanned<Self>,
        measure: Measure,
        per: &Per,
        written: Option<Written<'_>>,
    ) -> Checked<(Option<Test>, Shown)> {
        let quantity = match measure.quantity() {
            Quantity::Truth if *per != Per::Node => Quantity::Count,
            quantity => quantity,
        };
        let is_still = self.metric.get_ref() == "no_traffic";
        let Some((name, comparison, value)) = written else {
            let default = match measure {
                Measure::Rate if is_still => Some(Test::new(Comparison::AtMost, 0.0)),
                Measure::Forecast => Some(Test::new(Comparison::Above, 100.0)),
                Measure::Quota | Measure::P95 => None,
                _ if quantity == Quantity::Truth => Some(Test::exact(Comparison::AtLeast, 1.0)),
                _ => {
                    return Err(problem(
                        whole,
                        format!("rule {}: needs above, at_least, below or at_most", self.name.get_ref()),
                    ));
                }
            };
            return match &self.clear {
                Some(clear) => Err(problem(clear, "clear: needs a threshold beside it".to_owned())),
                None => Ok((default, quantity.shown())),
            };
        };
        if is_still {
            return Err(problem(
                value,
                format!("{name}: is of no use with metric = \"no_traffic\"; metric = \"rate\" has one"),
            ));
        }
        let (threshold, shown) = number(name, value, quantity)?;
        let mut test = match quantity {
            Quantity::Version | Quantity::Truth => Test::exact(comparison, threshold),
            _ => Test::new(comparison, threshold),
        };
        if let Some(clear) = &self.clear {
            test.clear = number("clear", clear, quantity)?.0;
            let is_beyond =
                if comparison.is_upward() { test.clear > threshold } else { test.clear < threshold };
            if is_beyond {
                let side = if comparison.is_upward() { "above" } else { "below" };
                return Err(problem(clear, format!("clear: must not be {side} the threshold")));
            }
        }
        Ok((Some(test), shown))
    }

    fn filter(&self) -> Checked<Filter> {
        let node = |at: &Spanned<String>, name: &str| {
            let id = NodeId::from_name(name).map_err(|error| problem(at, format!("node: {error}")))?;
            Ok((id, name.to_owned()))
        };
        let nodes = match (&self.node, &self.nodes) {
            (Some(_), Some(nodes)) => {
                return Err(problem(nodes, "nodes: a rule has only one of node and nodes".to_owned()));
            }
            (Some(name), None) => Some(vec![node(name, name.get_ref())?]),
            (None, Some(names)) => Some(named_nodes(names)?),
            (None, None) => None,
        };
        let label = self.label.as_ref().map(|text| field("label", text, label)).transpose()?;
        Ok(Filter { nodes, location: self.location.clone(), provider: self.provider.clone(), label })
    }
}

impl Rule {
    /// Whether the history has a series for each of its targets.
    fn is_known_to_history(&self) -> bool {
        match &self.per {
            Per::Node => true,
            Per::Group(_) => self.filter.is_empty(),
            Per::All => self.filter.series().is_some(),
        }
    }

    /// Every node that is offline: what is judged where there is no file.
    pub(super) fn offline() -> Self {
        let measure = Measure::Offline;
        Self {
            name: "offline".to_owned(),
            severity: Severity::Warning,
            signal: Signal { measure, direction: Direction::Both, window_ms: 0, aggregate: Aggregate::Mean },
            filter: Filter::default(),
            per: Per::Node,
            plan: None,
            test: Some(Test::exact(Comparison::AtLeast, 1.0)),
            shown: measure.quantity().shown(),
            for_ms: 0,
            keep_firing_ms: 0,
            no_data: NoData::Ignore,
            repeat: Repeat::Off,
            grouping: NoticeGroup::By(GroupKey::Location),
            depends_on: Vec::new(),
        }
    }
}
