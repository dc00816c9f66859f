use tidemap_traffic::{Period, Zone};

use super::{super::*, *};
use crate::engine::facts::PlanStanding;

const NONE: [&str; 0] = [];
const DAY_MS: i64 = 86_400_000;
/// The boundary at which the cycle ends in which worlds begin, and the next one begins: a day before.
const BOUNDARY_MS: i64 = START_MS + DAY_MS;

fn rule(lines: &str) -> String {
    format!("[[rule]]\nname = \"r\"\n{lines}\n")
}

/// A plan with a quota and an agreed rate in the cycle of a moment, of which nothing is known.
pub(super) fn plan(name: &str, now_ms: i64) -> PlanFacts {
    let from_ms = BOUNDARY_MS + (now_ms - BOUNDARY_MS).div_euclid(7 * DAY_MS) * 7 * DAY_MS;
    PlanFacts {
        name: name.to_owned(),
        zone: Zone::named("Europe/Zurich").unwrap(),
        cycle: Some(Period { from_ms, to_ms: from_ms + 7 * DAY_MS }),
        thresholds: Some(vec![80, 90, 100]),
        has_p95: true,
        commit: Some("200 kbit/s".parse().unwrap()),
        standing: None,
        is_missing: false,
    }
}

fn used(percent: f64, now_ms: i64) -> PlanFacts {
    let standing = PlanStanding { counted_ms: now_ms, percent: Some(percent), ..PlanStanding::default() };
    PlanFacts { standing: Some(standing), ..plan("transit", now_ms) }
}

impl World {
    /// A minute passes, and plans were counted.
    fn see(&mut self, plans: impl Fn(i64) -> Vec<PlanFacts>) -> Vec<String> {
        self.now_ms += 60_000;
        self.engine.observe_plans(self.now_ms, &plans(self.now_ms));
        self.judge()
    }

    fn use_up(&mut self, percent: f64) -> Vec<String> {
        self.see(|now_ms| vec![used(percent, now_ms)])
    }

    /// A minute passes, and nobody knows how the plan stands.
    fn see_nothing(&mut self, is_missing: bool) -> Vec<String> {
        self.see(|now_ms| vec![PlanFacts { is_missing, ..plan("transit", now_ms) }])
    }
}

#[test]
fn each_threshold_fires_once_in_a_cycle_and_is_armed_again_at_its_boundary() {
    let mut world = World::new(&rule("metric = \"quota\""));
    assert_eq!(world.use_up(79.9), NONE);
    assert_eq!(world.use_up(80.0), ["fired transit@80"]);
    assert_eq!(world.use_up(85.0), NONE);
    assert_eq!(world.use_up(101.0), ["fired transit@90", "fired transit@100"]);
    assert_eq!(world.use_up(150.0), NONE);
    world.now_ms = BOUNDARY_MS - 90_000;
    assert_eq!(world.use_up(150.0), NONE);
    // The next cycle has begun, and nothing is known of it.
    world.now_ms += 60_000;
    world.engine.observe_plans(world.now_ms, &[plan("transit", world.now_ms)]);
    let ended = world.engine.judge(world.now_ms);
    assert_eq!(ended.iter().map(words).collect::<Vec<_>>().len(), 3, "{ended:?}");
    for one in &ended {
        assert_eq!((one.alert.resolved_ms, one.ending), (Some(BOUNDARY_MS), Some(Ending::CycleOver)));
        assert!(one.notify && one.alert.summary.ends_with(" · a new cycle has begun"), "{one:?}");
    }
    assert_eq!(world.use_up(0.1), NONE);
    assert_eq!(world.use_up(81.0), ["fired transit@80"]);
}

#[test]
fn a_new_cycle_that_is_beyond_the_threshold_as_well_is_another_alert() {
    let mut world = World::new(&rule("metric = \"quota\"\nplan = \"transit\""));
    assert_eq!(world.use_up(85.0), ["fired transit@80"]);
    let first = world.engine.alerts().next().unwrap().id;
    // Nobody judged for the rest of the cycle, nor at its boundary.
    world.restart(&rule("metric = \"quota\"\nplan = \"transit\""), 2 * DAY_MS);
    assert_eq!(world.use_up(83.0), ["resolved transit@80", "fired transit@80"]);
    let second = world.engine.alerts().next().unwrap();
    assert!(second.id != first && second.since_ms == world.now_ms, "{second:?}");
}

#[test]
fn a_restart_repeats_no_threshold() {
    let file = rule("metric = \"quota\"");
    let mut world = World::new(&file);
    assert_eq!(world.use_up(91.0), ["fired transit@80", "fired transit@90"]);
    for after_ms in [1_000, 600_000] {
        world.restart(&file, after_ms);
        assert_eq!(world.see_nothing(false), NONE);
        assert_eq!(world.use_up(92.0), NONE);
    }
    assert_eq!(world.use_up(100.0), ["fired transit@100"]);
    // A correction, or a larger quota, counts at once.
    assert_eq!(world.use_up(79.0).len(), 3);
}

#[test]
fn what_is_not_known_fires_nothing_and_resolves_nothing() {
    let mut world = World::new(&rule("metric = \"quota\""));
    assert_eq!(world.see_nothing(false), NONE);
    assert_eq!(world.use_up(85.0), ["fired transit@80"]);
    for is_missing in [false, true] {
        assert_eq!(world.see_nothing(is_missing), NONE);
    }
    assert_eq!(world.use_up(86.0), NONE);
    // At the boundary it is over, although no history answers.
    world.now_ms = BOUNDARY_MS;
    assert_eq!(world.see_nothing(true), ["resolved transit@80"]);
}

#[test]
fn a_history_that_does_not_answer_fires_where_the_rule_says_so() {
    let mut world = World::new(&rule("metric = \"quota\"\nat_least = \"95 %\"\nno_data = \"fire\""));
    // It was not asked yet, or a new cycle has nothing yet.
    assert_eq!(world.see_nothing(false), NONE);
    assert_eq!(world.use_up(10.0), NONE);
    assert_eq!(world.see_nothing(true), ["fired transit"]);
    assert_eq!(world.use_up(11.0), ["resolved transit"]);
}

#[test]
fn a_window_that_moves_has_a_band_and_no_boundary() {
    let mut world = World::new(&rule("metric = \"quota\""));
    let mut see = |percent| world.see(|now_ms| vec![PlanFacts { cycle: None, ..used(percent, now_ms) }]);
    assert_eq!(see(80.1), ["fired transit@80"]);
    assert_eq!(see(79.0), NONE);
    assert_eq!(see(81.0), NONE);
    assert_eq!(see(76.0), ["resolved transit@80"]);
    world.now_ms += 30 * DAY_MS;
    let mut see = |percent| world.see(|now_ms| vec![PlanFacts { cycle: None, ..used(percent, now_ms) }]);
    assert_eq!(see(80.0), ["fired transit@80"]);
}

#[test]
fn a_percentile_must_exceed_the_agreed_rate() {
    let mut world = World::new(&rule("metric = \"p95\""));
    let see = |world: &mut World, bps: f64| {
        world.see(|now_ms| {
            let standing = PlanStanding { counted_ms: now_ms, p95_bps: Some(bps), ..PlanStanding::default() };
            vec![PlanFacts { standing: Some(standing), ..plan("transit", now_ms) }]
        })
    };
    assert_eq!(see(&mut world, 25_000.0), NONE);
    assert_eq!(see(&mut world, 25_125.0), ["fired transit"]);
    // In the unit in which the plan says it.
    let said = world.engine.alerts().next().unwrap().summary;
    assert!(said.starts_with("95th percentile 201 kbit/s (limit 200 kbit/s) · resets "), "{said}");
    // It falls as slots are added; within the band that is no end.
    assert_eq!(see(&mut world, 24_900.0), NONE);
    assert_eq!(see(&mut world, 23_000.0), ["resolved transit"]);
}

#[test]
fn a_notice_says_when_the_quota_is_used_up_and_when_it_begins_again() {
    let mut world = World::new(&format!(
        "{}{}",
        rule("metric = \"quota\"\nat_least = \"90 %\""),
        rule("metric = \"forecast\"").replace("\"r\"", "\"forecast\"")
    ));
    // 23 November 2023, 10:00 UTC.
    let exceeded_ms = BOUNDARY_MS + 7 * DAY_MS;
    let see = |world: &mut World, percent, forecast_percent| {
        world.see(|now_ms| {
            let standing = PlanStanding {
                counted_ms: now_ms - 40_000,
                percent: Some(percent),
                forecast_percent,
                exceeded_ms: Some(exceeded_ms),
                p95_bps: None,
            };
            vec![PlanFacts { standing: Some(standing), ..plan("transit", now_ms) }]
        })
    };
    world.now_ms = BOUNDARY_MS + DAY_MS;
    // It is hidden at the very begin of a cycle.
    assert_eq!(see(&mut world, 1.0, None), NONE);
    assert_eq!(see(&mut world, 91.0, Some(112.5)), ["fired transit", "fired transit"]);
    let alerts: Vec<_> = world.engine.alerts().collect();
    assert_eq!(
        alerts.iter().map(|alert| alert.summary.as_str()).collect::<Vec<_>>(),
        [
            "quota used 91 % (limit 90 %) · resets 23 November 11:00 Europe/Zurich",
            "forecast of the quota 112 % (limit 100 %) · used up on 23 November · resets 23 November 11:00 Europe/Zurich",
        ]
    );
    assert_eq!(alerts[0].target.name, "plan transit");
    assert_eq!(alerts[0].since_ms, world.now_ms - 40_000);
    assert_eq!(alerts[0].resets_ms, Some(exceeded_ms));
    // Neither flaps.
    assert_eq!(see(&mut world, 89.0, Some(99.0)), NONE);
}

#[test]
fn rules_that_share_a_plan_keep_their_own_limits() {
    let mut world = World::new(&format!(
        "{}{}",
        rule("metric = \"p95\"\nfor = \"5m\""),
        rule("metric = \"quota\"\nat_least = \"90 %\"\nfor = \"5m\"").replace("\"r\"", "\"quota\"")
    ));
    let said = world.see(|now_ms| {
        let standing = PlanStanding {
            counted_ms: now_ms,
            percent: Some(95.0),
            p95_bps: Some(26_000.0),
            ..PlanStanding::default()
        };
        vec![PlanFacts { standing: Some(standing), ..plan("transit", now_ms) }]
    });
    assert_eq!(said, NONE);
    world.now_ms += 300_000;
    let fired = world.engine.judge(world.now_ms);
    let limits: Vec<_> = fired.iter().map(|one| (one.alert.rule.as_str(), one.alert.threshold)).collect();
    assert_eq!(limits, [("r", Some(25_000.0)), ("quota", Some(90.0))]);
}
