use tidemap_wire::{AlertState, Status};

use super::{super::*, *};

const NONE: [&str; 0] = [];

#[test]
fn a_rule_fires_after_its_time_and_resolves_below_its_band() {
    let mut world = World::new(&busy("for = \"10s\""));
    world.add("web", "Berlin");
    world.rate("web", 941.0);
    assert_eq!(world.judge(), NONE);
    assert_eq!(world.engine.pending().len(), 1);
    assert_eq!(world.pass(9_999), NONE);
    assert_eq!(world.pass(1), ["fired web"]);
    // Within the band of 5 % it goes on.
    for mbits in [899.0, 860.0, 901.0, 870.0] {
        world.rate("web", mbits);
        assert_eq!(world.pass(1_000), NONE);
    }
    world.rate("web", 855.0);
    assert_eq!(world.judge(), ["resolved web"]);
    assert_eq!(world.engine.counts().firing, 0);
}

#[test]
fn an_alert_says_what_was_found_and_since_when() {
    let mut world = World::new(&busy("for = \"5m\"\ndirection = \"in\"\nseverity = \"critical\""));
    world.add("web", "Berlin");
    world.rate("web", 941.0);
    let since_ms = world.now_ms;
    world.pass(60_000);
    world.rate("web", 985.0);
    world.now_ms += 240_000;
    let fired = world.engine.judge(world.now_ms).remove(0);
    let alert = &fired.alert;
    assert_eq!(alert.summary, "download 985 Mbit/s for 5 min (limit 900 Mbit/s), 98 % of link");
    assert_eq!((alert.since_ms, alert.fired_ms), (since_ms, Some(since_ms + 300_000)));
    assert_eq!((alert.peak, alert.threshold), (Some(985.0 * 125_000.0), Some(900.0 * 125_000.0)));
    assert_eq!((alert.unit.as_str(), alert.state), ("bps", AlertState::Firing));
    assert_eq!((alert.target.name.as_str(), fired.group.as_str()), ("WEB", "location=Berlin"));
    assert_eq!(alert.target.labels["site"], "berlin");
    world.now_ms += 60_000;
    world.rate("web", 1.0);
    let over = world.engine.judge(world.now_ms).remove(0).alert;
    assert_eq!((over.id.as_str(), over.state), (alert.id.as_str(), AlertState::Resolved));
    assert_eq!(over.resolved_ms, Some(world.now_ms));
    assert_eq!(over.summary, alert.summary);
}

#[test]
fn a_pending_alert_that_is_over_says_nothing() {
    let mut world = World::new(&busy("for = \"10s\""));
    world.add("web", "Berlin");
    for _ in 0..20 {
        world.rate("web", 950.0);
        assert_eq!(world.pass(9_000), NONE);
        // Before it fires, the threshold itself counts.
        world.rate("web", 899.0);
        assert_eq!(world.pass(1_000), NONE);
    }
    assert_eq!(world.engine.counts().pending, 0);
}

#[test]
fn where_there_is_no_file_every_node_that_is_offline_is_an_alert() {
    let mut world = World::new("");
    world.engine = Engine::new(Rules::default());
    world.add("web", "Berlin");
    world.add("db", "Berlin");
    world.observe_all();
    world.status("web", Status::Offline);
    assert_eq!(world.judge(), ["fired web"]);
    world.status("web", Status::Online);
    assert_eq!(world.judge(), ["resolved web"]);
}

#[test]
fn a_rule_knows_nodes_that_were_offline_before_it() {
    let mut world = World::new(&offline("for = \"1m\""));
    world.add("web", "Berlin");
    world.status("web", Status::Offline);
    let since_ms = world.now_ms;
    world.now_ms += 3_600_000;
    // The engine is new, and the node has been offline for an hour.
    world.engine = Engine::new(rules(&offline("for = \"1m\"")));
    world.observe_all();
    let fired = world.engine.judge(world.now_ms).remove(0).alert;
    assert_eq!((fired.since_ms, fired.fired_ms), (since_ms, Some(world.now_ms)));
    world.status("web", Status::Online);
    assert_eq!(world.judge(), ["resolved web"]);
}

#[test]
fn an_alert_fires_on_for_as_long_as_its_rule_says() {
    let mut world = World::new(&busy("keep_firing_for = \"1m\""));
    world.add("web", "Berlin");
    world.rate("web", 950.0);
    assert_eq!(world.judge(), ["fired web"]);
    for _ in 0..5 {
        world.rate("web", 1.0);
        assert_eq!(world.pass(59_000), NONE);
        world.rate("web", 950.0);
        assert_eq!(world.pass(1_000), NONE);
    }
    world.rate("web", 1.0);
    assert_eq!(world.pass(60_000), ["resolved web"]);
}

#[test]
fn nothing_is_said_of_nodes_that_are_not_heard() {
    let mut world = World::new(&format!("{}{}", busy("for = \"30s\""), offline("for = \"30s\"")));
    world.add("web", "Berlin");
    world.add("db", "Berlin");
    world.rate("web", 950.0);
    world.status("db", Status::Offline);
    assert_eq!(world.pass(20_000), NONE);
    world.status("web", Status::Unknown);
    world.set("db", |known| known.status = Status::Unknown);
    assert_eq!(world.pass(3_600_000), NONE);
    // The time in which nobody could say does not count for a rate; that of a status is what its worker says.
    world.status("web", Status::Online);
    world.set("db", |known| known.status = Status::Offline);
    assert_eq!(world.judge(), ["fired db"]);
    assert_eq!(world.pass(9_999), NONE);
    assert_eq!(world.pass(1), ["fired web"]);
    // Alerts that fire are not resolved either.
    world.status("web", Status::Unknown);
    world.set("db", |known| known.status = Status::Unknown);
    assert_eq!(world.pass(3_600_000), NONE);
    world.status("web", Status::Online);
    world.status("db", Status::Online);
    world.rate("web", 1.0);
    assert_eq!(world.judge(), ["resolved db", "resolved web"]);
}

#[test]
fn what_is_not_known_is_ignored_kept_or_fires() {
    for (no_data, gone, back) in [
        ("ignore", vec!["resolved web"], vec!["fired web"]),
        ("keep", vec![], vec![]),
        ("fire", vec![], vec![]),
    ] {
        let mut world = World::new(&busy(&format!("no_data = \"{no_data}\"")));
        world.add("web", "Berlin");
        world.rate("web", 950.0);
        assert_eq!(world.judge(), ["fired web"]);
        world.now_ms += 1_000;
        world.status("web", Status::Offline);
        assert_eq!(world.judge(), gone, "{no_data}");
        world.now_ms += 1_000;
        world.status("web", Status::Online);
        assert_eq!(world.judge(), back, "{no_data}");
    }
    let mut world = World::new(&busy("no_data = \"fire\"\nfor = \"1m\""));
    world.add("web", "Berlin");
    world.observe_all();
    assert_eq!(world.pass(60_000), ["fired web"]);
    world.rate("web", 1.0);
    assert_eq!(world.judge(), ["resolved web"]);
}

#[test]
fn a_node_that_is_forgotten_resolves_its_alerts() {
    let mut world = World::new(&format!("{}{}", busy("for = \"1m\""), offline("")));
    world.add("web", "Berlin");
    world.rate("web", 950.0);
    world.status("web", Status::Offline);
    assert_eq!(world.judge(), ["fired web"]);
    world.forget("web");
    let over = world.engine.judge(world.now_ms);
    assert_eq!((over.len(), over[0].ending, &over[0].standing), (1, Some(Ending::Forgotten), &None));
    assert_eq!(world.engine.counts(), EngineCounts { rules: 2, ..EngineCounts::default() });
    world.add("other", "Berlin");
    world.status("other", Status::Offline);
    assert_eq!(world.judge(), ["fired other"]);
}
