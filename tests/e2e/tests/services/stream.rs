//! The event stream as other programs read it: the two clients of `docs/stream` with the real services.

use std::{
    net::SocketAddr,
    ops::RangeBounds,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use tidemap_testkit::{
    broker::TestBroker,
    browser::Browser,
    eventually,
    http::{delete, get_json, is_ready},
    undisturbed,
};
use tidemap_wire::{Bps, Status, http::NodeJson};
use tokio::{
    io::{AsyncBufReadExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The stream rounds each rate to three digits, so it is at most half a percent off, and so is any sum.
const ROUNDING: f64 = 0.005;
const TOKEN: &str = "a-secret-of-tests";

/// A client's view of the fleet, or the expected one.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
struct Totals {
    nodes: u64,
    online: u64,
    download: f64,
    upload: f64,
}

/// The events that a client has received.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
struct Heard {
    snapshots: usize,
    deltas: usize,
    totals: Totals,
}

impl Totals {
    /// By the API's list of nodes.
    async fn listed(url: &str) -> anyhow::Result<Self> {
        let mut nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
        let count = nodes.len() as u64;
        nodes.retain(|node| node.status == Status::Online);
        let rates = |rate: fn(&NodeJson) -> Option<f64>| nodes.iter().filter_map(rate).sum();
        Ok(Self {
            nodes: count,
            online: nodes.len() as u64,
            download: rates(|node| node.network_rx_bytes_per_sec.map(Bps::get)),
            upload: rates(|node| node.network_tx_bytes_per_sec.map(Bps::get)),
        })
    }

    fn ensure_is(&self, listed: &Self) -> anyhow::Result<()> {
        let is_near = |shown: f64, exact: f64| (shown - exact).abs() <= exact * ROUNDING;
        let is_same = (self.nodes, self.online) == (listed.nodes, listed.online)
            && is_near(self.download, listed.download)
            && is_near(self.upload, listed.upload);
        ensure!(is_same, "the client has {self:?}, the list {listed:?}");
        Ok(())
    }
}

impl Heard {
    /// Takes a line of the Python client.
    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [event, "nodes", nodes, "online", online, "download", download, "upload", upload] = words[..]
        else {
            bail!("no totals: {line:?}");
        };
        self.snapshots += usize::from(event == "snapshot");
        self.deltas += usize::from(event == "delta");
        self.totals = Totals {
            nodes: nodes.parse()?,
            online: online.parse()?,
            download: download.parse()?,
            upload: upload.parse()?,
        };
        Ok(())
    }
}

/// Both clients at one address.
struct Clients {
    python: Child,
    printed: Arc<Mutex<Heard>>,
    browser: Browser,
    url: String,
}

impl Clients {
    async fn start(url: &str) -> Self {
        let browser = Browser::start(800, 600).await.unwrap();
        // Any page of this origin without an event stream of its own.
        browser.page.goto(&format!("{url}/healthz")).await.unwrap();
        let (python, printed) = print(url);
        let clients = Self { python, printed, browser, url: url.to_owned() };
        clients.follow().await;
        clients
    }

    /// Starts the clients again.
    async fn again(&mut self) {
        self.python.kill().await.unwrap();
        (self.python, self.printed) = print(&self.url);
        self.follow().await;
    }

    async fn follow(&self) {
        let script = std::fs::read_to_string(client("client.js")).unwrap();
        let start = "window.source?.close();
            window.heard = { snapshots: 0, deltas: 0, totals: { nodes: 0, online: 0, download: 0, upload: 0 } };
            window.source = follow('', (totals) => {
              window.heard[`${totals.event}s`] += 1;
              window.heard.totals = totals;
            });";
        self.browser.page.execute(&format!("{script}\n{start}"), vec![]).await.unwrap();
    }

    /// What the Python client and the JavaScript client have received.
    async fn heard(&self) -> anyhow::Result<[Heard; 2]> {
        let kept = self.browser.eval("window.heard").await?;
        let kept = serde_json::from_value(kept.clone()).with_context(|| format!("client.js has {kept}"))?;
        Ok([*self.printed.lock().unwrap(), kept])
    }

    /// Waits until both clients agree with the list of nodes, at a time when it has this many nodes and this
    /// many online.
    async fn expect(&self, what: &str, url: &str, nodes: u64, online: impl RangeBounds<u64>) -> [Heard; 2] {
        let (heard, listed) = eventually(EVENT_TIMEOUT, || async {
            let listed = Totals::listed(url).await?;
            ensure!(listed.nodes == nodes && online.contains(&listed.online), "{listed:?}");
            let heard = self.heard().await?;
            ensure!(heard.iter().all(|heard| heard.snapshots > 0), "no snapshot yet: {heard:?}");
            heard[0].totals.ensure_is(&listed).context("client.py")?;
            heard[1].totals.ensure_is(&listed).context("client.js")?;
            Ok((heard, listed))
        })
        .await
        .with_context(|| what.to_owned())
        .unwrap();
        eprintln!("{what}: client.py and client.js within {} % of {listed:?}", ROUNDING * 100.0);
        heard
    }

    /// Waits until both have received this many more deltas, and have other rates than now.
    async fn expect_movement(&self, deltas: usize) {
        let before = self.heard().await.unwrap();
        eventually(EVENT_TIMEOUT, || async {
            let now = self.heard().await?;
            let have_moved = now.iter().zip(&before).all(|(now, before)| {
                now.deltas >= before.deltas + deltas
                    && now.totals.download != before.totals.download
                    && now.totals.upload != before.totals.upload
            });
            ensure!(have_moved, "still {now:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// Starts the Python client, and keeps what it prints.
fn print(url: &str) -> (Child, Arc<Mutex<Heard>>) {
    let mut child = Command::new("python3")
        .arg(client("client.py"))
        .arg(url)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let heard = Arc::new(Mutex::new(Heard::default()));
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    let keeping = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok(Some(line)) = printed.next_line().await {
            keeping.lock().unwrap().line(&line).unwrap();
        }
    });
    (child, heard)
}

fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/stream").join(name)
}

/// One address for several APIs, as a load balancer has it: it leads to one of them, or nowhere.
struct Door {
    url: String,
    leads_to: watch::Sender<Option<SocketAddr>>,
    _accepting: JoinSet<()>,
}

impl Door {
    async fn open(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let (leads_to, target) = watch::channel(Some(address(url)));
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(target) = *target.borrow() else { continue };
                passing.spawn(async move {
                    let mut api = TcpStream::connect(target).await?;
                    copy_bidirectional(&mut client, &mut api).await
                });
            }
        });
        Self { url: own, leads_to, _accepting: accepting }
    }

    fn close(&self) {
        self.leads_to.send_replace(None);
    }

    fn lead_to(&self, url: &str) {
        self.leads_to.send_replace(Some(address(url)));
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

async fn ready(url: &str) {
    eventually(EVENT_TIMEOUT, || is_ready(url)).await.unwrap();
}

#[tokio::test]
async fn the_clients_of_the_documentation_count_what_the_list_has() {
    const NODES: u32 = 200;
    let all = u64::from(NODES);
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    // They connect before the fleet starts, so they learn everything about it from deltas.
    let mut clients = Clients::start(&url).await;
    clients.expect("before the fleet", &url, 0, ..).await;
    // A node is online for three intervals after its last report; for that time the state of a stopped fleet
    // does not change.
    let fleet = broker.simulate_with(NODES, &["--interval", "15"]).unwrap();
    clients.expect("at the start", &url, all, all..).await;
    clients.expect_movement(1).await;

    drop(fleet);
    clients.expect("by deltas", &url, all, 1..).await;
    clients.again().await;
    clients.expect("by a snapshot", &url, all, 1..).await;

    // The Python client accepts gzip only.
    let encoding = "fetch('/api/stream').then(answer => [answer.headers.get('content-encoding'), answer.body.cancel()][0])";
    assert_eq!(clients.browser.eval(encoding).await.unwrap(), Value::from("gzip"));
}

#[tokio::test]
async fn the_clients_go_on_at_another_api_where_they_were_and_start_again_at_one_that_was_not_there() {
    // An API that has missed a partition for a moment has no position to resume from for 4 s.
    undisturbed(the_clients_go_on).await.unwrap();
}

async fn the_clients_go_on() -> anyhow::Result<()> {
    const NODES: u32 = 40;
    let all = u64::from(NODES);
    let api = ["--http", "127.0.0.1:0", "--api-token", TOKEN];
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (mut one, one_url) = broker.api_with(&api).await.unwrap();
    let (mut other, other_url) = broker.api_with(&api).await.unwrap();
    ready(&one_url).await;
    ready(&other_url).await;
    let door = Door::open(&one_url).await;
    let clients = Clients::start(&door.url).await;
    let fleet = broker.simulate(NODES).unwrap();
    // For more ticks than an API replays, which both APIs must hold.
    clients.expect_movement(18).await;
    let [python, script] = clients.expect("at one api", &one_url, all, all..).await;
    ensure!([python.snapshots, script.snapshots] == [1, 1], "{python:?}, {script:?}");

    // While they are disconnected, a node that no longer reports is forgotten.
    drop(fleet);
    door.close();
    one.kill().await.unwrap();
    let name = get_json::<Vec<NodeJson>>(format!("{other_url}/api/nodes")).await.unwrap().remove(0).name;
    let forgotten = delete(format!("{other_url}/api/nodes/{name}"), Some(TOKEN)).await.unwrap();
    // A worker that stands still does not answer in time.
    ensure!(forgotten.status == 204, "{}: {}", forgotten.status, forgotten.body);
    door.lead_to(&other_url);
    let heard = clients.expect("at the other", &other_url, all - 1, ..).await;
    ensure!(heard.map(|heard| heard.snapshots) == [1, 1], "they do not go on: {heard:?}");

    door.close();
    other.kill().await.unwrap();
    let (_third, third_url) = broker.api_with(&api).await.unwrap();
    ready(&third_url).await;
    door.lead_to(&third_url);
    eventually(EVENT_TIMEOUT, || async {
        let snapshots = clients.heard().await?.map(|heard| heard.snapshots);
        ensure!(snapshots == [2, 2], "{snapshots:?}");
        Ok(())
    })
    .await
    .unwrap();
    clients.expect("at a third", &third_url, all - 1, ..).await;
    Ok(())
}
