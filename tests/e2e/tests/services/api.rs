//! The API with a lost broker, with invalid requests, and its log.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{self, SseEvent, get, get_json},
    process::Tidemap,
    proxy::Proxy,
    within,
};
use tidemap_wire::http::{ErrorJson, StatsJson};
use tokio::sync::mpsc;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
const TOKEN: &str = "hunter2-hunter2-hunter2";
/// The header that browsers send for a user `u` with the token as password.
const BASIC: &str = "dTpodW50ZXIyLWh1bnRlcjItaHVudGVyMg==";

/// Starts an API that reaches the broker at `broker`, and waits until it prints its address.
async fn api(broker: &TestBroker, nats_url: &str, more: &[&str]) -> (Tidemap, String) {
    let key = broker.keys.service_seed_path();
    let args = ["api", "--http", "127.0.0.1:0", "--nats-url", nats_url, "--creds", key.to_str().unwrap()];
    let api = Tidemap::start(&[&args, more].concat()).unwrap();
    let url = eventually(EVENT_TIMEOUT, || async {
        let log = api.log();
        let from = log.find("http://").with_context(|| format!("no address: {log}"))?;
        let is_end = |letter: char| letter.is_whitespace() || letter == '"';
        Ok(log[from..].split(is_end).next().unwrap_or_default().to_owned())
    })
    .await
    .unwrap();
    (api, url)
}

/// Sends a request with these headers and returns the status.
async fn status(method: &'static str, url: String, headers: Vec<(&'static str, String)>) -> u16 {
    let ask = move || {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.run(request.body(()).unwrap()).unwrap().status().as_u16()
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// The next `stats` event of a stream.
async fn next_stats(events: &mut mpsc::Receiver<SseEvent>) -> anyhow::Result<StatsJson> {
    loop {
        let event = within(EVENT_TIMEOUT, events.recv()).await?.context("the stream has ended")?;
        if event.name == "stats" {
            return Ok(serde_json::from_value(event.data)?);
        }
    }
}

#[tokio::test]
async fn an_api_that_is_cut_off_says_so_when_asked_and_on_its_streams() {
    let broker = TestBroker::start().await.unwrap();
    let address: SocketAddr = broker.url.strip_prefix("nats://").unwrap().parse().unwrap();
    let proxy = Proxy::start(address).await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let _fleet = broker.simulate(40).unwrap();
    let (_api, url) = api(&broker, &proxy.url(), &[]).await;
    let ready = async |expected: u16| {
        let answer = eventually(EVENT_TIMEOUT, || async {
            let answer = get(format!("{url}/readyz")).await?;
            ensure!(answer.status == expected, "{}: {}", answer.status, answer.body);
            Ok(answer)
        });
        answer.await.unwrap()
    };
    // A view younger than this is what it is once everything works.
    let follows = async |younger_ms: u64| {
        let stats = eventually(EVENT_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.lag_messages.is_some(), "{stats:?}");
            ensure!(stats.view_age_ms.is_some_and(|age| age < younger_ms), "{stats:?}");
            Ok(stats)
        });
        stats.await.unwrap()
    };
    ready(200).await;
    let stats = follows(3_000).await;

    let mut events = http::events(format!("{url}/api/stream"), None);
    // A stream opens with the stats of up to a second before, when some partitions may not have been fresh.
    while next_stats(&mut events).await.unwrap().partitions_fresh < stats.partitions {}
    proxy.cut();
    // Not all at once, because their owners publish at different times.
    eventually(EVENT_TIMEOUT, || async {
        let refused: ErrorJson = ready(503).await.json()?;
        let detail = refused.detail;
        ensure!(detail == "no fresh view of partition 0, 1, 2, 3, 4, 5, 6, 7", "{detail}");
        Ok(())
    })
    .await
    .unwrap();
    let mut stale: Vec<StatsJson> = Vec::new();
    while stale.len() < 3 {
        let stats = next_stats(&mut events).await.unwrap();
        stale.extend((stats.partitions_fresh == 0).then_some(stats));
    }
    let ages: Vec<u64> = stale.iter().map(|stats| stats.view_age_ms.unwrap()).collect();
    assert!(ages[0] >= 2_000 && ages.is_sorted_by(|one, next| one < next), "{ages:?}");
    eprintln!("cut off: view_age_ms of three stats events in a row {ages:?}");

    proxy.heal();
    ready(200).await;
    follows(ages[0]).await;
}

#[tokio::test]
async fn a_request_is_one_line_of_json_without_secrets() {
    let broker = TestBroker::start().await.unwrap();
    let flags = ["--api-token", TOKEN, "--log", "trace", "--log-format", "json"];
    let (api, url) = api(&broker, &broker.url, &flags).await;
    let bearer = || vec![("authorization", format!("Bearer {TOKEN}"))];
    assert_eq!(status("GET", format!("{url}/api/openapi.json?token={TOKEN}"), bearer()).await, 200);
    assert_eq!(status("GET", format!("{url}/api/nodes?token={TOKEN}"), bearer()).await, 422);
    assert_eq!(status("DELETE", format!("{url}/api/nodes/nobody?token={TOKEN}"), bearer()).await, 422);
    let basic = vec![("authorization", format!("Basic {BASIC}"))];
    assert_eq!(status("GET", format!("{url}/healthz?token={TOKEN}"), basic).await, 200);

    let lines = eventually(EVENT_TIMEOUT, || async {
        let lines: Vec<Value> = api
            .log()
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .context("a line of JSON")?;
        let requests: Vec<Value> = lines.into_iter().filter(|line| line["message"] == "answered").collect();
        ensure!(requests.len() == 4, "{requests:?}");
        Ok(requests)
    });
    let lines = lines.await.unwrap();
    let requests: Vec<String> =
        lines.iter().map(|line| format!("{} {} {}", line["method"], line["path"], line["status"])).collect();
    let expected = [
        r#""GET" "/api/openapi.json" 200"#,
        r#""GET" "/api/nodes" 422"#,
        r#""DELETE" "/api/nodes/nobody" 422"#,
        r#""GET" "/healthz" 200"#,
    ];
    assert_eq!(requests, expected);
    assert!(lines.iter().all(|line| line["ms"].is_f64()), "{lines:?}");
    let log = api.log();
    assert!(!log.contains(TOKEN) && !log.contains(BASIC), "{log}");
}

#[tokio::test]
async fn nonsense_is_answered_with_what_is_wrong_with_it() {
    let broker = TestBroker::start().await.unwrap();
    let (_api, url) = api(&broker, &broker.url, &[]).await;
    for (path, wrong) in [
        ("/api/nodes?nosuch=1", "nosuch: "),
        ("/api/nodes?status=up", "status: "),
        ("/api/nodes?sort=shoe", "sort: "),
        ("/api/nodes?limit=-1", "limit: "),
        ("/api/nodes?limit=1&limit=1", "limit: "),
        ("/api/nodes/web-01?at=now", "at: "),
        ("/api/stats?by=shoe", "by: "),
        ("/api/stats?by=label:", "by: "),
        ("/api/stats?sort=by", "sort: "),
        ("/api/stream?token=x", "token: "),
    ] {
        let answer = get(format!("{url}{path}")).await.unwrap();
        let error: ErrorJson = answer.json().unwrap();
        assert_eq!(answer.status, 422, "{path}: {}", error.detail);
        assert!(error.detail.starts_with(wrong), "{path}: {}", error.detail);
    }
    for cursor in ["x", "1-", "18446744073709551616-1", "-1-1"] {
        let headers = vec![("last-event-id", cursor.to_owned())];
        assert_eq!(status("GET", format!("{url}/api/stream"), headers).await, 422, "{cursor}");
    }
    // This process does not know positions of another one, so the client gets a snapshot.
    let mut events = http::events(format!("{url}/api/stream"), Some("7-7".to_owned()));
    let event = within(EVENT_TIMEOUT, events.recv()).await.unwrap().unwrap();
    assert_eq!(event.name, "snapshot");
}
