//! Whatever happens, and however often it is judged: one notice of each firing, and one of its end.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use tidemap_wire::Status;

use super::{super::*, *};

/// What happens to the only node.
#[derive(Clone, Debug)]
enum Step {
    Rate(f64),
    Offline,
    Unheard,
    /// The evaluator ends, and another goes on after so many milliseconds.
    Restart(i64),
    /// The same facts again.
    Again,
    Judge,
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0.0..1_200.0).prop_map(Step::Rate),
        1 => Just(Step::Offline),
        1 => Just(Step::Unheard),
        1 => (0_i64..120_000).prop_map(Step::Restart),
        1 => Just(Step::Again),
        2 => Just(Step::Judge),
        1 => Just(Step::Reload),
    ]
}

fn file() -> String {
    format!("{}{}", busy("for = \"20s\"\nkeep_firing_for = \"10s\""), offline("for = \"15s\""))
}

fn take(world: &mut World, step: &Step, said: &mut Vec<Transition>) {
    let node = "web";
    match step {
        Step::Rate(mbits) => {
            let now_ms = world.now_ms;
            world.set(node, |known| {
                set_rate(known, *mbits);
                if known.status != Status::Online {
                    (known.status, known.since_ms) = (Status::Online, now_ms);
                }
            });
        }
        Step::Offline => {
            let now_ms = world.now_ms;
            world.set(node, |known| {
                if known.status != Status::Offline {
                    (known.status, known.since_ms) = (Status::Offline, now_ms);
                }
            });
        }
        Step::Unheard => world.set(node, |known| known.status = Status::Unknown),
        Step::Again => {
            world.observe(node);
            world.observe(node);
        }
        Step::Judge => {}
        Step::Restart(after_ms) => {
            // What was said is stored before the evaluator ends.
            said.extend(world.engine.judge(world.now_ms));
            world.restart(&file(), *after_ms);
            world.observe_all();
        }
        Step::Reload => {
            world.engine.reload(world.now_ms, rules(&file()));
            world.observe_all();
        }
    }
    if !matches!(step, Step::Again) {
        said.extend(world.engine.judge(world.now_ms));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn each_firing_is_said_once_and_its_end_once(steps in vec((step(), 0_i64..40_000), 1..80)) {
        let mut world = World::new(&file());
        world.add("web", "Berlin");
        world.observe_all();
        let mut said = Vec::new();
        for (step, after_ms) in &steps {
            take(&mut world, step, &mut said);
            world.now_ms += after_ms;
        }
        // In the end all is well, for long enough.
        for _ in 0..3 {
            take(&mut world, &Step::Rate(1.0), &mut said);
            world.now_ms += 60_000;
        }
        said.extend(world.engine.judge(world.now_ms));
        let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for transition in &said {
            prop_assert!(transition.is_new && transition.notify, "{transition:?}");
            let (fired, resolved) = counts.entry(transition.alert.id.clone()).or_default();
            match transition.change {
                AlertChange::Fired => *fired += 1,
                _ => *resolved += 1,
            }
            prop_assert!(resolved <= fired, "resolved before it fired");
        }
        for (id, count) in counts {
            prop_assert_eq!(count, (1, 1), "{}", id);
        }
        prop_assert_eq!(world.engine.counts(), EngineCounts { rules: 2, nodes: 1, ..EngineCounts::default() });
    }

    #[test]
    fn an_alert_never_flaps_within_its_band(rates in vec(855.1_f64..900.0, 1..100)) {
        let mut world = World::new(&busy(""));
        world.add("web", "Berlin");
        world.rate("web", 901.0);
        prop_assert_eq!(world.judge(), ["fired web"]);
        for mbits in &rates {
            world.rate("web", *mbits);
            prop_assert_eq!(world.pass(1_000), Vec::<String>::new());
        }
        world.rate("web", 855.0);
        prop_assert_eq!(world.judge(), ["resolved web"]);
        for mbits in &rates {
            world.rate("web", *mbits);
            prop_assert_eq!(world.pass(1_000), Vec::<String>::new());
        }
    }

    #[test]
    fn what_fires_and_when_does_not_depend_on_how_often_it_is_judged(
        rates in vec((0.0_f64..1_200.0, 1_i64..40), 1..60),
    ) {
        let moments = |judge_each: i64| {
            let mut world = World::new(&file());
            world.add("web", "Berlin");
            world.observe_all();
            let mut moments = Vec::new();
            let mut tick = 0_i64;
            for (mbits, ticks) in &rates {
                world.rate("web", *mbits);
                for _ in 0..*ticks {
                    world.now_ms += 250;
                    tick += 1;
                    if tick % judge_each == 0 {
                        moments.extend(world.engine.judge(world.now_ms));
                    }
                }
            }
            moments.extend(world.engine.judge(world.now_ms));
            let of = |said: &Transition| (said.alert.id.clone(), said.change, said.alert.fired_ms, said.alert.resolved_ms);
            moments.iter().map(of).collect::<Vec<_>>()
        };
        prop_assert_eq!(moments(1), moments(4));
    }

    #[test]
    fn two_evaluators_name_the_same_alerts(rates in vec(0.0_f64..1_200.0, 1..60), lag_ms in 0_i64..250) {
        let ids = |lag_ms: i64| {
            let mut world = World::new(&file());
            world.add("web", "Berlin");
            let mut ids = Vec::new();
            for (second, mbits) in (0_i64..).zip(&rates) {
                // The report is as old as it is, whenever it is read.
                world.now_ms = START_MS + second * 30_000;
                let seen_ms = world.now_ms;
                world.nodes.get_mut("web").map(|known| {
                    set_rate(known, *mbits);
                    known.update.seen_ms = seen_ms;
                });
                world.now_ms += lag_ms;
                world.observe("web");
                ids.extend(world.engine.judge(world.now_ms).into_iter().map(|said| said.alert.id));
            }
            ids
        };
        prop_assert_eq!(ids(0), ids(lag_ms));
    }
}
