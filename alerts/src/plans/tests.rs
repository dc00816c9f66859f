use std::sync::Mutex;

use tidemap_alert::AlertFile;
use tidemap_client::{AlertBucket, AlertRecord, HistoryRequestError};
use tidemap_service::watched_file::WatchedFile;
use tidemap_wire::http::{P95Json, QuotaJson, TrafficPeriodJson};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{judge::Judge, testing::put};

const HOUR_MS: i64 = 3_600_000;
/// Half past an hour.
const NOW_MS: i64 = 1_700_042_400_000 + HOUR_MS / 2;
const SECOND: Duration = Duration::from_secs(1);

fn hourly(name: &str, quota: &str) -> String {
    format!("[[plan]]\nname = \"{name}\"\nfleet = true\ncycle = \"hour\"\nquota = \"{quota}\"\np95 = true\n")
}

/// What was asked, and what is answered.
#[derive(Clone, Default)]
struct History {
    asked: Arc<Mutex<Vec<(String, i64)>>>,
    is_away: Arc<Mutex<bool>>,
}

impl History {
    fn asking(&self, file: &str) -> PlanAsking {
        let plans = Plans::parse(file).unwrap();
        self.asking_with(Some(watch::Sender::new(FileContent::good(plans)).subscribe()))
    }

    fn asking_with(&self, watched: Option<watch::Receiver<FileContent<Plans>>>) -> PlanAsking {
        let history = self.clone();
        PlanAsking::with(
            Arc::new(move |plan, now_ms| {
                history.asked.lock().unwrap().push((plan.name.clone(), now_ms));
                let is_away = *history.is_away.lock().unwrap();
                async move {
                    if is_away {
                        Err(HistoryRequestError::NoStation.into())
                    } else {
                        Ok(answer(&plan, now_ms))
                    }
                }
                .boxed()
            }),
            watched,
        )
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|(name, _)| name).collect()
    }
}

fn answer(plan: &Plan, now_ms: i64) -> TrafficJson {
    let period = plan.schedule.last(1, now_ms)[0];
    let quota = QuotaJson {
        percent: 91.0,
        forecast_bytes: Some(3_000),
        exceeded_at_ms: Some(now_ms + 60_000),
        ..QuotaJson::default()
    };
    TrafficJson {
        quota_bytes: Some(2_000),
        complete_until_ms: now_ms - 60_000,
        periods: vec![TrafficPeriodJson {
            from_ms: period.from_ms,
            to_ms: period.to_ms,
            quota: Some(quota),
            p95: Some(P95Json { billed_bps: 77, ..P95Json::default() }),
            ..TrafficPeriodJson::default()
        }],
        ..TrafficJson::default()
    }
}

fn rules(lines: &str) -> Rules {
    AlertFile::parse(&format!("[[rule]]\nname = \"r\"\nmetric = {lines}\n")).unwrap().rules
}

/// Asks what is due for a rule about any plan, and takes all answers.
async fn ask(asking: &mut PlanAsking, now: Instant, now_ms: i64) {
    asking.begin(&rules("\"quota\""), now, now_ms);
    while !asking.asked.is_empty() {
        assert!(asking.asked.len() <= AT_ONCE);
        let counted = asking.ended().await;
        asking.read(counted, now);
        asking.begin(&rules("\"quota\""), now, now_ms);
    }
}

#[tokio::test]
async fn each_plan_is_counted_once_a_minute_where_a_rule_needs_it() {
    let history = History::default();
    let mut asking = history.asking(&["a", "b", "c"].map(|name| hourly(name, "2 kB")).concat());
    let start = Instant::now();
    for none in ["\"offline\"", "\"p95\"", "\"quota\"\nplan = \"d\""] {
        asking.begin(&rules(none), start, NOW_MS);
        assert_eq!(history.taken(), [""; 0], "{none}");
    }
    ask(&mut asking, start, NOW_MS).await;
    assert_eq!(history.taken(), ["a", "b", "c"]);
    ask(&mut asking, start + 59 * SECOND, NOW_MS + 59_000).await;
    assert_eq!(history.taken(), [""; 0]);
    ask(&mut asking, start + 60 * SECOND, NOW_MS + 60_000).await;
    assert_eq!(history.taken(), ["a", "b", "c"]);
    let facts = asking.facts(start + 61 * SECOND, NOW_MS + 61_000).unwrap();
    let standing = PlanStanding {
        counted_ms: NOW_MS,
        percent: Some(91.0),
        forecast_percent: Some(150.0),
        exceeded_ms: Some(NOW_MS + 120_000),
        p95_bps: Some(77.0),
    };
    assert_eq!((facts.len(), &facts[1].standing, facts[1].is_missing), (3, &Some(standing), false));
    assert_eq!(facts[1].thresholds, Some(vec![80, 90, 100]));
    // The moment after the boundary, nothing is known of the new cycle.
    let next = asking.facts(start + 61 * SECOND, NOW_MS + HOUR_MS / 2).unwrap();
    assert_eq!((next[1].standing.clone(), next[1].is_missing), (None, false));
    assert_eq!(next[1].cycle.map(|cycle| cycle.from_ms), Some(NOW_MS + HOUR_MS / 2));
}

#[tokio::test]
async fn a_history_that_does_not_answer_is_missing_after_a_while() {
    let history = History::default();
    let mut asking = history.asking(&hourly("a", "2 kB"));
    let start = Instant::now();
    ask(&mut asking, start, NOW_MS).await;
    *history.is_away.lock().unwrap() = true;
    history.taken();
    for second in [60, 70, 80] {
        ask(&mut asking, start + second * SECOND, NOW_MS).await;
        assert_eq!(history.taken(), ["a"], "{second}");
    }
    let at = |asking: &PlanAsking, second: u32| {
        let facts = asking.facts(start + second * SECOND, NOW_MS).unwrap().remove(0);
        (facts.standing.is_some(), facts.is_missing)
    };
    assert_eq!(at(&asking, 300), (true, false));
    assert_eq!(at(&asking, 301), (false, true));
    let judged = rules("\"quota\"");
    assert_eq!(
        asking.warnings(&judged),
        ["plans that cannot be counted at the moment: a (a: there is no history station at the moment)"]
    );
    *history.is_away.lock().unwrap() = false;
    ask(&mut asking, start + 400 * SECOND, NOW_MS).await;
    assert_eq!(at(&asking, 400), (true, false));
    assert_eq!(asking.warnings(&judged), [""; 0]);
    // Another station judges for a while.
    asking.stop();
    assert_eq!(at(&asking, 401), (false, false));
}

#[tokio::test]
async fn a_history_that_is_behind_says_nothing_of_a_plan() {
    let plans = Plans::parse(&hourly("a", "2 kB")).unwrap();
    let mut traffic = answer(&plans.plans[0], NOW_MS);
    assert!(standing(&traffic, NOW_MS).is_ok());
    traffic.complete_until_ms = NOW_MS - BEHIND_MS - 1;
    assert_eq!(standing(&traffic, NOW_MS), Err("the history is behind".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_forgets_the_plans_that_are_others_and_a_wrong_one_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traffic.toml");
    std::fs::write(&path, [hourly("a", "2 kB"), hourly("b", "2 kB")].concat()).unwrap();
    let file = WatchedFile::open("--traffic", path.clone(), Plans::parse).unwrap();
    let mut content = file.subscribe();
    let history = History::default();
    let mut asking = history.asking_with(Some(file.subscribe()));
    let stop = CancellationToken::new();
    let following = tokio::spawn(file.follow(stop.clone()));
    let now = Instant::now();
    ask(&mut asking, now, NOW_MS).await;
    history.taken();
    let judged = rules("\"quota\"\nplan = \"b\"");
    assert_eq!(asking.warnings(&judged), [""; 0]);

    asking.begin(&rules("\"quota\""), now + 60 * SECOND, NOW_MS);
    std::fs::write(&path, [hourly("c", "1 kB"), hourly("b", "3 kB"), hourly("a", "2 kB")].concat()).unwrap();
    content.changed().await.unwrap();
    content.mark_unchanged();
    // The answer about what b was before is nobody's.
    asking.read_file(now);
    let known = |asking: &PlanAsking| -> Vec<(String, bool)> {
        let facts = asking.facts(now, NOW_MS).unwrap().into_iter();
        facts.map(|facts| (facts.name, facts.standing.is_some())).collect()
    };
    let said = [("c", false), ("b", false), ("a", true)].map(|(name, known)| (name.to_owned(), known));
    assert_eq!(known(&asking), said);
    for _ in 0..AT_ONCE {
        let counted = asking.ended().await;
        asking.read(counted, now);
    }
    assert_eq!(known(&asking), said);
    history.taken();
    ask(&mut asking, now, NOW_MS).await;
    assert_eq!(history.taken(), ["c", "b"]);

    std::fs::write(&path, "[[plan]]\nname = 7\n").unwrap();
    content.changed().await.unwrap();
    asking.begin(&judged, now, NOW_MS);
    assert_eq!(known(&asking).len(), 3);
    let warnings = asking.warnings(&judged);
    assert!(warnings.len() == 1 && warnings[0].starts_with("--traffic: line 2, column 8: "), "{warnings:?}");
    assert!(!warnings[0].contains("traffic.toml"), "{warnings:?}");
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn rules_about_plans_that_nobody_declares_are_named() {
    let judged = rules("\"quota\"\nplan = \"b\"");
    let history = History::default();
    let none = history.asking_with(None);
    assert_eq!(
        none.warnings(&judged),
        ["no file declares plans (--traffic), so these rules are not judged, and their alerts stay: r"]
    );
    assert_eq!(none.warnings(&AlertFile::default().rules), [""; 0]);
    assert_eq!(none.facts(Instant::now(), NOW_MS), None);
    assert_eq!(history.asking(&hourly("a", "2 kB")).warnings(&judged), ["rule r: there is no plan b"]);
}

#[tokio::test]
async fn what_is_counted_seldom_holds_until_it_is_counted_again() {
    let history = History::default();
    let plans: Vec<String> = (0..200).map(|number| hourly(&format!("p{number}"), "2 kB")).collect();
    let mut asking = history.asking(&plans.concat());
    let judged = rules("\"quota\"");
    let start = Instant::now();
    let unknown = |asking: &PlanAsking, now: Instant| {
        let facts = asking.facts(now, NOW_MS).unwrap();
        facts.iter().filter(|facts| facts.standing.is_none() || facts.is_missing).count()
    };
    // Each answer takes six seconds, so a round takes ten minutes.
    let mut now = start;
    while now < start + 30 * 60 * SECOND {
        asking.begin(&judged, now, NOW_MS);
        now += 6 * SECOND;
        for _ in 0..AT_ONCE {
            let counted = asking.ended().await;
            asking.read(counted, now);
        }
        if now > start + 10 * 60 * SECOND {
            assert_eq!(unknown(&asking, now), 0, "after {:?}", now - start);
        }
    }
    // The history is away. Those that were asked since are not known any more.
    *history.is_away.lock().unwrap() = true;
    for _ in 0..100 {
        asking.begin(&judged, now, NOW_MS);
        for _ in 0..AT_ONCE {
            let counted = asking.ended().await;
            asking.read(counted, now);
        }
        now += 6 * SECOND;
    }
    assert!(unknown(&asking, now) > 0);
    let warnings = asking.warnings(&judged);
    assert!(warnings.len() == 1 && warnings[0].len() < 200, "{warnings:?}");
    assert!(warnings[0].contains(" and "), "{warnings:?}");
}

#[tokio::test]
async fn a_station_without_a_file_of_plans_keeps_their_alerts_as_they_are() {
    let file = AlertFile { rules: rules("\"quota\""), ..AlertFile::default() };
    let history = History::default();
    let (mut declared, start) = (history.asking(&hourly("a", "2 kB")), Instant::now());
    ask(&mut declared, start, NOW_MS).await;
    let mut bucket = AlertBucket::default();
    let mut judge = Judge::new(&file, &bucket, NOW_MS);
    judge.observe_plans(NOW_MS, &declared.facts(start, NOW_MS).unwrap());
    let fired = judge.judge(NOW_MS);
    assert_eq!(fired.len(), 2, "80 and 90 %");
    for (revision, fired) in (1..).zip(fired) {
        put(&mut bucket, &fired.key, &AlertRecord::after(None, fired.update, "x".to_owned()), revision);
    }
    // As the station does at each of its looks.
    let look = |judge: &mut Judge, asking: &PlanAsking| {
        if let Some(plans) = asking.facts(start, NOW_MS + 1_000) {
            judge.observe_plans(NOW_MS + 1_000, &plans);
        }
        judge.judge(NOW_MS + 1_000).len()
    };
    let take_over = || Judge::new(&file, &bucket, NOW_MS + 1_000);
    assert_eq!(look(&mut take_over(), &history.asking_with(None)), 0);
    assert_eq!(look(&mut take_over(), &declared), 0);
    assert_eq!(look(&mut take_over(), &history.asking("")), 2, "nobody declares it");
}
