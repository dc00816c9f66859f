//! Minutes are sent to real databases by remote write, and read back: one test for each of them.

mod database;

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, ensure};
use tidemap_broker::tls::Certificates;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    eventually,
    http::get_json,
    process::{Tidemap, tidemap},
};
use tidemap_wire::{
    Extremes, HostMinute, MinuteRow, Minutes, NodeId, RunCounters, Slot, encode,
    history_query::RemoteStatus,
    http::{HistoryJson, HistoryStatusJson},
    subject,
};
use tokio::process::Command;

use self::database::{Database, Kind, LossyWay};
use crate::history_answers::Scene;

const EVENT_TIMEOUT: Duration = Duration::from_secs(120);
const MINUTE_MS: i64 = 60_000;
const DAY: u32 = 1_440;
/// Three tiles of nodes.
const NODES: u32 = 300;
const METRICS: [&str; 9] = [
    "covered_ms",
    "rx_bytes",
    "tx_bytes",
    "rx_max_bps",
    "tx_max_bps",
    "rx_min_bps",
    "tx_min_bps",
    "unplaced_rx_bytes",
    "unplaced_tx_bytes",
];

/// Steps that a station keeps for ever.
const HOURS: &str = "&step=1h";

/// A node, minutes from and to, and what is asked besides.
type Asked = (u32, (u32, u32), &'static str);

fn now() -> u32 {
    u32::try_from(unix_ms() / MINUTE_MS).unwrap()
}

/// The present minute; not in the last minutes of a day, when the day before yesterday's yesterday has none
/// of the three days that a new station takes rows of.
async fn at_ease() -> u32 {
    eventually(Duration::from_secs(15 * 60), || async {
        ensure!(now() % DAY < DAY - 10, "the day ends");
        Ok(now())
    })
    .await
    .unwrap()
}

/// With letters that requests and questions have to take as they are.
fn name(node: u32) -> String {
    if node == 7 { r#"é "\{x=}"#.to_owned() } else { format!("node-{node}") }
}

/// A made minute: large numbers, of which every bit counts.
fn row(node: u32, minute: u32, place: u32) -> MinuteRow {
    let [node, of_time] = [node, minute].map(u64::from);
    let rx_bytes = (node * 7_919 + of_time * 104_729) * 999_983 % (1 << 44);
    let tx_bytes = (node * 104_729 + of_time * 7_919) * 999_979 % (1 << 44);
    let rates =
        Extremes { rx_max: rx_bytes / 50, tx_max: tx_bytes / 50, rx_min: node, tx_min: of_time % 997 };
    // Every tenth minute contains bytes of no sample.
    let counted = u64::from(place) << 45;
    let counters = vec![RunCounters { boot: 1, since: minute - place, rx_bytes: counted, tx_bytes: counted }];
    MinuteRow {
        minute,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes,
        tx_bytes,
        rates: (node % 5 > 0).then_some(rates),
        counters: if place.is_multiple_of(10) { counters } else { Vec::new() },
        host: HostMinute::default(),
    }
}

/// A history of minutes in four days, of which the first is the oldest that a new station takes rows of.
struct Past {
    scene: Scene,
    minutes: Vec<u32>,
}

impl Past {
    async fn made(scene: Scene) -> Self {
        let now = at_ease().await;
        let few = [3, 2, 1].map(|days| now - days * DAY + 3);
        let spans = [few[0]..few[0] + 40, few[1]..few[1] + 2, few[2]..few[2] + 2, now - 90..now - 22];
        let minutes: Vec<u32> =
            spans.into_iter().flatten().filter(|minute| !minute.is_multiple_of(9)).collect();
        let js = scene.js().await;
        for (place, minute) in (0..).zip(&minutes) {
            let mut message = Minutes::new(1, unix_ms());
            for node in 0..NODES {
                message.push(&NodeId::from_name(&name(node)).unwrap(), &row(node, *minute, place));
            }
            let subject = subject::minutes(Slot::of(&NodeId::from_name("a").unwrap()), 1, 0);
            js.publish(subject, encode(&message).into()).await.unwrap().await.unwrap();
        }
        Self { scene, minutes }
    }

    fn station(&self, folder: &Path, more: &[&str]) -> Tidemap {
        self.scene.broker.history(folder, more).unwrap()
    }

    async fn status(&self) -> anyhow::Result<HistoryStatusJson> {
        get_json(format!("{}/api/history/status", self.scene.url)).await
    }

    /// Waits for what a station says of its sending.
    async fn sends(&self, station: &Tidemap, is_so: impl Fn(&RemoteStatus) -> bool) -> RemoteStatus {
        eventually(EVENT_TIMEOUT, || async {
            let remote = self.status().await?.remote.context("a station that sends")?;
            ensure!(is_so(&remote), "{remote:?}: {}", station.log());
            Ok(remote)
        })
        .await
        .unwrap()
    }

    /// The end of the last minute.
    fn end_ms(&self) -> i64 {
        i64::from(self.minutes.last().unwrap() + 1) * MINUTE_MS
    }

    /// Whether all is sent.
    fn is_sent(&self, remote: &RemoteStatus) -> bool {
        remote.sent_until_ms >= Some(self.end_ms()) && remote.trouble.is_none()
    }

    /// Compares every bit of what a database has with what was made. Returns how many values it has.
    async fn is_whole(&self, database: &Database) -> u64 {
        for (metric, of) in [
            ("rx_bytes", (|row| row.rx_bytes) as fn(&MinuteRow) -> u64),
            ("tx_bytes", |row| row.tx_bytes),
            ("covered_ms", |row| row.covered_ms.into()),
        ] {
            let made = |(place, minute): (u32, &u32)| {
                (0..NODES)
                    .map(|node| {
                        let value = of(&row(node, *minute, place)) as f64;
                        ((NodeId::from_name(&name(node)).unwrap().text(), u64::from(minute + 1)), vec![value])
                    })
                    .collect::<Vec<_>>()
            };
            let made: BTreeMap<_, _> = (0..).zip(&self.minutes).flat_map(made).collect();
            eventually(EVENT_TIMEOUT, || async {
                let found = database.values(&format!("tidemap_minute_{metric}")).await?;
                let differing = made.iter().find(|(key, value)| found.get(key) != Some(value));
                ensure!(
                    differing.is_none(),
                    "{metric}: {differing:?}: {:?}",
                    differing.map(|it| found.get(it.0))
                );
                ensure!(found.len() == made.len(), "{metric}: {} {}", found.len(), made.len());
                Ok(())
            })
            .await
            .unwrap();
        }
        let mut count = 0;
        for metric in METRICS {
            // A Prometheus that has just compacted its head refuses to read what moved.
            let metric_name = format!("tidemap_minute_{metric}");
            let values = eventually(EVENT_TIMEOUT, || database.values(&metric_name)).await.unwrap();
            assert!(values.values().all(|values| values.len() == 1), "{metric}: a value stands there twice");
            count += values.len() as u64;
        }
        count
    }

    /// The first hour that has rows.
    fn first_hour(&self) -> (u32, u32) {
        (self.minutes[0], self.minutes[0] + 60)
    }

    /// Waits until the station has no minutes and quarters of the first day.
    async fn has_dropped_the_first_day(&self, station: &Tidemap) {
        let later = i64::from(self.minutes[0] / DAY + 1) * i64::from(DAY) * MINUTE_MS;
        eventually(EVENT_TIMEOUT, || async {
            let status = self.status().await?;
            let tiers = status.tiers.iter().filter(|tier| tier.step_ms < 3_600_000);
            let kept = tiers.filter(|tier| tier.from_ms < Some(later)).count();
            ensure!(kept == 0 && !status.tiers.is_empty(), "{status:?}: {}", station.log());
            Ok(())
        })
        .await
        .unwrap();
    }

    /// What is asked of a few nodes, and the answers.
    async fn answers(&self) -> Vec<(Asked, HistoryJson)> {
        let whole = (self.minutes[0], *self.minutes.last().unwrap());
        let short = self.first_hour();
        let asked =
            [(whole, "&step=1m"), (short, "&step=7m"), (short, "&step=15m"), (short, ""), (whole, HOURS)];
        let mut answers = Vec::new();
        for node in [0, 1, 7, NODES - 1] {
            for (range, step) in asked {
                let answer = self.answer(node, range, step).await.unwrap();
                answers.push(((node, range, step), answer));
            }
        }
        answers
    }

    /// What a node's steps are answered, without what moves with the present.
    async fn answer(&self, node: u32, range: (u32, u32), step: &str) -> anyhow::Result<HistoryJson> {
        let ms = |minute: u32| i64::from(minute) * MINUTE_MS;
        let mut url = url::Url::parse(&self.scene.url)?;
        let name = name(node);
        url.path_segments_mut().ok().context("a path")?.extend(["api", "nodes", &name, "history"]);
        url.set_query(Some(&format!("from={}&to={}{step}", ms(range.0), ms(range.1))));
        let answer: HistoryJson = get_json(url.into()).await?;
        Ok(HistoryJson { complete_until_ms: 0, partial: false, ..answer })
    }
}

async fn conforms(kind: Kind) {
    let past = Past::made(Scene::open().await).await;
    let mut database = Database::new(kind, &[]);
    let way = LossyWay::to(database.address).await;
    let folder = tempfile::tempdir().unwrap();
    let write = format!("http://{}/api/v1/write", way.address);
    let to = ["--remote-write", &write];
    let mut station = all_is_sent(&past, &mut database, &way, folder.path(), &to).await;
    let here = past.answers().await;
    assert!(here[0].1.unplaced_rx_bytes.iter().any(|bytes| *bytes > 0));
    assert!(station.terminate().await.unwrap().success());

    let days = ["--history-minutes", "2", "--history-quarters", "2", "--history-five-minutes", "0"];
    let url = database.url();
    let few = [&days[..], &["--remote-query", &url]].concat();
    let station = past.station(folder.path(), &[&to[..], &few].concat());
    past.has_dropped_the_first_day(&station).await;
    for ((asked, here), (_, there)) in here.iter().zip(past.answers().await) {
        let is_read_back = there.remote_until_ms.is_some();
        assert_eq!(is_read_back, asked.2 != HOURS, "{asked:?}: {}", station.log());
        assert_eq!(&HistoryJson { remote_until_ms: None, ..there }, here, "{asked:?}");
    }

    database.stop().await;
    let ((node, range, step), before) = &here[0];
    let without = past.answer(*node, *range, step).await.unwrap();
    assert!(without.warning.unwrap().contains("does not answer") && without.remote_until_ms.is_none());
    assert_eq!(without.rx_bytes[0], None);
    let end = before.rx_bytes.len() - 60;
    assert_eq!(without.rx_bytes[end..], before.rx_bytes[end..], "what is here is answered");
    let longer = past.answer(*node, past.first_hour(), "").await.unwrap();
    assert!(longer.step_ms >= 3_600_000 && longer.warning.is_some(), "{longer:?}");
    assert!(longer.rx_bytes.iter().any(Option::is_some), "{longer:?}");
}

/// Has a station send everything to a database that is away at first, over a way that loses answers and is
/// closed amid them, while both end and begin again. Returns the station.
async fn all_is_sent(
    past: &Past,
    database: &mut Database,
    way: &LossyWay,
    folder: &Path,
    to: &[&str],
) -> Tidemap {
    let mut station = past.station(folder, to);
    let away = past.sends(&station, |remote| remote.trouble.is_some()).await;
    assert_eq!((away.samples, away.sent_until_ms, away.last_refused), (0, None, None));

    way.open_for(6, 2);
    database.start();
    database.is_up().await;
    eventually(EVENT_TIMEOUT, || async {
        ensure!(way.left() == (0, 0), "{:?}: {}", way.left(), station.log());
        Ok(())
    })
    .await
    .unwrap();
    let cut = past.sends(&station, |remote| remote.trouble.is_some() && remote.samples > 0).await;
    assert!(cut.sent_until_ms < Some(past.end_ms()) && cut.behind_ms > 0, "{cut:?}");

    station.kill().await.unwrap();
    database.stop().await;
    way.open_for(u32::MAX, 1);
    database.start();
    database.is_up().await;
    let station = past.station(folder, to);
    let sent = past.sends(&station, |remote| past.is_sent(remote)).await;
    assert_eq!((sent.refused, sent.too_old, sent.changed_rows, sent.dropped_minutes), (0, 0, 0, 0));
    assert_eq!(past.is_whole(database).await, sent.samples);
    station
}

#[tokio::test]
async fn prometheus_has_every_minute_exactly_whatever_fails_and_gives_it_back() {
    conforms(Kind::Prometheus(7 * 24)).await;
}

#[tokio::test]
async fn victoria_metrics_has_every_minute_exactly_whatever_fails_and_gives_it_back() {
    conforms(Kind::VictoriaMetrics).await;
}

#[tokio::test]
async fn what_is_too_old_for_a_database_is_counted_and_the_rest_is_sent() {
    let past = Past::made(Scene::open().await).await;
    let mut database = Database::new(Kind::Prometheus(6), &[]);
    database.start();
    database.is_up().await;
    let folder = tempfile::tempdir().unwrap();
    let write = format!("{}/api/v1/write", database.url());
    let station = past.station(folder.path(), &["--remote-write", &write]);
    let sent = past.sends(&station, |remote| past.is_sent(remote)).await;
    assert!(sent.too_old > 0 && sent.refused == 0, "{sent:?}");
    let recent = past.minutes.iter().filter(|minute| **minute > now() - 300).count();
    let old = past.minutes.len() - recent;
    assert!(recent > 50 && old > 30);
    let found = eventually(EVENT_TIMEOUT, || database.values("tidemap_minute_rx_bytes")).await.unwrap();
    assert_eq!(found.len(), recent * NODES as usize);
    let why = sent.last_refused.unwrap();
    assert!(why.contains("tidemap_minute_covered_ms of ") && why.contains("old"), "{why}");
}

#[tokio::test]
async fn a_password_goes_over_tls_from_a_file_that_may_change_and_into_no_log() {
    let secrets = tempfile::tempdir().unwrap();
    let since = Duration::from_millis(u64::try_from(unix_ms()).unwrap());
    let made = Certificates::open_or_create(secrets.path(), &["localhost".to_owned()], since).unwrap();
    let mut database = Database::new(
        Kind::VictoriaMetrics,
        &[
            "-tls".to_owned(),
            format!("-tlsCertFile={}", made.certificate.display()),
            format!("-tlsKeyFile={}", made.key.display()),
            "-httpAuth.username=tide".to_owned(),
            "-httpAuth.password=a-secret-of-tests".to_owned(),
        ],
    );
    let past = Past::made(Scene::open().await).await;
    let folder = tempfile::tempdir().unwrap();
    let password = secrets.path().join("password");
    std::fs::write(&password, "tide:a-wrong-secret\n").unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let url = |path: &str| format!("https://localhost:{}{path}", database.address.port());
    let seed = past.scene.broker.keys.service_seed_path();
    let args = [
        "history",
        "--history-dir",
        &text(folder.path()),
        "--nats-url",
        &past.scene.broker.url,
        "--creds",
        &text(&seed),
        "--remote-write",
        &url("/api/v1/write"),
        "--remote-query",
        &url(""),
        "--remote-password-file",
        &text(&password),
        "--log",
        "info,ureq=trace,ureq_proto=trace,rustls=trace",
    ];
    database.start();

    // A database that nobody has vouched for gets nothing.
    let mut stranger = Tidemap::start(&args).unwrap();
    let unknown = past.sends(&stranger, |remote| remote.trouble.is_some()).await;
    eventually(EVENT_TIMEOUT, || async {
        let remote = past.status().await?.remote.context("a station")?;
        let trouble = remote.trouble.unwrap_or_default().to_lowercase();
        ensure!(trouble.contains("certificate"), "{trouble}: {}", database.log());
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(unknown.samples, 0);
    assert!(stranger.terminate().await.unwrap().success());

    let mut command = Command::new(tidemap().unwrap());
    command.env("SSL_CERT_FILE", made.authority.as_ref().unwrap());
    let station = Tidemap::start_by(command, &args).unwrap();
    let says_401 = |remote: &RemoteStatus| remote.trouble.as_ref().is_some_and(|why| why.contains("401"));
    assert_eq!(past.sends(&station, says_401).await.samples, 0);
    std::fs::write(&password, "tide:a-secret-of-tests\n").unwrap();
    let sent = past.sends(&station, |remote| past.is_sent(remote)).await;
    assert!(sent.samples > 0 && sent.refused == 0, "{sent:?}");
    for log in [station.log(), stranger.log()] {
        assert!(log.contains(" DEBUG "), "{log}");
        // Neither as it is nor as a header has it.
        assert!(!["a-secret", "wrong-secret", "dGlkZTph"].iter().any(|secret| log.contains(secret)), "{log}");
    }
}
