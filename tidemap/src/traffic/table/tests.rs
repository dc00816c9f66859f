use tidemap_wire::http::SlotRatesJson;

use super::*;

const DAY_MS: i64 = 86_400_000;
/// The begin of November 2026 in UTC.
const NOVEMBER_MS: i64 = 1_793_491_200_000;

fn month() -> TrafficJson {
    let period = |from_ms: i64, to_ms: i64| TrafficPeriodJson {
        from_ms,
        to_ms,
        from: Zone::UTC.show(from_ms),
        to: Zone::UTC.show(to_ms),
        rx_bytes: Some(1_500_000_000_000),
        tx_bytes: Some(12_400_000_000_000),
        counted_bytes: Some(12_400_000_000_000),
        covered_ms: 999,
        expected_ms: 1_000,
        ..TrafficPeriodJson::default()
    };
    let nothing = TrafficPeriodJson {
        rx_bytes: None,
        tx_bytes: None,
        counted_bytes: None,
        covered_ms: 0,
        ..period(NOVEMBER_MS - 31 * DAY_MS, NOVEMBER_MS)
    };
    let quota = QuotaJson {
        correction_bytes: -120_000_000_000,
        used_bytes: 12_280_000_000_000,
        left_bytes: 7_720_000_000_000,
        percent: 61.4,
        forecast_bytes: Some(18_480_000_000_000),
        exceeded_at_ms: Some(NOVEMBER_MS + 27 * DAY_MS),
        ..QuotaJson::default()
    };
    let rates = |p95_bps| SlotRatesJson { p95_bps, ..SlotRatesJson::default() };
    let p95 = P95Json {
        direction: "larger".to_owned(),
        slots: 8_640,
        expected_slots: 5_760,
        present_slots: 5_700,
        rx: rates(1_250_000),
        tx: rates(25_000_000),
        billed_bps: 25_000_000,
        commit_bps: Some(12_500_000),
        overage_bps: Some(12_500_000),
        burst_slots: Some(211),
        burst_budget_slots: Some(432),
        ..P95Json::default()
    };
    let this = TrafficPeriodJson {
        quota: Some(quota),
        p95: Some(p95),
        forecast_bytes: Some(18_600_000_000_000),
        unplaced_rx_bytes: 1_000_000,
        ..period(NOVEMBER_MS, NOVEMBER_MS + 30 * DAY_MS)
    };
    TrafficJson {
        plan: Some("web".to_owned()),
        of: "web-01, x\u{1b}[2J".to_owned(),
        unknown: vec!["a node named x".to_owned()],
        cycle: "month".to_owned(),
        time_zone: "UTC".to_owned(),
        direction: "out".to_owned(),
        quota_bytes: Some(20_000_000_000_000),
        quota_unit: Some("TB".to_owned()),
        complete_until_ms: NOVEMBER_MS + 20 * DAY_MS,
        periods: vec![nothing, this],
    }
}

#[test]
fn a_table_says_what_each_period_came_to_and_how_the_last_one_stands() {
    assert_eq!(
        table(&month(), None, NOVEMBER_MS + 20 * DAY_MS),
        "\
web: web-01, x?[2J, by month in UTC
not counted, because the history has never heard of it: a node named x

            from |           in |          out |          out |  mean of total | covered
-----------------+--------------+--------------+--------------+----------------+--------
2026-10-01 00:00 |            - |            - |            - |              - |   0.0 %
2026-11-01 00:00 |      1.50 TB |     12.40 TB |     12.40 TB |   64.35 Mbit/s |  99.9 %
-----------------+--------------+--------------+--------------+----------------+--------
        forecast |              |              |     18.60 TB |

quota 20.00 TB (out): 12.28 TB used, 61.4 %, 7.72 TB left, with a correction of -0.12 TB
forecast 18.48 TB, used up on 2026-11-28 00:00
resets in 10 d, 2026-12-01 00:00 UTC
95th percentile from 2026-11-01 00:00: in 10.00 Mbit/s, out 200.00 Mbit/s, 200.00 Mbit/s billed (larger); 5700 of 5760 slots
  agreed 100.00 Mbit/s: 100.00 Mbit/s above it; 211 of 432 slots used, 17 h 35 min of 1 d 12 h
1.00 MB of it moved at moments that are not known
counted until 2026-11-21 00:00
"
    );
}

#[test]
fn amounts_are_in_the_unit_that_is_wanted() {
    let shown = table(&month(), Unit::named("GiB"), NOVEMBER_MS);
    assert!(shown.contains("| 11548.40 GiB |") && shown.contains("quota 18626.45 GiB"), "{shown}");
}

#[test]
fn lengths_and_shares_are_never_rounded_up() {
    assert_eq!(
        [0, 59, 60, 61, 1_440, 1_499, 1_500].map(span),
        ["0 min", "59 min", "1 h", "1 h 1 min", "1 d", "1 d", "1 d 1 h"]
    );
    assert_eq!(
        (share(999_999, 1_000_000), share(5, 4), share(0, 0)),
        ("99.9 %".into(), "100.0 %".into(), "-".into())
    );
    assert_eq!([124, 125, 125_000].map(rate), ["992 bit/s", "1.00 kbit/s", "1.00 Mbit/s"]);
}
