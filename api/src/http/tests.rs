//! The routes with a made fleet. There is no broker, so requests to workers fail.

mod access;
mod called;
mod described;
mod joining;
mod metrics;
mod recent;
mod registry;
mod silences;
mod streamed;
mod succeeded;
mod utilisation;

use std::{collections::BTreeMap, io::Read, num::NonZeroU32, sync::Arc};

use serde_json::Value;
use tidemap_client::{
    FeedMessage,
    testing::{AT_MS, TestPartition, bps, full_node, node, one_partition},
};
use tidemap_service::nats::NatsArgs;
use tidemap_wire::{
    NodeUpdate, Status,
    http::{GroupJson, GroupedStatsJson, NodeDetailJson, NodeJson, StatsJson},
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use warp::{Filter, Reply, http::Response, hyper::body::Bytes};

use crate::{
    alerts::{ShownAlerts, Silencer},
    config::{Access, ApiConfig, Limits, NodeSeries},
    fleet_task::{self, FleetHandle, FleetTask},
    http::{Site, SiteParts, routes},
    names::NameArgs,
    token::Tokens,
};

type Answer = Response<Bytes>;

const TOKEN: &str = "a-secret-of-tests";
/// The reader's.
const READ_TOKEN: &str = "a-secret-of-readers";

/// Who may read in this test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readers {
    OnLoopback,
    WithToken,
    Everybody,
}

/// A fleet with one node of each status.
fn fleet() -> Vec<NodeUpdate> {
    vec![
        NodeUpdate { tx_bps: bps(301.0), ..full_node("web-01.example") },
        NodeUpdate { tx_bps: bps(100.0), rx_bps: None, ..node("db") },
        NodeUpdate { status: Status::Warning, tx_bps: bps(1e6), ..full_node("slow") },
        NodeUpdate { status: Status::Offline, seen_ms: AT_MS - 7_200_000, ..node("gone") },
    ]
}

fn task_of(updates: Vec<NodeUpdate>, redacted: bool) -> FleetTask {
    let (count, partition) = one_partition();
    let mut worker = TestPartition::new();
    worker.put(updates);
    let now = Instant::now();
    let mut task = FleetTask::new(count, redacted, now, AT_MS);
    task.tick(6, now, AT_MS);
    task.receive(FeedMessage::Snapshot(partition, worker.snapshot()));
    task.receive(FeedMessage::Stats(partition, Box::new(worker.stats())));
    task.tick(7, now, AT_MS);
    task
}

impl Site {
    /// A site with another fleet and otherwise the same parts.
    fn over(fleet: FleetHandle, other: &Site) -> Self {
        Self(Arc::new(SiteParts {
            fleet,
            ingest: other.ingest.clone(),
            history: other.history.clone(),
            history_turns: Semaphore::new(1),
            budget: other.budget.clone(),
            access: other.access.clone(),
            names: other.names.clone(),
            partitions: other.partitions,
            alerts: other.alerts.clone(),
            silencer: other.silencer.clone(),
            enroller: other.enroller.clone(),
            agents: super::AgentPrograms::new(None),
            joins: super::Quota::new(super::enroll::PER_SECOND, Instant::now()),
            plans: other.plans.clone(),
            standings: other.standings.clone(),
            node_series: other.node_series,
            redacted: other.redacted,
            page: super::page::Page::new(None),
            shutdown: other.shutdown.clone(),
        }))
    }
}

/// A site with a fleet that never ticks, so all requests see the same tick.
async fn site(updates: Vec<NodeUpdate>, readers: Readers) -> Site {
    site_with_alerts(updates, readers, watch::channel(None).1, Silencer::new().0).await
}

/// Likewise, with what alert stations have found.
async fn site_with_alerts(
    updates: Vec<NodeUpdate>,
    readers: Readers,
    alerts: watch::Receiver<ShownAlerts>,
    silencer: Silencer,
) -> Site {
    let mut task = task_of(updates, readers == Readers::Everybody);
    let (requests_in, mut requests) = mpsc::channel(8);
    let (handle, budget) = (FleetHandle::new(requests_in, task.answers()), task.budget());
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            fleet_task::answer(&mut task, request);
        }
    });
    // Nothing listens on port 1, so this connection is never established.
    let client = NatsArgs::new("nats://127.0.0.1:1", None).connect("test", None).await.unwrap();
    let config = ApiConfig {
        http: "127.0.0.1:0".parse().unwrap(),
        partitions: one_partition().0,
        plans: None,
        access: Access {
            reads_need_token: readers == Readers::WithToken,
            tokens: match readers {
                Readers::WithToken => {
                    Tokens { admin: Some(TOKEN.parse().unwrap()), reader: Some(READ_TOKEN.parse().unwrap()) }
                }
                _ => Tokens::default(),
            },
        },
        names: NameArgs::default().names(readers == Readers::OnLoopback),
        redacted: readers == Readers::Everybody,
        agents_dir: None,
        tiles: None,
        node_series: NodeSeries { limit: None, interfaces: true },
        limits: Limits { connections: NonZeroU32::MAX, requests: NonZeroU32::MAX },
    };
    Site::new(handle, client, &config, budget, alerts, silencer, CancellationToken::new())
}

async fn api(
    readers: Readers,
) -> impl Filter<Extract = (impl Reply,), Error = std::convert::Infallible> + Clone {
    routes(site(fleet(), readers).await)
}

async fn get(path: &str) -> Answer {
    warp::test::request().path(path).reply(&api(Readers::OnLoopback).await).await
}

fn json<T: serde::de::DeserializeOwned>(answer: &Answer) -> T {
    serde_json::from_slice(answer.body()).unwrap_or_else(|error| panic!("{error}: {:?}", answer.body()))
}

fn names(answer: &Answer) -> Vec<String> {
    json::<Vec<NodeJson>>(answer).into_iter().map(|node| node.name).collect()
}

fn detail(answer: &Answer) -> String {
    assert_eq!(answer.headers()["content-type"], "application/json");
    json::<BTreeMap<String, String>>(answer).remove("detail").unwrap()
}

#[tokio::test]
async fn nodes_are_listed_by_name_with_everything_that_is_known() {
    let answer = get("/api/nodes").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(names(&answer), ["db", "gone", "slow", "web-01.example"]);
    let nodes: Vec<Value> = json(&answer);
    assert_eq!(nodes[0]["network_rx_bytes_per_sec"], Value::Null);
    assert_eq!(nodes[0]["cpu_percent"], Value::Null);
    assert_eq!((&nodes[1]["last_seen"], &nodes[1]["status"]), (&"2h ago".into(), &"offline".into()));
    assert_eq!(nodes[3]["memory_percent"], 25.0);
    assert_eq!(nodes[3]["network_rx_bytes_per_sec_avg_15m"], 40.0);
    assert_eq!((&nodes[3]["age_ms"], &nodes[3]["status_for_s"]), (&1_000.into(), &60.into()));
}

#[tokio::test]
async fn stats_agree_with_the_nodes_of_the_same_tick() {
    let (nodes, stats) = (get("/api/nodes").await, get("/api/stats").await);
    assert_eq!(nodes.headers()["x-tidemap-tick"], stats.headers()["x-tidemap-tick"]);
    let nodes: Vec<NodeJson> = json(&nodes);
    let stats: StatsJson = json(&stats);
    let online: Vec<f64> = nodes
        .iter()
        .filter(|node| node.status == Status::Online)
        .filter_map(|node| node.network_tx_bytes_per_sec)
        .map(|rate| rate.get())
        .collect();
    assert_eq!(stats.avg_network_tx_bytes_per_sec, online.iter().sum::<f64>() / online.len() as f64);
    assert_eq!(stats.total_network_tx_bytes_per_sec, 401.0);
    assert_eq!(
        (stats.total_nodes, stats.online_nodes, stats.warning_nodes, stats.offline_nodes),
        (4, 2, 1, 1)
    );
    assert_eq!(stats.avg_cpu_percent, 12.5, "one online node knows its own");
    assert_eq!(stats.providers, BTreeMap::from([("hetzner".to_owned(), 2), ("unknown".to_owned(), 2)]));
    let talkers: Vec<&str> = stats.top_tx.iter().map(|talker| talker.name.as_str()).collect();
    assert_eq!(talkers, ["web-01.example", "db"]);
    assert_eq!((stats.partitions, stats.partitions_fresh), (1, 1));
}

#[tokio::test]
async fn groups_sum_up_what_is_online_and_name_nodes_without_a_key_last() {
    let group = |key: Option<&str>, counts: [u64; 4], tx: f64, rx: f64| GroupJson {
        key: key.map(str::to_owned),
        total_nodes: counts[0],
        online_nodes: counts[1],
        warning_nodes: counts[2],
        offline_nodes: counts[3],
        unknown_nodes: 0,
        network_tx_bytes_per_sec: tx,
        network_rx_bytes_per_sec: rx,
    };
    for (by, key) in [("location", "Berlin"), ("provider", "hetzner"), ("label:role", "web")] {
        let answer = get(&format!("/api/stats?by={by}")).await;
        let grouped: GroupedStatsJson = json(&answer);
        assert_eq!(grouped.stats, json::<StatsJson>(&get("/api/stats").await), "{by}");
        let expected =
            [group(Some(key), [2, 1, 1, 0], 301.0, 1_234.5), group(None, [2, 1, 0, 1], 100.0, 0.0)];
        assert_eq!(grouped.groups, expected, "{by}");
    }
    let grouped: GroupedStatsJson = json(&get("/api/stats?by=label%3Arack").await);
    assert_eq!(grouped.groups, [group(None, [4, 2, 1, 1], 401.0, 1_234.5)]);
    let plain: Value = json(&get("/api/stats").await);
    assert_eq!(plain["groups"], Value::Null);
}

#[tokio::test]
async fn an_empty_fleet_is_zeros_and_not_an_error() {
    let site = site(Vec::new(), Readers::OnLoopback).await;
    let answer = warp::test::request().path("/api/stats").reply(&routes(site.clone())).await;
    let stats: StatsJson = json(&answer);
    assert_eq!(
        stats,
        StatsJson {
            partitions: 1,
            partitions_fresh: 1,
            lag_messages: Some(0),
            lag_ms: Some(0),
            view_age_ms: Some(0),
            timestamp: AT_MS as f64 / 1000.0,
            ..StatsJson::default()
        }
    );
    let answer = warp::test::request().path("/api/nodes").reply(&routes(site)).await;
    assert_eq!(answer.body(), "[]");
}

#[tokio::test]
async fn queries_filter_sort_and_limit() {
    let check = async |query: &str, expected: &[&str]| {
        let answer = get(&format!("/api/nodes?{query}")).await;
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(names(&answer), expected, "{query}");
    };
    check("status=online", &["db", "web-01.example"]).await;
    check("q=BERL", &["slow", "web-01.example"]).await;
    check("q=web&status=online", &["web-01.example"]).await;
    check("sort=-network_tx_bytes_per_sec", &["slow", "web-01.example", "db", "gone"]).await;
    check("sort=network_tx_bytes_per_sec", &["db", "web-01.example", "slow", "gone"]).await;
    check("sort=-name&limit=2&offset=1", &["slow", "gone"]).await;
    check("limit=0", &[]).await;
    check("offset=99", &[]).await;
    check("limit=99999999999999999999999", &["db", "gone", "slow", "web-01.example"]).await;
    check("q=", &["db", "gone", "slow", "web-01.example"]).await;
    for (query, total) in
        [("", "4"), ("limit=0", "4"), ("sort=-name&limit=2&offset=3", "4"), ("q=BERL&offset=9", "2")]
    {
        let answer = get(&format!("/api/nodes?{query}")).await;
        assert_eq!(answer.headers()["x-total-count"], total, "{query}");
    }
}

#[tokio::test]
async fn a_meaningless_query_is_rejected() {
    for query in [
        "status=up",
        "sort=shoe",
        "sort=",
        "limit=-1",
        "limit=x",
        "offset=1.5",
        "limit=%2B1",
        "limit=",
        "x=1",
        "limit=1&limit=2",
        "=",
        "status=Online",
    ] {
        let answer = get(&format!("/api/nodes?{query}")).await;
        assert_eq!(answer.status(), 422, "{query}");
        assert!(!detail(&answer).is_empty());
    }
    for query in ["x=1", "by=", "by=label", "by=label:", "by=name", "by=Location", "by=location&by=location"]
    {
        let answer = get(&format!("/api/stats?{query}")).await;
        assert_eq!(answer.status(), 422, "{query}");
        assert!(detail(&answer).starts_with(&query[..query.find('=').unwrap()]), "{query}");
    }
    assert_eq!(get("/api/nodes/db?x=1").await.status(), 422);
}

#[tokio::test]
async fn a_node_is_found_by_either_of_its_names() {
    for path in ["web-01.example", "web-01%2Eexample", "web-01=2Eexample", "WEB-01.example"] {
        let answer = get(&format!("/api/nodes/{path}")).await;
        assert_eq!(answer.status(), 200, "{path}");
        let found: NodeDetailJson = json(&answer);
        assert_eq!(found.node.name, "web-01.example");
        assert_eq!(found.interfaces[0].rx_bytes_per_sec, bps(1_234.5));
        assert_eq!(found.last_60s, None, "no worker answers");
    }
    for path in ["nope", "%FF", "a%2Fb", &"x".repeat(200)] {
        let answer = get(&format!("/api/nodes/{path}")).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert!(detail(&answer).starts_with("there is no node"));
    }
}

#[tokio::test]
async fn a_body_is_sent_once_and_compressed_when_asked_for() {
    let api = api(Readers::OnLoopback).await;
    for path in ["/api/nodes", "/api/stats", "/metrics"] {
        let plain = warp::test::request().path(path).reply(&api).await;
        let known = plain.headers()["etag"].to_str().unwrap();
        let again = warp::test::request().path(path).header("if-none-match", known).reply(&api).await;
        assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
        let other = warp::test::request().path(path).header("if-none-match", "\"1-1\"").reply(&api).await;
        assert_eq!(other.status(), 200);
        let gzip = warp::test::request().path(path).header("accept-encoding", "gzip").reply(&api).await;
        assert_eq!(gzip.headers()["content-encoding"], "gzip");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(gzip.body().as_ref()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body().to_vec());
    }
}

#[tokio::test]
async fn requests_without_a_route_get_a_json_error() {
    let prefixed = "there is no such path: a reverse proxy that serves Tidemap under a prefix must remove the prefix before it \
                    passes a request on";
    for (path, said) in [
        ("/api", "there is no such path"),
        ("/api/nodes/a/b", "there is no such path"),
        ("/tidemap/", prefixed),
        ("/tidemap/api/nodes", prefixed),
        ("/favicon.ico", prefixed),
    ] {
        let answer = get(path).await;
        assert_eq!((answer.status().as_u16(), detail(&answer)), (404, said.to_owned()), "{path}");
    }
    let api = api(Readers::OnLoopback).await;
    for (method, path, allow) in [
        ("POST", "/api/nodes", "GET, HEAD"),
        ("DELETE", "/api/stats", "GET, HEAD"),
        ("PUT", "/api/nodes/db", "GET, HEAD, DELETE"),
        ("POST", "/", "GET, HEAD"),
        ("PATCH", "/metrics", "GET, HEAD"),
    ] {
        let answer = warp::test::request().method(method).path(path).reply(&api).await;
        assert_eq!(answer.status(), 405, "{method} {path}");
        assert_eq!(answer.headers()["allow"], allow);
        assert!(!detail(&answer).is_empty());
    }
}

#[tokio::test]
async fn one_slash_at_the_end_of_a_path_makes_no_difference() {
    let api = api(Readers::OnLoopback).await;
    let check = async |method: &str, path: &str, status: u16| {
        let answer = warp::test::request().method(method).path(path).reply(&api).await;
        assert_eq!(answer.status(), status, "{method} {path}");
    };
    for path in ["/api/stats", "/api/nodes", "/api/nodes/db", "/api/connections", "/healthz", "/metrics"] {
        for (end, status) in [("", 200), ("/", 200), ("//", 404), ("/x/y", 404)] {
            check("GET", &format!("{path}{end}"), status).await;
            check("HEAD", &format!("{path}{end}"), status).await;
        }
        check("POST", &format!("{path}/"), 405).await;
    }
    for path in ["/api", "/api/", "/api/nodes/db", "/api/nope"] {
        check("OPTIONS", path, 204).await;
    }
    check("OPTIONS", "/apis", 404).await;
    check("OPTIONS", "/metrics", 405).await;
    check("POST", "/nope", 404).await;
}

#[tokio::test]
async fn an_unknown_name_gets_a_page_in_a_browser_and_json_otherwise() {
    let api = api(Readers::OnLoopback).await;
    for path in ["/", "/api/nodes", "/nope"] {
        let request = || warp::test::request().path(path).header("host", "fleet.example");
        let page = request().header("accept", "text/html,*/*;q=0.8").reply(&api).await;
        let body = String::from_utf8_lossy(page.body());
        assert_eq!(page.status(), 421, "{path}");
        assert_eq!(page.headers()["vary"], "accept");
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(body.contains("--host") && !body.contains("fleet.example"), "{body}");
        let answer = request().header("accept", "*/*").reply(&api).await;
        assert!(detail(&answer).contains("--host fleet.example"), "{path}");
        assert_eq!(answer.status(), 421);
    }
}

#[tokio::test]
async fn ready_means_a_fresh_view_of_every_partition() {
    assert_eq!(get("/readyz").await.status(), 200);
    let (count, _) = one_partition();
    let mut task = FleetTask::new(count, false, Instant::now(), AT_MS);
    let (requests_in, mut requests) = mpsc::channel(1);
    let handle = FleetHandle::new(requests_in, task.answers());
    let site = site(fleet(), Readers::OnLoopback).await;
    let site = Site::over(handle, &site);
    let answering = async {
        let request = requests.recv().await.unwrap();
        fleet_task::answer(&mut task, request);
    };
    let api = routes(site);
    let request = warp::test::request().path("/readyz").reply(&api);
    let (answer, ()) = tokio::join!(request, answering);
    assert_eq!((answer.status().as_u16(), detail(&answer)), (503, "no fresh view of partition 0".to_owned()));
}
