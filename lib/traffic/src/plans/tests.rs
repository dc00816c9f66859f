use super::*;
use crate::{Period, Schedule};

const WHOLE: &str = r#"
time_zone = "Europe/Zurich"

[[plan]]
name = "web-01 at its provider"
node = "web-01"
anchor = 2026-01-31
quota = "20 TB"
direction = "out"
thresholds = [50, 100]
[[plan.correction]]
at = "2026-11-05"
amount = "-120 GB"

[[plan]]
name = "transit"
label = "site=fra"
time_zone = "UTC"
p95 = true
commit = "200 Mbit/s"

[[plan]]
name = "netcup"
nodes = ["b", "a"]
cycle = "rolling 24h"
quota = "1 TiB"
"#;

fn parse(text: &str) -> String {
    Plans::parse(text).map_or_else(|error| error.to_string(), |plans| format!("{} plans", plans.plans.len()))
}

/// A plan that is complete but for these lines.
fn with(lines: &str) -> String {
    parse(&format!("[[plan]]\nname = \"p\"\nfleet = true\n{lines}"))
}

fn ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[test]
fn a_file_declares_quotas_and_percentiles() {
    let plans = Plans::parse(WHOLE).unwrap();
    let [web, transit, netcup] = &plans.plans[..] else { panic!("{plans:?}") };
    assert_eq!(
        (&web.scope, web.quota_direction()),
        (&Scope::Nodes(vec!["web-01".to_owned()]), Direction::Out)
    );
    let (quota, unit) = web.quota.as_ref().unwrap();
    assert_eq!((quota.bytes, quota.thresholds(), unit.name()), (20_000_000_000_000, &[50, 100][..], "TB"));
    let period = web.schedule.last(1, ms("2026-11-15T00:00:00Z"))[0];
    assert_eq!(period, Period { from_ms: ms("2026-10-30T23:00:00Z"), to_ms: ms("2026-11-29T23:00:00Z") });
    // A correction counts in the cycle in which its moment lies.
    assert_eq!(web.correction(period), -120_000_000_000);
    assert_eq!(web.correction(Period { from_ms: period.to_ms, to_ms: i64::MAX }), 0);
    assert_eq!((transit.p95, transit.p95_direction()), (true, Direction::Larger));
    assert_eq!(
        (transit.zone.name(), transit.commit.as_ref().map(|rate| rate.bps)),
        ("UTC", Some(25_000_000))
    );
    assert_eq!(
        (netcup.quota_direction(), netcup.schedule.text()),
        (Direction::Both, "rolling 24h".to_owned())
    );
    assert!(matches!(&netcup.schedule, Schedule::Rolling { hours } if hours.get() == 24));
    assert_eq!(netcup.scope.to_string(), "a, b");
    assert_eq!(plans.named("transit"), Some(transit));
    assert_eq!(Plans::parse(""), Ok(Plans::none()));
}

#[test]
fn an_anchor_with_an_offset_is_what_clocks_of_the_zone_show_then() {
    let plan = |anchor: &str| {
        let text = format!(
            "[[plan]]\nname = \"p\"\nfleet = true\nquota = \"1 B\"\ntime_zone = \"Asia/Tokyo\"\n{anchor}"
        );
        Plans::parse(&text).unwrap().plans.remove(0).schedule
    };
    let shown = plan("anchor = \"2026-01-10 22:30\"");
    for same in [
        "anchor = 2026-01-10T22:30:00",
        "anchor = 2026-01-10T13:30:00Z",
        "anchor = \"2026-01-10T14:30+01:00\"",
    ] {
        assert_eq!(plan(same), shown, "{same}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_column() {
    for (said, wrong) in [
        (parse("time_zone = \"Mars\""), "line 1, column 13: time_zone: Mars is no time zone"),
        (parse("\n  time_zone = 5"), "line 2, column 15: invalid type: integer `5`"),
        (parse("[[plan]\n"), "line 1, column 8: "),
        (parse("[[plan]]\nfleet = true"), "line 1, column 1: missing field `name`"),
        (with("quotas = \"1 TB\""), "line 4, column 1: unknown field `quotas`"),
        (with(""), "line 2, column 8: plan p has neither a quota nor p95 = true"),
        (with("quota = \"1 tb\""), "line 4, column 9: quota: must be an amount with a unit"),
        (with("quota = \"-1 TB\""), "line 4, column 9: quota: is less than none"),
        (with("quota = \"1 TB\"\nthresholds = [0]"), "line 5, column 14: thresholds: must be up to 20"),
        (with("p95 = true\nthresholds = [80]"), "line 5, column 14: thresholds: are of no use"),
        (with("quota = \"1 TB\"\ncommit = \"1 Mbit/s\""), "line 5, column 10: commit: is of no use"),
        (with("p95 = true\ncommit = \"1 TB\""), "line 5, column 10: commit: must be a rate"),
        (
            with("p95 = true\ncorrection = [{ at = \"2026-01-01\", amount = \"1 B\" }]"),
            "line 5, column 45: correction: ",
        ),
        (with("quota = \"1 TB\"\ndirection = \"up\""), "line 5, column 13: direction: must be both, "),
        (with("quota = \"1 TB\"\ncycle = \"moon\""), "line 5, column 9: cycle: must be hour, day"),
        (with("quota = \"1 TB\"\ncycle = \"rolling 40d\""), "line 5, column 9: cycle: must be hour, day"),
        (
            with("quota = \"1 TB\"\ncycle = \"rolling 1d\"\nanchor = 2026-01-01"),
            "line 6, column 10: anchor: ",
        ),
        (with("quota = \"1 TB\"\nanchor = \"31\""), "line 5, column 10: anchor: must be a date"),
        (with("quota = \"1 TB\"\nanchor = 2026-02-30"), "line 5, column 10: "),
        (with("quota = \"1 TB\"\nanchor = 2026-01-01T00:00:30"), "line 5, column 10: anchor: "),
        (with("node = \"a\"\nquota = \"1 TB\""), "line 4, column 8: a plan has only one of "),
        (parse("[[plan]]\nname = \"p\"\nquota = \"1 B\""), "line 1, column 1: a plan must say whose"),
        (
            parse("[[plan]]\nname = \"p\"\nlabel = \"fra\"\nquota = \"1 B\""),
            "line 3, column 9: label: must be NAME",
        ),
        (
            parse("[[plan]]\nname = \"p\"\nnodes = [\"a\", \"a\"]\nquota = \"1 B\""),
            "line 3, column 9: nodes: ",
        ),
        (parse("[[plan]]\nname = \"\"\nfleet = true\nquota = \"1 B\""), "line 2, column 8: name: must have"),
        (
            parse(
                "[[plan]]\nname = \"p\"\nfleet = true\nquota = \"1 B\"\n[[plan]]\nname = \"p\"\nnode = \"a\"\np95 = true",
            ),
            "line 6, column 8: name: there is another plan p",
        ),
    ] {
        assert!(said.starts_with(wrong), "{said:?} is not {wrong:?}");
        assert!(!said.contains('\n'), "{said:?}");
    }
}

#[test]
fn the_example_of_the_documents_is_a_file() {
    let document = include_str!("../../../../docs/traffic.md");
    let (_, rest) = document.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let plans = Plans::parse(example).unwrap();
    let names: Vec<&str> = plans.plans.iter().map(|plan| &*plan.name).collect();
    assert_eq!(names, ["web-01 at its provider", "transit", "fair use"]);
    assert_eq!(plans.plans[0].corrections.len(), 1);
}
