use tidemap_wire::{MetricValue, history_query::HistorySeries};

use super::{super::*, *};

const NONE: [&str; 0] = [];

fn rule(lines: &str) -> String {
    format!("[[rule]]\nname = \"r\"\n{lines}\n")
}

fn host(known: &mut Known, name: &str, value: u64) {
    let metric = tidemap_wire::METRICS.iter().find(|metric| metric.name == name).unwrap();
    assert!(known.host.set(metric.id, MetricValue::Whole(value)));
}

#[test]
fn any_host_metric_can_be_judged() {
    for (lines, metric, calm, beyond) in [
        ("metric = \"fan_rpm\"\nbelow = 500", "fan_rpm", 900, 400),
        ("metric = \"disk_used_bytes\"\nabove = \"1 TB\"", "disk_used_bytes", 1, 2_000_000_000_000),
        ("metric = \"temperature_c\"\nat_least = 80", "temperature_c", 20, 80),
        ("metric = \"uptime_s\"\nbelow = \"10m\"", "uptime_s", 3_600, 10),
        ("metric = \"cpu_percent\"\nabove = \"90 %\"", "cpu_percent", 3, 91),
    ] {
        let mut world = World::new(&rule(lines));
        world.add("web", "Berlin");
        world.set("web", |known| host(known, metric, calm));
        assert_eq!(world.judge(), NONE, "{lines}");
        world.set("web", |known| host(known, metric, beyond));
        assert_eq!(world.judge(), ["fired web"], "{lines}");
    }
}

#[test]
fn shares_skew_and_versions_are_judged() {
    let mut world = World::new(&format!(
        "{}{}{}",
        rule("metric = \"memory_percent\"\nabove = \"90 %\""),
        rule("metric = \"clock_skew\"\nabove = \"2s\"").replace("\"r\"", "\"skew\""),
        rule("metric = \"agent_version\"\nbelow = \"0.3.0\"").replace("\"r\"", "\"old\""),
    ));
    world.add("web", "Berlin");
    world.set("web", |known| {
        host(known, "memory_used_bytes", 80);
        host(known, "memory_total_bytes", 100);
        known.update.skew_ms = -1_500;
    });
    assert_eq!(world.judge(), NONE);
    world.set("web", |known| {
        host(known, "memory_used_bytes", 95);
        known.update.skew_ms = -2_500;
        let mut hello = Hello::clone(known.hello.as_ref().unwrap());
        hello.agent_version = "0.2.11".to_owned();
        known.hello = Some(Arc::new(hello));
    });
    let mut summaries: Vec<_> =
        world.engine.judge(world.now_ms).into_iter().map(|said| said.alert.summary).collect();
    summaries.sort_unstable();
    assert_eq!(
        summaries,
        [
            "agent's version 0.2.11 (limit 0.3.0)",
            "clock is off by 2500 ms (limit 2000 ms)",
            "memory in use 95 % (limit 90 %)"
        ]
    );
}

#[test]
fn errors_are_counted_within_a_window() {
    let mut world = World::new(&rule("metric = \"errors\"\nabove = 10\nwindow = \"1m\""));
    world.add("web", "Berlin");
    for second in 0..30 {
        world.now_ms += 1_000;
        world.set("web", |known| host(known, "network_errors", 1_000 + second / 3));
        assert_eq!(world.judge(), NONE);
    }
    // The window has not been watched for its length, but it is enough already.
    world.set("web", |known| host(known, "network_errors", 1_011));
    assert_eq!(world.judge(), ["fired web"]);
    // The first errors leave the window: 10 of them are within the band, 9 are not.
    for (after_ms, said) in [(30_000, vec![]), (4_500, vec![]), (3_000, vec!["resolved web"])] {
        world.now_ms += after_ms;
        world.observe("web");
        assert_eq!(world.judge(), said, "{after_ms}");
    }
}

#[test]
fn a_link_that_stands_still_is_found() {
    let mut world = World::new(&rule("metric = \"no_traffic\"\nfor = \"5m\""));
    world.add("web", "Berlin");
    world.rate("web", 1.0);
    assert_eq!(world.judge(), NONE);
    world.rate("web", 0.0);
    assert_eq!(world.pass(299_999), NONE);
    assert_eq!(world.pass(1), ["fired web"]);
    assert_eq!(world.engine.alerts().next().unwrap().summary, "no traffic for 5 min");
    world.rate("web", 0.001);
    assert_eq!(world.judge(), ["resolved web"]);
}

#[test]
fn the_highest_rate_of_a_window_is_judged_as_soon_as_it_is_seen() {
    let mut world = World::new(&busy("window = \"5m\"\naggregate = \"max\""));
    world.add("web", "Berlin");
    world.rate("web", 1.0);
    world.now_ms += 10_000;
    world.rate("web", 950.0);
    assert_eq!(world.judge(), ["fired web"]);
    for _ in 0..29 {
        world.now_ms += 10_000;
        world.rate("web", 1.0);
        assert_eq!(world.judge(), NONE);
    }
    world.now_ms += 10_000;
    world.rate("web", 1.0);
    assert_eq!(world.judge(), ["resolved web"]);
}

#[test]
fn the_history_is_asked_for_long_windows_only() {
    let mut world = World::new(&busy("window = \"6h\""));
    world.add("web", "Berlin");
    world.observe_all();
    let wants = world.engine.wanted(world.now_ms, 10);
    let node = NodeId::from_name("web").unwrap();
    assert_eq!(wants.len(), 1);
    assert_eq!((&wants[0].of, wants[0].window_ms), (&HistorySeries::Node(node), 6 * 3_600_000));
    assert_eq!(world.engine.wanted(world.now_ms, 10), []);
    let rates = PastRates { rx_bps: 950.0 * 125_000.0, tx_bps: 0.0, ..PastRates::default() };
    world.engine.observe_past(world.now_ms, &wants[0], Some(rates));
    assert_eq!(world.judge(), ["fired web"]);
    world.now_ms += 360_000;
    world.observe("web");
    let again = world.engine.wanted(world.now_ms, 10);
    assert_eq!(again, wants);
    // No answer says nothing.
    assert_eq!(world.judge(), NONE);
    world.engine.observe_past(world.now_ms, &again[0], Some(PastRates::default()));
    assert_eq!(world.judge(), ["resolved web"]);
    let mut none = World::new(&busy(""));
    none.add("web", "Berlin");
    none.observe_all();
    assert_eq!(none.engine.wanted(none.now_ms, 10), []);
}

#[test]
fn workers_and_the_broker_are_judged() {
    let mut world = World::new(&format!(
        "{}{}{}",
        rule("metric = \"worker_lag\"\nabove = \"10s\"\nfor = \"30s\""),
        rule("metric = \"worker_silence\"\nabove = \"5s\"").replace("\"r\"", "\"silence\""),
        rule("metric = \"broker\"\nfor = \"10s\"\nseverity = \"critical\"").replace("\"r\"", "\"broker\""),
    ));
    let mut seen = |after_ms: i64, is_broker_reached: bool, lag_ms: u64, silent_ms: u64| {
        world.now_ms += after_ms;
        let partition = PartitionFacts {
            partition: 3,
            worker: "w1".to_owned(),
            lag_ms: Some(lag_ms),
            silent_ms: Some(silent_ms),
        };
        world
            .engine
            .observe_system(world.now_ms, &SystemFacts { is_broker_reached, partitions: vec![partition] });
        world.judge()
    };
    assert_eq!(seen(0, true, 12_000, 500), NONE);
    assert_eq!(seen(30_000, true, 15_000, 500), ["fired 3"]);
    assert_eq!(seen(1_000, true, 0, 500), ["resolved 3"]);
    assert_eq!(seen(1_000, true, 0, 6_000), ["fired 3"]);
    // While the broker is away, workers are not heard.
    assert_eq!(seen(1_000, false, 0, 20_000), NONE);
    assert_eq!(seen(10_000, false, 0, 30_000), ["fired all"]);
    assert_eq!(seen(1_000, true, 0, 0), ["resolved all", "resolved 3"]);
}

#[test]
fn a_reload_keeps_what_goes_on_and_ends_what_is_gone() {
    let mut world = World::new(&format!("{}{}", busy("for = \"1m\""), offline("")));
    for name in ["a", "b", "c"] {
        world.add(name, "Berlin");
    }
    world.observe_all();
    world.rate("a", 950.0);
    world.status("c", tidemap_wire::Status::Offline);
    assert_eq!(world.pass(60_000), ["fired c", "fired a"]);
    world.rate("b", 950.0);
    world.now_ms += 30_000;
    // The limit is another, and nobody asks for nodes that are offline any more.
    let file = busy("for = \"40s\"").replace("900", "940");
    world.engine.reload(world.now_ms, rules(&file));
    let said = world.engine.judge(world.now_ms);
    assert_eq!(said.iter().map(words).collect::<Vec<_>>(), ["resolved c"]);
    assert_eq!(said[0].ending, Some(Ending::RuleGone));
    world.observe_all();
    assert_eq!(world.judge(), NONE);
    assert_eq!(world.pass(10_000), ["fired b"]);
    world.rate("a", 1.0);
    assert_eq!(world.judge(), ["resolved a"]);
    // A limit that is not reached any more ends an alert in the usual way.
    let file = busy("").replace("900", "1100");
    world.engine.reload(world.now_ms, rules(&file));
    world.observe_all();
    assert_eq!(world.judge(), ["resolved b"]);
}

#[test]
fn what_another_evaluator_stored_is_taken_over_silently() {
    let mut world = World::new(&offline(""));
    world.add("a", "Berlin");
    world.status("a", tidemap_wire::Status::Offline);
    let mut other = World::new(&offline(""));
    other.add("a", "Berlin");
    other.status("a", tidemap_wire::Status::Offline);
    let theirs = other.engine.judge(other.now_ms).remove(0);
    let target = theirs.alert.target.clone();
    world.engine.adopt(world.now_ms, "offline", &target, theirs.standing);
    assert_eq!(world.judge(), NONE);
    world.observe("a");
    assert_eq!(world.judge(), NONE);
    let mine = world.engine.alerts().next().unwrap();
    assert_eq!(mine.id, theirs.alert.id);
    world.engine.adopt(world.now_ms, "offline", &target, None);
    assert_eq!(world.engine.counts().firing, 0);
}

#[test]
fn what_was_taken_over_goes_on_without_another_word_of_its_target() {
    let file = offline("for = \"1m\"");
    let mut world = World::new(&file);
    world.add("a", "Berlin");
    world.status("a", tidemap_wire::Status::Offline);
    let pending = world.engine.pending().remove(0);
    let target = pending.alert.target.clone();
    world.now_ms += 10_000;
    world.engine.adopt(world.now_ms, "offline", &target, Some(pending));
    assert_eq!(world.pass(49_999), NONE);
    assert_eq!(world.pass(1), ["fired a"]);
}
