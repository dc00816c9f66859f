//! From the agent to the API through a real broker, in real processes.

use std::{fs, time::Duration};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use serde_json::Value;
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{
    eventually,
    http::{self, events, get, get_json, is_ready},
    process::Tidemap,
    undisturbed, within,
};
use tidemap_wire::{
    Status,
    http::{NodeDetailJson, NodeJson, StatsJson},
};
use tokio::time::Instant;

const EVENT_TIMEOUT: Duration = Duration::from_secs(10);
/// For everything that `up` has started to end.
const LONGEST_SHUTDOWN: Duration = Duration::from_secs(2);

async fn up(more: &[&str]) -> (tempfile::TempDir, Tidemap, String) {
    let folder = tempfile::tempdir().unwrap();
    let (up, url) = Tidemap::up(folder.path(), more).await.unwrap();
    (folder, up, url)
}

/// The address of the broker of a running `up`, whose log is written by a thread of its own.
async fn broker_of(up: &Tidemap) -> String {
    let broker = eventually(EVENT_TIMEOUT, || async {
        let log = up.log();
        let named = log.split("broker=\"").nth(1).and_then(|named| named.split_once('"'));
        named.map(|(broker, _)| broker.to_owned()).with_context(|| format!("no broker: {log}"))
    });
    broker.await.unwrap()
}

async fn node(url: &str, name: &str) -> anyhow::Result<NodeJson> {
    let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
    nodes.into_iter().find(|node| node.name == name).ok_or_else(|| anyhow::anyhow!("{name} is not there"))
}

#[tokio::test]
async fn this_host_is_shown_seconds_after_up_and_everything_ends_with_it() {
    let (_folder, mut up, url) = up(&["--node", "Web-01.example", "--location", "47.4,8.5,Zürich"]).await;
    let shown = eventually(EVENT_TIMEOUT, || async {
        let node = node(&url, "web-01.example").await?;
        ensure!(node.age_ms < 5_000 && node.host.memory_total_bytes.is_some(), "{node:?}");
        Ok(node)
    });
    let node = shown.await.unwrap();
    assert!(node.network_rx_bytes_per_sec.is_some() && node.network_tx_bytes_per_sec.is_some(), "{node:?}");
    assert_eq!(
        (node.status, node.lat, node.location.as_deref()),
        (Status::Online, Some(47.4), Some("Zürich"))
    );

    eventually(EVENT_TIMEOUT, || is_ready(&url)).await.unwrap();
    // A worker that stands still does not tell a node's past in time.
    let detail = eventually(EVENT_TIMEOUT, || async {
        let detail: NodeDetailJson = get_json(format!("{url}/api/nodes/web-01.example")).await?;
        ensure!(detail.last_60s.is_some(), "no past");
        Ok(detail)
    });
    let detail = detail.await.unwrap();
    assert!(
        !detail.interfaces.is_empty()
            && detail.interfaces.iter().all(|interface| !interface.reason.is_empty())
    );
    let history = detail.last_60s.unwrap();
    assert!(history.rx_bps.iter().any(Option::is_some) && history.rx_bps.len() == 60);

    let broker = broker_of(&up).await.replace("nats://", "");
    assert!(up.terminate().await.unwrap().success(), "{}", up.log());
    assert!(tokio::net::TcpStream::connect(&broker).await.is_err(), "nats-server must end with its owner");
    assert!(get(format!("{url}/healthz")).await.is_err());
}

#[tokio::test]
async fn stats_equal_the_means_over_the_nodes_of_the_same_tick() {
    let (_folder, _up, url) = up(&["--simulate", "200"]).await;
    let (nodes, stats) = eventually(Duration::from_secs(30), || async {
        let nodes = get(format!("{url}/api/nodes")).await?;
        let stats = get(format!("{url}/api/stats")).await?;
        ensure!(nodes.header("x-tidemap-tick").is_some(), "an answer tells its tick");
        ensure!(nodes.header("x-tidemap-tick") == stats.header("x-tidemap-tick"), "not of one tick");
        let (nodes, stats): (Vec<NodeJson>, StatsJson) = (nodes.json()?, stats.json()?);
        ensure!(stats.online_nodes > 100, "{} online", stats.online_nodes);
        Ok((nodes, stats))
    })
    .await
    .unwrap();
    let mean = |value: fn(&NodeJson) -> Option<f64>| {
        let online = nodes.iter().filter(|node| node.status == Status::Online);
        let known: Vec<f64> = online.filter_map(value).collect();
        known.iter().sum::<f64>() / known.len() as f64
    };
    let close = |stat: f64, mean: f64| assert!((stat - mean).abs() <= 0.005 + mean * 1e-12, "{stat} {mean}");
    close(stats.avg_network_tx_bytes_per_sec, mean(|node| Some(node.network_tx_bytes_per_sec?.get())));
    close(stats.avg_network_rx_bytes_per_sec, mean(|node| Some(node.network_rx_bytes_per_sec?.get())));
    close(stats.avg_cpu_percent, mean(|node| node.host.cpu_percent));
    assert_eq!(stats.total_nodes as usize, nodes.len());
}

#[tokio::test]
async fn the_event_stream_begins_with_a_snapshot_and_goes_on_every_second() {
    let (_folder, _up, url) = up(&["--simulate", "20"]).await;
    eventually(EVENT_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.total_nodes == 21, "{} nodes", stats.total_nodes);
        Ok(())
    })
    .await
    .unwrap();
    let goes_on = async || {
        let mut stream = events(format!("{url}/api/stream"), None);
        let first = stream.recv().await.context("no event")?;
        assert_eq!(first.name, "snapshot");
        // A row may be vacant.
        let names = first.data["nodes"]["name"].as_array().unwrap();
        assert_eq!(names.iter().filter(|name| name.is_string()).count(), 21);
        let mut deltas = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        let collect = async {
            while deltas.len() < 8 || !names.contains("stats") || !names.contains("ping") {
                let event = stream.recv().await.unwrap();
                if event.name == "delta" {
                    deltas.push(event.data["at_ms"].as_i64().unwrap());
                }
                names.insert(event.name);
            }
        };
        within(Duration::from_secs(15), collect).await?;
        ensure!(deltas.windows(2).all(|pair| pair[1] - pair[0] <= 1_300), "{deltas:?}");
        Ok(())
    };
    undisturbed(goes_on).await.unwrap();

    // A client that was disconnected resumes 4 s before its position, because another replica may have been
    // that far behind.
    // On a busy machine, an API that missed a partition for a moment has no position to resume from for 4 s.
    eventually(3 * EVENT_TIMEOUT, || async {
        let mut stream = events(format!("{url}/api/stream"), None);
        let (id, at_ms) = loop {
            let event = stream.recv().await.unwrap();
            if let ("delta", Some(id)) = (event.name.as_str(), event.id) {
                break (id, event.data["at_ms"].as_i64().unwrap());
            }
        };
        let mut resumed = events(format!("{url}/api/stream"), Some(id));
        let next = resumed.recv().await.unwrap();
        let ago_ms = at_ms - next.data["at_ms"].as_i64().unwrap();
        ensure!(next.name == "delta" && (0..=4_250).contains(&ago_ms), "{} of {ago_ms} ms before", next.name);
        Ok(())
    })
    .await
    .unwrap();
    // A client with an unknown position starts with a snapshot.
    let mut stranger = events(format!("{url}/api/stream"), Some("1-1".to_owned()));
    assert_eq!(stranger.recv().await.unwrap().name, "snapshot");
}

#[tokio::test]
async fn an_admin_can_forget_a_node_and_nobody_else_can() {
    let (folder, up, url) =
        up(&["--node", "here", "--simulate", "5", "--api-token", "open-sesame-open"]).await;
    eventually(EVENT_TIMEOUT, || node(&url, "here")).await.unwrap();
    let key = folder.path().join("keys/app.nk");
    let app = NatsArgs::new(&broker_of(&up).await, Some(&key)).connect("test", None).await.unwrap();
    let mut events = app.subscribe("tidemap.v1.event.*.here").await.unwrap();
    app.flush().await.unwrap();
    let here = || format!("{url}/api/nodes/here");
    assert_eq!(http::delete(here(), None).await.unwrap().status, 401);
    assert_eq!(http::delete(here(), Some("guess")).await.unwrap().status, 401);
    eventually(EVENT_TIMEOUT, || async {
        let unknown = http::delete(format!("{url}/api/nodes/nobody"), Some("open-sesame-open")).await?;
        ensure!(unknown.status == 404, "{}: {}", unknown.status, unknown.body);
        Ok(())
    })
    .await
    .unwrap();
    // A worker that stands still does not answer in time.
    let mut attempts = 0;
    eventually(EVENT_TIMEOUT, || {
        attempts += 1;
        let may_be_done = attempts > 1;
        let forget = http::delete(here(), Some("open-sesame-open"));
        async move {
            let forgotten = forget.await?;
            let is_done = forgotten.status == 204 || may_be_done && forgotten.status == 404;
            ensure!(is_done, "{}: {}", forgotten.status, forgotten.body);
            Ok(())
        }
    })
    .await
    .unwrap();
    // It still reports, so it joins again.
    for kind in ["forgotten", "joined"] {
        let event = within(EVENT_TIMEOUT, events.next()).await.unwrap().unwrap();
        assert_eq!(event.subject.as_str(), format!("tidemap.v1.event.{kind}.here"));
    }
    eventually(EVENT_TIMEOUT, || node(&url, "here")).await.unwrap();
}

#[tokio::test]
async fn errors_are_json_and_the_description_is_served() {
    let (_folder, _up, url) = up(&[]).await;
    for (path, status) in [
        ("/api/nodes/no-such-node", 404),
        ("/api/nodes?status=asleep", 422),
        ("/api/nodes?colour=blue", 422),
        ("/api/nodes?limit=-1", 422),
        ("/api/elsewhere", 404),
    ] {
        let answer = get(format!("{url}{path}")).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json::<Value>().unwrap()["detail"].is_string(), "{path}: {}", answer.body);
    }
    let description: Value = get_json(format!("{url}/api/openapi.json")).await.unwrap();
    assert!(description["paths"]["/api/nodes"].is_object());
    let metrics = get(format!("{url}/metrics")).await.unwrap();
    assert!(metrics.body.contains("# TYPE "), "{}", metrics.body);
}

#[tokio::test]
async fn a_second_up_in_the_same_folder_starts_nothing_and_state_survives_a_restart() {
    let (folder, mut first, url) = up(&["--node", "here"]).await;
    eventually(EVENT_TIMEOUT, || node(&url, "here")).await.unwrap();
    let second = Tidemap::up(folder.path(), &["--node", "there"]).await.err().unwrap().to_string();
    assert!(second.contains("is in use by another tidemap"), "{second}");
    assert_eq!(second.trim().lines().count(), 1, "{second}");
    assert!(first.terminate().await.unwrap().success());
    // The earlier node is restored from the broker's log, although the agent has another name now.
    let (_third, url) = Tidemap::up(folder.path(), &["--node", "there"]).await.unwrap();
    eventually(EVENT_TIMEOUT, || node(&url, "here")).await.unwrap();
    eventually(EVENT_TIMEOUT, || node(&url, "there")).await.unwrap();
}

#[tokio::test]
async fn a_clean_start_and_a_clean_stop_are_logged_without_a_warning() {
    undisturbed(starts_and_stops_cleanly).await.unwrap();
}

/// A service that stands still for some seconds is a reason to warn, and to end late.
async fn starts_and_stops_cleanly() -> anyhow::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    // The second start finds the data of the first.
    for ctrl_c in [false, true] {
        let more = ["--node", "here", "--simulate", "200"];
        let (mut up, url) = Tidemap::up(folder.path(), &more).await.unwrap();
        eventually(EVENT_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.online_nodes > 150 && stats.partitions_fresh == stats.partitions, "{stats:?}");
            Ok(())
        })
        .await
        .unwrap();
        // A browser that is there until the end.
        let mut stream = events(format!("{url}/api/stream"), None);
        assert_eq!(stream.recv().await.unwrap().name, "snapshot");

        let asked = Instant::now();
        let ended = if ctrl_c { up.interrupt().await } else { up.terminate().await };
        let took = asked.elapsed();
        let log = up.log();
        assert_eq!(ended.unwrap().code(), Some(0), "{log}");
        ensure!(took <= LONGEST_SHUTDOWN, "{took:?}: {log}");
        let is_complaint =
            |line: &&str| ["WARN", "ERROR", "[WRN]", "[ERR]"].iter().any(|level| line.contains(level));
        let broker_log = fs::read_to_string(folder.path().join("nats-server.log")).unwrap();
        let complaints: Vec<_> = log.lines().chain(broker_log.lines()).filter(is_complaint).collect();
        ensure!(complaints.is_empty(), "{complaints:#?} in {log}");
        println!("ended within {took:?}");
    }
    Ok(())
}
