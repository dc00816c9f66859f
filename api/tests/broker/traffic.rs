//! Traffic over billing cycles, with a station in which each node moves the same bytes at all times.

use std::io::Write;

use serde_json::json;
use tidemap_service::clock;
use tidemap_testkit::eventually;
use tidemap_wire::history_query::{
    HistoryAnswer, HistoryError, HistoryRequest, HistorySeries, HistoryStatus, RangeAnswer, RangeRequest,
    TierReach,
};

use super::{
    history::{detail, station},
    *,
};

/// 100 Mbit/s.
const MBIT_100: u64 = 12_500_000;

/// A history that begins in 2020, of which minutes are kept from `minutes_ms` on.
pub(crate) fn status(minutes_ms: i64) -> HistoryStatus {
    let tier = |step_ms, from_ms| TierReach { step_ms, from_ms: Some(from_ms) };
    let begun_ms = 1_577_836_800_000;
    HistoryStatus {
        tiers: vec![tier(60_000, minutes_ms), tier(900_000, begun_ms), tier(3_600_000, begun_ms)],
        complete_until_ms: clock::unix_ms() / 60_000 * 60_000,
        ..HistoryStatus::default()
    }
}

/// Steps in which a node receives a tenth of what it sends, each at its rate.
fn steady(request: &RangeRequest, tx_bps: u64) -> Vec<HistoryAnswer> {
    let step_ms = request.step_ms.unwrap();
    let steps = (request.to_ms - request.from_ms) / step_ms as i64;
    let all: Vec<i64> = (0..steps).map(|step| request.from_ms + step * step_ms as i64).collect();
    let part = |steps: &[i64]| {
        let sent = tx_bps * step_ms / 1_000;
        let column = |value: u64| vec![Some(value); steps.len()];
        RangeAnswer {
            from_ms: steps[0],
            step_ms,
            tier_ms: 60_000,
            complete_until_ms: clock::unix_ms() / 60_000 * 60_000,
            rx_bytes: column(sent / 10),
            tx_bytes: column(sent),
            rx_bps: column(0),
            tx_bps: column(0),
            rx_max_bps: column(0),
            tx_max_bps: column(0),
            rx_min_bps: column(0),
            tx_min_bps: column(0),
            covered_ms: vec![step_ms; steps.len()],
            unplaced_rx_bytes: vec![0; steps.len()],
            unplaced_tx_bytes: vec![0; steps.len()],
            host: None,
            remote_until_ms: None,
            warning: None,
        }
    };
    all.chunks(RangeAnswer::STEPS_OF_A_PART).map(|steps| HistoryAnswer::Range(part(steps))).collect()
}

/// Two nodes that send 100 Mbit/s at all times, and no others.
fn two_nodes(request: HistoryRequest) -> Vec<HistoryAnswer> {
    match request {
        HistoryRequest::Status => vec![HistoryAnswer::Status(status(0))],
        HistoryRequest::Range(request) => match &request.of {
            HistorySeries::Node(node) if ["one", "two"].contains(&node.as_str()) => {
                steady(&request, MBIT_100)
            }
            HistorySeries::Label(name, value) if (&**name, &**value) == ("site", "fra") => {
                steady(&request, 2 * MBIT_100)
            }
            HistorySeries::Fleet => steady(&request, 2 * MBIT_100),
            _ => vec![HistoryAnswer::Refused(HistoryError::UnknownSeries)],
        },
        HistoryRequest::Top(_) => vec![HistoryAnswer::Refused(HistoryError::Unreadable)],
    }
}

const PLANS: &str = "
    time_zone = 'Africa/Cairo'
    [[plan]]
    name = 'both nodes'
    nodes = ['one', 'two']
    cycle = 'day'
    p95 = true
    commit = '150 Mbit/s'
    [[plan]]
    name = 'a quota'
    nodes = ['one', 'nobody']
    cycle = 'day'
    direction = 'out'
    quota = '1 TiB'
    [[plan.correction]]
    at = '2026-01-02'
    amount = '-80 GB'
";

async fn api_with_plans() -> (TestApi, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(PLANS.as_bytes()).unwrap();
    let api = TestApi::start_with(&["--traffic", file.path().to_str().unwrap()]).await;
    (api, file)
}

#[tokio::test]
async fn two_constant_nodes_of_100_mbit_in_one_bill_are_200() {
    let (api, _file) = api_with_plans().await;
    station(&api, two_nodes).await;
    for query in [
        "plan=both%20nodes&periods=2",
        "by=label:site&key=fra&cycle=day&periods=2&p95=true&commit=150+Mbit/s",
    ] {
        let (code, said) = api.get(&format!("/api/traffic?{query}")).await;
        assert_eq!(code, 200, "{said}");
        let yesterday = &said["periods"][0]["p95"];
        let slots = yesterday["slots"].as_u64().unwrap();
        assert_eq!(
            (&yesterday["billed_bps"], &yesterday["tx"]["p95_bps"]),
            (&json!(2 * MBIT_100), &json!(2 * MBIT_100))
        );
        assert_eq!(
            (&yesterday["overage_bps"], &yesterday["rx"]["max_bps"]),
            (&json!(MBIT_100 / 2), &json!(MBIT_100 / 5))
        );
        assert_eq!((&yesterday["present_slots"], &yesterday["burst_slots"]), (&json!(slots), &json!(slots)));
        assert_eq!(yesterday["burst_budget_slots"], json!(slots / 20));
    }
    // A slot that begins in a cycle and ends in the next one belongs to the first.
    let (code, said) =
        api.get("/api/traffic?node=one&cycle=hour&anchor=2026-01-01+00:37&periods=3&p95=true").await;
    assert_eq!(code, 200, "{said}");
    let slots =
        ["slots", "expected_slots", "present_slots"].map(|name| said["periods"][0]["p95"][name].clone());
    assert_eq!(slots, [json!(12), json!(12), json!(12)]);
    // Nobody keeps the history busy with one question.
    let (code, said) = api.get("/api/traffic?cycle=1000+hours&periods=400&p95=true").await;
    assert!(code == 422 && detail(&said).starts_with("periods: these periods"), "{said}");
    api.stop().await;
}

#[tokio::test]
async fn months_of_the_fleet_are_summed_and_said_in_both_forms() {
    let (api, _file) = api_with_plans().await;
    station(&api, two_nodes).await;
    let (code, said) = api.get("/api/traffic?tz=Asia/Kathmandu&periods=3").await;
    assert_eq!(code, 200, "{said}");
    assert_eq!(
        (&said["of"], &said["cycle"], &said["time_zone"]),
        (&json!("the fleet"), &json!("month"), &json!("Asia/Kathmandu"))
    );
    let periods = said["periods"].as_array().unwrap();
    assert_eq!(periods.len(), 3);
    for pair in periods.windows(2) {
        assert_eq!(pair[0]["to_ms"], pair[1]["from_ms"]);
    }
    let first = &periods[0];
    let seconds = (first["to_ms"].as_u64().unwrap() - first["from_ms"].as_u64().unwrap()) / 1_000;
    assert_eq!(first["tx_bytes"], json!(2 * MBIT_100 * seconds));
    assert_eq!(first["counted_bytes"], json!(2 * MBIT_100 * seconds * 11 / 10));
    assert_eq!(
        (&first["covered_ms"], &first["expected_ms"]),
        (&json!(seconds * 1_000), &json!(seconds * 1_000))
    );
    assert_eq!((&first["partial"], &periods[2]["partial"]), (&json!(false), &json!(true)));
    assert!(first["from"].as_str().unwrap().ends_with("-01T00:00:00+05:45"), "{first}");
    let csv = api.answer("GET", "/api/traffic?tz=Asia/Kathmandu&periods=3&format=csv", "").await;
    let text = String::from_utf8(csv.body).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    let begin = format!("{},{},false,", first["from"].as_str().unwrap(), first["to"].as_str().unwrap());
    assert!(lines[1].starts_with(&begin) && lines[0].starts_with("from,to,partial,rx_bytes,"), "{text}");
    api.stop().await;
}

#[tokio::test]
async fn a_quota_counts_its_direction_and_names_nodes_that_nobody_knows() {
    let (api, _file) = api_with_plans().await;
    station(&api, two_nodes).await;
    let (code, said) = api.get("/api/traffic?plan=a+quota&periods=2").await;
    assert_eq!(code, 200, "{said}");
    assert_eq!((&said["plan"], &said["unknown"]), (&json!("a quota"), &json!(["a node named nobody"])));
    assert_eq!((&said["quota_bytes"], &said["quota_unit"]), (&json!(1_u64 << 40), &json!("TiB")));
    let yesterday = &said["periods"][0];
    let (used, sent) = (&yesterday["quota"]["used_bytes"], &yesterday["tx_bytes"]);
    assert_eq!(used, sent);
    // 1.08 TB of 1.0995 TB in 24 hours.
    let seconds = (yesterday["to_ms"].as_u64().unwrap() - yesterday["from_ms"].as_u64().unwrap()) / 1_000;
    assert_eq!(sent, &json!(MBIT_100 * seconds));
    assert_eq!(yesterday["quota"]["threshold"], json!(if seconds == 90_000 { 100 } else { 90 }));
    api.stop().await;
}

#[tokio::test]
async fn declared_plans_have_series_in_metrics_once_they_are_counted() {
    let (api, _file) = api_with_plans().await;
    let owner = api.owner().await;
    owner.says(owner.knows("one")).await;
    api.shows(&["one"]).await;
    station(&api, two_nodes).await;
    let metrics = eventually(TIMEOUT, || async {
        let text = String::from_utf8(api.answer("GET", "/metrics", "").await.body)?;
        ensure!(text.contains("tidemap_plan_"), "{text}");
        Ok(text)
    });
    let text = metrics.await.unwrap();
    for line in [
        "tidemap_plan_quota_bytes{plan=\"a quota\"} 1099511627776",
        "tidemap_plan_billed_bytes_per_second{plan=\"both nodes\"} 25000000",
        "tidemap_plan_commit_bytes_per_second{plan=\"both nodes\"} 18750000",
        "tidemap_plan_coverage_ratio{plan=\"both nodes\"} 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("tidemap_plan_cycle_end_timestamp_seconds{plan=\"a quota\"} "), "{text}");
    assert!(!text.contains("tidemap_plan_quota_bytes{plan=\"both nodes\"}"), "{text}");
    let (code, said) = api.get("/api/traffic/plans").await;
    assert_eq!((code, &said["plans"][0]["name"]), (200, &json!("both nodes")));
    let present = &said["plans"][1]["present"];
    assert_eq!((&present["plan"], present["periods"].as_array().map(Vec::len)), (&json!("a quota"), Some(1)));
    api.stop().await;
}

#[tokio::test]
async fn minutes_that_are_gone_make_no_percentile_and_nobody_is_made_up() {
    let api = TestApi::start().await;
    let minutes_ms = clock::unix_ms() - 86_400_000;
    station(&api, move |request| match request {
        HistoryRequest::Status => vec![HistoryAnswer::Status(status(minutes_ms))],
        other => two_nodes(other),
    })
    .await;
    let (code, said) = api.get("/api/traffic?node=ONE&cycle=day&periods=4&p95=true").await;
    assert_eq!(code, 200, "{said}");
    assert_eq!(
        (&said["periods"][0]["p95"], &said["periods"][0]["tx_bytes"]),
        (&Value::Null, &json!(MBIT_100 * 86_400))
    );
    assert_eq!(said["periods"][3]["quota"], Value::Null);
    let (code, said) = api.get("/api/traffic?node=nobody").await;
    assert_eq!((code, detail(&said)), (404, "there is no history of a node named nobody"));
    let (code, said) = api.get("/api/traffic?plan=none").await;
    assert_eq!((code, detail(&said)), (404, "there is no plan named none"));
    let (code, said) = api.get("/api/traffic?cycle=moon").await;
    assert!(code == 422 && detail(&said).starts_with("cycle: must be hour"), "{said}");
    api.stop().await;
}

#[tokio::test]
async fn slots_outlive_minutes_and_what_is_missing_of_them_is_said() {
    let api = TestApi::start().await;
    let now_ms = clock::unix_ms();
    let slots_ms = now_ms - 10 * 86_400_000;
    station(&api, move |request| match request {
        HistoryRequest::Status => {
            let mut status = status(now_ms - 86_400_000);
            status.tiers.push(TierReach { step_ms: 300_000, from_ms: Some(slots_ms) });
            vec![HistoryAnswer::Status(status)]
        }
        other => two_nodes(other),
    })
    .await;
    let (code, said) = api.get("/api/traffic?node=one&cycle=day&periods=14&p95=true").await;
    assert_eq!(code, 200, "{said}");
    let p95 = |period: usize| &said["periods"][period]["p95"];
    assert_eq!(p95(0), &Value::Null);
    for period in 4..13 {
        assert_eq!(
            (&p95(period)["billed_bps"], &p95(period)["present_slots"]),
            (&json!(MBIT_100), &json!(288))
        );
    }
    let (present, expected) = (&p95(3)["present_slots"], &p95(3)["expected_slots"]);
    assert!(present.as_u64() < Some(288) && expected == &json!(288), "{present}");
    api.stop().await;
}

/// A changed file counts when two readings in a row have found it.
#[tokio::test]
async fn a_file_of_plans_is_read_again_and_a_wrong_one_leaves_the_old_plans_in_force() {
    let (api, file) = api_with_plans().await;
    station(&api, two_nodes).await;
    let said = |wanted: &'static str| {
        let api = &api;
        eventually(TIMEOUT, move || async move {
            let (_, said) = api.get("/api/traffic/plans").await;
            let names: Vec<&str> =
                said["plans"].as_array().unwrap().iter().filter_map(|plan| plan["name"].as_str()).collect();
            let found = format!("{} {}", names.join(","), said["warning"].as_str().unwrap_or("-"));
            ensure!(found.contains(wanted), "{said}");
            Ok(said)
        })
    };
    said("both nodes,a quota -").await.unwrap();
    let path = file.path();
    let plan =
        |quota: &str| format!("[[plan]]\nname = 'other'\nfleet = true\ncycle = 'day'\nquota = '{quota}'\n");
    std::fs::write(path, plan("1 TB")).unwrap();
    let counted = said("other -").await.unwrap();
    assert_eq!(counted["plans"].as_array().unwrap().len(), 1, "{counted}");
    assert_eq!(api.get("/api/traffic?plan=other").await.0, 200);
    assert_eq!(api.get("/api/traffic?plan=both%20nodes").await.0, 404);

    std::fs::write(path, plan("much")).unwrap();
    let kept = said("line 5, column 9: quota: must be an amount").await.unwrap();
    assert!(kept["warning"].as_str().unwrap().contains(path.to_str().unwrap()), "{kept}");
    assert_eq!(api.get("/api/traffic?plan=other").await.1["quota_bytes"], json!(1_000_000_000_000_u64));

    // What is right again is in force, and its present cycle is counted at once.
    std::fs::write(path, plan("2 TB")).unwrap();
    said("other -").await.unwrap();
    let quota = || async {
        let (_, said) = api.get("/api/traffic/plans").await;
        ensure!(said["plans"][0]["present"]["quota_bytes"] == json!(2_000_000_000_000_u64), "{said}");
        Ok(())
    };
    eventually(TIMEOUT, quota).await.unwrap();
    api.stop().await;
}

#[tokio::test]
async fn a_file_of_plans_that_is_wrong_is_refused_with_its_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[plan]]\nname = 'x'\nfleet = true\nquota = '20'\n").unwrap();
    let path = file.path().to_str().unwrap();
    let refused = Cli::parse_from(["api", "--traffic", path]).api.check().unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "--traffic {path}: line 4, column 9: quota: must be an amount with a unit, such as 500 GB, 20 TB or 1.5 TiB"
        )
    );
}
