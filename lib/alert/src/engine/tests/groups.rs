use tidemap_wire::{Status, TargetKind};

use super::{super::*, *};

const NONE: [&str; 0] = [];

fn world(lines: &str) -> World {
    let mut world = World::new(&format!("[[rule]]\nname = \"sum\"\n{lines}\n"));
    for (name, place) in [("a", "Berlin"), ("b", "Berlin"), ("c", "Oslo")] {
        world.add(name, place);
    }
    world
}

#[test]
fn rates_of_a_group_are_summed_before_directions_are_compared() {
    let mut world = world("metric = \"rate\"\nper = \"location\"\nabove = \"100 Mbit/s\"\ndirection = \"larger\"");
    let directed = |known: &mut Known, rx: f64, tx: f64| {
        (known.update.rx_avg.s10, known.update.tx_avg.s10) = (Bps::new(rx * 125_000.0), Bps::new(tx * 125_000.0));
    };
    world.observe_all();
    world.set("a", |known| directed(known, 90.0, 1.0));
    world.set("b", |known| directed(known, 1.0, 90.0));
    assert_eq!(world.judge(), NONE);
    world.set("b", |known| directed(known, 11.0, 90.0));
    let fired = world.engine.judge(world.now_ms).remove(0).alert;
    assert_eq!((fired.target.id.as_str(), fired.target.kind), ("location=Berlin", TargetKind::Group));
    assert_eq!(fired.value, Some(101.0 * 125_000.0));
    assert_eq!(fired.summary, "traffic 101 Mbit/s (limit 100 Mbit/s)");
    // A node that is offline moves nothing.
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), ["resolved location=Berlin"]);
}

#[test]
fn a_group_is_not_judged_while_some_of_it_is_not_heard() {
    let mut world = world("metric = \"rate\"\nper = \"all\"\nbelow = \"100 Mbit/s\"");
    for name in ["a", "b", "c"] {
        world.rate(name, 50.0);
    }
    // Not all nodes may have been observed yet.
    assert_eq!(world.judge(), NONE);
    world.observe_all();
    assert_eq!(world.judge(), NONE);
    world.status("a", Status::Unknown);
    world.status("b", Status::Unknown);
    assert_eq!(world.pass(60_000), NONE);
    world.status("a", Status::Online);
    world.status("b", Status::Offline);
    assert_eq!(world.judge(), NONE);
    world.rate("a", 49.0);
    assert_eq!(world.judge(), ["fired all"]);
    world.status("c", Status::Unknown);
    world.rate("a", 1_000.0);
    assert_eq!(world.judge(), NONE);
    world.status("c", Status::Online);
    assert_eq!(world.judge(), ["resolved all"]);
}

#[test]
fn nodes_that_are_offline_are_counted_or_a_share() {
    let mut world = world("metric = \"offline\"\nper = \"label:site\"\nat_least = 2");
    world.observe_all();
    world.status("a", Status::Offline);
    world.status("c", Status::Offline);
    assert_eq!(world.judge(), NONE);
    world.status("b", Status::Offline);
    let fired = world.engine.judge(world.now_ms).remove(0).alert;
    assert_eq!((fired.target.id.as_str(), fired.summary.as_str()), ("label:site=berlin", "2 of the nodes offline (limit 2)"));
    let mut world = self::world("metric = \"offline\"\nper = \"all\"\nabove = \"50 %\"");
    world.observe_all();
    world.status("a", Status::Offline);
    assert_eq!(world.judge(), NONE);
    world.status("c", Status::Offline);
    assert_eq!(world.judge(), ["fired all"]);
    world.forget("c");
    // One of two is within the band of no rule: 50 % is not above 50 %, and not at 47.5 % either.
    assert_eq!(world.judge(), NONE);
    world.forget("a");
    assert_eq!(world.judge(), ["resolved all"]);
}

#[test]
fn utilisation_of_a_group_is_of_what_its_links_carry_together() {
    let mut world = world("metric = \"utilisation\"\nlabel = \"site=berlin\"\nper = \"all\"\nabove = \"80 %\"\ndirection = \"out\"");
    world.observe_all();
    world.rate("a", 990.0);
    world.rate("b", 600.0);
    world.rate("c", 1_000.0);
    assert_eq!(world.judge(), NONE);
    world.rate("b", 620.0);
    let fired = world.engine.judge(world.now_ms).remove(0).alert;
    assert_eq!((fired.target.id.as_str(), fired.target.name.as_str()), ("label:site=berlin", "label site=berlin"));
    assert_eq!(fired.summary, "upload of the link 80.5 % (limit 80 %)");
}

#[test]
fn a_node_that_moves_takes_its_share_along() {
    let mut world = world("metric = \"rate\"\nper = \"location\"\nabove = \"100 Mbit/s\"");
    world.observe_all();
    world.rate("a", 60.0);
    world.rate("c", 60.0);
    assert_eq!(world.judge(), NONE);
    world.add("a", "Oslo");
    world.rate("a", 60.0);
    assert_eq!(world.judge(), ["fired location=Oslo"]);
    world.add("c", "Berlin");
    world.rate("c", 60.0);
    assert_eq!(world.judge(), ["resolved location=Oslo"]);
    world.forget("a");
    assert_eq!(world.judge(), NONE);
    assert_eq!(world.engine.groups.len(), 1);
}

#[test]
fn a_group_outlives_a_restart() {
    let lines = "metric = \"rate\"\nper = \"location\"\nabove = \"100 Mbit/s\"";
    let file = format!("[[rule]]\nname = \"sum\"\n{lines}\n");
    let mut world = world(lines);
    world.observe_all();
    world.rate("a", 120.0);
    assert_eq!(world.judge(), ["fired location=Berlin"]);
    world.restart(&file, 3_000);
    world.observe("b");
    assert_eq!(world.judge(), NONE);
    world.observe_all();
    assert_eq!(world.judge(), NONE);
    world.rate("a", 1.0);
    assert_eq!(world.judge(), ["resolved location=Berlin"]);
}
