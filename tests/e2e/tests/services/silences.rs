//! `tidemap alerts silence`: what is silenced is notified when the silence ends, once, whichever station
//! judges.

use std::time::Duration;

use anyhow::{Context, ensure};
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::get_json,
    process::{Tidemap, clean, tidemap},
    sink::HttpSink,
};
use tidemap_wire::{
    AlertNotice,
    http::{AlertsJson, SilencesJson},
};
use tokio::process::Command;

const TIMEOUT: Duration = Duration::from_secs(60);
const NODES: u32 = 3;
const TOKEN: &str = "a-secret-of-tests";

/// A fleet, an API with a token, and who is notified.
struct Scene {
    broker: TestBroker,
    _ingest: Tidemap,
    _api: Tidemap,
    url: String,
    sink: HttpSink,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn open() -> Self {
        let (sink, folder) = (HttpSink::start().unwrap(), tempfile::tempdir().unwrap());
        let url = sink.url();
        let rules = format!(
            "[[channel]]\nname = \"ops\"\ntype = \"webhook\"\nurl = \"{url}/hook\"\n\n\
             [[rule]]\nname = \"away\"\nmetric = \"offline\"\n\n\
             [[rule]]\nname = \"gone\"\nmetric = \"offline\"\n"
        );
        std::fs::write(folder.path().join("alerts.toml"), rules).unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        let broker = TestBroker::start().await.unwrap();
        let ingest = broker.ingest(&["--offline-after", "5"]).unwrap();
        let (api, url) = broker.api_with(&["--http", "127.0.0.1:0", "--api-token", TOKEN]).await.unwrap();
        Self { broker, _ingest: ingest, _api: api, url, sink, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn station(&self) -> Tidemap {
        self.broker.alerts(&["--alerts", &self.path("alerts.toml")]).unwrap()
    }

    /// What `tidemap alerts …` prints, and whether it succeeds.
    async fn run(&self, words: &[&str]) -> (bool, String) {
        let mut command = Command::new(tidemap().unwrap());
        clean(&mut command);
        let token = self.path("token");
        command.arg("alerts").args(words).args(["--api", &self.url, "--api-token-file", &token]);
        let ended = command.output().await.unwrap();
        (ended.status.success(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    }

    async fn alerts(&self) -> anyhow::Result<AlertsJson> {
        get_json(format!("{}/api/alerts", self.url)).await
    }

    /// Waits until a station judges the fleet. Returns its id.
    async fn judged(&self) -> String {
        eventually(TIMEOUT, || async {
            let evaluator = self.alerts().await?.evaluator.context("nobody judges")?;
            ensure!(evaluator.is_hearing, "it does not hear the fleet");
            Ok(evaluator.id)
        })
        .await
        .unwrap()
    }

    async fn fires(&self, wanted: u64) -> AlertsJson {
        eventually(TIMEOUT, || async {
            let known = self.alerts().await?;
            ensure!(known.counts.firing == wanted, "{:?}", known.counts);
            Ok(known)
        })
        .await
        .unwrap()
    }

    /// How many alerts of a rule people were notified of.
    fn notified(&self, rule: &str) -> u32 {
        let notices = self.sink.sent().into_iter().map(|sent| sent.json::<AlertNotice>().unwrap());
        notices.filter(|notice| notice.rule == rule).map(|notice| notice.count).sum()
    }

    async fn is_notified(&self, rule: &str, wanted: u32) {
        eventually(TIMEOUT, || async {
            let count = self.notified(rule);
            ensure!(count == wanted, "{rule}: {count}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn what_is_silenced_is_notified_once_when_the_silence_ends_whoever_judges() {
    let scene = Scene::open().await;
    let mut station = scene.station();
    let fleet = scene.broker.known_fleet(NODES, &scene.url).await.unwrap();
    scene.judged().await;
    let (is_done, said) = scene.run(&["silences"]).await;
    assert!(is_done && said == "nothing is silenced\n", "{said}");

    let (is_done, made) =
        scene.run(&["silence", "--rule", "away", "--for", "2h", "--who", "ann", "--why", "new switch"]).await;
    assert!(is_done && made.contains("  rule away  (") && made.contains("ann: new switch"), "{made}");
    let id = made.split_whitespace().next().unwrap().to_owned();

    // All nodes end. Only the other rule is notified, also after another station has taken over.
    drop(fleet);
    let known = scene.fires(2 * u64::from(NODES)).await;
    scene.is_notified("gone", NODES).await;
    let silenced = |known: &AlertsJson| {
        let those = known.firing.iter().filter(|alert| alert.silenced_until_ms.is_some());
        those.map(|alert| alert.rule.clone()).collect::<Vec<_>>()
    };
    assert_eq!(silenced(&known), vec!["away"; NODES as usize]);
    let before = scene.judged().await;
    station.kill().await.unwrap();
    let _station = scene.station();
    // The one that has ended is shown until its lease is old.
    eventually(TIMEOUT, || async {
        let now = scene.alerts().await?.evaluator.context("nobody judges")?.id;
        ensure!(now != before, "still {now}");
        Ok(())
    })
    .await
    .unwrap();
    scene.judged().await;
    let (is_done, listed) = scene.run(&["silences"]).await;
    assert!(is_done && listed.contains(&format!("  rule away  ({NODES} fire)  ann: new switch")), "{listed}");
    assert_eq!(scene.notified("away"), 0);

    // A second one, and both end: one is over, the other is ended by hand.
    let args = ["silence", "--rule", "gone", "--for", "1s", "--who", "ann", "--why", "x"];
    assert!(scene.run(&args).await.0);
    let (is_done, said) = scene.run(&["unsilence", &id]).await;
    assert!(is_done, "{said}");
    scene.is_notified("away", NODES).await;
    eventually(TIMEOUT, || async {
        let listed: SilencesJson = get_json(format!("{}/api/alerts/silences", scene.url)).await?;
        ensure!(listed.silences.is_empty(), "{listed:?}");
        Ok(())
    })
    .await
    .unwrap();
    let known = scene.fires(2 * u64::from(NODES)).await;
    assert_eq!(silenced(&known), Vec::<String>::new());
    assert_eq!((scene.notified("away"), scene.notified("gone")), (NODES, NODES));

    for (words, said) in [
        (&["unsilence", &id][..], format!("there is no silence {id}")),
        (
            &["silence", "--node", "nobody", "--for", "2h", "--who", "ann", "--why", "x"],
            "node: there is no node named nobody".to_owned(),
        ),
    ] {
        let (is_done, line) = scene.run(words).await;
        assert!(!is_done && line.contains(&said) && line.trim_end().lines().count() == 1, "{line}");
    }
}
