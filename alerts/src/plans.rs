//! Asks the history how the declared plans stand. Nobody waits for the answers: they report back.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use futures_util::{FutureExt, future::BoxFuture};
use tidemap_alert::{PlanFacts, PlanStanding, Rules};
use tidemap_billing::CountError;
use tidemap_client::HistoryClient;
use tidemap_service::watched_file::FileContent;
use tidemap_traffic::{Period, Plan, Plans};
use tidemap_wire::http::TrafficJson;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

/// Plans that are counted at a time. Each of them may be many questions to the history, one after the other.
const AT_ONCE: usize = 2;
/// How often a plan is counted.
const PERIOD: Duration = Duration::from_secs(60);
/// A plan is counted for no more than one in as many parts of the time.
const SHARE: u32 = 10;
/// How soon again after a failure.
const RETRY_PERIOD: Duration = Duration::from_secs(10);
/// What takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long what was counted holds while the history does not answer. With many plans, or slow ones, each is
/// counted more seldom than that.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// What a history has read that is behind by more than this, such as one that is built again, is not enough
/// to say that a plan has used less than before.
const BEHIND_MS: i64 = 10 * 60_000;

/// The most names of a warning.
const MAX_NAMED: usize = 5;

type CountResult = Result<TrafficJson, String>;
/// Counts the present cycle of a plan.
type CountPlan = Arc<dyn Fn(Plan, i64) -> BoxFuture<'static, Result<TrafficJson, CountError>> + Send + Sync>;

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Counted {
    plan: Arc<Plan>,
    begun: Instant,
    at_ms: i64,
    answer: CountResult,
}

/// A declared plan, and what is known of it.
struct Known {
    plan: Arc<Plan>,
    /// When it is counted next.
    due: Instant,
    /// Since when a question is under way.
    asked: Option<Instant>,
    /// When it was counted last, or else asked for first.
    heard: Option<Instant>,
    /// What was counted last, and over which period.
    counted: Option<(Period, PlanStanding)>,
    /// Why the last question had no answer.
    failure: Option<String>,
}

/// The plans of a file, and questions under way.
pub(crate) struct PlanAsking {
    ask: CountPlan,
    watched: Option<watch::Receiver<FileContent<Plans>>>,
    declared: Arc<Plans>,
    known: Vec<Known>,
    asked: JoinSet<Counted>,
}

impl Known {
    fn new(plan: Plan, now: Instant) -> Self {
        Self { plan: Arc::new(plan), due: now, asked: None, heard: None, counted: None, failure: None }
    }

    fn is_due(&self, now: Instant) -> bool {
        // A task that was lost does not report back.
        self.due <= now && self.asked.is_none_or(|asked| now - asked > 2 * TIMEOUT)
    }

    fn facts(&self, now: Instant, now_ms: i64) -> PlanFacts {
        let Plan { name, zone, schedule, quota, p95, commit, .. } = &*self.plan;
        let cycle = if schedule.is_rolling() { None } else { schedule.last(1, now_ms).pop() };
        let is_answered = self.counted.is_some() && self.failure.is_none();
        let is_fresh = is_answered || self.heard.is_some_and(|heard| now - heard <= KNOWN_FOR);
        // After a boundary, nothing is known until the new cycle was counted.
        let is_present = |period: &Period| cycle.is_none_or(|cycle| cycle == *period);
        let counted = self.counted.as_ref().filter(|(period, _)| is_fresh && is_present(period));
        PlanFacts {
            name: name.clone(),
            zone: zone.clone(),
            cycle,
            thresholds: quota.as_ref().map(|(quota, _)| quota.thresholds().to_vec()),
            has_p95: *p95,
            commit: commit.clone(),
            standing: counted.map(|(_, standing)| standing.clone()),
            is_missing: self.heard.is_some() && !is_fresh,
        }
    }
}

impl PlanAsking {
    pub(crate) fn new(client: Client, watched: Option<watch::Receiver<FileContent<Plans>>>) -> Self {
        let history = HistoryClient::new(client);
        let ask = move |plan, now_ms| {
            let history = history.clone();
            async move { tidemap_billing::traffic(&history, plan, true, 1, now_ms).await }.boxed()
        };
        Self::with(Arc::new(ask), watched)
    }

    fn with(ask: CountPlan, mut watched: Option<watch::Receiver<FileContent<Plans>>>) -> Self {
        let declared = match &mut watched {
            Some(watched) => Arc::clone(&watched.borrow_and_update().value),
            None => Arc::new(Plans::none()),
        };
        let mut asking = Self { ask, watched, declared, known: Vec::new(), asked: JoinSet::new() };
        asking.forget_all(Instant::now());
        asking
    }

    /// Begins to count what is due of the plans that are judged.
    pub(crate) fn begin(&mut self, rules: &Rules, now: Instant, now_ms: i64) {
        self.read_file(now);
        while self.asked.len() < AT_ONCE {
            let due = self.known.iter_mut().filter(|known| known.is_due(now) && rules.judge(&known.plan));
            let Some(known) = due.min_by_key(|known| known.due) else { return };
            known.asked = Some(now);
            known.heard.get_or_insert(now);
            let (plan, asking) = (Arc::clone(&known.plan), (self.ask)((*known.plan).clone(), now_ms));
            self.asked.spawn(async move {
                let answer = match timeout(TIMEOUT, asking).await {
                    Ok(answer) => answer.map_err(|error| error.to_string()),
                    Err(_) => Err("the history takes too long".to_owned()),
                };
                Counted { plan, begun: now, at_ms: now_ms, answer }
            });
        }
    }

    /// Waits until a question has come to an end. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Counted {
        loop {
            match self.asked.join_next().await {
                Some(Ok(counted)) => return counted,
                Some(Err(_)) => {}
                // Nothing is asked: this part of the station's loop sleeps.
                None => std::future::pending().await,
            }
        }
    }

    /// Takes an answer. One about a plan that has changed meanwhile is nobody's.
    pub(crate) fn read(&mut self, counted: Counted, now: Instant) {
        let Some(known) = self.known.iter_mut().find(|known| Arc::ptr_eq(&known.plan, &counted.plan)) else {
            return;
        };
        known.asked = None;
        let took = (now - counted.begun) * SHARE;
        match counted.answer.and_then(|traffic| standing(&traffic, counted.at_ms)) {
            Ok(counted) => {
                known.counted = Some(counted);
                (known.heard, known.failure) = (Some(now), None);
                known.due = now + PERIOD.max(took);
            }
            Err(why) => {
                tracing::debug!(plan = known.plan.name, "not counted: {why}");
                known.failure = Some(why);
                known.due = now + RETRY_PERIOD.max(took);
            }
        }
    }

    /// How all declared plans stand. Without a file, nobody knows which there are: the station before may
    /// have had one.
    pub(crate) fn facts(&self, now: Instant, now_ms: i64) -> Option<Vec<PlanFacts>> {
        let facts = self.known.iter().map(|known| known.facts(now, now_ms));
        self.watched.as_ref().map(|_| facts.collect())
    }

    /// Forgets what was counted, because another station judges.
    pub(crate) fn stop(&mut self) {
        self.asked = JoinSet::new();
        self.forget_all(Instant::now());
    }

    /// What the operator should know. It says nothing of the file's place, because everybody may read it.
    pub(crate) fn warnings(&self, rules: &Rules) -> Vec<String> {
        let mut warnings = Vec::new();
        let judged: Vec<&str> = rules.of_plans().collect();
        match &self.watched {
            Some(watched) => {
                let problem = watched.borrow().problem.clone();
                warnings.extend(
                    problem
                        .map(|problem| format!("--traffic: {problem}: what it said before stays in force")),
                );
                warnings.extend(rules.wrong_plans(&self.declared));
            }
            None if !judged.is_empty() => {
                warnings.push(format!(
                    "no file declares plans (--traffic), so these rules are not judged, and their alerts stay: {}",
                    named(&judged)
                ));
            }
            None => {}
        }
        let failed = self.known.iter().filter_map(|known| Some((known, known.failure.as_ref()?)));
        let failed: Vec<_> = failed.filter(|_| !judged.is_empty()).collect();
        if let Some((first, why)) = failed.first() {
            let names: Vec<&str> = failed.iter().map(|(known, _)| known.plan.name.as_str()).collect();
            warnings.push(format!(
                "plans that cannot be counted at the moment: {} ({}: {why})",
                named(&names),
                first.plan.name
            ));
        }
        warnings
    }

    /// Takes what the file says now. What was counted of a plan that is the same stays.
    fn read_file(&mut self, now: Instant) {
        let Some(watched) = self.watched.as_mut().filter(|watched| watched.has_changed().unwrap_or(false))
        else {
            return;
        };
        let declared = Arc::clone(&watched.borrow_and_update().value);
        if Arc::ptr_eq(&declared, &self.declared) {
            return;
        }
        let mut before = std::mem::take(&mut self.known);
        self.known = declared
            .plans
            .iter()
            .map(|plan| match before.iter().position(|known| *known.plan == *plan) {
                Some(place) => before.swap_remove(place),
                None => Known::new(plan.clone(), now),
            })
            .collect();
        self.declared = declared;
    }

    fn forget_all(&mut self, now: Instant) {
        self.known = self.declared.plans.iter().map(|plan| Known::new(plan.clone(), now)).collect();
    }
}

/// The first of these names, and how many more there are.
fn named(names: &[&str]) -> String {
    let first = names[..names.len().min(MAX_NAMED)].join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// How a plan stands in the period that was counted, or why that is not known.
fn standing(traffic: &TrafficJson, at_ms: i64) -> Result<(Period, PlanStanding), String> {
    let counted = traffic.periods.last().ok_or("the history has no such period")?;
    if at_ms - traffic.complete_until_ms > BEHIND_MS {
        return Err("the history is behind".to_owned());
    }
    let quota = counted.quota.as_ref();
    let of_quota = |bytes: u64| {
        let quota_bytes = traffic.quota_bytes.filter(|bytes| *bytes > 0)?;
        Some(bytes as f64 * 100.0 / quota_bytes as f64)
    };
    let standing = PlanStanding {
        counted_ms: traffic.complete_until_ms,
        percent: quota.map(|quota| quota.percent),
        forecast_percent: quota.and_then(|quota| of_quota(quota.forecast_bytes?)),
        exceeded_ms: quota.and_then(|quota| quota.exceeded_at_ms),
        p95_bps: counted.p95.as_ref().map(|p95| p95.billed_bps as f64),
    };
    Ok((Period { from_ms: counted.from_ms, to_ms: counted.to_ms }, standing))
}

#[cfg(test)]
mod tests;
