//! Asks the history what moved in windows that are longer than what workers keep.

use std::{collections::VecDeque, sync::Arc};

use async_nats::Client;
use futures_util::{FutureExt, future::BoxFuture};
use tidemap_alert::{PastRates, Want};
use tidemap_client::{HistoryClient, HistoryRequestError};
use tidemap_wire::history_query::{HistoryError, RangeAnswer, RangeRequest};
use tokio::task::JoinSet;

/// Requests under way: a station answers as many of the API, too.
const AT_ONCE: usize = 4;
/// Questions that wait for their turn. With four ticks a second, a history that answers at once is asked up
/// to 128 in a second: 10,000 nodes take 80 s of the quarter of an hour after which a long window is asked
/// again.
const MAX_WAITING: usize = 32;
const STEP_MS: i64 = 60_000;

type RangeResult = Result<RangeAnswer, HistoryRequestError>;
/// Asks the history once.
type Ask = Arc<dyn Fn(RangeRequest) -> BoxFuture<'static, RangeResult> + Send + Sync>;

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) want: Want,
    answer: RangeResult,
}

/// Questions under way and waiting. Nobody waits for them: they report back.
pub(crate) struct PastAsking {
    ask: Ask,
    asked: JoinSet<Answered>,
    waiting: VecDeque<Want>,
    is_missing: bool,
}

impl PastAsking {
    pub(crate) fn new(client: Client) -> Self {
        let history = HistoryClient::new(client);
        Self::with(Arc::new(move |request| {
            let history = history.clone();
            async move { history.range(request).await }.boxed()
        }))
    }

    fn with(ask: Ask) -> Self {
        Self { ask, asked: JoinSet::new(), waiting: VecDeque::new(), is_missing: false }
    }

    /// How many more questions may wait.
    pub(crate) fn room(&self) -> usize {
        // Looking for questions goes through all nodes: once for many.
        if self.waiting.is_empty() { MAX_WAITING } else { 0 }
    }

    /// Adds questions.
    pub(crate) fn add(&mut self, wants: Vec<Want>, now_ms: i64) {
        self.waiting.extend(wants);
        self.begin(now_ms);
    }

    /// Whether there was no station when the history was asked last.
    pub(crate) fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// Waits until a question is answered. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Answered {
        loop {
            match self.asked.join_next().await {
                Some(Ok(answered)) => return answered,
                Some(Err(_)) => {}
                // Nothing is asked: this part of the station's loop sleeps.
                None => std::future::pending().await,
            }
        }
    }

    /// What the history knows of a question, or nothing where it says that it does not know. After a failure
    /// that passes, the answer before stays in force until the question is asked again. Asks the next.
    pub(crate) fn read(&mut self, answered: Answered, now_ms: i64) -> Option<(Want, Option<PastRates>)> {
        self.begin(now_ms);
        let Answered { want, answer } = answered;
        match answer {
            Ok(answer) => {
                self.is_missing = false;
                Some((want, rates(&answer)))
            }
            Err(HistoryRequestError::Refused(HistoryError::UnknownSeries)) => {
                self.is_missing = false;
                Some((want, None))
            }
            Err(HistoryRequestError::NoStation) => {
                self.is_missing = true;
                Some((want, None))
            }
            Err(error) => {
                tracing::debug!(?want, "the history has no answer: {error}");
                None
            }
        }
    }

    /// Forgets all questions.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        self.asked = JoinSet::new();
        self.is_missing = false;
    }

    fn begin(&mut self, now_ms: i64) {
        while self.asked.len() < AT_ONCE
            && let Some(want) = self.waiting.pop_front()
        {
            let asking = (self.ask)(request(&want, now_ms));
            self.asked.spawn(async move { Answered { want, answer: asking.await } });
        }
    }
}

/// The last whole minutes of a window.
fn request(want: &Want, now_ms: i64) -> RangeRequest {
    let to_ms = now_ms.div_euclid(STEP_MS) * STEP_MS;
    RangeRequest {
        of: want.of.clone(),
        from_ms: (to_ms - want.window_ms).max(0),
        to_ms,
        step_ms: Some(STEP_MS.unsigned_abs()),
        host: false,
        recent: None,
    }
}

/// What an answer's steps come to together; nothing when nothing is known of any.
fn rates(answer: &RangeAnswer) -> Option<PastRates> {
    let mut sum: Option<(f64, PastRates)> = None;
    for step in 0..answer.rx_bps.len() {
        let of = |column: &[Option<u64>]| column.get(step).copied().flatten().map(|bps| bps as f64);
        let (Some(rx), Some(tx)) = (of(&answer.rx_bps), of(&answer.tx_bps)) else { continue };
        // A group's nodes are covered for longer together than the step is.
        let covered_ms = answer.covered_ms.get(step).copied().unwrap_or(0).min(answer.step_ms) as f64;
        if covered_ms == 0.0 {
            continue;
        }
        let (known_ms, all) = sum.unwrap_or((
            0.0,
            PastRates { rx_min_bps: f64::INFINITY, tx_min_bps: f64::INFINITY, ..PastRates::default() },
        ));
        sum = Some((
            known_ms + covered_ms,
            PastRates {
                rx_bps: all.rx_bps + rx * covered_ms,
                tx_bps: all.tx_bps + tx * covered_ms,
                rx_max_bps: all.rx_max_bps.max(of(&answer.rx_max_bps).unwrap_or(rx)),
                tx_max_bps: all.tx_max_bps.max(of(&answer.tx_max_bps).unwrap_or(tx)),
                rx_min_bps: all.rx_min_bps.min(of(&answer.rx_min_bps).unwrap_or(rx)),
                tx_min_bps: all.tx_min_bps.min(of(&answer.tx_min_bps).unwrap_or(tx)),
            },
        ));
    }
    let (known_ms, all) = sum?;
    Some(PastRates { rx_bps: all.rx_bps / known_ms, tx_bps: all.tx_bps / known_ms, ..all })
}

#[cfg(test)]
mod tests {
    use tidemap_alert::{AlertFile, Engine, NodeFacts};
    use tidemap_client::testing::node;
    use tidemap_wire::{Hello, Status};

    use super::*;

    const NOW_MS: i64 = 1_700_042_430_000;
    const RULE: &str = r#"
        [[rule]]
        name = "busy"
        metric = "rate"
        direction = "in"
        above = "8 kbit/s"
        window = "30m"
    "#;

    fn engine(nodes: usize) -> Engine {
        let mut engine = Engine::new(AlertFile::parse(RULE).unwrap().rules);
        let hello = Arc::new(Hello::default());
        for number in 0..nodes {
            let latest = node(&format!("web-{number}"));
            engine.observe(
                NOW_MS,
                &NodeFacts {
                    id: &latest.node,
                    status: Status::Online,
                    since_ms: NOW_MS,
                    latest: &latest,
                    hello: Some(&hello),
                    host: None,
                },
            );
        }
        engine.complete(NOW_MS);
        engine
    }

    /// Asks all that the engine wants of a history, and judges. Returns what fires.
    async fn fired(engine: &mut Engine, past: &mut PastAsking) -> usize {
        loop {
            past.add(engine.wanted(NOW_MS, past.room()), NOW_MS);
            if past.asked.is_empty() {
                return engine.judge(NOW_MS).len();
            }
            assert!(past.asked.len() <= AT_ONCE, "{}", past.asked.len());
            let answered = past.ended().await;
            if let Some((want, rates)) = past.read(answered, NOW_MS) {
                engine.observe_past(NOW_MS, &want, rates);
            }
        }
    }

    fn fake(answer: fn(RangeRequest) -> RangeResult) -> PastAsking {
        PastAsking::with(Arc::new(move |request| async move { answer(request) }.boxed()))
    }

    #[tokio::test]
    async fn a_window_of_half_an_hour_is_judged_by_the_history() {
        let mut past = fake(|request| {
            assert_eq!((request.from_ms, request.to_ms), (1_700_040_600_000, 1_700_042_400_000));
            Ok(answer(&[Some(2_000); 30], &[60_000; 30]))
        });
        assert_eq!(fired(&mut engine(100), &mut past).await, 100);
        let mut calm = fake(|_| Ok(answer(&[Some(900); 30], &[60_000; 30])));
        assert_eq!(fired(&mut engine(100), &mut calm).await, 0);
    }

    #[tokio::test]
    async fn a_history_that_is_missing_is_said_until_one_answers() {
        let mut engine = engine(1);
        let mut past = fake(|_| Err(HistoryRequestError::NoStation));
        assert_eq!(fired(&mut engine, &mut past).await, 0);
        assert!(past.is_missing());
        past.ask = Arc::new(|_| async { Ok(answer(&[Some(2_000)], &[60_000])) }.boxed());
        past.add(engine.wanted(NOW_MS + 60_000, 1), NOW_MS + 60_000);
        let answered = past.ended().await;
        assert!(past.read(answered, NOW_MS + 60_000).is_some_and(|(_, rates)| rates.is_some()));
        assert!(!past.is_missing());
    }

    fn answer(steps: &[Option<u64>], covered_ms: &[u64]) -> RangeAnswer {
        let known = |factor: u64| steps.iter().map(|bps| bps.map(|bps| bps * factor)).collect::<Vec<_>>();
        RangeAnswer {
            step_ms: 60_000,
            rx_bps: known(1),
            tx_bps: known(2),
            rx_max_bps: known(3),
            tx_max_bps: known(4),
            rx_min_bps: known(1),
            tx_min_bps: known(1),
            covered_ms: covered_ms.to_vec(),
            ..RangeAnswer::default()
        }
    }

    #[test]
    fn a_window_is_the_mean_of_the_time_that_is_covered() {
        let of = answer(&[Some(100), None, Some(400)], &[60_000, 0, 30_000]);
        let said = PastRates {
            rx_bps: 200.0,
            tx_bps: 400.0,
            rx_max_bps: 1_200.0,
            tx_max_bps: 1_600.0,
            rx_min_bps: 100.0,
            tx_min_bps: 100.0,
        };
        assert_eq!(rates(&of), Some(said));
        // Of a group, nodes are covered for longer together: each minute counts alike.
        let group = answer(&[Some(100), Some(300)], &[600_000, 1_200_000]);
        assert_eq!(rates(&group).map(|rates| rates.rx_bps), Some(200.0));
    }

    #[test]
    fn a_window_of_which_nothing_is_known_has_no_rate() {
        assert_eq!(rates(&answer(&[], &[])), None);
        assert_eq!(rates(&answer(&[None, None], &[0, 0])), None);
    }
}
