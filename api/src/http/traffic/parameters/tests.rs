use super::*;

const NOW_MS: i64 = 1_795_944_000_000;

fn plans() -> Plans {
    let text = "time_zone = \"Asia/Tokyo\"\n[[plan]]\nname = \"transit\"\nlabel = \"site=fra\"\np95 = true\n";
    Plans::parse(text).unwrap()
}

fn asked(query: &str) -> TrafficQuery {
    read(query, &plans(), NOW_MS).unwrap_or_else(|error| panic!("{query}: {error}"))
}

#[test]
fn without_parameters_it_is_the_fleet_s_last_twelve_months() {
    let TrafficQuery { plan, is_declared, periods, format } = asked("");
    assert_eq!(
        (plan.scope, plan.schedule.text(), plan.zone.name()),
        (Scope::Fleet, "month".to_owned(), "Asia/Tokyo")
    );
    assert_eq!((is_declared, periods, format), (false, 12, None));
    assert_eq!((asked("cycle=hour").periods, asked("cycle=day").periods), (24, 30));
    assert_eq!(asked("cycle=rolling-24h").periods, 1);
}

#[test]
fn each_parameter_has_its_effect() {
    let query = "node=web-01&cycle=2+weeks&anchor=2026-01-31+22:30&tz=Europe/Zurich&periods=3&direction=out&\
                 quota=1+TiB&p95=true&commit=200+Mbit/s&format=csv";
    let TrafficQuery { plan, periods, format, .. } = asked(query);
    assert_eq!(
        (plan.scope, plan.schedule.text()),
        (Scope::Nodes(vec!["web-01".to_owned()]), "2 weeks".to_owned())
    );
    assert_eq!((plan.zone.name(), periods, plan.direction), ("Europe/Zurich", 3, Some(Direction::Out)));
    assert_eq!(plan.quota.map(|(quota, unit)| (quota.bytes, unit.name())), Some((1 << 40, "TiB")));
    assert_eq!(
        (plan.p95, plan.commit.map(|rate| rate.bps), format),
        (true, Some(25_000_000), Some(Format::Csv))
    );
    assert_eq!(asked("by=label:site&key=fra").plan.scope, Scope::Label("site".to_owned(), "fra".to_owned()));
    let declared = asked("plan=transit&periods=1");
    assert_eq!((declared.is_declared, declared.plan.p95, declared.periods), (true, true, 1));
}

#[test]
fn what_is_wrong_is_said_by_its_name() {
    for (query, said) in [
        ("zone=UTC", "zone: no such parameter; there are node, by"),
        ("tz=Mars", "tz: Mars is no time zone"),
        ("cycle=moon", "cycle: must be hour, day"),
        ("anchor=17", "anchor: must be a date"),
        ("cycle=rolling-7d&anchor=2026-01-01", "anchor: a window that moves has none"),
        ("periods=0", "periods: must be a whole number from 1 to 400"),
        ("periods=401", "periods: must be"),
        ("direction=up", "direction: must be both, larger"),
        ("quota=1", "quota: must be an amount"),
        ("quota=-1+TB", "quota: is less than none"),
        ("commit=1+Gbit/s", "commit: is of no use"),
        ("commit=1&p95=true", "commit: must be a rate"),
        ("p95=95", "p95: must be true or false"),
        ("node=a&by=fleet", "node: cannot be given with by or key"),
        ("by=location", "key: is missing"),
        ("plan=transit&tz=UTC", "tz: cannot be given with plan"),
        ("node=a&node=b", "node: given twice"),
        ("format=xml", "format: must be json or csv"),
    ] {
        let error = read(query, &plans(), NOW_MS).unwrap_err();
        assert!(matches!(&error, ApiError::Query(detail) if detail.starts_with(said)), "{query}: {error}");
    }
    assert!(
        matches!(read("plan=x", &plans(), NOW_MS), Err(ApiError::NotFound(name)) if name == "plan named x")
    );
}
