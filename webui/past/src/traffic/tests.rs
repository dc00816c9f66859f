use serde_json::{Value as Json, json};

use super::*;

fn answer(period: &Json) -> Json {
    json!({
        "plan": "p", "of": "web-01", "cycle": "month", "time_zone": "Europe/Zurich", "direction": "out",
        "quota_bytes": 1_000_000_000_000_u64, "quota_unit": "TB", "periods": [
            {"from": "2026-04-01T00:00:00+02:00", "to": "2026-05-01T00:00:00+02:00", "to_ms": 1_777_586_400_000_i64,
             "partial": false, "rx_bytes": null, "tx_bytes": null, "counted_bytes": null, "forecast_bytes": null,
             "quota": null, "p95": null},
            period,
        ],
    })
}

fn may(percent: f64, threshold: Option<u16>) -> Json {
    json!({
        "from": "2026-05-01T00:00:00+02:00", "to": "2026-06-01T00:00:00+02:00", "to_ms": 1_780_264_800_000_i64,
        "partial": true, "rx_bytes": 5, "tx_bytes": 735_000_000_000_u64, "counted_bytes": 730_000_000_000_u64,
        "forecast_bytes": 1, "quota": {"used_bytes": 735_000_000_000_u64, "percent": percent,
        "threshold": threshold, "forecast_bytes": 787_000_000_000_u64},
        "p95": null,
    })
}

fn plan(period: &Json) -> Plan {
    let text = json!({"plans": [{"name": "p", "present": answer(period)}], "warning": null}).to_string();
    let (mut plans, warning) = Plan::list(&text).unwrap();
    assert_eq!((plans.len(), warning), (1, None));
    plans.remove(0)
}

#[test]
fn a_quota_is_shown_in_words_and_turns_only_when_it_is_used_up() {
    for (percent, threshold, is_over, text) in [
        (73.9, None, false, "735 GB of 1.00 TB, 73 %"),
        (89.99, Some(80), false, "735 GB of 1.00 TB, 89 %, over 80 %"),
        (99.99, Some(90), false, "735 GB of 1.00 TB, 99 %, over 90 %"),
        (100.0, Some(100), true, "735 GB of 1.00 TB, 100 %, used up"),
        (250.0, Some(100), true, "735 GB of 1.00 TB, 250 %, used up"),
    ] {
        let bar = plan(&may(percent, threshold)).bar().unwrap();
        assert_eq!((bar.is_over, &*bar.text, bar.part), (is_over, text, percent.min(100.0)));
    }
}

#[test]
fn a_plan_says_what_is_billed_and_when_it_begins_again() {
    let plan = plan(&may(74.0, None));
    assert_eq!((plan.billed(), plan.forecast()), ("735 GB out".to_owned(), "787 GB".to_owned()));
    let now_ms = 1_780_264_800_000 - (6 * 24 + 4) * 3_600_000;
    let resets = plan.resets(now_ms).unwrap();
    assert_eq!((&*resets.0, &*resets.1), ("in 6 d 4 h", "1 Jun 00:00 Europe/Zurich"));
    assert_eq!(plan.resets(1_780_264_800_000), None, "it is over");
    let rolling = Plan { cycle: "rolling 24h".to_owned(), ..plan.clone() };
    assert_eq!(rolling.resets(now_ms), None);
    let period = Period { billed_bps: Some(25_000_000.0), ..Period::default() };
    let transit = Plan { period: Some(period), quota_bytes: None, ..plan };
    assert_eq!((transit.billed(), transit.bar()), ("200 Mbit/s (p95)".to_owned(), None));
    assert_eq!(Plan::default().billed(), "–");
}

#[test]
fn a_month_before_is_the_cycle_that_begins_in_it() {
    let text = answer(&may(74.0, None)).to_string();
    let month = |month| Plan::of_month(&text, calendar::month_from(month).unwrap()).unwrap();
    assert_eq!(month("2026-05").period.unwrap().used, Some(735e9));
    assert_eq!(month("2026-04").period.unwrap().used, None);
    assert_eq!(month("2026-03").period, None);
    assert_eq!(month("2026-03").url(true), "api/traffic?plan=p&periods=13&format=csv");
}

#[test]
fn what_uses_most_comes_first_and_what_has_no_quota_last() {
    let of = |name: &str, percent, forecast| Plan {
        name: name.to_owned(),
        quota_bytes: Some(100.0),
        period: Some(Period { percent: Some(percent), forecast, ..Period::default() }),
        ..Plan::default()
    };
    let without = Plan { name: "none".to_owned(), ..Plan::default() };
    let mut plans = [without, of("a", 10.0, Some(90.0)), of("b", 20.0, Some(30.0)), of("c", 15.0, None)];
    let mut names = |by_forecast| {
        order(&mut plans, by_forecast);
        plans.iter().map(|plan| plan.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(false), ["b", "c", "a", "none"]);
    assert_eq!(names(true), ["a", "b", "c", "none"]);
}

#[test]
fn choices_are_in_the_address() {
    let present = calendar::month_from("2026-11").unwrap();
    let parsed = |query: &str| Wanted::parse(query, present);
    assert_eq!(parsed("?view=summary&month=2026-10"), None);
    assert_eq!(parsed("?view=traffic"), Some(Wanted::default()));
    for wrong in ["2026-11", "2027-01", "2026", "2026-13", "x-1"] {
        assert_eq!(parsed(&["?view=traffic&month=", wrong].concat()), Some(Wanted::default()), "{wrong}");
    }
    let wanted = parsed("?view=traffic&month=2026-10&rank=forecast").unwrap();
    assert!(wanted.by_forecast && wanted.month == Some(present - 1));
    let query = wanted.query("?view=traffic&unit=auto&month=2026-09");
    assert_eq!(query, "?view=traffic&unit=auto&month=2026-10&rank=forecast");
    assert_eq!(Wanted::default().query(&query), "?view=traffic&unit=auto");
    assert_eq!(calendar::month_title(present), "Nov 2026");
    assert_eq!(calendar::month_begin(present, &|_| 60), 1_793_487_600_000);
}

#[test]
fn a_plan_covers_who_is_named_and_who_is_in_its_group() {
    let answer =
        r#"{"name": "a", "location": "Oslo", "provider": null, "labels": {"site": "fra", "x": "a=b"}}"#;
    let groups = groups(answer).unwrap();
    assert_eq!(groups, ["location Oslo", "label site=fra", "label x=a=b"]);
    let covers = |of: &str| Plan { of: of.to_owned(), ..Plan::default() }.covers("web-01", &groups);
    for of in ["the fleet", "WEB-01, web-02", "web-01", "location Oslo", "label site=fra", "label x=a=b"] {
        assert!(covers(of), "{of}");
    }
    for of in ["web-02", "location Bergen", "label site=fra2", "provider Oslo", ""] {
        assert!(!covers(of), "{of}");
    }
}
