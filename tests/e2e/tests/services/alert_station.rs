//! The station that judges alert rules, while stations, workers and the broker fail: each firing and each end
//! is notified once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use async_nats::jetstream;
use tempfile::TempDir;
use tidemap_service::{clock::unix_ms, streams};
use tidemap_testkit::{
    broker::{TestBroker, connect_to_up},
    eventually,
    http::{events, get, get_json},
    process::Tidemap,
    sink::HttpSink,
    within,
};
use tidemap_wire::{AlertChange, AlertNotice, NodeId, Report, Sample, encode, http::AlertsJson, subject};

const NODES: u32 = 100;
const RULES: usize = 10;
/// For a whole fleet to be offline, and for another station to take over.
const ALERT_TIMEOUT: Duration = Duration::from_secs(90);

/// A file whose rules notify the sink.
fn rules(folder: &TempDir, sink: &HttpSink) -> anyhow::Result<String> {
    let url = sink.url();
    let mut text = format!("[[channel]]\nname = \"ops\"\ntype = \"webhook\"\nurl = \"{url}/hook\"\n");
    for rule in 0..RULES {
        text.push_str(&format!("\n[[rule]]\nname = \"rule {rule}\"\nmetric = \"offline\"\nfor = \"1s\"\n"));
    }
    let path = folder.path().join("alerts.toml");
    std::fs::write(&path, text)?;
    Ok(path.to_str().context("a readable path")?.to_owned())
}

/// What the sink was notified, each notice once.
#[derive(Default)]
struct Notified {
    notices: BTreeMap<String, AlertNotice>,
}

impl Notified {
    fn of(sink: &HttpSink) -> anyhow::Result<Self> {
        let mut notified = Self::default();
        for sent in sink.sent() {
            let notice: AlertNotice = sent.json()?;
            // The same id means the same content, at every attempt.
            if let Some(before) = notified.notices.insert(notice.id.clone(), notice.clone()) {
                ensure!(before == notice, "two notices have one id: {before:?} {notice:?}");
            }
        }
        Ok(notified)
    }

    fn count(&self, change: AlertChange) -> usize {
        let notices = self.notices.values().filter(|notice| notice.change == change);
        notices.map(|notice| notice.count as usize).sum()
    }
}

async fn alerts(url: &str) -> anyhow::Result<AlertsJson> {
    get_json(format!("{url}/api/alerts?limit=1000")).await
}

/// Waits until as many alerts fire.
async fn firing(url: &str, wanted: impl Fn(u64) -> bool) -> anyhow::Result<AlertsJson> {
    eventually(ALERT_TIMEOUT, || async {
        let known = alerts(url).await?;
        ensure!(wanted(known.counts.firing), "{:?}", known.counts);
        Ok(known)
    })
    .await
}

/// Waits until everything that the bucket knows of was notified, and nothing else.
async fn notified(url: &str, sink: &HttpSink) -> anyhow::Result<()> {
    eventually(ALERT_TIMEOUT, || async {
        let known = alerts(url).await?;
        let fired = (known.counts.firing + known.counts.log) as usize;
        let notified = Notified::of(sink)?;
        let counts = (notified.count(AlertChange::Fired), notified.count(AlertChange::Resolved));
        ensure!(counts == (fired, known.counts.log as usize), "notified {counts:?} of {:?}", known.counts);
        Ok(())
    })
    .await
}

fn station(broker: &TestBroker, file: &str) -> anyhow::Result<Tidemap> {
    broker.alerts(&["--alerts", file])
}

#[tokio::test]
async fn each_of_a_thousand_firings_is_notified_once_while_stations_are_killed() {
    let (sink, folder) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let file = rules(&folder, &sink).unwrap();
    let mut broker = TestBroker::start().await.unwrap();
    let ingest = broker.ingest(&["--offline-after", "5"]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let fleet = broker.known_fleet(NODES, &url).await.unwrap();
    let mut stations = vec![station(&broker, &file).unwrap(), station(&broker, &file).unwrap()];
    eventually(ALERT_TIMEOUT, || async {
        let evaluator = alerts(&url).await?.evaluator.context("nobody judges")?;
        ensure!(evaluator.rules as usize == RULES, "it judges {} rules", evaluator.rules);
        Ok(())
    })
    .await
    .unwrap();

    // Nodes that are not heard are neither offline nor back.
    notified(&url, &sink).await.unwrap();
    let before = alerts(&url).await.unwrap();
    ingest.freeze().unwrap();
    eventually(ALERT_TIMEOUT, || async {
        let evaluator = alerts(&url).await?.evaluator.context("nobody judges")?;
        ensure!(!evaluator.is_hearing, "it hears the fleet");
        Ok(())
    })
    .await
    .unwrap();
    ingest.thaw().unwrap();
    eventually(ALERT_TIMEOUT, || async {
        let evaluator = alerts(&url).await?.evaluator.context("nobody judges")?;
        ensure!(evaluator.is_hearing, "it does not hear the fleet");
        Ok(())
    })
    .await
    .unwrap();
    let after = alerts(&url).await.unwrap();
    assert!(after.counts.firing <= before.counts.firing + 5 * RULES as u64, "{before:?} {after:?}");

    // All nodes end, and meanwhile so does the station that judges; another has begun.
    drop(fleet);
    stations.remove(0).kill().await.unwrap();
    stations.push(station(&broker, &file).unwrap());
    firing(&url, |count| count > 100).await.unwrap();
    stations.remove(0).kill().await.unwrap();
    stations.push(station(&broker, &file).unwrap());
    let all = u64::from(NODES) * RULES as u64;
    firing(&url, |count| count == all).await.unwrap();
    broker.server.kill().await.unwrap();
    broker.server.restart().await.unwrap();
    notified(&url, &sink).await.unwrap();
    stations.remove(0).kill().await.unwrap();
    stations.push(station(&broker, &file).unwrap());

    // They come back.
    let _fleet = broker.known_fleet(NODES, &url).await.unwrap();
    stations.remove(0).kill().await.unwrap();
    firing(&url, |count| count < all / 5).await.unwrap();
    notified(&url, &sink).await.unwrap();
    let known = alerts(&url).await.unwrap();
    let ids: BTreeSet<&String> = known.firing.iter().chain(&known.log).map(|alert| &alert.id).collect();
    assert_eq!(ids.len(), known.firing.len() + known.log.len(), "an alert is listed twice");
}

#[tokio::test]
async fn alerts_that_the_broker_has_lost_come_back_and_nobody_is_notified_again() {
    let (sink, folder) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let file = rules(&folder, &sink).unwrap();
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&["--offline-after", "5"]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _stations = [station(&broker, &file).unwrap(), station(&broker, &file).unwrap()];
    drop(broker.known_fleet(3, &url).await.unwrap());
    let all = firing(&url, |count| count == 3 * RULES as u64).await.unwrap();
    notified(&url, &sink).await.unwrap();
    let sent = sink.sent().len();

    let js = jetstream::new(broker.connect().await.unwrap());
    js.delete_stream(streams::bucket_stream(streams::ALERTS)).await.unwrap();
    let ids = |known: &AlertsJson| -> BTreeSet<String> {
        known.firing.iter().map(|alert| alert.id.clone()).collect()
    };
    eventually(ALERT_TIMEOUT, || async {
        let bucket = js.get_stream(streams::bucket_stream(streams::ALERTS)).await?;
        let values = bucket.cached_info().state.messages;
        ensure!(values > 3 * RULES as u64, "{values} values");
        Ok(())
    })
    .await
    .unwrap();
    let again = firing(&url, |count| count == 3 * RULES as u64).await.unwrap();
    assert_eq!(ids(&again), ids(&all));
    notified(&url, &sink).await.unwrap();
    assert_eq!(sink.sent().len(), sent);
}

#[tokio::test]
async fn a_full_bucket_delays_new_alerts_and_ends_no_station() {
    let (sink, folder) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let file = rules(&folder, &sink).unwrap();
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&["--offline-after", "5", "--disk-budget", "64MB"]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _station = station(&broker, &file).unwrap();
    let mut agent = broker.agent("here", &["--include", "lo"]).unwrap();
    eventually(ALERT_TIMEOUT, || get_json::<serde_json::Value>(format!("{url}/api/nodes/here")))
        .await
        .unwrap();

    // Something else takes the room, once the bucket has a bound.
    let js = jetstream::new(broker.connect().await.unwrap());
    let bucket = streams::bucket_stream(streams::ALERTS);
    let bound = eventually(ALERT_TIMEOUT, || async {
        let bound = js.get_stream(&bucket).await?.cached_info().config.max_bytes;
        ensure!((1..1_000_000).contains(&bound), "a bound of {bound} bytes");
        Ok(usize::try_from(bound)?)
    })
    .await
    .unwrap();
    const PARTS: usize = 31;
    for part in 0..PARTS - 3 {
        let subject = streams::bucket_subject(streams::ALERTS, &format!("other.{part}"));
        js.publish(subject, vec![0; bound / PARTS].into()).await.unwrap().await.unwrap();
    }
    agent.kill().await.unwrap();
    let waiting = eventually(ALERT_TIMEOUT, || async {
        let known = alerts(&url).await?;
        let wanted = format!("the bucket of alerts is full; changes that wait for room: {RULES}");
        ensure!(known.warnings.contains(&wanted), "{known:?}");
        Ok(known)
    })
    .await
    .unwrap();
    assert_eq!((waiting.counts.firing, sink.sent().len()), (0, 0), "{waiting:?}");

    let purge = js.get_stream(&bucket).await.unwrap().purge();
    purge.filter(streams::bucket_subject(streams::ALERTS, "other.*")).await.unwrap();
    let known = firing(&url, |count| count == RULES as u64).await.unwrap();
    notified(&url, &sink).await.unwrap();
    let known = known.evaluator.zip(waiting.evaluator);
    assert!(known.is_some_and(|(now, then)| now.id == then.id), "another station judges");
    eventually(ALERT_TIMEOUT, || async {
        let known = alerts(&url).await?;
        ensure!(known.warnings.is_empty(), "{known:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn up_shows_nodes_that_are_offline_and_refuses_wrong_questions() {
    let data = TempDir::new().unwrap();
    let args = ["--simulate", "40", "--offline-after", "5", "--location", "52.5,13.4,Berlin"];
    let (_up, url) = Tidemap::up(data.path(), &args).await.unwrap();
    // A node that reports once and never again.
    let node = NodeId::from_name("gone").unwrap();
    let sample = Sample { seq: 1, at_ms: unix_ms(), elapsed_ms: 1_000, ..Sample::default() };
    let report = Report { node: node.clone(), boot: 7, hello: None, samples: vec![sample] };
    let js = jetstream::new(connect_to_up(data.path()).await.unwrap());
    // Its stream may not be there yet.
    eventually(ALERT_TIMEOUT, || async {
        js.publish(subject::sample(&node), encode(&report).into()).await?.await?;
        anyhow::Ok(())
    })
    .await
    .unwrap();
    let known = firing(&url, |count| count > 0).await.unwrap();
    assert_eq!(known.evaluator.map(|evaluator| evaluator.rules), Some(1));
    let alert = &known.firing[0];
    assert_eq!((alert.rule.as_str(), alert.summary.starts_with("offline")), ("offline", true), "{alert:?}");
    let of_node: AlertsJson =
        get_json(format!("{url}/api/alerts?node={}&state=firing", alert.target.id)).await.unwrap();
    assert_eq!(of_node.firing.len(), 1);
    for (query, word) in
        [("state=x", "state"), ("limit=0", "limit"), ("severity=x", "severity"), ("x=1", "x")]
    {
        let answer = get(format!("{url}/api/alerts?{query}")).await.unwrap();
        assert_eq!(answer.status, 422, "{query}");
        assert!(answer.body.contains(word), "{query}: {}", answer.body);
    }
    let mut stream = events(format!("{url}/api/stream"), None);
    let opening = async {
        loop {
            let event = stream.recv().await.unwrap();
            if event.name == "alerts" {
                return event.data;
            }
        }
    };
    let opening = within(ALERT_TIMEOUT, opening).await.unwrap();
    assert_eq!(opening["evaluator"], true, "{opening}");
    let metrics = get(format!("{url}/metrics")).await.unwrap().body;
    assert!(metrics.contains("tidemap_alerts_evaluator 1"), "{metrics}");
    assert!(metrics.contains("tidemap_alerts{rule=\"offline\""), "{metrics}");
}

#[tokio::test]
async fn a_wrong_new_file_keeps_the_rules_and_says_so() {
    let (sink, folder) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let file = rules(&folder, &sink).unwrap();
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _station = station(&broker, &file).unwrap();
    let judges = async |rules: u32, is_warned: bool| {
        eventually(ALERT_TIMEOUT, || async {
            let known = alerts(&url).await?;
            let found = known.evaluator.as_ref().map(|evaluator| evaluator.rules);
            ensure!((found, known.warnings.is_empty()) == (Some(rules), !is_warned), "{known:?}");
            Ok(known.warnings)
        })
        .await
    };
    judges(RULES as u32, false).await.unwrap();
    std::fs::write(Path::new(&file), "[[rule]]\nname = 7\n").unwrap();
    let warnings = judges(RULES as u32, true).await.unwrap();
    assert!(warnings[0].contains("--alerts"), "{warnings:?}");
    std::fs::write(Path::new(&file), "[[rule]]\nname = \"one\"\nmetric = \"offline\"\n").unwrap();
    judges(1, false).await.unwrap();
}
