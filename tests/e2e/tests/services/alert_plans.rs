//! Rules about plans, judged by real stations: a history that was stored before, a station that takes over, a
//! file that changes, and a boundary that is crossed. And partitions that are gone.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{get_json, is_ready},
    process::{Tidemap, run_to_end},
    sink::HttpSink,
};
use tidemap_wire::{AlertChange, AlertNotice, MinuteRow, http::AlertsJson};

use crate::history_answers::Scene;

/// A plan is counted once a minute, and a boundary is up to a minute away.
const ALERT_TIMEOUT: Duration = Duration::from_secs(180);
const MINUTE_MS: i64 = 60_000;
/// A node sends 1 MB in each of as many minutes.
const MINUTES: u32 = 91;
const MINUTE_BYTES: u64 = 1_000_000;
/// Then 91 % are used.
const QUOTA: &str = "100 MB";

fn row(minute: u32, bytes: u64) -> MinuteRow {
    MinuteRow { minute, samples: 60, covered_ms: 60_000, tx_bytes: bytes, ..MinuteRow::default() }
}

/// A folder with both files. Its rules notify the sink.
struct Files {
    folder: TempDir,
    alerts: String,
    traffic: String,
}

impl Files {
    fn new(sink: &HttpSink, plans: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (alerts, traffic) = (path("alerts.toml"), path("traffic.toml"));
        let text = format!(
            "[[channel]]\nname = \"ops\"\ntype = \"webhook\"\nurl = \"{}/hook\"\n\
             [[rule]]\nname = \"quota\"\nmetric = \"quota\"\n\
             [[rule]]\nname = \"commit\"\nmetric = \"p95\"\n",
            sink.url()
        );
        std::fs::write(&alerts, text).unwrap();
        std::fs::write(&traffic, plans).unwrap();
        Self { folder, alerts, traffic }
    }

    fn plans(&self, plans: &str) {
        std::fs::write(&self.traffic, plans).unwrap();
    }

    fn station(&self, broker: &TestBroker) -> Tidemap {
        broker.alerts(&["--alerts", &self.alerts, "--traffic", &self.traffic]).unwrap()
    }
}

/// A plan whose cycle of a day begins at this minute of Unix time, each day. The percentile of a node that
/// sends 1 MB in each minute is 133 kbit/s.
fn plan(begins: i64, quota: &str) -> String {
    let minute = begins.rem_euclid(24 * 60);
    format!(
        "[[plan]]\nname = \"one\"\nnode = \"one\"\ncycle = \"day\"\n\
         anchor = \"2026-01-01 {:02}:{:02}\"\ndirection = \"out\"\nquota = \"{quota}\"\n\
         p95 = true\ncommit = \"100 kbit/s\"\n",
        minute / 60,
        minute % 60
    )
}

async fn alerts(url: &str) -> anyhow::Result<AlertsJson> {
    get_json(format!("{url}/api/alerts?limit=1000")).await
}

/// What fires, sorted: `quota one@80`.
fn firing(known: &AlertsJson) -> Vec<String> {
    let mut names: Vec<_> =
        known.firing.iter().map(|alert| format!("{} {}", alert.rule, alert.target.id)).collect();
    names.sort_unstable();
    names
}

/// Waits until exactly this fires.
async fn fires(url: &str, wanted: &[&str]) -> AlertsJson {
    eventually(ALERT_TIMEOUT, || async {
        let known = alerts(url).await?;
        ensure!(firing(&known) == wanted, "{:?} {:?}", firing(&known), known.warnings);
        Ok(known)
    })
    .await
    .unwrap()
}

/// How often each alert was notified of: its firing and its end.
fn notified(sink: &HttpSink) -> anyhow::Result<BTreeMap<(String, i64), [usize; 2]>> {
    let mut notices: BTreeMap<String, AlertNotice> = BTreeMap::new();
    for sent in sink.sent() {
        let notice: AlertNotice = sent.json()?;
        notices.insert(notice.id.clone(), notice);
    }
    let mut counts: BTreeMap<(String, i64), [usize; 2]> = BTreeMap::new();
    for notice in notices.values() {
        for alert in &notice.alerts {
            let key = (format!("{} {}", alert.rule, alert.target.id), alert.since_ms);
            counts.entry(key).or_default()[usize::from(notice.change == AlertChange::Resolved)] += 1;
        }
    }
    Ok(counts)
}

#[tokio::test]
async fn each_threshold_is_notified_once_in_a_cycle_and_again_in_the_next() {
    let scene = Scene::open().await;
    let (sink, folder) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let mut history = scene.station(folder.path()).await;
    scene.reports("one", "web").await;
    let now = unix_ms() / MINUTE_MS;
    let until = u32::try_from(now).unwrap() / 5 * 5;
    let rows: Vec<_> = (until - MINUTES..until).map(|minute| row(minute, MINUTE_BYTES)).collect();
    scene.publish("one", &rows).await;
    history = scene.stored(folder.path(), history).await;

    let begins = now - 180;
    let files = Files::new(&sink, &plan(begins, QUOTA));
    let mut first = files.station(&scene.broker);
    let known = fires(&scene.url, &["commit one", "quota one@80", "quota one@90"]).await;
    let quota = known.firing.iter().find(|alert| alert.target.id == "one@90").unwrap();
    assert!(quota.summary.starts_with("quota used 91 % (limit 90 %) · resets "), "{quota:?}");
    assert_eq!(quota.resets_ms, Some((begins + 24 * 60) * MINUTE_MS));
    let rate = known.firing.iter().find(|alert| alert.rule == "commit").unwrap();
    assert!(rate.summary.starts_with("95th percentile 133 kbit/s (limit 100 kbit/s)"), "{rate:?}");

    // Another station takes over, and a wrong file changes nothing.
    let second = files.station(&scene.broker);
    first.kill().await.unwrap();
    let id = |known: &AlertsJson| known.evaluator.as_ref().map(|evaluator| evaluator.id.clone());
    eventually(ALERT_TIMEOUT, || async {
        let now = id(&alerts(&scene.url).await?);
        ensure!(now.is_some() && now != id(&known), "{now:?}");
        Ok(())
    })
    .await
    .unwrap();
    files.plans("[[plan]]\nname = 7\n");
    let warned = eventually(ALERT_TIMEOUT, || async {
        let known = alerts(&scene.url).await?;
        known
            .warnings
            .iter()
            .find(|warning| warning.starts_with("--traffic: line 2, column 8"))
            .cloned()
            .context("none")
    });
    let warning = warned.await.unwrap();
    assert!(!warning.contains(files.folder.path().to_str().unwrap()), "{warning}");
    assert_eq!(firing(&alerts(&scene.url).await.unwrap()), firing(&known));

    // More is used, while the history is away for a moment.
    scene.publish("one", &[row(until, 10 * MINUTE_BYTES)]).await;
    history = scene.stored(folder.path(), history).await;
    files.plans(&plan(begins, QUOTA));
    fires(&scene.url, &["commit one", "quota one@100", "quota one@80", "quota one@90"]).await;

    // A cycle ends within two minutes, and the next begins, but no slot of five minutes.
    let next = unix_ms() / MINUTE_MS + 1;
    let boundary = next + i64::from(next % 5 == 0);
    files.plans(&plan(boundary, QUOTA));
    let known = fires(&scene.url, &[]).await;
    assert!(unix_ms() >= boundary * MINUTE_MS, "over before the boundary: {known:?}");
    assert_eq!(known.log.len(), 4, "{known:?}");
    for over in &known.log {
        assert_eq!(over.resolved_ms, Some(boundary * MINUTE_MS), "{over:?}");
        assert!(over.summary.ends_with(" · a new cycle has begun"), "{over:?}");
    }
    scene.publish("one", &[row(u32::try_from(boundary).unwrap(), 85 * MINUTE_BYTES)]).await;
    let _history = scene.stored(folder.path(), history).await;
    let known = fires(&scene.url, &["quota one@80"]).await;
    assert_eq!(known.firing[0].resets_ms, Some((boundary + 24 * 60) * MINUTE_MS));

    // The plan is no longer declared.
    files.plans("");
    let known = fires(&scene.url, &[]).await;
    assert!(known.log[0].summary.ends_with(" · it no longer exists"), "{:?}", known.log[0]);
    let counts = eventually(ALERT_TIMEOUT, || async {
        let counts = notified(&sink)?;
        ensure!(counts.len() == 5 && counts.values().all(|count| count[1] > 0), "{counts:?}");
        Ok(counts)
    });
    let counts = counts.await.unwrap();
    assert!(counts.values().all(|count| *count == [1, 1]), "{counts:?}\n{}", second.log());
}

#[tokio::test]
async fn a_rule_about_a_plan_is_checked_beside_the_file_of_plans() {
    let files = Files::new(&HttpSink::start().unwrap(), &plan(0, QUOTA));
    let rule = |text: &str| std::fs::write(&files.alerts, text).unwrap();
    let check = ["alerts", "check", &files.alerts, "--traffic", &files.traffic];
    assert_eq!(run_to_end(&check).await.unwrap().0, Some(0));
    rule("[[rule]]\nname = \"r\"\nmetric = \"quota\"\nplan = \"two\"\n");
    let (ended, line) = run_to_end(&check).await.unwrap();
    assert!(
        ended == Some(64) && line.contains("alerts.toml: rule r: there is no plan two"),
        "{ended:?} {line}"
    );
    // Without that file, only the rule's own words are checked.
    assert_eq!(run_to_end(&check[..3]).await.unwrap().0, Some(0));
    let (ended, line) = run_to_end(&["alerts", "test", "r", "--alerts", &files.alerts]).await.unwrap();
    assert!(ended == Some(64) && line.contains("plans are counted by whole cycles"), "{ended:?} {line}");
    std::fs::write(&files.traffic, "[[plan]]\nname = 7\n").unwrap();
    let (ended, line) = run_to_end(&check).await.unwrap();
    assert!(ended == Some(64) && line.contains("traffic.toml: line 2, column 8"), "{ended:?} {line}");
}

/// Everything that follows a fleet of so many partitions.
struct Divided {
    worker: Tidemap,
    station: Tidemap,
    api: Tidemap,
    url: String,
}

impl Divided {
    async fn start(broker: &TestBroker, file: &Path, partitions: &str) -> Self {
        let worker = broker.ingest(&["--partitions", partitions]).unwrap();
        let file = file.to_str().unwrap();
        let station = broker.alerts(&["--alerts", file, "--partitions", partitions]).unwrap();
        let args = ["--http", "127.0.0.1:0", "--partitions", partitions];
        let (api, url) = broker.api_with(&args).await.unwrap();
        eventually(ALERT_TIMEOUT, || is_ready(&url)).await.unwrap();
        Self { worker, station, api, url }
    }

    async fn end(self) {
        for mut part in [self.station, self.worker, self.api] {
            assert!(part.terminate().await.unwrap().success(), "{}", part.log());
        }
    }
}

#[tokio::test]
async fn alerts_about_partitions_end_when_the_fleet_is_divided_into_fewer() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("alerts.toml");
    // It always holds, for each partition that there is.
    std::fs::write(&file, "[[rule]]\nname = \"heard\"\nmetric = \"worker_silence\"\nat_least = \"0s\"\n")
        .unwrap();
    let broker = TestBroker::start().await.unwrap();
    let before = Divided::start(&broker, &file, "4").await;
    fires(&before.url, &["heard 0", "heard 1", "heard 2", "heard 3"]).await;
    before.end().await;
    let key = broker.keys.service_seed_path();
    let repartition =
        ["repartition", "--partitions", "2", "--nats-url", &broker.url, "--creds", key.to_str().unwrap()];
    let (ended, line) = run_to_end(&repartition).await.unwrap();
    assert_eq!(ended, Some(0), "{line}");

    let after = Divided::start(&broker, &file, "2").await;
    let known = fires(&after.url, &["heard 0", "heard 1"]).await;
    let over: Vec<_> =
        known.log.iter().map(|alert| (alert.target.id.as_str(), alert.summary.as_str())).collect();
    assert_eq!(over.len(), 2, "{known:?}");
    assert!(
        over.iter().all(|(id, said)| ["2", "3"].contains(id) && said.ends_with(" · it no longer exists")),
        "{over:?}"
    );
    after.end().await;
}

#[tokio::test]
async fn up_gives_its_plans_to_the_station_that_judges() {
    let (sink, data) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let files = Files::new(&sink, &plan(0, QUOTA));
    std::fs::write(&files.alerts, "[[rule]]\nname = \"r\"\nmetric = \"quota\"\nplan = \"two\"\n").unwrap();
    let args = ["--alerts", &files.alerts, "--traffic", &files.traffic];
    let (_up, url) = Tidemap::up(data.path(), &args).await.unwrap();
    let warned = async |is_wanted: bool| {
        eventually(ALERT_TIMEOUT, || async {
            let known = alerts(&url).await?;
            ensure!(known.evaluator.is_some(), "nobody judges");
            let is_warned = known.warnings.iter().any(|warning| warning == "rule r: there is no plan two");
            ensure!(is_warned == is_wanted, "{:?}", known.warnings);
            Ok(())
        })
        .await
    };
    warned(true).await.unwrap();
    files.plans(&plan(0, QUOTA).replace("\"one\"\nnode", "\"two\"\nnode"));
    warned(false).await.unwrap();
}
