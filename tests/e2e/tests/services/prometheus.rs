//! A real Prometheus scrapes Tidemap, in both formats, and answers every expression of the dashboard and of
//! the rules in `deploy/grafana`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tidemap_service::{child_watchdog::ChildWatchdog, clock::unix_ms};
use tidemap_testkit::{
    broker::connect_to_up,
    eventually,
    history::publish_minutes,
    http::{get, get_json},
    port::free_port,
    process::Tidemap,
};
use tidemap_wire::{MinuteRow, NodeId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use crate::checkers::debian;

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
const NODES: u32 = 40;

struct Prometheus {
    url: String,
    _child: tokio::process::Child,
    _watchdog: ChildWatchdog,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that scrapes these jobs every second and has the rules of `deploy/grafana`.
    fn scraping(jobs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n",
            grafana("tidemap.rules.yaml").display()
        );
        for (job, target) in jobs {
            config.push_str(&format!("- {{job_name: {job}, static_configs: [{{targets: ['{target}']}}]}}\n"));
        }
        let file = folder.path().join("prometheus.yaml");
        std::fs::write(&file, config).unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = tokio::process::Command::new(debian("prometheus").unwrap())
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let watchdog = ChildWatchdog::of_process(child.id().unwrap()).unwrap();
        Self { url: format!("http://{address}"), _child: child, _watchdog: watchdog, _folder: folder }
    }

    /// The series that an expression has now.
    async fn query(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let url = Url::parse_with_params(&format!("{}/api/v1/query", self.url), [("query", expression)])?;
        let answer: Value = get_json(url.into()).await.with_context(|| expression.to_owned())?;
        ensure!(answer["status"] == "success" && answer.get("warnings").is_none(), "{expression}: {answer}");
        match &answer["data"]["result"] {
            Value::Array(series) => Ok(series.clone()),
            other => bail!("{expression}: {other}"),
        }
    }

    /// The one number that an expression is now.
    async fn number(&self, expression: &str) -> anyhow::Result<f64> {
        let series = self.query(expression).await?;
        ensure!(series.len() == 1, "{expression}: {series:?}");
        Ok(series[0]["value"][1].as_str().context("a sample")?.parse()?)
    }
}

fn grafana(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/grafana").join(file).canonicalize().unwrap()
}

/// Serves what is at `url` to a scraper as if it had not named OpenMetrics. Returns the address.
async fn as_text(url: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut scraper, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n")
                && scraper.read_buf(&mut request).await.is_ok_and(|len| len > 0)
            {}
            let Ok(answer) = get(url.clone()).await else { continue };
            let head = format!(
                "HTTP/1.1 {} -\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.status,
                answer.header("content-type").unwrap_or_default(),
                answer.body.len()
            );
            // A scraper that left asks again.
            let _left = scraper.write_all((head + &answer.body).as_bytes()).await;
        }
    });
    address
}

/// All expressions of the dashboard, with a value for each variable.
fn expressions() -> Vec<String> {
    let text = std::fs::read_to_string(grafana("tidemap.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut expressions = Vec::new();
    for target in targets {
        assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
        let expression = target["expr"].as_str().unwrap();
        for group in ["location", "provider", "label_role"] {
            let expression = expression
                .replace("$group", group)
                .replace("$__rate_interval", "10s")
                .replace("$__range", "10s")
                .replace("$location", ".*")
                .replace("$provider", ".*")
                .replace("$node\"", "web-ams-0000\"");
            assert!(!expression.contains('$'), "{expression}");
            expressions.push(expression);
        }
    }
    expressions.sort();
    expressions.dedup();
    expressions
}

/// Has the history store a minute of an hour ago, so that none has to pass before it knows one.
async fn store_a_minute(data: &Path) {
    let minute = u32::try_from(unix_ms() / 60_000).unwrap() - 60;
    let row = MinuteRow { minute, samples: 60, covered_ms: 60_000, ..MinuteRow::default() };
    let node = NodeId::from_name("an-hour-ago").unwrap();
    publish_minutes(&connect_to_up(data).await.unwrap(), &node, &[row]).await.unwrap();
}

#[tokio::test]
async fn prometheus_scrapes_both_formats_and_answers_what_dashboard_and_rules_ask() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = format!("127.0.0.1:{}", free_port().unwrap());
    let nodes = NODES.to_string();
    let more = ["--simulate", &nodes, "--metrics", &metrics, "--metrics-interfaces"];
    let (_up, url) = Tidemap::up(folder.path(), &more).await.unwrap();
    store_a_minute(folder.path()).await;
    let text = as_text(format!("{url}/metrics")).await;
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let jobs = [("openmetrics", address), ("text", text.as_str()), ("worker", metrics.as_str())];
    let prometheus = Prometheus::scraping(&jobs);
    eventually(EVENT_TIMEOUT, || async {
        ensure!(prometheus.number("sum(up)").await? == jobs.len() as f64);
        for job in ["openmetrics", "text"] {
            let up = format!("tidemap_node_up{{job=\"{job}\"}}");
            // A few of a simulated fleet are always away.
            let known = prometheus.number(&format!("count({up})")).await?;
            let online = prometheus.number(&format!("sum({up})")).await?;
            // This host is a node, too.
            ensure!(known == f64::from(NODES + 1) && online > 0.8 * known, "{job}: {online} of {known}");
        }
        // As long as the ranges below.
        ensure!(prometheus.number("max(count_over_time(tidemap_nodes[10s]))").await? >= 5.0);
        ensure!(prometheus.number("tidemap_history_storing{job=\"text\"}").await? == 1.0);
        Ok(())
    })
    .await
    .unwrap();

    // Both formats have the same series, but for labels that the scrape adds.
    let only = "count by (__name__) ({job=\"openmetrics\", __name__=~\"(tidemap|process)_.*\"}) \
                != on (__name__) count by (__name__) ({job=\"text\", __name__=~\"(tidemap|process)_.*\"})";
    let several =
        |series: &Value| series["metric"]["__name__"].as_str().is_some_and(|name| name.contains("node"));
    let apart: Vec<Value> = prometheus.query(only).await.unwrap().into_iter().filter(several).collect();
    assert_eq!(apart, Vec::<Value>::new());
    for job in ["openmetrics", "text"] {
        let names = format!("count(count by (__name__) ({{job=\"{job}\", __name__=~\"tidemap_node_.*\"}}))");
        assert!(prometheus.number(&names).await.unwrap() > 25.0, "{job}");
    }
    let programs = prometheus.query("count by (program) (tidemap_build_info)").await.unwrap();
    assert_eq!(programs.len(), 2, "{programs:?}");

    // Names of simulated nodes depend on the simulator.
    let some = prometheus.query("tidemap_node_up{job=\"text\"}").await.unwrap();
    let some = some[0]["metric"]["node"].as_str().unwrap().to_owned();
    let expressions = expressions();
    for expression in &expressions {
        let expression = expression.replace("web-ams-0000", &some);
        eventually(EVENT_TIMEOUT, || async {
            let series = prometheus.query(&expression).await?;
            ensure!(!series.is_empty(), "no data: {expression}");
            Ok(())
        })
        .await
        .unwrap();
    }
    rules(&prometheus, expressions.len()).await;

    // Two scrapes of one fleet count it once.
    let fleet = "max(tidemap_network_receive_bytes_per_second)";
    let places = "sum(location:tidemap_node_network_receive_bytes_per_second:sum)";
    eventually(EVENT_TIMEOUT, || async {
        let (fleet, places) = (prometheus.number(fleet).await?, prometheus.number(places).await?);
        // Rates move between two scrapes, and twice as much would be doubled.
        ensure!((0.6..1.5).contains(&(places / fleet)), "{places} {fleet}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Every rule can be evaluated; a recorded series has samples, and what an alert compares, too.
async fn rules(prometheus: &Prometheus, dashboard: usize) {
    let groups: Value = eventually(EVENT_TIMEOUT, || async {
        let groups: Value = get_json(format!("{}/api/v1/rules", prometheus.url)).await?;
        let groups = groups["data"]["groups"].clone();
        for rule in
            groups.as_array().into_iter().flatten().flat_map(|group| group["rules"].as_array()).flatten()
        {
            ensure!(rule["health"] == "ok", "{rule}");
        }
        Ok(groups)
    })
    .await
    .unwrap();
    let (mut recorded, mut alerts) = (0, 0);
    for rule in groups.as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let query = rule["query"].as_str().unwrap();
        let expression = if rule["type"] == "recording" {
            recorded += 1;
            rule["name"].as_str().unwrap().to_owned()
        } else {
            alerts += 1;
            assert_eq!(rule["state"], "inactive", "{rule}");
            // What is absent has no data; what is compared has, whether or not the comparison holds.
            match query.strip_prefix("absent(") {
                Some(inner) => inner.trim_end_matches(')').to_owned(),
                None => query.replace(" == ", " == bool ").replace(" > ", " > bool "),
            }
        };
        eventually(EVENT_TIMEOUT, || async {
            let series = prometheus.query(&expression).await?;
            ensure!(!series.is_empty(), "no data: {expression}");
            Ok(())
        })
        .await
        .unwrap();
    }
    assert!(recorded >= 4 && alerts >= 8, "{groups}");
    eprintln!(
        "{dashboard} expressions of the dashboard, {recorded} of records, {alerts} of alerts have data"
    );
}

#[test]
fn the_rules_keep_to_their_own_tests() {
    let promtool = debian("promtool").unwrap();
    for (args, file) in [(["check", "rules"], "tidemap.rules.yaml"), (["test", "rules"], "tidemap.test.yaml")]
    {
        let ended = Command::new(&promtool).args(args).arg(grafana(file)).output().unwrap();
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(ended.status.success() && said.contains("SUCCESS"), "{said}");
    }
}
