//! The history through the API: a worker, stations that are killed, and rows of minutes with known values.

use std::{path::Path, time::Duration};

use anyhow::ensure;
use async_nats::jetstream;
use serde_json::Value;
use tidemap_service::{clock::unix_ms, streams};
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    history::{has_read, has_stored, newest_message, publish_minutes},
    http::{HttpAnswer, get, get_json, is_ready},
    process::Tidemap,
};
use tidemap_wire::{
    Extremes, Hello, HostMinute, Location, LocationSource, MinuteRow, NodeId, Report, Sample, encode,
    http::{HistoryJson, HistoryStatusJson, TopJson},
    subject,
};

pub(crate) const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How many minutes have rows, and how many have none behind each.
const MINUTES: u32 = 6;
const MINUTE_MS: i64 = 60_000;

pub(crate) struct Scene {
    pub(crate) api: Tidemap,
    _worker: Tidemap,
    pub(crate) url: String,
    /// The first minute that has rows.
    from: u32,
    pub(crate) broker: TestBroker,
}

impl Scene {
    pub(crate) async fn open() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let worker = broker.ingest(&[]).unwrap();
        let (api, url) = broker.api().await.unwrap();
        // Then there is an owner for each partition, and every stream.
        eventually(EVENT_TIMEOUT, || is_ready(&url)).await.unwrap();
        let from = u32::try_from(unix_ms() / MINUTE_MS).unwrap() - 3 * MINUTES;
        Self { api, _worker: worker, url, from, broker }
    }

    pub(crate) async fn js(&self) -> jetstream::Context {
        jetstream::new(self.broker.connect().await.unwrap())
    }

    /// A node reports once.
    pub(crate) async fn reports(&self, node: &str, role: &str) {
        let place = Location {
            lat: 52.5,
            lon: 13.4,
            label: Some("Berlin".to_owned()),
            source: LocationSource::Given,
        };
        let hello = Hello {
            location: Some(place),
            provider: Some("hetzner".to_owned()),
            display_name: Some(node.to_owned()),
            labels: [("role".to_owned(), role.to_owned())].into(),
            ..Hello::default()
        };
        let samples = vec![Sample { seq: 1, at_ms: unix_ms(), elapsed_ms: 1_000, ..Sample::default() }];
        let report = Report { node: id(node), boot: 7, hello: Some(Box::new(hello)), samples };
        let subject = subject::sample(&id(node));
        self.js().await.publish(subject, encode(&report).into()).await.unwrap().await.unwrap();
    }

    /// Every second minute of a node gets a row, twice: the second message brings nothing new.
    pub(crate) async fn rows(&self, node: &str, bytes: u64) {
        for minute in (self.from..self.from + 2 * MINUTES).step_by(2) {
            let rates = Extremes { rx_max: 9 * bytes, tx_max: 8 * bytes, rx_min: 2, tx_min: 1 };
            let row = MinuteRow {
                minute,
                samples: 60,
                covered_ms: 60_000,
                rx_bytes: 60 * bytes,
                tx_bytes: 120 * bytes,
                rates: Some(rates),
                counters: Vec::new(),
                host: HostMinute::default(),
            };
            for _ in 0..2 {
                self.publish(node, std::slice::from_ref(&row)).await;
            }
        }
    }

    /// Rows of a node.
    pub(crate) async fn publish(&self, node: &str, rows: &[MinuteRow]) {
        publish_minutes(&self.broker.connect().await.unwrap(), &id(node), rows).await.unwrap();
    }

    /// The range with rows.
    pub(crate) fn range(&self) -> String {
        let ms = |minute: u32| i64::from(minute) * MINUTE_MS;
        format!("from={}&to={}", ms(self.from), ms(self.from + 2 * MINUTES))
    }

    pub(crate) async fn get(&self, path: &str) -> HttpAnswer {
        get(format!("{}{path}", self.url)).await.unwrap()
    }

    pub(crate) async fn history(&self, path: &str) -> anyhow::Result<HistoryJson> {
        get_json(format!("{}{path}", self.url)).await
    }

    /// Starts a station, and waits until it answers.
    pub(crate) async fn station(&self, folder: &Path) -> Tidemap {
        self.station_with(folder, 1).await
    }

    /// The same with so many gigabytes of the disk, by which it is known among others.
    pub(crate) async fn station_with(&self, folder: &Path, disk: u64) -> Tidemap {
        let station = self.broker.history(folder, &["--history-disk", &format!("{disk}GB")]).unwrap();
        eventually(EVENT_TIMEOUT, || async {
            let status: HistoryStatusJson = get_json(format!("{}/api/history/status", self.url)).await?;
            let is_it = status.budget_bytes == Some(disk * 1_000_000_000);
            ensure!(status.enabled && is_it, "{status:?}: {}", station.log());
            Ok(())
        })
        .await
        .unwrap();
        station
    }

    /// Has a station store all rows: one that ends stores what it has read, as far as it has the time, and
    /// the next one the rest.
    pub(crate) async fn stored(&self, folder: &Path, mut station: Tidemap) -> Tidemap {
        let client = self.broker.connect().await.unwrap();
        let last = newest_message(&client).await.unwrap();
        has_read(&client, last).await.unwrap();
        assert!(station.terminate().await.unwrap().success(), "{}", station.log());
        let station = self.station(folder).await;
        has_stored(&client, last).await.unwrap();
        station
    }
}

pub(crate) fn id(node: &str) -> NodeId {
    NodeId::from_name(node).unwrap()
}

/// A value in every second minute.
fn every_second(value: u64) -> Vec<Option<u64>> {
    (0..MINUTES).flat_map(|_| [Some(value), None]).collect()
}

#[tokio::test]
async fn rows_become_answers_for_nodes_and_groups_in_every_form() {
    let scene = Scene::open().await;
    let without = scene.get("/api/history").await;
    assert_eq!(without.status, 503);
    assert!(without.body.contains("there is no history station at the moment"), "{}", without.body);

    let folder = tempfile::tempdir().unwrap();
    let station = scene.station(folder.path()).await;
    scene.reports("Web-01", "web").await;
    scene.reports("db", "db").await;
    for group in ["by=location&key=Berlin", "by=label:role&key=web", "by=label:role&key=db"] {
        let path = format!("/api/history?{group}");
        eventually(EVENT_TIMEOUT, || scene.history(&path)).await.unwrap();
    }
    scene.rows("Web-01", 1_000).await;
    scene.rows("db", 10).await;
    let _station = scene.stored(folder.path(), station).await;

    let range = scene.range();
    let step = format!("{range}&step=1m");
    for (path, bytes) in [
        (format!("/api/nodes/web-01/history?{step}"), 1_000),
        (format!("/api/nodes/Web-01/history?{step}"), 1_000),
        (format!("/api/nodes/db/history?{step}"), 10),
        (format!("/api/history?{step}"), 1_010),
        (format!("/api/history?by=location&key=Berlin&{step}"), 1_010),
        (format!("/api/history?by=provider&key=hetzner&{step}"), 1_010),
        (format!("/api/history?by=label:role&key=web&{step}"), 1_000),
    ] {
        let answer = scene.history(&path).await.unwrap();
        assert_eq!(answer.rx_bytes, every_second(60 * bytes), "{path}");
        assert_eq!(answer.tx_bytes, every_second(120 * bytes), "{path}");
        let covered_ms = every_second(60_000).into_iter().map(Option::unwrap_or_default);
        assert_eq!(answer.covered_ms, covered_ms.collect::<Vec<_>>(), "{path}");
        assert_eq!((answer.step_ms, answer.tier_ms), (60_000, 60_000), "{path}");
        assert_eq!(
            (answer.from_ms, answer.to_ms - answer.from_ms),
            (i64::from(scene.from) * MINUTE_MS, 12 * MINUTE_MS)
        );
    }
    let node = scene.history(&format!("/api/nodes/web-01/history?{step}")).await.unwrap();
    assert_eq!((node.rx_bps, node.rx_max_bps), (every_second(1_000), every_second(9_000)));
    assert_eq!((node.tx_bps, node.tx_min_bps), (every_second(2_000), every_second(1)));
    let fleet = scene.history(&format!("/api/history?{range}&step=30m")).await.unwrap();
    let total: u64 = fleet.rx_bytes.iter().flatten().sum();
    assert_eq!(total, u64::from(MINUTES) * 60 * 1_010, "whatever the step");

    let top: TopJson = get_json(format!("{}/api/top?by=tx&{range}", scene.url)).await.unwrap();
    let most: Vec<_> =
        top.nodes.iter().map(|node| (&*node.node, node.display_name.as_deref(), node.tx_bytes)).collect();
    let sum = |bytes: u64| u64::from(MINUTES) * 120 * bytes;
    assert_eq!(most, [("web-01", Some("Web-01"), sum(1_000)), ("db", Some("db"), sum(10))]);
    let csv = scene.get(&format!("/api/nodes/web-01/history?{step}&format=csv")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!(lines.len(), 1 + 12);
    assert!(lines[1].ends_with("Z,60000,120000,1000,2000,9000,8000,2,1,60000,0,0"), "{}", lines[1]);
    assert!(lines[2].ends_with("Z,,,,,,,,,0,0,0"), "{}", lines[2]);
    eventually(EVENT_TIMEOUT, || async {
        let metrics = scene.get("/metrics").await.body;
        ensure!(metrics.contains("\ntidemap_history_up 1\n"), "{metrics}");
        ensure!(metrics.contains("\ntidemap_history_oldest_timestamp_seconds{step=\"1m\"} "), "{metrics}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_cannot_be_answered_is_said_in_one_line() {
    let scene = Scene::open().await;
    let folder = tempfile::tempdir().unwrap();
    let _station = scene.station(folder.path()).await;
    for (path, status) in [
        ("/api/nodes/nobody/history", 404),
        ("/api/history?by=provider&key=nobody", 404),
        ("/api/history?by=provider", 422),
        ("/api/history?from=yesterday", 422),
        ("/api/history?from=-1h&to=-2h", 422),
        ("/api/history?from=-1000d&step=1m", 422),
        ("/api/history?step=45s", 422),
        ("/api/history?to=9999-12-31T00:00:00Z", 422),
        ("/api/history?from=-1h&from=-2h", 422),
        ("/api/history?span=1h", 422),
        ("/api/top?by=name", 422),
        ("/api/top?limit=1000000", 422),
        ("/api/history/status?x=1", 422),
    ] {
        let answer = scene.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let said: Value = answer.json().unwrap();
        assert!(!said["detail"].as_str().unwrap().contains('\n'), "{path}: {said}");
    }
    // Nothing has been stored yet, which is no error.
    let fleet = scene.history("/api/history?from=-10m&step=1m").await.unwrap();
    assert!(fleet.rx_bytes.iter().all(Option::is_none) && fleet.partial, "{fleet:?}");
    let top: TopJson = get_json(format!("{}/api/top", scene.url)).await.unwrap();
    assert_eq!(top.nodes, []);
}

#[tokio::test]
async fn a_station_that_is_killed_is_missed_and_another_one_answers_the_same() {
    let scene = Scene::open().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    scene.reports("db", "db").await;
    scene.rows("db", 10).await;
    let mut answers = Vec::new();
    let path = format!("/api/nodes/db/history?{}&step=1m", scene.range());
    for folder in &folders {
        let station = scene.station(folder.path()).await;
        let mut station = scene.stored(folder.path(), station).await;
        answers.push(scene.history(&path).await.unwrap().rx_bytes);
        station.kill().await.unwrap();
        eventually(EVENT_TIMEOUT, || async {
            let answer = scene.get(&path).await;
            ensure!(answer.status == 503, "{}: {}", answer.status, answer.body);
            Ok(())
        })
        .await
        .unwrap();
        let status: HistoryStatusJson = scene.get("/api/history/status").await.json().unwrap();
        assert!(!status.enabled, "{status:?}");
    }
    assert_eq!(answers, [every_second(600), every_second(600)]);

    let mut first = scene.station(folders[0].path()).await;
    let _second = scene.station_with(folders[1].path(), 2).await;
    for _ in 0..20 {
        assert_eq!(scene.history(&path).await.unwrap().rx_bytes, every_second(600));
    }
    // It is gone in the middle of questions, and nobody notices more than a delay.
    let asking = async {
        for _ in 0..50 {
            assert_eq!(scene.history(&path).await.unwrap().rx_bytes, every_second(600));
        }
    };
    let (killed, ()) = tokio::join!(first.kill(), asking);
    killed.unwrap();
}

#[tokio::test]
async fn a_station_that_began_later_answers_only_while_no_other_can() {
    let scene = Scene::open().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    scene.reports("db", "db").await;
    scene.rows("db", 10).await;
    let path = format!("/api/nodes/db/history?{}&step=1m", scene.range());
    let station = scene.station(folders[0].path()).await;
    let mut first = scene.stored(folders[0].path(), station).await;
    // The second one cannot read what has expired.
    scene.js().await.delete_stream(streams::HISTORY).await.unwrap();
    let second = scene.broker.history(folders[1].path(), &["--history-disk", "2GB"]).unwrap();
    eventually(EVENT_TIMEOUT, async || {
        ensure!(second.log().contains("history is up"), "{}", second.log());
        Ok(())
    })
    .await
    .unwrap();
    for _ in 0..30 {
        assert_eq!(scene.history(&path).await.unwrap().rx_bytes, every_second(600));
    }
    first.kill().await.unwrap();
    eventually(EVENT_TIMEOUT, async || {
        let status: HistoryStatusJson = get_json(format!("{}/api/history/status", scene.url)).await?;
        ensure!(status.budget_bytes == Some(2_000_000_000), "{status:?}");
        Ok(())
    })
    .await
    .unwrap();
}
