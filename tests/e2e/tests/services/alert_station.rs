//! The station that judges alert rules, while stations, workers and the broker fail: each firing and each end
//! is notified once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use async_nats::jetstream;
use tempfile::TempDir;
use tidemap_broker::tls::Certificates;
use tidemap_service::{clock::unix_ms, streams};
use tidemap_testkit::{
    broker::{TestBroker, connect_to_up},
    eventually,
    http::{events, get, get_json},
    process::{Tidemap, tidemap},
    sink::HttpSink,
    within,
};
use tidemap_wire::{AlertChange, AlertNotice, NodeId, Report, Sample, encode, http::AlertsJson, subject};
use tokio::process::Command;

use crate::{
    checkers::library,
    smtp_sink::{Mailbox, SmtpSink},
};

const NODES: u32 = 100;
const RULES: usize = 10;
/// For a whole fleet to be offline, and for another station to take over.
const ALERT_TIMEOUT: Duration = Duration::from_secs(90);

/// A file whose rules notify the sink, and by mail if there is a server of mail at this port.
fn rules(folder: &TempDir, sink: &HttpSink, mail: Option<&str>) -> anyhow::Result<String> {
    let url = sink.url();
    let mut text = format!("[[channel]]\nname = \"ops\"\ntype = \"webhook\"\nurl = \"{url}/hook\"\n");
    if let Some(port) = mail {
        text.push_str(&format!(
            "\n[[channel]]\nname = \"mail\"\ntype = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             encryption = \"none\"\nfrom = \"tide@x.example\"\nto = [\"noc@x.example\"]\n"
        ));
    }
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

/// How many alerts mails say that they fire, and that they are over; each mail once, by its id.
fn mailed(mailbox: &Mailbox) -> anyhow::Result<(usize, usize)> {
    let mut subjects = BTreeMap::new();
    for (id, subject) in mailbox.mails() {
        if let Some(before) = subjects.insert(id, subject.clone()) {
            ensure!(before == subject, "two mails have one id: {before} {subject}");
        }
    }
    let (mut fired, mut resolved) = (0, 0);
    for subject in subjects.values() {
        // `[warning] 17 nodes of Berlin are offline …`, or the name of one.
        let (mark, line) = subject.split_once("] ").with_context(|| subject.clone())?;
        let several = line.split_once(" nodes").and_then(|(count, _)| count.parse::<usize>().ok());
        let count = several.unwrap_or(1);
        match mark {
            "[warning" => fired += count,
            "[resolved" => resolved += count,
            _ => bail!("{subject}"),
        }
    }
    Ok((fired, resolved))
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

/// Waits until mails have said the same.
async fn all_mailed(url: &str, mailbox: &Mailbox) -> anyhow::Result<()> {
    eventually(ALERT_TIMEOUT, || async {
        let known = alerts(url).await?.counts;
        let mailed = mailed(mailbox)?;
        let expected = ((known.firing + known.log) as usize, known.log as usize);
        ensure!(mailed == expected, "mailed {mailed:?} of {known:?}");
        Ok(())
    })
    .await
}

fn station(broker: &TestBroker, file: &str) -> anyhow::Result<Tidemap> {
    broker.alerts(&["--alerts", file])
}

/// The clock of a station, which can be stepped while it runs.
struct Clock(TempDir);

impl Clock {
    fn new() -> Self {
        let clock = Self(TempDir::new().unwrap());
        clock.step("+0");
        clock
    }

    /// How far the clock is off from now on: `-3600` seconds.
    fn step(&self, seconds: &str) {
        // It is read again and again, so it is never there by halves.
        let file = self.0.path().join("off");
        std::fs::write(file.with_extension("new"), seconds).unwrap();
        std::fs::rename(file.with_extension("new"), file).unwrap();
    }

    fn station(&self, broker: &TestBroker, file: &str) -> anyhow::Result<Tidemap> {
        let mut command = Command::new(tidemap()?);
        command
            .env("LD_PRELOAD", library("libfaketime", "faketime/libfaketime.so.1")?)
            .env("FAKETIME_TIMESTAMP_FILE", self.0.path().join("off"))
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        broker.alerts_by(command, &["--alerts", file])
    }
}

/// Waits until the station that judges says of the fleet whether it is heard.
async fn hears(url: &str, is_hearing: bool) {
    eventually(ALERT_TIMEOUT, || async {
        let evaluator = alerts(url).await?.evaluator.context("nobody judges")?;
        ensure!(evaluator.is_hearing == is_hearing && evaluator.rules as usize == RULES, "{evaluator:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn each_of_a_thousand_firings_is_notified_once_by_http_and_by_mail_whatever_fails() {
    let (sink, folder) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let since = Duration::from_millis(u64::try_from(unix_ms()).unwrap());
    let made = Certificates::open_or_create(folder.path(), &["127.0.0.1".to_owned()], since).unwrap();
    let mail = SmtpSink::start("none", &made).await;
    let file = rules(&folder, &sink, Some(&mail.port)).unwrap();
    let mailbox = mail.keep();
    let mut broker = TestBroker::start().await.unwrap();
    let ingest = broker.ingest(&["--offline-after", "5"]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let fleet = broker.known_fleet(NODES, &url).await.unwrap();
    let clock = Clock::new();
    let mut stations = vec![station(&broker, &file).unwrap()];
    hears(&url, true).await;
    stations.push(clock.station(&broker, &file).unwrap());

    // Nodes that are not heard are neither offline nor back.
    notified(&url, &sink).await.unwrap();
    let before = alerts(&url).await.unwrap();
    ingest.freeze().unwrap();
    hears(&url, false).await;
    ingest.thaw().unwrap();
    hears(&url, true).await;
    let after = alerts(&url).await.unwrap();
    assert!(after.counts.firing <= before.counts.firing + 5 * RULES as u64, "{before:?} {after:?}");

    // All nodes end, and meanwhile so does the station that judges. The clock of the one that takes over has
    // been put forward by an hour.
    drop(fleet);
    clock.step("+3600");
    stations.remove(0).kill().await.unwrap();
    let first = firing(&url, |count| count > 100).await.unwrap();
    let ahead_ms = first.evaluator.map_or(0, |evaluator| evaluator.since_ms - unix_ms());
    assert!(ahead_ms > 3_000_000, "its clock is {ahead_ms} ms ahead");
    // It is put back by three, and the worker stands still for a while.
    clock.step("-7200");
    ingest.freeze().unwrap();
    hears(&url, false).await;
    ingest.thaw().unwrap();
    stations.push(station(&broker, &file).unwrap());
    stations.remove(0).kill().await.unwrap();
    stations.push(clock.station(&broker, &file).unwrap());
    let all = u64::from(NODES) * RULES as u64;
    firing(&url, |count| count == all).await.unwrap();
    broker.server.kill().await.unwrap();
    broker.server.restart().await.unwrap();
    notified(&url, &sink).await.unwrap();
    stations.remove(0).kill().await.unwrap();
    stations.push(station(&broker, &file).unwrap());

    // They come back.
    let _fleet = broker.known_fleet(NODES, &url).await.unwrap();
    clock.step("+7200");
    firing(&url, |count| count < all / 5).await.unwrap();
    stations.remove(0).kill().await.unwrap();
    notified(&url, &sink).await.unwrap();
    all_mailed(&url, &mailbox).await.unwrap();
    let known = alerts(&url).await.unwrap();
    let ids: BTreeSet<&String> = known.firing.iter().chain(&known.log).map(|alert| &alert.id).collect();
    assert_eq!(ids.len(), known.firing.len() + known.log.len(), "an alert is listed twice");
    assert!(known.counts.firing + known.counts.log >= all, "{:?}", known.counts);
}

#[tokio::test]
async fn alerts_that_the_broker_has_lost_come_back_and_nobody_is_notified_again() {
    let (sink, folder) = (HttpSink::start().unwrap(), TempDir::new().unwrap());
    let file = rules(&folder, &sink, None).unwrap();
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
    let file = rules(&folder, &sink, None).unwrap();
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
    let file = rules(&folder, &sink, None).unwrap();
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
