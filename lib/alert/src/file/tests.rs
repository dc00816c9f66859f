use super::*;

fn parse(text: &str) -> String {
    AlertFile::parse(text).map_or_else(|error| error.to_string(), |file| file.rules.words().join("; "))
}

/// A rule that is complete but for these lines, which begin on line 3.
fn rule(lines: &str) -> String {
    parse(&format!("[[rule]]\nname = \"r\"\n{lines}"))
}

#[test]
fn a_rule_is_what_it_says() {
    for (lines, words) in [
        ("metric = \"offline\"", "r: offline of any node (warning)"),
        (
            "metric = \"rate\"\ndirection = \"in\"\nabove = \"80 %\"\nfor = \"5m\"",
            "r: download of the link (mean of 10 s) above 80 % of any node for 5 min (warning, over at 76 %)",
        ),
        (
            "metric = \"rate\"\nper = \"label:site\"\nabove = \"2 Gbit/s\"\nclear = \"1.5 Gbit/s\"\nwindow = \"6h\"\naggregate = \"max\"",
            "r: traffic (highest of 6 h) above 2 Gbit/s of the nodes of any label:site together (warning, over at 1.5 Gbit/s)",
        ),
        (
            "metric = \"no_traffic\"\nlabel = \"role=web\"\nfor = \"5m\"\nseverity = \"critical\"\nno_data = \"fire\"\nrepeat = \"30m doubling\"",
            "r: no traffic (mean of 10 s) of any node of label role=web for 5 min (critical, fires without data, again after 30 min, then at twice the distance)",
        ),
        (
            "metric = \"drops\"\ndirection = \"out\"\nat_least = 5\nnodes = [\"b\", \"A\"]",
            "r: Send drops within 5 min at least 5 of any node of A or b (warning, over at 4.75)",
        ),
        (
            "metric = \"offline\"\nkeep_firing_for = \"1m\"",
            "r: offline of any node (warning, fires on for 1 min)",
        ),
        (
            "metric = \"round_trip\"\nabove = \"250 ms\"",
            "r: Round trip, 99 % above 250 ms of any node (warning, over at 238 ms)",
        ),
        (
            "metric = \"loss\"\nabove = \"5 %\"",
            "r: Reports lost above 5 % of any node (warning, over at 4.75 %)",
        ),
        (
            "metric = \"offline\"\nper = \"all\"\nabove = \"50 %\"\nlocation = \"Berlin\"",
            "r: offline above 50 % of the nodes of location Berlin together (warning, over at 47.5 %)",
        ),
    ] {
        assert_eq!(rule(lines), words, "{lines}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (lines, place, words) in [
        ("metric = \"ofline\"", "line 3, column 10", "metric: must be one of offline"),
        ("metric = \"broker\"", "line 3, column 10", "a [heartbeat] can tell"),
        ("metric = \"quota\"\nnode = \"a\"", "line 4, column 8", "which is not about nodes"),
        ("metric = \"forecast\"\nwindow = \"1h\"", "line 4, column 10", "window: is for rates"),
        ("metric = \"p95\"\nabove = \"90 %\"", "line 4, column 9", "above: must be a rate with a unit"),
        ("metric = \"rate\"", "line 1, column 1", "needs above, at_least, below or at_most"),
        ("metric = \"rate\"\nabove = 900", "line 4, column 9", "above: must be a rate with a unit"),
        (
            "metric = \"rate\"\nabove = \"1 Mbit/s\"\nbelow = \"2 Mbit/s\"",
            "line 5, column 9",
            "below: a rule has only one",
        ),
        (
            "metric = \"rate\"\nabove = \"1 Mbit/s\"\nclear = \"2 Mbit/s\"",
            "line 5, column 9",
            "clear: must not be above",
        ),
        (
            "metric = \"rate\"\nabove = \"1 Mbit/s\"\nwindow = \"30s\"",
            "line 5, column 10",
            "window: must be now, 10s",
        ),
        ("metric = \"rate\"\nabove = \"1 Mbit/s\"\nwindow = \"25h\"", "line 5, column 10", "from 1 s to 1 d"),
        (
            "metric = \"rate\"\nabove = \"1 Mbit/s\"\nfor = \"5 minutes\"",
            "line 5, column 7",
            "for: must be a time such as",
        ),
        (
            "metric = \"rate\"\nabove = \"1 Mbit/s\"\nfor = \"31d\"",
            "line 5, column 7",
            "for: must be a time such as",
        ),
        (
            "metric = \"rate\"\nabove = \"1 Mbit/s\"\nrepeat = \"1s\"",
            "line 5, column 10",
            "repeat: must be off",
        ),
        (
            "metric = \"cpu_percent\"\nabove = \"9 %\"\nwindow = \"1m\"",
            "line 5, column 10",
            "window: is for rates",
        ),
        (
            "metric = \"cpu_percent\"\nabove = \"9 %\"\ndirection = \"in\"",
            "line 5, column 13",
            "direction: is of no use",
        ),
        ("metric = \"broker\"\nnode = \"a\"", "line 4, column 8", "not about nodes"),
        ("metric = \"offline\"\nplan = \"a\"", "line 4, column 8", "not about plans"),
        ("metric = \"offline\"\nper = \"place\"", "line 4, column 7", "per: must be node, location"),
        ("metric = \"offline\"\nper = \"location\"", "line 1, column 1", "needs above"),
        ("metric = \"offline\"\nlabel = \"a\"", "line 4, column 9", "label: must be NAME=VALUE"),
        ("metric = \"offline\"\nnodes = [\"a\", \"A\"]", "line 4, column 9", "different names"),
        ("metric = \"offline\"\nseverity = \"bad\"", "line 4, column 12", "severity: must be info"),
        ("metric = \"offline\"\ndepends_on = [\"x\"]", "line 4, column 14", "there is no rule x"),
        ("metric = \"offline\"\ndepends_on = [\"r\"]", "line 4, column 14", "would depend on itself"),
        (
            "metric = \"offline\"\ntreshold = 1",
            "line 4, column 1",
            "unknown field `treshold`, expected one of `name`, `metric`",
        ),
        (
            "metric = \"offline\"\n[[rule]]\nname = \"r\"\nmetric = \"broker\"",
            "line 5, column 8",
            "another rule r",
        ),
        (
            "metric = \"offline\"\n[[quiet]]\nfrom = \"22:00\"\nto = \"7\"",
            "line 6, column 6",
            "to: must be a time of day",
        ),
        (
            "metric = \"offline\"\n[[maintenance]]\nfrom = \"22:00\"\nto = 2026-01-01",
            "line 5, column 8",
            "from: must be a moment",
        ),
        (
            "metric = \"offline\"\n[[maintenance]]\nfrom = 2026-01-02\nto = 2026-01-01",
            "line 6, column 6",
            "to: must be later",
        ),
    ] {
        let error = rule(lines);
        assert!(error.starts_with(&format!("{place}:")) && error.contains(words), "{lines}\n{error}");
    }
}

#[test]
fn circles_of_rules_are_refused() {
    let one = |name: &str, other: &str| {
        format!("[[rule]]\nname = \"{name}\"\nmetric = \"offline\"\ndepends_on = [\"{other}\"]\n")
    };
    let circle = [one("a", "b"), one("b", "c"), one("c", "a")].concat();
    assert_eq!(parse(&circle), "line 12, column 14: depends_on: rule c would depend on itself");
    let chain =
        [one("a", "b"), one("b", "c"), "[[rule]]\nname = \"c\"\nmetric = \"offline\"\n".to_owned()].concat();
    assert!(parse(&chain).ends_with("c: offline of any node (warning)"));
}

#[test]
fn a_file_has_at_most_a_thousand_rules() {
    let rules = |count: usize| -> String {
        (0..count).map(|number| format!("[[rule]]\nname = \"{number}\"\nmetric = \"offline\"\n")).collect()
    };
    assert_eq!(AlertFile::parse(&rules(1_000)).unwrap().rules.iter().count(), 1_000);
    assert!(parse(&rules(1_001)).ends_with("there are more than 1000 rules"));
}

#[test]
fn a_file_without_rules_has_none_and_no_file_has_one() {
    assert_eq!(AlertFile::parse("").unwrap().rules, Rules::none());
    assert_eq!(AlertFile::default().rules.words(), ["offline: offline of any node (warning)"]);
    assert_eq!(
        parse("[[rule]]\nname = \"offline\"\nmetric = \"offline\""),
        AlertFile::default().rules.words()[0]
    );
}

#[test]
fn the_examples_of_the_documentation_are_read() {
    let text = include_str!("../../../../docs/alerts.md");
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 4, "{}", examples.len());
    for example in examples {
        AlertFile::parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
    // Every key and metric has its place in the text.
    for name in [
        "keep_firing_for",
        "no_data",
        "group_by",
        "depends_on",
        "worker_silence",
        "agent_version",
        "forecast",
    ] {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
}
