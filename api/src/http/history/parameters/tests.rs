use super::*;

/// 2026-11-29T09:00:00Z
const NOW: i64 = 1_795_942_800_000;

fn node() -> NodeId {
    NodeId::from_name("a").unwrap()
}

fn range(query: &str) -> (i64, i64, Option<u64>) {
    let query = super::of_node(query, node(), NOW).unwrap_or_else(|error| panic!("{query}: {error}"));
    (query.request.from_ms, query.request.to_ms, query.request.step_ms)
}

fn refused(query: &str) -> String {
    match super::of_group(query, NOW) {
        Err(error) => error.to_string(),
        Ok(taken) => panic!("{query}: {taken:?}"),
    }
}

#[test]
fn times_can_be_written_in_many_ways() {
    let hour = HOUR_MS;
    for (query, from_ms, to_ms) in [
        ("", NOW - hour, NOW),
        ("from=-24h", NOW - 24 * hour, NOW),
        ("from=-30d&to=-1d", NOW - 720 * hour, NOW - 24 * hour),
        ("from=-2w&to=now", NOW - 336 * hour, NOW),
        ("from=-90m&to=-5400s", 0, 0),
        ("from=-90m", NOW - 90 * MINUTE_MS, NOW),
        ("to=2026-11-29T08:00:00Z", NOW - 2 * hour, NOW - hour),
        ("from=2026-11-29T09:00:00%2B01:00", NOW - hour, NOW),
        ("from=2026-11-29t03:30:00.250-04:30", NOW - hour + 250, NOW),
        ("from=1795939200000&to=1795942800000", NOW - hour, NOW),
        ("from=0&to=1", 0, 1),
        ("to=60000", 0, 60_000),
        ("from=-1h&to=2026-12-31T24:00:00Z", 0, 0),
        ("from=-1h&to=2027-01-01T00:00:00Z", NOW - hour, NOW + 783 * hour),
        ("from=-1h&_=17", NOW - hour, NOW),
    ] {
        let taken =
            super::of_node(query, node(), NOW).map(|query| (query.request.from_ms, query.request.to_ms));
        assert_eq!(taken.ok(), (to_ms > 0).then_some((from_ms, to_ms)), "{query}");
    }
}

#[test]
fn a_step_is_a_multiple_of_a_minute() {
    for (query, step_ms) in [
        ("", None),
        ("step=auto", None),
        ("step=60s", Some(60_000)),
        ("step=15m", Some(900_000)),
        ("step=1h", Some(3_600_000)),
        ("step=1d", Some(86_400_000)),
        ("step=1w", Some(604_800_000)),
        ("step=120000", Some(120_000)),
        ("step=7m", Some(420_000)),
    ] {
        assert_eq!(range(query).2, step_ms, "{query}");
    }
    for step in
        ["", "0", "0m", "1", "90s", "59999", "-1m", "1.5h", "1y", "15 m", "Auto", "m", "99999999999999999d"]
    {
        let detail = refused(&format!("step={step}"));
        assert!(detail.starts_with("step: must be auto or a multiple of a minute"), "{step}: {detail}");
    }
}

#[test]
fn what_is_no_time_is_refused_with_an_example() {
    for value in [
        "",
        "yesterday",
        "-24",
        "24h",
        "-1y",
        "--1h",
        "-1.5h",
        "-h",
        "+5",
        "1e9",
        "2026-11-29",
        "2026-11-29T09:00:00",
        "2026-02-30T00:00:00Z",
        "2026-11-29T25:00:00Z",
        "2026-11-29T09:00:00+01:00",
        "%E2%88%9224h",
        "NaN",
        "0x10",
    ] {
        let detail = refused(&format!("from={value}"));
        assert!(detail.starts_with("from: must be a time such as 2026-11-29T09:00:00Z"), "{value}: {detail}");
    }
    for value in [
        "-99999d",
        "99999999999999",
        "99999999999999999999999",
        "1969-12-31T23:59:59Z",
        "9999-12-30T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2027-12-01T00:00:00Z",
    ] {
        assert_eq!(
            refused(&format!("to={value}")),
            "to: must lie between 1970 and a year from now",
            "{value}"
        );
    }
}

#[test]
fn a_range_ends_after_it_begins_and_has_few_enough_steps() {
    assert_eq!(refused("from=now"), "from: must lie before to, which is now unless given");
    assert_eq!(refused("from=-1h&to=-1h"), "from: must lie before to");
    assert_eq!(refused("from=-1h&to=-2h"), "from: must lie before to");
    assert_eq!(refused("to=0"), "to: must lie after 1970");
    // Minutes begin at whole ones: 20,000 and a half touch 20,001.
    assert_eq!(range("from=-20000m&step=1m").2, Some(60_000));
    let detail = refused("from=-20001m&step=1m");
    assert!(
        detail.starts_with("step: the range has 20001 of these steps, and 20000 are the most"),
        "{detail}"
    );
    assert!(refused("from=-1199970s&to=2026-11-29T09:00:30Z&step=1m").contains("20001"));
    assert_eq!(range("from=0&step=auto").0, 0);
}

#[test]
fn a_group_is_the_fleet_or_has_a_key() {
    let of = |query: &str| super::of_group(query, NOW).unwrap().request.of;
    assert_eq!(of(""), HistorySeries::Fleet);
    assert_eq!(of("by=fleet"), HistorySeries::Fleet);
    assert_eq!(
        of("by=location&key=Frankfurt%20am+Main"),
        HistorySeries::Location("Frankfurt am Main".to_owned())
    );
    assert_eq!(of("key=%E9%98%BF&by=provider"), HistorySeries::Provider("阿".to_owned()));
    assert_eq!(of("by=label:a:b&key="), HistorySeries::Label("a:b".to_owned(), String::new()));
    for by in ["", "label", "label:", "node", "Fleet", "name"] {
        assert_eq!(refused(&format!("by={by}&key=x")), "by: must be fleet, location, provider or label:NAME");
    }
    assert!(refused("by=location").starts_with("key: is missing"));
    assert!(refused("key=x").starts_with("key: goes with by=location"));
    assert!(refused("by=fleet&key=").starts_with("key: goes with by=location"));
    assert_eq!(refused("by=location&key=%FF"), "the query is not UTF-8");
}

#[test]
fn parameters_are_known_and_given_once() {
    assert_eq!(refused("x=1"), "x: no such parameter; there are by, key, from, to, step and format");
    assert_eq!(refused("from=-1h&from=-1h"), "from: given twice");
    assert_eq!(refused("format=xml"), "format: must be json or csv");
    let of_node = super::of_node("by=fleet", node(), NOW).unwrap_err().to_string();
    assert_eq!(of_node, "by: no such parameter; there are from, to, step, columns and format");
    let top = super::top("step=1h", NOW).unwrap_err().to_string();
    assert_eq!(top, "step: no such parameter; there are by, from, to, limit and format");
}

#[test]
fn columns_are_named_one_by_one_or_by_what_they_tell() {
    let asked =
        |query: &str| super::of_node(query, node(), NOW).map(|query| (query.request.host, query.columns));
    assert_eq!(asked("from=-1h").unwrap(), (false, None));
    assert_eq!(asked("columns=rx_bytes,covered_ms").unwrap(), (false, Some(vec!["rx_bytes", "covered_ms"])));
    assert_eq!(asked("columns=host").unwrap(), (true, Some(HOST_COLUMNS.to_vec())));
    let (is_of_host, all) = asked("columns=traffic,cpu_percent").unwrap();
    assert!(is_of_host && all.unwrap().len() == 12);
    for wrong in ["", "cpu", "host,", "rx_bytes;tx_bytes", "Host"] {
        let said = asked(&format!("columns={wrong}")).unwrap_err().to_string();
        let expected = "columns: must be traffic, host, or columns separated by commas: rx_bytes, tx_bytes, ";
        assert!(said.starts_with(expected) && said.ends_with(", load_1_max"), "{said}");
    }
    assert_eq!(
        refused("columns=host"),
        "columns: goes with /api/nodes/NAME/history: groups have the columns of traffic alone"
    );
}

#[test]
fn a_top_has_an_order_and_a_limit() {
    let top =
        |query: &str| super::top(query, NOW).map(|query| query.request).map_err(|error| error.to_string());
    let hour = TopRequest { by: TopBy::Sum, from_ms: NOW - HOUR_MS, to_ms: NOW, limit: 10 };
    assert_eq!(top(""), Ok(hour.clone()));
    assert_eq!(top("by=rx&limit=1000"), Ok(TopRequest { by: TopBy::Rx, limit: 1_000, ..hour.clone() }));
    assert_eq!(top("by=tx&limit=1&format=csv"), Ok(TopRequest { by: TopBy::Tx, limit: 1, ..hour }));
    assert_eq!(top("by=cpu"), Err("by: must be rx, tx or sum".to_owned()));
    for limit in ["0", "1001", "-1", "", "x", "1.5", "99999999999999999999"] {
        let refused = Err("limit: must be a whole number from 1 to 1000".to_owned());
        assert_eq!(top(&format!("limit={limit}")), refused, "{limit}");
    }
}
