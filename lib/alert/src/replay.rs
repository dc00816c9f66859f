//! A rule against the past: when it would have fired.
//!
//! The history knows what moved in each minute, and of each minute whether anything reported. The engine is
//! given that, at the minutes' ends.

use std::{collections::BTreeMap, sync::Arc};

use tidemap_wire::{
    Alert, AlertChange, Averages, Bps, Capacity, Hello, Location, LocationSource, NodeId, NodeUpdate, Status,
    history_query::HistorySeries,
};

use crate::{
    Engine, NodeFacts, PastRates, Rule, Rules,
    rules::{Aggregate, Measure, Per},
};

/// A node's past.
#[derive(Clone, Debug)]
pub struct ReplayNode {
    /// Its id.
    pub id: NodeId,
    /// How it describes itself today: name, place, provider, labels, capacity.
    pub hello: Arc<Hello>,
    /// Its steps, oldest first, all nodes' from the same moment.
    pub steps: Vec<ReplayStep>,
}

/// What a node moved in a step; all rates are bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReplayStep {
    /// Means, peaks and lowest rates; absent where nothing reported.
    pub rates: Option<PastRates>,
}

/// What a rule would have found.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Each alert that would have fired, as it ended; or as it stood at the end of the replay.
    pub firings: Vec<Alert>,
    /// What the past cannot say of it, in sentences without full stops.
    pub caveats: Vec<String>,
}

/// A node that the API describes.
#[derive(Clone, Debug, Default)]
pub struct ReplayHello {
    /// How it is called.
    pub display_name: String,
    /// Its place.
    pub location: Option<String>,
    /// Who runs it.
    pub provider: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What its links carry.
    pub capacity: Option<Capacity>,
}

impl From<ReplayHello> for Hello {
    fn from(known: ReplayHello) -> Self {
        let location = known.location.map(|label| Location {
            lat: 0.0,
            lon: 0.0,
            label: Some(label),
            source: LocationSource::Given,
        });
        Self {
            display_name: Some(known.display_name),
            location,
            provider: known.provider,
            labels: known.labels,
            cap: known.capacity,
            ..Self::default()
        }
    }
}

impl Rule {
    /// Why the past cannot be judged by it; `None` when it can.
    pub fn not_in_history(&self) -> Option<String> {
        match self.signal.measure {
            Measure::Rate | Measure::Utilisation | Measure::Offline | Measure::OfflineShare => None,
            Measure::Quota | Measure::Forecast | Measure::P95 => Some(
                "plans are counted by whole cycles; `tidemap traffic --plan NAME` shows the past ones"
                    .to_owned(),
            ),
            measure => Some(format!("the history does not keep this metric ({})", measure.label())),
        }
    }

    /// Whether it needs to know what links carry.
    pub fn needs_capacity(&self) -> bool {
        self.signal.measure == Measure::Utilisation
    }

    /// Whether it is about a node.
    pub fn is_about(&self, id: &NodeId, hello: &Hello) -> bool {
        self.filter.matches(id, Some(hello))
    }

    /// By how much earlier than the replay the past must begin: milliseconds.
    pub fn lead_ms(&self) -> i64 {
        self.signal.window_ms + self.for_ms
    }

    fn caveats(&self, step_ms: i64) -> Vec<String> {
        let step = crate::duration::show(step_ms);
        let mut caveats = vec![format!("judged by steps of {step}")];
        match self.signal.measure {
            Measure::Offline | Measure::OfflineShare => {
                let offline = "a node counts as offline where nothing of it is known for a whole step: shorter \
                               outages are not seen, and reports that came later fill them";
                caveats.push(offline.to_owned());
            }
            _ if self.signal.aggregate == Aggregate::Mean && self.signal.window_ms < step_ms => {
                caveats
                    .push(format!("means of {} are not kept: those of {step} stand for them", window(self)));
            }
            _ if self.signal.aggregate != Aggregate::Mean && self.per != Per::Node => {
                caveats.push("peaks of nodes are added, which is more than the peak of their sum".to_owned());
            }
            _ => {}
        }
        caveats.push("places, labels and links are those of today".to_owned());
        caveats.push("what depends_on, quiet hours and maintenance hold back is shown".to_owned());
        caveats
    }
}

fn window(rule: &Rule) -> String {
    match rule.signal.window_ms {
        0 => "single samples".to_owned(),
        ms => crate::duration::show(ms),
    }
}

/// Judges the only rule of `rules` from the first step, which begins at `from_ms`; firings that ended before
/// `shown_from_ms` are left out. `step_ms` is the length of a step.
pub fn replay(rules: Rules, nodes: &[ReplayNode], from_ms: i64, step_ms: i64, shown_from_ms: i64) -> Replay {
    let Some(rule) = rules.rules.first().cloned() else {
        return Replay { firings: Vec::new(), caveats: Vec::new() };
    };
    let mut engine = Engine::new(rules);
    let mut firings: BTreeMap<String, Alert> = BTreeMap::new();
    let steps = nodes.iter().map(|node| node.steps.len()).max().unwrap_or_default();
    // Before its first minute there is no node; one without any has been offline all the time.
    let begins = |node: &ReplayNode| node.steps.iter().position(|step| step.rates.is_some()).unwrap_or(0);
    let begins: Vec<usize> = nodes.iter().map(begins).collect();
    let mut statuses = vec![(Status::Online, from_ms); nodes.len()];
    let mut now_ms = from_ms;
    for step in 0..steps {
        now_ms = from_ms + step_ms * (step as i64 + 1);
        let those = nodes.iter().zip(&mut statuses).zip(&begins).filter(|(_, begins)| **begins <= step);
        for ((node, (status, since_ms)), _) in those {
            let rates = node.steps.get(step).and_then(|step| step.rates);
            let is = if rates.is_some() { Status::Online } else { Status::Offline };
            if *status != is {
                // It had been silent since the step began.
                (*status, *since_ms) = (is, if is == Status::Offline { now_ms - step_ms } else { now_ms });
            }
            let update = update(node, step, step_ms, now_ms, rule.signal.aggregate);
            engine.observe(
                now_ms,
                &NodeFacts {
                    id: &node.id,
                    status: *status,
                    since_ms: *since_ms,
                    latest: &update,
                    hello: Some(&node.hello),
                    host: None,
                },
            );
        }
        engine.complete(now_ms);
        answer(&mut engine, nodes, step, step_ms, now_ms);
        take(&mut firings, engine.judge(now_ms));
    }
    take(&mut firings, engine.judge(now_ms));
    let mut firings: Vec<Alert> = firings.into_values().collect();
    firings.retain(|alert| alert.resolved_ms.is_none_or(|resolved_ms| resolved_ms >= shown_from_ms));
    firings.sort_by(|one, other| (one.fired_ms, &one.target.id).cmp(&(other.fired_ms, &other.target.id)));
    Replay { firings, caveats: rule.caveats(step_ms) }
}

fn take(firings: &mut BTreeMap<String, Alert>, said: Vec<crate::Transition>) {
    for transition in said.into_iter().filter(|said| said.change != AlertChange::Repeated) {
        firings.insert(transition.alert.id.clone(), transition.alert);
    }
}

/// Answers the engine's questions about longer windows, as a history would.
fn answer(engine: &mut Engine, nodes: &[ReplayNode], step: usize, step_ms: i64, now_ms: i64) {
    for want in engine.wanted(now_ms, usize::MAX) {
        let is_of = |node: &&ReplayNode| match &want.of {
            HistorySeries::Node(id) => node.id == *id,
            HistorySeries::Fleet => true,
            group => HistorySeries::groups_of(&node.hello).any(|known| known == *group),
        };
        let steps = (want.window_ms / step_ms).max(1) as usize;
        let of_nodes = nodes.iter().filter(is_of).filter_map(|node| over(node, step, steps));
        engine.observe_past(now_ms, &want, of_nodes.reduce(sum));
    }
}

/// What is known of the last steps, up to this one.
fn over(node: &ReplayNode, step: usize, steps: usize) -> Option<PastRates> {
    let known = node.steps.get((step + 1).saturating_sub(steps)..=step)?;
    let known: Vec<PastRates> = known.iter().filter_map(|step| step.rates).collect();
    let count = known.len() as f64;
    let joined = known.into_iter().reduce(|one, other| PastRates {
        rx_bps: one.rx_bps + other.rx_bps,
        tx_bps: one.tx_bps + other.tx_bps,
        rx_max_bps: one.rx_max_bps.max(other.rx_max_bps),
        tx_max_bps: one.tx_max_bps.max(other.tx_max_bps),
        rx_min_bps: one.rx_min_bps.min(other.rx_min_bps),
        tx_min_bps: one.tx_min_bps.min(other.tx_min_bps),
    })?;
    Some(PastRates { rx_bps: joined.rx_bps / count, tx_bps: joined.tx_bps / count, ..joined })
}

fn sum(one: PastRates, other: PastRates) -> PastRates {
    PastRates {
        rx_bps: one.rx_bps + other.rx_bps,
        tx_bps: one.tx_bps + other.tx_bps,
        rx_max_bps: one.rx_max_bps + other.rx_max_bps,
        tx_max_bps: one.tx_max_bps + other.tx_max_bps,
        rx_min_bps: one.rx_min_bps + other.rx_min_bps,
        tx_min_bps: one.tx_min_bps + other.tx_min_bps,
    }
}

/// The node as a worker would have published it at the end of a step.
fn update(node: &ReplayNode, step: usize, step_ms: i64, now_ms: i64, aggregate: Aggregate) -> NodeUpdate {
    let mean = |window_ms: i64| {
        let rates = over(node, step, (window_ms / step_ms).max(1) as usize);
        [rates.and_then(|rates| Bps::new(rates.rx_bps)), rates.and_then(|rates| Bps::new(rates.tx_bps))]
    };
    let averages = [60_000, 60_000, 300_000, 900_000].map(mean);
    let of = |direction: usize| Averages {
        s10: averages[0][direction],
        m1: averages[1][direction],
        m5: averages[2][direction],
        m15: averages[3][direction],
    };
    let newest = node.steps.get(step).and_then(|step| step.rates);
    let newest = newest.map(|rates| match aggregate {
        Aggregate::Mean => [rates.rx_bps, rates.tx_bps],
        Aggregate::Max => [rates.rx_max_bps, rates.tx_max_bps],
        Aggregate::Min => [rates.rx_min_bps, rates.tx_min_bps],
    });
    NodeUpdate {
        node: node.id.clone(),
        row: 0,
        boot: 0,
        status: Status::Online,
        since_ms: now_ms,
        seen_ms: now_ms,
        at_ms: now_ms,
        skew_ms: 0,
        interval_ms: 1_000,
        rx_bps: newest.and_then(|[rx, _]| Bps::new(rx)),
        tx_bps: newest.and_then(|[_, tx]| Bps::new(tx)),
        rx_avg: of(0),
        tx_avg: of(1),
        rx_bytes: 0,
        tx_bytes: 0,
        partial: false,
        refused: None,
        hello: None,
        host: None,
        interfaces: None,
        probes: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AlertFile;

    const MINUTE_MS: i64 = 60_000;

    fn node(name: &str, mbits: &[Option<f64>]) -> ReplayNode {
        let gigabit = Bps::new(125_000_000.0).unwrap();
        let known = ReplayHello {
            display_name: name.to_owned(),
            location: Some("Berlin".to_owned()),
            capacity: Some(Capacity { rx_bps: gigabit, tx_bps: gigabit }),
            ..ReplayHello::default()
        };
        let rates = |mbits: f64| PastRates {
            rx_bps: mbits * 125_000.0,
            rx_max_bps: mbits * 150_000.0,
            ..PastRates::default()
        };
        let steps = mbits.iter().map(|mbits| ReplayStep { rates: mbits.map(rates) });
        ReplayNode {
            id: NodeId::from_name(name).unwrap(),
            hello: Arc::new(known.into()),
            steps: steps.collect(),
        }
    }

    fn replayed(rule: &str, nodes: &[ReplayNode]) -> Vec<(String, i64, Option<i64>)> {
        let file = AlertFile::parse(&format!("[[rule]]\nname = \"r\"\n{rule}")).unwrap();
        let found = replay(file.rules.only("r").unwrap(), nodes, 0, MINUTE_MS, 0);
        let minutes = |alert: Alert| {
            let resolved = alert.resolved_ms.map(|ms| ms / MINUTE_MS);
            (alert.target.name, alert.fired_ms.unwrap() / MINUTE_MS, resolved)
        };
        found.firings.into_iter().map(minutes).collect()
    }

    #[test]
    fn a_rule_fires_in_the_past_when_it_would_have() {
        let busy = |minutes: usize| vec![Some(850.0); minutes];
        let calm = |minutes: usize| vec![Some(10.0); minutes];
        let nodes = [
            node("a", &[calm(10), busy(8), calm(10), busy(3), calm(5)].concat()),
            node("b", &[calm(30), busy(6)].concat()),
        ];
        let rule = "metric = \"rate\"\ndirection = \"in\"\nabove = \"80 %\"\nfor = \"5m\"";
        assert_eq!(replayed(rule, &nodes), [("a".to_owned(), 16, Some(19)), ("b".to_owned(), 36, None)]);
        let peak = "metric = \"rate\"\ndirection = \"in\"\nabove = \"1000 Mbit/s\"\nwindow = \"5m\"\naggregate = \"max\"";
        let found = replayed(peak, &nodes);
        assert_eq!(found.len(), 3, "{found:?}");
        // 8 of 20 minutes at 850 Mbit/s, and the others at 10, are 346 on average.
        let long = "metric = \"rate\"\ndirection = \"in\"\nabove = \"300 Mbit/s\"\nwindow = \"20m\"";
        assert_eq!(
            replayed(long, &nodes).first().map(|(name, fired, _)| (name.as_str(), *fired)),
            Some(("a", 16))
        );
    }

    #[test]
    fn minutes_without_a_sample_are_an_outage() {
        let nodes = [node("a", &[vec![Some(1.0); 5], vec![None; 4], vec![Some(1.0); 5]].concat())];
        let found = replayed("metric = \"offline\"\nfor = \"3m\"", &nodes);
        assert_eq!(found, [("a".to_owned(), 8, Some(10))]);
        assert_eq!(replayed("metric = \"offline\"\nfor = \"6m\"", &nodes), []);
        assert_eq!(replayed("metric = \"offline\"\nper = \"location\"\nabove = \"50 %\"", &nodes).len(), 1);
    }

    #[test]
    fn what_the_history_does_not_keep_is_refused() {
        let rule = |metric: &str| {
            let file = format!("[[rule]]\nname = \"r\"\nmetric = \"{metric}\"\nabove = \"90 %\"");
            AlertFile::parse(&file).unwrap().rules.named("r").unwrap().not_in_history()
        };
        assert!(rule("cpu_percent").is_some());
        assert_eq!(rule("rate"), None);
    }
}
