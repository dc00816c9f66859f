//! Databases that take remote writes, as Debian has them, and a way to them that loses answers.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::ExitStatus,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tidemap_service::child_watchdog::ChildWatchdog;
use tidemap_testkit::{eventually, http::get_json, port::free_port, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinSet,
};
use url::Url;

use crate::checkers::of_package;

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With a window of so many hours for samples that are not the next of their series.
    Prometheus(u32),
    VictoriaMetrics,
}

/// A database, ended on drop.
pub(crate) struct Database {
    kind: Kind,
    pub(crate) address: SocketAddr,
    more: Vec<String>,
    folder: tempfile::TempDir,
    running: Option<(Child, ChildWatchdog)>,
}

impl Database {
    /// One that does not run yet.
    pub(crate) fn new(kind: Kind, more: &[String]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        let folder = tempfile::tempdir().unwrap();
        Self { kind, address, more: more.to_vec(), folder, running: None }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it, with what it had before.
    pub(crate) fn start(&mut self) {
        let file = |name: &str| self.folder.path().join(name);
        let (program, args) = match self.kind {
            Kind::Prometheus(hours) => {
                // It scrapes itself, so that it knows what time it is.
                let config = format!(
                    "storage: {{tsdb: {{out_of_order_time_window: {hours}h}}}}\n\
                     scrape_configs: [{{job_name: itself, scrape_interval: 1s, static_configs: [{{targets: ['{}']}}]}}]\n",
                    self.address
                );
                std::fs::write(file("prometheus.yaml"), config).unwrap();
                let args = vec![
                    format!("--config.file={}", file("prometheus.yaml").display()),
                    format!("--storage.tsdb.path={}", file("data").display()),
                    format!("--web.listen-address={}", self.address),
                    "--web.enable-remote-write-receiver".to_owned(),
                ];
                ("prometheus", args)
            }
            Kind::VictoriaMetrics => {
                let args = vec![
                    format!("-storageDataPath={}", file("data").display()),
                    format!("-httpListenAddr={}", self.address),
                    "-retentionPeriod=1y".to_owned(),
                    "-dedup.minScrapeInterval=1ms".to_owned(),
                ];
                ("victoria-metrics", args)
            }
        };
        let log = std::fs::File::create(file("log")).unwrap();
        let child = Command::new(of_package(program, program).unwrap())
            .args(args)
            .args(&self.more)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let watchdog = ChildWatchdog::of_process(child.id().unwrap()).unwrap();
        self.running = Some((child, watchdog));
    }

    /// Stops it as a service manager does.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        let (mut child, _watchdog) = self.running.take().unwrap();
        let pid = i32::try_from(child.id().unwrap()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
        within(EVENT_TIMEOUT, child.wait()).await.unwrap().unwrap()
    }

    /// Waits until it answers; a Prometheus has a sample of its own then.
    pub(crate) async fn is_up(&self) {
        let what = if self.kind == Kind::VictoriaMetrics { "1" } else { "up" };
        eventually(EVENT_TIMEOUT, || async {
            let found = self.query(what).await?;
            ensure!(!found.is_empty(), "{}", self.log());
            Ok(())
        })
        .await
        .unwrap();
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn query(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let url = Url::parse_with_params(&format!("{}/api/v1/query", self.url()), [("query", expression)])?;
        let answer: Value = get_json(url.into()).await.with_context(|| expression.to_owned())?;
        ensure!(answer["status"] == "success", "{expression}: {answer}");
        Ok(answer["data"]["result"].as_array().context("a list")?.clone())
    }

    /// Every value of a metric, by node and the end of its minute, exactly as it is stored.
    pub(crate) async fn values(&self, metric: &str) -> anyhow::Result<BTreeMap<(String, u64), Vec<f64>>> {
        let mut values: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for series in self.query(&format!("{metric}[5d]")).await? {
            let node = series["metric"]["node"].as_str().context("a node")?.to_owned();
            ensure!(series["metric"].as_object().context("labels")?.len() == 2, "{series}");
            for value in series["values"].as_array().context("values")? {
                let at = value[0].as_f64().context("a time")? as u64;
                let number = value[1].as_str().context("a number")?.parse()?;
                values.entry((node.clone(), at / 60)).or_default().push(number);
            }
        }
        Ok(values)
    }
}

/// What a way does with the next requests.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// So many pass, and no more.
    open_for: u32,
    /// Of so many, the answer is lost.
    losing: u32,
}

/// A way to a database that can be closed, and can lose answers.
pub(crate) struct LossyWay {
    pub(crate) address: SocketAddr,
    way: Arc<Mutex<Way>>,
    _carrying: JoinSet<()>,
}

impl LossyWay {
    pub(crate) async fn to(database: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(Mutex::new(Way { open_for: u32::MAX, losing: 0 }));
        let mut carrying = JoinSet::new();
        let shared = Arc::clone(&way);
        carrying.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let way = Arc::clone(&shared);
                connections.spawn(async move {
                    // An error means that one of them has left.
                    carry(client, database, &way).await.ok();
                });
            }
        });
        Self { address, way, _carrying: carrying }
    }

    /// Lets so many requests pass, and loses the answers of the first `losing` of them.
    pub(crate) fn open_for(&self, open_for: u32, losing: u32) {
        *self.way.lock().unwrap() = Way { open_for, losing };
    }

    /// How many more pass, and how many more answers are lost.
    pub(crate) fn left(&self) -> (u32, u32) {
        let Way { open_for, losing } = *self.way.lock().unwrap();
        (open_for, losing)
    }
}

/// Carries one request and its answer.
async fn carry(mut client: TcpStream, database: SocketAddr, way: &Mutex<Way>) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let head = loop {
        ensure!(client.read_buf(&mut request).await? > 0, "it has left");
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8(request[..head].to_vec())?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).context("a length")?;
    let whole = head + length.trim().parse::<usize>()?;
    while request.len() < whole {
        ensure!(client.read_buf(&mut request).await? > 0, "it has left");
    }
    let is_open = {
        let mut way = way.lock().unwrap();
        let is_open = way.open_for > 0;
        way.open_for = way.open_for.saturating_sub(1);
        is_open
    };
    ensure!(is_open, "closed");
    let mut server = TcpStream::connect(database).await?;
    let line = request.iter().position(|byte| *byte == b'\n').context("a line")? + 1;
    server.write_all(&[&request[..line], b"connection: close\r\n", &request[line..]].concat()).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    let is_lost = {
        let mut way = way.lock().unwrap();
        let is_lost = way.losing > 0;
        way.losing = way.losing.saturating_sub(1);
        is_lost
    };
    if !is_lost {
        client.write_all(&answer).await?;
    }
    Ok(())
}
