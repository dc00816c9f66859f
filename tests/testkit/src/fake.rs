//! A server with the page and a made-up fleet. It fails on demand, in ways in which the real services fail
//! only by accident.

mod alerts;
mod detail;
mod fleet;
mod history;
mod request;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;
use tidemap_wire::http::{HistoryStatusJson, PlansJson};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::broadcast,
    task::{JoinHandle, JoinSet},
};

use crate::port::free_port;

pub use self::alerts::FakeAlerts;
pub use self::fleet::{FakeFleet, FakeNode};
use self::request::Request;

/// The same policy as the API's; a test compares the two.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' \
    'sha256-iCLLeFdgw3XvWhFweLI8uNIskYBjQbgH5J+Ezy+7MaQ='; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const STATUS: &str = "/api/history/status";
const EVENTS: &str = "text/event-stream";
/// How long a proxy waits for the end of an answer.
const PROXYS_TIMEOUT: Duration = Duration::from_secs(3);

/// How the server answers requests for the stream from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// They get the stream.
    Sound,
    /// They are accepted and never answered, as over a half-open link.
    HalfOpen,
    /// They are answered when they end, as by a proxy that collects the whole answer first.
    Withheld,
    /// They are refused by a proxy that lets everything else through.
    Refused,
    /// Such a proxy gives up waiting for the end of the answer.
    TimedOut,
    /// Such a proxy closes the connection without an answer.
    Closed,
    /// Such a proxy calls them plain text.
    Mistyped,
    /// Such a proxy lets each stream last three seconds.
    Cut,
    /// Everything of the API's is answered by a proxy that cannot reach its server.
    BadGateway,
}

impl Line {
    /// Whether the stream alone suffers.
    fn is_proxys(self) -> bool {
        !matches!(self, Self::Sound | Self::HalfOpen | Self::BadGateway)
    }
}

/// The server. Its time passes only by [`FakeServer::beat`], or once [`FakeServer::keep_beating`] was called.
pub struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
    beating: Option<JoinHandle<()>>,
}

struct Shared {
    page: PathBuf,
    fleet: Mutex<FakeFleet>,
    line: Mutex<Line>,
    /// Whether requests for what is there already are answered. Not before there has been a proxy that spoils
    /// the stream: a fleet whose time stands still looks the same.
    answers_once: AtomicBool,
    said: broadcast::Sender<Said>,
    asked: AtomicU64,
    /// When the API began to keep the fleet's totals.
    since_ms: AtomicI64,
    /// What requests for the past are refused with.
    no_history: Mutex<Option<String>>,
    /// What fires; nothing where no rule is watched.
    alerts: Mutex<Option<FakeAlerts>>,
    alerts_asked: AtomicU64,
    /// How the declared plans stand.
    plans: Mutex<PlansJson>,
}

/// An event on all open streams.
#[derive(Clone)]
enum Said {
    Text(Arc<str>),
    End,
}

impl FakeServer {
    /// Serves the page that was built last, on a free port.
    pub async fn start(fleet: FakeFleet) -> anyhow::Result<Self> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/web");
        anyhow::ensure!(page.join("index.html").is_file(), "the page is not built: cargo xtask web");
        let shared = Arc::new(Shared {
            page,
            since_ms: AtomicI64::new(fleet.at_ms() - history::KEPT_MS),
            fleet: Mutex::new(fleet),
            line: Mutex::new(Line::Sound),
            answers_once: AtomicBool::new(false),
            // More events than any test sends before it reads.
            said: broadcast::channel(1024).0,
            asked: AtomicU64::new(0),
            no_history: Mutex::new(None),
            alerts: Mutex::new(None),
            alerts_asked: AtomicU64::new(0),
            plans: Mutex::default(),
        });
        // It comes back to this port.
        let listener = TcpListener::bind(("127.0.0.1", free_port()?)).await?;
        let address = listener.local_addr()?;
        let serving = Some(tokio::spawn(Arc::clone(&shared).serve(listener)));
        Ok(Self { address, shared, serving, beating: None })
    }

    /// The page's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets how the server answers requests for the stream from now on.
    pub fn set_line(&self, line: Line) {
        self.shared.answers_once.fetch_or(line.is_proxys(), Ordering::Relaxed);
        *lock(&self.shared.line) = line;
    }

    /// Answers requests for the past with this error from now on, as without a station, or well again.
    pub fn refuse_history(&self, detail: Option<&str>) {
        *lock(&self.shared.no_history) = detail.map(str::to_owned);
    }

    /// Changes what fires, and says so on open streams.
    pub fn set_alerts(&self, alerts: FakeAlerts) {
        let at_ms = lock(&self.shared.fleet).at_ms();
        self.shared.say(event("alerts", "", &alerts.counts(at_ms)));
        *lock(&self.shared.alerts) = Some(alerts);
    }

    /// How often it has been asked what fires.
    pub fn alerts_asked(&self) -> u64 {
        self.shared.alerts_asked.load(Ordering::Relaxed)
    }

    /// Forgets the totals of the last minutes, as an API that has just started.
    pub fn forget_totals(&self) {
        self.shared.since_ms.store(lock(&self.shared.fleet).at_ms(), Ordering::Relaxed);
    }

    /// Changes the fleet without an event on open streams.
    pub fn set_fleet(&self, fleet: FakeFleet) {
        *lock(&self.shared.fleet) = fleet;
    }

    /// Declares plans, and how they stand.
    pub fn set_plans(&self, plans: PlansJson) {
        *lock(&self.shared.plans) = plans;
    }

    /// Lets time pass for the fleet, and sends the changes.
    pub fn beat(&self, by: Duration) {
        self.shared.beat(by);
    }

    /// Makes one second pass each second.
    pub fn keep_beating(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.fall_silent();
        self.beating = Some(tokio::spawn(async move {
            let second = Duration::from_secs(1);
            loop {
                tokio::time::sleep(second).await;
                shared.beat(second);
            }
        }));
    }

    /// Stops sending by itself. Streams stay open.
    pub fn fall_silent(&mut self) {
        if let Some(beating) = self.beating.take() {
            beating.abort();
        }
    }

    /// Sends a text of the caller's choice on all open streams.
    pub fn say(&self, event: &str, data: &str) {
        self.shared.say(format!("event: {event}\ndata: {data}\n\n"));
    }

    /// Ends all streams.
    pub fn hang_up(&self) {
        // There may be no open stream.
        self.shared.said.send(Said::End).ok();
    }

    /// Closes everything at once, as a killed process does.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // The task ends because it is cancelled.
            serving.await.ok();
        }
    }

    /// Starts again on the same address.
    pub async fn come_back(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address).await.context("the port is taken")?;
        self.serving = Some(tokio::spawn(Arc::clone(&self.shared).serve(listener)));
        Ok(())
    }

    /// How many streams are open; a closed one is noticed only when something is sent.
    pub fn listeners(&self) -> usize {
        self.shared.said.receiver_count()
    }

    /// How often the stream has been requested.
    pub fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.fall_silent();
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        // Dropped with this task, which closes all connections.
        let mut visitors = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let shared = Arc::clone(&self);
            // A browser may close its connection in the middle of an answer.
            visitors.spawn(async move { shared.answer(socket).await.unwrap_or_default() });
        }
    }

    async fn answer(&self, socket: TcpStream) -> anyhow::Result<()> {
        let (request, mut socket) = Request::read(socket).await?;
        match request.path.as_str() {
            "/api/stream" if request.query("once").is_some() => self.once(socket).await,
            "/api/stream" => self.stream(socket).await,
            path if path.starts_with("/api/") => {
                let refusal = lock(&self.no_history).clone().filter(|_| is_of_the_past(path));
                let (status, body) = match refusal {
                    Some(_) if path == STATUS => ("200 OK", Some(json(&HistoryStatusJson::default()))),
                    Some(detail) => ("503 Service Unavailable", Some(detail_json(&detail))),
                    None => ("200 OK", self.about(&request)?),
                };
                let status = if body.is_some() { status } else { "404 Not Found" };
                let body = body.unwrap_or_else(|| detail_json("no such thing"));
                Ok(socket.write_all(&answer(status, "application/json", body.as_bytes())).await?)
            }
            path => {
                let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
                let file = self.page.join(name);
                // Only the page's own files, which lie in one folder.
                let content = if name.contains('/') { None } else { tokio::fs::read(&file).await.ok() };
                let status = if content.is_some() { "200 OK" } else { "404 Not Found" };
                let content = content.unwrap_or_default();
                Ok(socket.write_all(&answer(status, media_type(name), &content)).await?)
            }
        }
    }

    /// The JSON at a path of the API; `None` when there is nothing.
    fn about(&self, request: &Request) -> anyhow::Result<Option<String>> {
        let fleet = lock(&self.fleet);
        Ok(match request.path.strip_prefix("/api/nodes/") {
            Some(path) if path.ends_with("/history") => {
                let name = path.strip_suffix("/history");
                history::history(&fleet, request, name)?.map(|history| json(&history))
            }
            None if request.path == "/api/history" => {
                history::history(&fleet, request, None)?.map(|history| json(&history))
            }
            None if request.path == STATUS => Some(json(&history::status(&fleet))),
            None if request.path == "/api/traffic/plans" => Some(json(&*lock(&self.plans))),
            None if request.path == "/api/top" => Some(json(&history::top(&fleet, request)?)),
            Some(name) => detail::detail(&fleet, name)?.map(|detail| json(&detail)),
            None if request.path == "/api/stats/recent" => {
                Some(json(&history::recent(&fleet, self.since_ms.load(Ordering::Relaxed))))
            }
            None if request.path == "/api/alerts" => {
                self.alerts_asked.fetch_add(1, Ordering::Relaxed);
                lock(&self.alerts).as_ref().map(|alerts| json(&alerts.answer(fleet.at_ms(), request)))
            }
            None if request.path == "/api/connections" => Some(json(&detail::connections(&fleet))),
            None if request.path == "/api/stats" => {
                Some(json(&fleet.grouped(request.query("by").as_deref())))
            }
            None => None,
        })
    }

    async fn stream(&self, socket: TcpStream) -> anyhow::Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let line = *lock(&self.line);
        match line {
            Line::BadGateway => refuse(socket, "502 Bad Gateway").await,
            Line::Refused => refuse(socket, "403 Forbidden").await,
            Line::TimedOut => {
                tokio::time::sleep(PROXYS_TIMEOUT).await;
                refuse(socket, "504 Gateway Timeout").await
            }
            Line::Closed => Ok(()),
            Line::HalfOpen | Line::Withheld => std::future::pending().await,
            Line::Mistyped => self.follow(socket, "text/plain").await,
            Line::Cut => {
                let followed = self.follow(socket, EVENTS);
                tokio::time::timeout(PROXYS_TIMEOUT, followed).await.unwrap_or(Ok(()))
            }
            Line::Sound => self.follow(socket, EVENTS).await,
        }
    }

    async fn follow(&self, mut socket: TcpStream, media_type: &str) -> anyhow::Result<()> {
        let (opening, mut said) = {
            let fleet = lock(&self.fleet);
            (self.opening(&fleet, media_type), self.said.subscribe())
        };
        socket.write_all(opening.as_bytes()).await?;
        while let Said::Text(text) = said.recv().await? {
            socket.write_all(text.as_bytes()).await?;
        }
        Ok(())
    }

    async fn once(&self, mut socket: TcpStream) -> anyhow::Result<()> {
        if *lock(&self.line) == Line::BadGateway {
            return refuse(socket, "502 Bad Gateway").await;
        }
        if !self.answers_once.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let opening = self.opening(&lock(&self.fleet), EVENTS);
        Ok(socket.write_all(opening.as_bytes()).await?)
    }

    fn opening(&self, fleet: &FakeFleet, media_type: &str) -> String {
        let alerts =
            lock(&self.alerts).as_ref().map(|alerts| event("alerts", "", &alerts.counts(fleet.at_ms())));
        opening(fleet, media_type) + &alerts.unwrap_or_default()
    }

    fn beat(&self, by: Duration) {
        let mut fleet = lock(&self.fleet);
        fleet.pass(by);
        let text = event("delta", &fleet.id(), &fleet.delta()) + &event("stats", "", &fleet.stats());
        // Under the fleet's lock, so that a client that connects now gets this event exactly once.
        self.say(text);
    }

    fn say(&self, text: String) {
        // There may be no open stream.
        self.said.send(Said::Text(text.into())).ok();
    }
}

/// A proxy's answer in place of the server's.
async fn refuse(mut socket: TcpStream, status: &str) -> anyhow::Result<()> {
    Ok(socket.write_all(&answer(status, "text/html", b"<p>not through here")).await?)
}

fn opening(fleet: &FakeFleet, media_type: &str) -> String {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nCache-Control: no-store\r\n\
        Connection: close\r\n\r\nretry: 2000\n\n"
    );
    [&*head, &event("snapshot", &fleet.id(), &fleet.snapshot()), &event("stats", "", &fleet.stats())].concat()
}

fn event(name: &str, id: &str, data: &impl Serialize) -> String {
    let id = if id.is_empty() { String::new() } else { format!("id: {id}\n") };
    format!("event: {name}\n{id}data: {}\n\n", json(data))
}

fn is_of_the_past(path: &str) -> bool {
    path.ends_with("/history") || [STATUS, "/api/top"].contains(&path)
}

fn detail_json(detail: &str) -> String {
    json(&serde_json::json!({ "detail": detail }))
}

fn json(data: &impl Serialize) -> String {
    // These structures have strings as keys and no numbers that JSON cannot express.
    serde_json::to_string(data).unwrap_or_default()
}

fn answer(status: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
        Content-Security-Policy: {CONTENT_SECURITY_POLICY}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
