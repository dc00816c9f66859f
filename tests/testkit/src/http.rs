//! A plain HTTP client, as `curl` would ask.

use std::{
    io::{BufRead, BufReader},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use ureq::{Agent, Body, http::Response};

use crate::machine;

/// For one answer. A stream may last longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

fn agent() -> Agent {
    Agent::config_builder()
        .timeout_recv_response(Some(machine::scaled(ANSWER_TIMEOUT)))
        .http_status_as_error(false)
        .build()
        .into()
}

/// Fails unless the service at `url` says that it is ready.
pub async fn is_ready(url: &str) -> anyhow::Result<()> {
    let ready = get(format!("{url}/readyz")).await?;
    ensure!(ready.status == 200, "{}: {}", ready.status, ready.body);
    Ok(())
}

/// An answer: status, headers that tests look at, body.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: ureq::http::HeaderMap,
    /// The body.
    pub body: String,
}

impl HttpAnswer {
    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.body).with_context(|| format!("{}: {}", self.status, self.body))
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn answer(mut response: Response<Body>) -> anyhow::Result<HttpAnswer> {
    let body = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
    Ok(HttpAnswer { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

/// `GET url`.
pub async fn get(url: String) -> anyhow::Result<HttpAnswer> {
    tokio::task::spawn_blocking(move || answer(agent().get(&url).call()?)).await?
}

/// `GET url` as JSON; only 200 is an answer.
pub async fn get_json<T: DeserializeOwned>(url: String) -> anyhow::Result<T> {
    let answer = get(url).await?;
    anyhow::ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    answer.json()
}

/// `DELETE url` with a bearer token, if any.
pub async fn delete(url: String, token: Option<&'static str>) -> anyhow::Result<HttpAnswer> {
    tokio::task::spawn_blocking(move || {
        let mut request = agent().delete(&url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        answer(request.call()?)
    })
    .await?
}

/// One event of an event stream.
#[derive(Debug)]
pub struct SseEvent {
    /// Its name.
    pub name: String,
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Its data.
    pub data: Value,
}

/// Reads an event stream until the receiver is dropped or the stream ends.
pub fn events(url: String, last_event_id: Option<String>) -> mpsc::Receiver<SseEvent> {
    events_with_retry(url, last_event_id, Arc::default())
}

/// The same, which notes after how many milliseconds the server wants to be asked again once the stream has
/// ended.
pub fn events_with_retry(
    url: String,
    last_event_id: Option<String>,
    retry_ms: Arc<AtomicU64>,
) -> mpsc::Receiver<SseEvent> {
    // A test that does not read makes the stream wait.
    let (sender, events) = mpsc::channel(1_024);
    std::thread::spawn(move || {
        if let Err(error) = read_events(&url, last_event_id, &retry_ms, &sender) {
            eprintln!("event stream of {url}: {error:#}");
        }
    });
    events
}

fn read_events(
    url: &str,
    last_event_id: Option<String>,
    retry_ms: &AtomicU64,
    sender: &mpsc::Sender<SseEvent>,
) -> anyhow::Result<()> {
    let mut request = agent().get(url).header("accept", "text/event-stream");
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = request.call()?;
    let (mut name, mut id, mut data) = (String::new(), None, String::new());
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        let line = line?;
        match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
            Some(("event", value)) => name = value.to_owned(),
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("data", value)) => data.push_str(value),
            Some(("retry", value)) => retry_ms.store(value.parse()?, Ordering::Relaxed),
            _ if line.is_empty() && !data.is_empty() => {
                let event = SseEvent {
                    name: std::mem::take(&mut name),
                    id: id.take(),
                    data: serde_json::from_str(&std::mem::take(&mut data))?,
                };
                if sender.blocking_send(event).is_err() {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
    Ok(())
}
