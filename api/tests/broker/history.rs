//! Questions to the history, with a station that follows a script.

use std::io::Read;

use async_nats::{Message, Subscriber};
use serde_json::json;
use tidemap_testkit::broker::has_taken;
use tidemap_wire::history_query::{
    HistoryAnswer, HistoryError, HistoryReply, HistoryRequest, HistorySeries, HistoryStatus, HostSteps,
    RangeAnswer, RangeRequest, TierReach, TopAnswer, TopNode,
};

use super::*;

/// The requests to stations.
async fn requests(api: &TestApi) -> Subscriber {
    let queue = subject::HISTORY_STATIONS.to_owned();
    let requests = api.client.queue_subscribe(subject::HISTORY, queue).await.unwrap();
    has_taken(&api.client).await.unwrap();
    requests
}

/// Answers every request with what `script` says.
pub(crate) async fn station(
    api: &TestApi,
    script: impl Fn(HistoryRequest) -> Vec<HistoryAnswer> + Send + 'static,
) {
    let (mut requests, client) = (requests(api).await, api.client.clone());
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            reply(&client, &request, script(decode(&request.payload).unwrap())).await;
        }
    });
}

async fn reply(client: &Client, request: &Message, parts: Vec<HistoryAnswer>) {
    let chunks = parts.len() as u32;
    for (chunk, answer) in (0..).zip(parts) {
        let part = encode(&HistoryReply { chunk, chunks, answer });
        client.publish(request.reply.clone().unwrap(), part.into()).await.unwrap();
    }
}

/// Steps of a minute, of which each third is not covered.
fn steps(request: &RangeRequest) -> Vec<HistoryAnswer> {
    let all: Vec<i64> = (request.from_ms / 60_000..request.to_ms / 60_000).collect();
    let part = |steps: &[i64]| {
        let known = |column: u64| {
            let value = |minute: &i64| (minute % 3 > 0).then_some(column * 1_000 + *minute as u64 % 1_000);
            steps.iter().map(value).collect::<Vec<_>>()
        };
        RangeAnswer {
            from_ms: steps[0] * 60_000,
            step_ms: 60_000,
            tier_ms: 60_000,
            complete_until_ms: request.to_ms,
            rx_bytes: known(1),
            tx_bytes: known(2),
            rx_bps: known(3),
            tx_bps: known(4),
            rx_max_bps: known(5),
            tx_max_bps: known(6),
            rx_min_bps: known(7),
            tx_min_bps: known(8),
            covered_ms: known(9).into_iter().map(Option::unwrap_or_default).collect(),
            unplaced_rx_bytes: vec![10; steps.len()],
            unplaced_tx_bytes: vec![11; steps.len()],
            host: request.host.then(|| {
                let cpu = steps.iter().map(|minute| (minute % 3 > 0).then_some(125)).collect();
                Box::new(HostSteps { cpu, ..HostSteps::unknown(steps.len()) })
            }),
            ..RangeAnswer::default()
        }
    };
    all.chunks(RangeAnswer::STEPS_OF_A_PART).map(|steps| HistoryAnswer::Range(part(steps))).collect()
}

pub(crate) fn detail(said: &Value) -> &str {
    said["detail"].as_str().unwrap()
}

#[tokio::test]
async fn without_a_station_there_is_no_history_and_that_is_said() {
    let api = TestApi::start().await;
    for path in ["/api/history", "/api/nodes/a/history", "/api/top"] {
        let (status, said) = api.get(path).await;
        assert_eq!((status, detail(&said)), (503, "there is no history station at the moment"), "{path}");
    }
    let (status, said) = api.get("/api/history/status").await;
    assert_eq!((status, &said["enabled"], &said["tiers"]), (200, &json!(false), &json!([])));
    assert_eq!(said["used_bytes"], Value::Null);
    let metrics = api.answer("GET", "/metrics", "").await;
    assert!(String::from_utf8(metrics.body).unwrap().contains("\ntidemap_history_up 0\n"));
    // What is wrong with a request is said even so.
    assert_eq!(api.get("/api/history?step=90s").await.0, 422);
    assert_eq!(api.get("/api/history/status?x=1").await.0, 422);
    api.stop().await;
}

#[tokio::test]
async fn a_nodes_columns_are_those_that_were_asked_for() {
    let api = TestApi::start().await;
    station(&api, |request| match request {
        // A station of an earlier version knows nothing of hosts.
        HistoryRequest::Range(request)
            if request.of == HistorySeries::Node(NodeId::from_name("old").unwrap()) =>
        {
            steps(&RangeRequest { host: false, ..request })
        }
        HistoryRequest::Range(request) => steps(&request),
        _ => vec![HistoryAnswer::Refused(HistoryError::Unreadable)],
    })
    .await;
    let columns = |said: &Value| {
        let columns = said.as_object().unwrap().iter().filter(|(_, column)| column.is_array());
        columns.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let range = "from=1795942800000&to=1795942980000&step=1m";
    let (_, said) = api.get(&format!("/api/nodes/new/history?{range}")).await;
    assert!(columns(&said).len() == 11 && said.get("cpu_percent").is_none(), "{said}");
    let (_, said) = api.get(&format!("/api/nodes/new/history?{range}&columns=tx_bytes,cpu_percent")).await;
    assert_eq!(columns(&said), ["cpu_percent", "tx_bytes"]);
    assert_eq!(said["cpu_percent"], json!([null, 12.5, 12.5]));
    let (_, said) = api.get(&format!("/api/nodes/old/history?{range}&columns=host")).await;
    assert_eq!((columns(&said).len(), &said["load_1_max"]), (5, &json!([null, null, null])));
    let path = format!("/api/nodes/new/history?{range}&columns=host&format=csv");
    let csv = String::from_utf8(api.answer("GET", &path, "").await.body).unwrap();
    let expected = "time,cpu_percent,cpu_max_percent,memory_max_percent,disk_max_percent,load_1_max\r\n\
                    2026-11-29T09:00:00Z,,,,,\r\n2026-11-29T09:01:00Z,12.5,,,,\r\n";
    assert!(csv.starts_with(expected), "{csv}");
    assert_eq!(api.get(&format!("/api/history?{range}&columns=host")).await.0, 422);
    api.stop().await;
}

#[tokio::test]
async fn a_range_in_many_parts_is_one_answer_in_the_form_that_is_wanted() {
    let api = TestApi::start().await;
    station(&api, |request| match request {
        HistoryRequest::Range(request) => steps(&request),
        _ => vec![HistoryAnswer::Refused(HistoryError::Unreadable)],
    })
    .await;
    let path = "/api/history?from=1795942800000&to=1796212800000&step=1m";
    let (status, said) = api.get(path).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said["rx_bytes"].as_array().unwrap().len(), 4_500);
    assert_eq!((&said["rx_bytes"][0], &said["rx_bytes"][1]), (&Value::Null, &json!(1_381)));
    assert_eq!(
        (&said["from_ms"], &said["to_ms"]),
        (&json!(1_795_942_800_000_i64), &json!(1_796_212_800_000_i64))
    );
    assert_eq!((&said["step_ms"], &said["partial"]), (&json!(60_000), &json!(false)));

    let csv = api.answer("GET", path, "accept: text/csv, */*;q=0.1\r\n").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let text = String::from_utf8(csv.body).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[1], "2026-11-29T09:00:00Z,,,,,,,,,0,10,11");
    assert_eq!(lines[2], "2026-11-29T09:01:00Z,1381,2381,3381,4381,5381,6381,7381,8381,9381,10,11");
    assert_eq!((lines.len(), lines[4_501]), (4_502, ""));
    let named = api.answer("GET", &format!("{path}&format=csv"), "accept: application/json\r\n").await;
    assert_eq!(named.body, text.as_bytes());
    let json = api.answer("GET", &format!("{path}&format=json"), "accept: text/csv\r\n").await;
    assert_eq!(json.header("content-type"), Some("application/json"));

    let gzip = api.answer("GET", path, "accept: text/csv\r\naccept-encoding: gzip\r\n").await;
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&*gzip.body).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
    assert_eq!(gzip.header("vary"), Some("accept, accept-encoding"));
    assert_eq!(gzip.header("cache-control"), Some("no-cache"));
    let tag = gzip.header("etag").unwrap();
    let again = api.answer("GET", path, &format!("accept: text/csv\r\nif-none-match: {tag}\r\n")).await;
    assert_eq!((again.status, again.body.len(), again.header("etag").is_some()), (304, 0, true));
    let other = api.answer("GET", path, &format!("if-none-match: {tag}\r\n")).await;
    assert_eq!(other.status, 200, "JSON is another body");
    let head = api.answer("HEAD", path, "accept: text/csv\r\n").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length").map(str::to_owned), Some(text.len().to_string()));
    assert_eq!(api.request("POST", path, "").await.0, 405);
    api.stop().await;
}

#[tokio::test]
async fn a_node_is_asked_for_by_its_ids_and_its_name_may_end_like_a_path() {
    let api = TestApi::start().await;
    let owner = api.owner().await;
    for name in ["history", "a/history", "Web-01"] {
        owner.says(owner.knows(name)).await;
    }
    api.shows(&["a/history", "history", "web-01"]).await;
    // It knows one of the nodes that have left, and all that are here.
    let known = ["history", "a=2Fhistory", "web-01", "=2E=2E", "gone=20one"];
    station(&api, move |request| match request {
        HistoryRequest::Range(request) => match &request.of {
            HistorySeries::Node(id) if known.contains(&id.as_str()) => steps(&request),
            _ => vec![HistoryAnswer::Refused(HistoryError::UnknownSeries)],
        },
        _ => vec![HistoryAnswer::Refused(HistoryError::Unreadable)],
    })
    .await;
    for (path, is_history) in [
        ("/api/nodes/history", false),
        ("/api/nodes/history/", false),
        ("/api/nodes/history/history", true),
        ("/api/nodes/history/history/", true),
        ("/api/nodes/a%2Fhistory", false),
        ("/api/nodes/a=2Fhistory", false),
        ("/api/nodes/a%2Fhistory/history", true),
        ("/api/nodes/WEB-01/history?from=-24h", true),
        ("/api/nodes/%2E%2E/history", true),
        ("/api/nodes/gone%20one/history", true),
        ("/api/nodes/Gone=20one/history", false),
        ("/api/nodes/gone=20one/history", true),
    ] {
        let (status, said) = api.get(path).await;
        if path.contains("Gone") {
            // No id is written like this, and no such name is known.
            assert_eq!((status, detail(&said)), (404, "there is no history of a node named Gone=20one"));
            continue;
        }
        assert_eq!((status, said["covered_ms"].is_array()), (200, is_history), "{path}: {said}");
    }
    let (status, said) = api.get("/api/nodes/nobody/history").await;
    assert_eq!((status, detail(&said)), (404, "there is no history of a node named nobody"));
    for path in ["/api/nodes//history", "/api/nodes/a/b/history", "/api/nodes/a/histor", "/api/historys"] {
        assert_eq!(api.get(path).await.0, 404, "{path}");
    }
    let (status, said) = api.get("/api/nodes/%FF/history").await;
    assert_eq!((status, detail(&said)), (404, "there is no node whose name is not UTF-8"));
    let token = "authorization: Bearer a-secret-of-tests\r\n";
    assert_eq!(api.request("DELETE", "/api/nodes/web-01/history", token).await.0, 405);
    assert_eq!(api.request("DELETE", "/api/nodes/a%2Fhistory", token).await.0, 204);
    api.stop().await;
}

#[tokio::test]
async fn groups_tops_and_the_status_are_answered_and_refusals_have_their_codes() {
    let api = TestApi::start().await;
    let owner = api.owner().await;
    owner.says(owner.knows("web-01")).await;
    api.shows(&["web-01"]).await;
    station(&api, |request| match request {
        HistoryRequest::Range(request) => match &request.of {
            HistorySeries::Label(name, value) if (&**name, &**value) == ("role", "web") => steps(&request),
            HistorySeries::Location(place) => vec![HistoryAnswer::Refused(match &**place {
                "steps" => HistoryError::TooManySteps,
                "disk" => HistoryError::Unavailable,
                _ => HistoryError::UnknownSeries,
            })],
            // Not an answer to this.
            _ => vec![HistoryAnswer::Status(HistoryStatus::default())],
        },
        HistoryRequest::Top(request) => {
            let node = |name: &str, rx_bytes| TopNode {
                node: NodeId::from_name(name).unwrap(),
                rx_bytes,
                tx_bytes: 1,
                covered_ms: 60_000,
                rx_max_bps: Some(9),
                tx_max_bps: None,
            };
            let nodes = vec![node("Web-01", 1 << 60), node("gone, long", 5)];
            let (from_ms, to_ms) = (request.from_ms, request.to_ms);
            vec![HistoryAnswer::Top(TopAnswer { from_ms, to_ms, complete_until_ms: 7, nodes })]
        }
        HistoryRequest::Status => {
            let tiers = vec![TierReach { step_ms: 60_000, from_ms: Some(5) }];
            let status = HistoryStatus {
                tiers,
                used_bytes: 5,
                budget_bytes: 7,
                pending: 3,
                ..HistoryStatus::default()
            };
            vec![HistoryAnswer::Status(status)]
        }
    })
    .await;
    assert_eq!(api.get("/api/history?by=label%3Arole&key=web").await.0, 200);
    for (query, status, said) in [
        ("by=label:role&key=x", 503, "the history station gave an answer that contradicts itself"),
        ("by=location&key=x%20y", 404, "there is no history of the location x y"),
        ("by=location&key=disk", 503, "the history cannot be read at the moment"),
        (
            "by=location&key=steps",
            422,
            "the range has more than 20000 steps: ask for longer steps or a shorter range",
        ),
    ] {
        let (code, answer) = api.get(&format!("/api/history?{query}")).await;
        assert_eq!((code, detail(&answer)), (status, said), "{query}");
    }
    let (status, said) = api.get("/api/top?by=rx&from=1795942800000&to=1795946400000&limit=2").await;
    let expected = json!({
        "from_ms": 1_795_942_800_000_i64, "to_ms": 1_795_946_400_000_i64, "complete_until_ms": 7,
        "nodes": [
            {"node": "web-01", "display_name": "web-01", "rx_bytes": 1_u64 << 60, "tx_bytes": 1, "covered_ms": 60_000, "rx_max_bps": 9, "tx_max_bps": null},
            {"node": "gone, long", "display_name": null, "rx_bytes": 5, "tx_bytes": 1, "covered_ms": 60_000, "rx_max_bps": 9, "tx_max_bps": null},
        ],
    });
    assert_eq!((status, said), (200, expected));
    let csv = api.answer("GET", "/api/top?format=csv", "").await;
    assert_eq!(
        String::from_utf8(csv.body).unwrap(),
        "node,display_name,rx_bytes,tx_bytes,covered_ms,rx_max_bps,tx_max_bps\r\n\
         web-01,web-01,1152921504606846976,1,60000,9,\r\n\
         \"gone, long\",,5,1,60000,9,\r\n"
    );
    let (status, said) = api.get("/api/history/status").await;
    let expected = json!({
        "enabled": true, "tiers": [{"step_ms": 60_000, "from_ms": 5}], "used_bytes": 5, "budget_bytes": 7,
        "complete_until_ms": null, "since_ms": null, "whole_from_ms": null, "second_peaks_since_ms": null,
        "refused_rows": 0, "pending": 3, "trouble": null, "warnings": [], "remote": null,
    });
    assert_eq!((status, said), (200, expected));
    let metrics = api.answer("GET", "/metrics", "").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("\ntidemap_history_oldest_timestamp_seconds{step=\"1m\"} 0.005\n"), "{metrics}");
    api.stop().await;
}

#[tokio::test]
async fn a_public_api_says_that_something_is_wrong_and_not_what() {
    const TROUBLE: &str = "/srv/innermost/history: no space left";
    for (flags, said) in [(&[][..], TROUBLE), (&["--public"][..], "the station cannot store what it reads")] {
        let api = TestApi::start_with(flags).await;
        let warnings = vec![TROUBLE.to_owned()];
        let status =
            HistoryStatus { trouble: Some(TROUBLE.to_owned()), warnings, ..HistoryStatus::default() };
        station(&api, move |_| vec![HistoryAnswer::Status(status.clone())]).await;
        let answer = api.get("/api/history/status").await.1;
        assert_eq!(answer["trouble"], said);
        assert_eq!(answer["warnings"][0] == TROUBLE, said == TROUBLE);
        let metrics = String::from_utf8(api.answer("GET", "/metrics", "").await.body).unwrap();
        assert!(metrics.contains("\ntidemap_history_storing 0\n") && !metrics.contains("innermost"));
        api.stop().await;
    }
}

#[tokio::test]
async fn few_questions_are_asked_at_a_time_and_the_others_wait_their_turn() {
    const QUESTIONS: usize = 9;
    const AT_ONCE: usize = 4;
    let api = Arc::new(TestApi::start().await);
    let mut requests = requests(&api).await;
    let ask = |path: &'static str| {
        let api = Arc::clone(&api);
        tokio::spawn(async move { api.get(path).await.0 })
    };
    let mut next = async || {
        let message = within(TIMEOUT, requests.next()).await.expect("a question").unwrap();
        let request: HistoryRequest = decode(&message.payload).unwrap();
        (message, request)
    };
    let asking: Vec<_> = (0..QUESTIONS).map(|_| ask("/api/history?from=-3m&to=-1m&step=1m")).collect();
    let mut taken = Vec::new();
    while taken.len() < AT_ONCE {
        taken.push(next().await);
    }
    // What needs no turn comes before those that wait.
    for _ in 0..3 {
        let status = ask("/api/history/status");
        let (message, request) = next().await;
        assert_eq!(request, HistoryRequest::Status);
        reply(&api.client, &message, vec![HistoryAnswer::Status(HistoryStatus::default())]).await;
        assert_eq!(status.await.unwrap(), 200);
    }
    for number in 0..QUESTIONS {
        let (message, request) = if number < AT_ONCE { taken.remove(0) } else { next().await };
        let parts = match request {
            HistoryRequest::Range(request) => steps(&request),
            _ => Vec::new(),
        };
        reply(&api.client, &message, parts).await;
    }
    for status in asking {
        assert_eq!(status.await.unwrap(), 200);
    }
}
