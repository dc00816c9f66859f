//! Alerts about what is gone: none of them fires for ever.

use super::{super::*, plans::plan, *};

const NONE: [&str; 0] = [];

fn rule(name: &str, lines: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\n{lines}\n")
}

fn lag(lines: &str) -> String {
    rule("lag", &format!("metric = \"worker_lag\"\nabove = \"10s\"\n{lines}"))
}

impl World {
    /// Partitions lag by a minute. Returns what changed, and why it ended.
    fn see_partitions(&mut self, count: u16) -> Vec<(String, Option<Ending>)> {
        let partition =
            |partition| PartitionFacts { partition, lag_ms: Some(60_000), ..PartitionFacts::default() };
        let partitions = (0..count).map(partition).collect();
        let facts = SystemFacts { is_broker_reached: true, partitions };
        self.engine.observe_system(self.now_ms, &facts);
        let said = self.engine.judge(self.now_ms);
        said.iter().map(|transition| (words(transition), transition.ending)).collect()
    }

    fn see_plans(&mut self, plans: &[PlanFacts]) -> Vec<(String, Option<Ending>)> {
        self.engine.observe_plans(self.now_ms, plans);
        let said = self.engine.judge(self.now_ms);
        said.iter().map(|transition| (words(transition), transition.ending)).collect()
    }
}

/// A plan that has used 95 % of its quota.
fn nearly_used(name: &str, now_ms: i64) -> PlanFacts {
    let standing = PlanStanding { counted_ms: now_ms, percent: Some(95.0), ..PlanStanding::default() };
    PlanFacts { standing: Some(standing), ..plan(name, now_ms) }
}

#[test]
fn partitions_that_are_gone_after_the_fleet_was_divided_again_lag_no_more() {
    for file in [lag(""), lag("no_data = \"keep\"")] {
        let mut world = World::new(&file);
        assert_eq!(world.see_partitions(4).len(), 4);
        world.restart(&file, 30_000);
        let gone = ["resolved 2", "resolved 3"].map(|said| (said.to_owned(), Some(Ending::Forgotten)));
        assert_eq!(world.see_partitions(2), gone, "{file}");
        assert_eq!(world.see_partitions(2), []);
        assert_eq!(world.engine.counts().firing, 2);
        // They are there again, and fire again.
        let again = ["fired 2", "fired 3"].map(|said| (said.to_owned(), None));
        assert_eq!(world.see_partitions(4), again);
    }
}

#[test]
fn a_partition_that_is_gone_ends_also_where_no_rule_is_about_partitions() {
    let mut world = World::new(&lag(""));
    assert_eq!(world.see_partitions(1).len(), 1);
    // The rule measures something else now, and it was changed while nobody judged.
    world.restart(&rule("lag", "metric = \"offline\""), 30_000);
    world.observe_all();
    assert_eq!(world.see_partitions(1), [("resolved 0".to_owned(), Some(Ending::Forgotten))]);
    assert_eq!(world.engine.counts().firing, 0);
}

#[test]
fn what_is_held_back_ends_too_when_its_partition_is_gone() {
    let file = format!("{}{}", lag("for = \"1m\""), rule("away", "metric = \"offline\""));
    let mut world = World::new(&file);
    assert_eq!(world.see_partitions(4), []);
    assert_eq!(world.engine.counts().pending, 4);
    assert_eq!(world.see_partitions(3), []);
    assert_eq!(world.engine.counts().pending, 3);
}

#[test]
fn plans_and_thresholds_that_are_gone_are_over() {
    let file = rule("quota", "metric = \"quota\"");
    let mut world = World::new(&file);
    let both = [nearly_used("a", world.now_ms), nearly_used("b", world.now_ms)];
    assert_eq!(world.see_plans(&both).len(), 4);
    let ended = |id: &str| (format!("resolved {id}"), Some(Ending::Forgotten));
    // A threshold is removed; then a plan, while nobody judges; then the other has no quota any more.
    let mut fewer = nearly_used("a", world.now_ms);
    fewer.thresholds = Some(vec![90]);
    assert_eq!(world.see_plans(&[fewer.clone(), both[1].clone()]), [ended("a@80")]);
    world.restart(&file, 30_000);
    assert_eq!(world.see_plans(&[fewer.clone()]), [ended("b@80"), ended("b@90")]);
    fewer.thresholds = None;
    assert_eq!(world.see_plans(&[fewer]), [ended("a@90")]);
    assert_eq!(world.see_plans(&[]), []);
    assert_eq!(world.engine.counts().firing, 0);
}

#[test]
fn alerts_about_plans_end_with_their_rule() {
    let quota =
        |plan: &str| rule("quota", &format!("metric = \"quota\"\nat_least = \"90 %\"\nplan = \"{plan}\""));
    let mut world = World::new(&quota("a"));
    let both = [nearly_used("a", world.now_ms), nearly_used("b", world.now_ms)];
    assert_eq!(world.see_plans(&both), [("fired a".to_owned(), None)]);
    // The rule is about another plan now.
    world.engine.reload(world.now_ms, rules(&quota("b")));
    let said = world.see_plans(&both);
    assert!(said.contains(&("fired b".to_owned(), None)), "{said:?}");
    assert!(said.contains(&("resolved a".to_owned(), Some(Ending::Forgotten))), "{said:?}");
    // It is removed while nobody judges.
    world.restart(&rule("other", "metric = \"offline\""), 30_000);
    assert_eq!(world.see_plans(&both), [("resolved b".to_owned(), Some(Ending::RuleGone))]);
    assert_eq!(world.engine.counts().firing, 0);
}

#[test]
fn another_rule_of_a_plan_goes_on_when_one_is_about_it_no_more() {
    let quota = |name: &str, plan: &str| {
        rule(name, &format!("metric = \"quota\"\nat_least = \"90 %\"\nplan = \"{plan}\""))
    };
    let mut world = World::new(&format!("{}{}", quota("one", "a"), quota("two", "a")));
    let both = [nearly_used("a", world.now_ms), nearly_used("b", world.now_ms)];
    assert_eq!(world.see_plans(&both).len(), 2);
    world.engine.reload(world.now_ms, rules(&format!("{}{}", quota("one", "a"), quota("two", "b"))));
    let said = world.see_plans(&both);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.contains(&("resolved a".to_owned(), Some(Ending::RuleGone))), "{said:?}");
    assert_eq!(world.engine.counts().firing, 2);
}

#[test]
fn nodes_and_rules_that_are_gone_while_nobody_judges_are_over() {
    let mut world =
        World::new(&format!("{}{}", offline(""), offline("").replace("\"offline\"\nm", "\"two\"\nm")));
    world.add("a", "Berlin");
    world.add("b", "Berlin");
    world.status("a", Status::Offline);
    world.status("b", Status::Offline);
    assert_eq!(world.judge().len(), 4);
    world.restart(&offline(""), 30_000);
    // Rule two is gone, and so is node b.
    let over = world.engine.judge(world.now_ms);
    assert_eq!(over.iter().map(words).collect::<Vec<_>>(), ["resolved a", "resolved b"]);
    assert!(over.iter().all(|one| one.alert.rule == "two" && one.ending == Some(Ending::RuleGone)));
    assert!(over[0].alert.summary.ends_with(" · no rule is about it any more"), "{}", over[0].alert.summary);
    world.observe("a");
    world.engine.complete(world.now_ms);
    let over = world.engine.judge(world.now_ms);
    assert_eq!(over.iter().map(words).collect::<Vec<_>>(), ["resolved b"]);
    assert!(over[0].alert.summary.ends_with(" · it no longer exists"), "{}", over[0].alert.summary);
    assert_eq!(world.judge(), NONE);
}
