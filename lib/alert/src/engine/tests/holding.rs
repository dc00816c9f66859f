use tidemap_wire::{Silence, Status};

use super::*;

const NONE: [&str; 0] = [];
const HOUR_MS: i64 = 3_600_000;

#[test]
fn repeats_come_at_one_distance_or_at_twice_the_last() {
    let mut world = World::new(&format!(
        "{}{}",
        busy("repeat = \"1h\""),
        offline("repeat = \"1h doubling\"").replace("\"offline\"\nmetric", "\"away\"\nmetric")
    ));
    world.add("a", "Berlin");
    world.add("b", "Berlin");
    world.rate("a", 950.0);
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), ["fired a", "fired b"]);
    let mut at = Vec::new();
    for minute in 1..=(3 * 24 * 60) {
        at.extend(world.pass(60_000).into_iter().map(|words| format!("{} {words}", minute as f64 / 60.0)));
    }
    let of = |node: &str| -> Vec<f64> {
        let those = at.iter().filter(|words| words.ends_with(&format!("again {node}")));
        those.map(|words| words.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(of("a").len(), 72);
    // 1, 2, 4, 8, 16 hours after one another, then a day.
    assert_eq!(of("b"), [1.0, 3.0, 7.0, 15.0, 31.0, 55.0]);
    world.rate("a", 1.0);
    assert_eq!(world.judge(), ["resolved a"]);
    assert_eq!(world.pass(30 * HOUR_MS), ["again b"]);
}

#[test]
fn quiet_hours_hold_notices_back_until_they_end() {
    let quiet = "time_zone = \"Europe/Berlin\"\n[[quiet]]\nfrom = \"22:00\"\nto = \"07:00\"\n";
    let mut world = World::new(&format!("{quiet}{}", offline("")));
    for name in ["a", "b", "c", "d"] {
        world.add(name, "Berlin");
    }
    world.observe_all();
    world.status("a", Status::Offline);
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), ["fired a", "fired b"]);
    // 22:00 in Berlin: eleven hours after it was 11:00 there.
    world.now_ms += 11 * HOUR_MS;
    world.status("a", Status::Online);
    world.status("c", Status::Offline);
    world.status("d", Status::Offline);
    assert_eq!(world.judge(), ["(resolved a: Quiet)", "(fired c: Quiet)", "(fired d: Quiet)"]);
    world.now_ms += HOUR_MS;
    world.status("d", Status::Online);
    assert_eq!(world.judge(), ["(resolved d)"]);
    assert_eq!(world.pass(8 * HOUR_MS - 1), NONE);
    assert_eq!(world.pass(1), ["late: resolved a", "late: fired c"]);
    assert_eq!(world.pass(HOUR_MS), NONE);
    world.status("c", Status::Online);
    assert_eq!(world.judge(), ["resolved c"]);
}

#[test]
fn quiet_hours_that_drop_say_nothing_of_what_began_in_them() {
    let quiet = "[[quiet]]\nfrom = \"10:00\"\nto = \"11:00\"\nthen = \"drop\"\ndays = [\"wed\"]\n";
    let mut world = World::new(&format!("{quiet}{}", offline("")));
    world.add("a", "Berlin");
    world.status("a", Status::Offline);
    assert_eq!(world.judge(), ["(fired a: Quiet)"]);
    assert_eq!(world.pass(2 * HOUR_MS), NONE);
    world.status("a", Status::Online);
    assert_eq!(world.judge(), ["(resolved a)"]);
    // What matters most is not held back, nor other days.
    for (file, after_ms) in [(offline("severity = \"critical\""), 0), (offline(""), 24 * HOUR_MS)] {
        let mut world = World::new(&format!("{quiet}{file}"));
        world.add("a", "Berlin");
        world.now_ms += after_ms;
        world.status("a", Status::Offline);
        assert_eq!(world.judge(), ["fired a"]);
    }
}

#[test]
fn a_notice_that_quiet_hours_hold_back_outlives_a_restart() {
    let file = format!("[[quiet]]\nfrom = \"11:00\"\nto = \"12:00\"\n{}", offline(""));
    let mut world = World::new(&file);
    world.add("a", "Berlin");
    world.add("b", "Berlin");
    world.observe_all();
    world.status("a", Status::Offline);
    assert_eq!(world.judge(), ["fired a"]);
    world.now_ms += HOUR_MS;
    world.status("a", Status::Online);
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), ["(resolved a: Quiet)", "(fired b: Quiet)"]);
    world.restart(&file, 5_000);
    assert_eq!(world.judge(), NONE);
    world.observe_all();
    assert_eq!(world.judge(), NONE);
    assert_eq!(world.pass(HOUR_MS), ["late: resolved a", "late: fired b"]);
    assert_eq!(world.engine.firing().len(), 1);
}

#[test]
fn maintenance_holds_back_what_it_is_about() {
    let file = format!(
        "[[maintenance]]\nfrom = \"10:00\"\nto = \"10:30\"\nlocation = \"Berlin\"\ndays = [\"wed\"]\n\
         [[maintenance]]\nfrom = 2023-11-15T12:00:00\nto = \"2023-11-15 13:00\"\nlabel = \"site=oslo\"\n{}",
        offline("")
    );
    let mut world = World::new(&file);
    world.add("a", "Berlin");
    world.add("b", "Oslo");
    world.status("a", Status::Offline);
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), ["(fired a: Maintenance)", "fired b"]);
    world.status("b", Status::Online);
    assert_eq!(world.judge(), ["resolved b"]);
    assert_eq!(world.pass(HOUR_MS / 2), ["late: fired a"]);
    world.now_ms = START_MS + 2 * HOUR_MS;
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), ["(fired b: Maintenance)"]);
    world.status("b", Status::Online);
    assert_eq!(world.judge(), ["(resolved b)"]);
}

#[test]
fn a_silence_holds_back_until_it_ends() {
    let mut world = World::new(&offline("repeat = \"1h\""));
    for name in ["a", "b", "c"] {
        world.add(name, "Berlin");
        world.status(name, Status::Offline);
    }
    let fired = world.engine.judge(world.now_ms);
    let until_ms = world.now_ms + 5 * HOUR_MS / 2;
    let silence = Silence { until_ms, ..Silence::default() };
    world.engine.set_silences(vec![
        Silence { alert: Some(fired[0].alert.id.clone()), ..silence.clone() },
        Silence { node: Some("b".to_owned()), rule: Some("offline".to_owned()), ..silence.clone() },
        Silence { node: Some("c".to_owned()), rule: Some("other".to_owned()), ..silence.clone() },
        silence,
    ]);
    assert_eq!(world.pass(HOUR_MS), ["again c"]);
    assert_eq!(world.engine.alerts().next().unwrap().silenced_until_ms, Some(until_ms));
    // Its end is said to those who know that it fired.
    world.status("b", Status::Online);
    assert_eq!(world.judge(), ["resolved b"]);
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), ["(fired b: Silence)"]);
    assert_eq!(world.pass(HOUR_MS), ["again c"]);
    assert_eq!(world.pass(HOUR_MS / 2), ["late: fired b", "again a"]);
}

#[test]
fn a_site_that_drops_is_one_alert_and_its_nodes_are_explained_by_it() {
    let site = "[[rule]]\nname = \"site\"\nmetric = \"offline\"\nper = \"location\"\nabove = \"90 %\"\nfor = \"10s\"\n";
    let file = format!("{}{site}", offline("for = \"10s\"\ndepends_on = [\"site\"]"));
    let mut world = World::new(&file);
    for number in 0..20 {
        world.add(&format!("n{number:02}"), if number < 15 { "Berlin" } else { "Oslo" });
    }
    world.observe_all();
    world.judge();
    for number in 0..15 {
        world.status(&format!("n{number:02}"), Status::Offline);
    }
    world.status("n15", Status::Offline);
    assert_eq!(world.judge(), NONE);
    let said = world.pass(10_000);
    let notified: Vec<_> = said.iter().filter(|words| !words.starts_with('(')).collect();
    assert_eq!(notified, ["fired location=Berlin", "fired n15"]);
    assert_eq!(said.iter().filter(|words| words.ends_with("DependsOn)")).count(), 15);
    // The site is back, but for two nodes: these are no longer explained.
    for number in 2..15 {
        world.status(&format!("n{number:02}"), Status::Online);
    }
    let said = world.judge();
    let notified: Vec<_> = said.iter().filter(|words| !words.starts_with('(')).collect();
    assert_eq!(notified, ["resolved location=Berlin", "late: fired n00", "late: fired n01"]);
}

#[test]
fn a_gateway_explains_what_depends_on_it() {
    let gateway = "[[rule]]\nname = \"gateway\"\nmetric = \"offline\"\nnode = \"gw\"\n";
    let mut world =
        World::new(&format!("{gateway}{}", offline("depends_on = [\"gateway\"]\nlabel = \"site=oslo\"")));
    world.add("gw", "Berlin");
    world.add("a", "Oslo");
    world.observe_all();
    world.status("a", Status::Offline);
    world.status("gw", Status::Offline);
    assert_eq!(world.judge(), ["(fired a: DependsOn)", "fired gw"]);
    world.status("a", Status::Online);
    world.status("gw", Status::Online);
    assert_eq!(world.judge(), ["(resolved a)", "resolved gw"]);
}
