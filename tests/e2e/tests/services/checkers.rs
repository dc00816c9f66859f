//! Independent checkers judge the services' answers: Prometheus' own checker of metrics, and a tester that
//! generates requests from the API's description. `cargo xtask test` fetches both.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{get, get_json},
    is_long,
    port::free_port,
    process::Tidemap,
};
use tidemap_wire::{
    JoinRequest,
    http::{HistoryStatusJson, StatsJson},
};

use crate::invites_refused::post;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Enough nodes, as the tester forgets some of them.
const NODES: u32 = 60;
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
const TOKEN: &str = "a-secret-of-tests";

/// What asks for a range of time. Which ends lie before which beginnings, or are too far away for their
/// steps, cannot be described, nor can which time zones there are, so a request that fits its description may
/// be refused.
const RANGES: [&str; 4] = ["/api/history", "/api/nodes/{name}/history", "/api/top", "/api/traffic"];

/// A pipeline with a small fleet.
struct Scene {
    fleet: Tidemap,
    _history: Tidemap,
    _enroller: Tidemap,
    _folder: tempfile::TempDir,
    _api: Tidemap,
    _worker: Tidemap,
    url: String,
    worker_url: String,
    history_url: String,
    _broker: TestBroker,
}

impl Scene {
    async fn open() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let metrics = format!("127.0.0.1:{}", free_port().unwrap());
        let worker = broker.ingest(&["--metrics", &metrics]).unwrap();
        let (api, url) = broker.api_with(&["--http", "127.0.0.1:0", "--api-token", TOKEN]).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let history_metrics = format!("127.0.0.1:{}", free_port().unwrap());
        let history = broker.history(folder.path(), &["--metrics", &history_metrics]).unwrap();
        let keys = broker.folder().to_str().unwrap();
        let enroller = Tidemap::start(&["enroller", "--data-dir", keys, "--nats-url", &broker.url]).unwrap();
        let fleet = broker.simulate(NODES).unwrap();
        eventually(EVENT_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.online_nodes == u64::from(NODES), "{stats:?}");
            ensure!(stats.total_network_rx_bytes_per_sec_avg.m1.is_some(), "{stats:?}");
            let status: HistoryStatusJson = get_json(format!("{url}/api/history/status")).await?;
            ensure!(status.enabled, "{}", history.log());
            let (status, answer) = post(&url, &stranger()).await;
            ensure!(status == 403, "{status} {answer}: {}", enroller.log());
            Ok(())
        })
        .await
        .unwrap();
        let worker_url = format!("http://{metrics}");
        Self {
            fleet,
            _history: history,
            _enroller: enroller,
            _folder: folder,
            _api: api,
            _worker: worker,
            url,
            worker_url,
            history_url: format!("http://{history_metrics}"),
            _broker: broker,
        }
    }
}

/// A request with an invite that nobody has made.
fn stranger() -> JoinRequest {
    JoinRequest {
        invite: "aaaaaaaa".to_owned(),
        ask: "{}".to_owned(),
        proof: String::new(),
        signature: String::new(),
    }
}

/// A program in the tools folder.
pub(crate) fn fetched(path: &str) -> anyhow::Result<PathBuf> {
    let program = std::path::absolute(tidemap_broker::default_tools_dir())?.join(path);
    ensure!(program.is_file(), "{path} is missing: `cargo xtask test --only tools` fetches it");
    Ok(program)
}

/// A program of Debian's package `prometheus`.
pub(crate) fn debian(program: &str) -> anyhow::Result<PathBuf> {
    of_package("prometheus", program)
}

/// A program of one of Debian's packages.
pub(crate) fn of_package(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").context("there is a PATH")?;
    let installed =
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    installed.map_or_else(|| fetched(&format!("{package}/usr/bin/{program}")), Ok)
}

/// A library of one of Debian's packages, which the machine's own folder may have too.
pub(crate) fn library(package: &str, name: &str) -> anyhow::Result<PathBuf> {
    let folder = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let installed = Path::new("/").join(&folder).join(name);
    if installed.is_file() { Ok(installed) } else { fetched(&format!("{package}/{folder}/{name}")) }
}

/// The output of Prometheus' checker for a text; empty when the text is valid.
fn check(promtool: &Path, text: &str) -> (bool, String) {
    let mut checker = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = checker.wait_with_output().unwrap();
    (ended.status.success(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
}

#[tokio::test]
async fn prometheus_finds_no_fault_with_the_metrics() {
    let promtool = debian("promtool").unwrap();
    let scene = Scene::open().await;
    let stations = [("api", &scene.url), ("ingest", &scene.worker_url), ("history", &scene.history_url)];
    for (station, url) in stations {
        let text = get(format!("{url}/metrics")).await.unwrap().body;
        assert_eq!(check(&promtool, &text), (true, String::new()), "{station}");
        let families = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert!(families >= 5, "{text}");
        let names = ["tidemap_build_info{", "process_cpu_seconds_total "];
        assert!(names.iter().all(|name| text.contains(&format!("\n{name}"))), "{text}");
        eprintln!("{station}: {families} families in {} lines, no fault", text.lines().count());
        let (accepted, complaint) = check(&promtool, &text.replace("# HELP ", "# "));
        assert!(!accepted && complaint.contains("no help text"), "{complaint}");
    }
}

/// Runs the tester with more arguments, and returns its report.
async fn made_up(url: &str, more: &[&str]) -> String {
    let tester = fetched(&format!("{SCHEMATHESIS}/bin/schemathesis")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(&tester);
    run.current_dir(folder.path())
        .env("PYTHONPATH", tester.ancestors().nth(2).unwrap())
        .args(["run", &format!("{url}/api/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--checks", "all", "--request-timeout", "60", "--no-color"])
        // The time that this machine takes to generate requests is no property of the API.
        .arg("--suppress-health-check=too_slow")
        .args(more);
    if !is_long() {
        run.args(["--seed", "1"]);
    }
    let ended = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{stdout}{}", String::from_utf8_lossy(&ended.stderr));
    stdout.lines().find(|line| line.contains(" generated, ")).unwrap().trim().to_owned()
}

#[tokio::test]
async fn requests_made_up_from_the_description_find_no_fault() {
    let scene = Scene::open().await;
    // A node that still reports would join again after it was forgotten, which the tester would report as a
    // fault.
    drop(scene.fleet);
    let examples = if is_long() { "500" } else { "10" };
    let effort = ["--max-examples", examples];
    // A stream does not end, so valid requests for it are tested elsewhere.
    let ranges = RANGES.map(|path| ["--exclude-path", path]);
    let most = [&effort[..], &["--exclude-path", "/api/stream"], ranges.as_flattened()].concat();
    eprintln!("schemathesis: {}", made_up(&scene.url, &most).await);
    let ranges = RANGES.map(|path| ["--include-path", path]);
    let ranges =
        [&effort[..], &["--exclude-checks", "positive_data_acceptance"], ranges.as_flattened()].concat();
    eprintln!("schemathesis, ranges of time: {}", made_up(&scene.url, &ranges).await);
    // Invalid requests for it are refused, and those answers end.
    let wrong = ["--include-path", "/api/stream", "--mode", "negative"];
    let wrong = made_up(&scene.url, &[&effort[..], &wrong].concat()).await;
    eprintln!("schemathesis, what is wrong with streams: {wrong}");
}
