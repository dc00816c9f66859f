//! HTTP: one function for each route, with its request line as doc comment; [`Asked::route`] calls them.
//!
//! `warp::cors` is not used: it cannot answer with `*`, for which caches need not keep one copy for each
//! origin.

mod access;
mod alerts;
mod bodies;
mod connections;
mod enroll;
mod errors;
mod events;
mod health;
mod history;
mod install;
mod metrics;
mod nodes;
mod openapi;
mod page;
mod query;
mod sent;
mod server;
mod silences;
mod stats;
#[cfg(test)]
mod tests;
pub(crate) mod traffic;

use std::{convert::Infallible, sync::Arc};

use async_nats::Client;
use tidemap_client::{EnrollClient, HistoryClient, IngestClient};
use tidemap_service::watched_file::{FileContent, WatchedFile};
use tidemap_traffic::Plans;
use tidemap_wire::{PartitionCount, http::TrafficJson};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use warp::{
    Filter, Reply,
    filters::path::FullPath,
    http::{HeaderMap, HeaderValue, Method, header},
    reply::Response,
};

use self::{errors::ApiError, install::AgentPrograms, page::Page, server::Quota};
use crate::{
    alerts::{ShownAlerts, Silencer},
    config::{Access, ApiConfig, Limits, NodeSeries},
    fleet_task::FleetHandle,
    memory_budget::MemoryBudget,
    names::Names,
};

/// Everything that routes need.
#[derive(Debug)]
pub(crate) struct SiteParts {
    fleet: FleetHandle,
    ingest: IngestClient,
    history: HistoryClient,
    /// One for each question to the history that may be answered at a time.
    history_turns: Semaphore,
    budget: MemoryBudget,
    /// What alert stations have found.
    alerts: watch::Receiver<ShownAlerts>,
    silencer: Silencer,
    enroller: EnrollClient,
    /// Limits what is passed on to it.
    joins: Quota,
    /// What hosts that join are given.
    agents: AgentPrograms,
    access: Access,
    names: Names,
    partitions: PartitionCount,
    /// The file that declares how nodes are billed.
    plans: Option<WatchedFile<Plans>>,
    /// What their present cycles came to.
    standings: watch::Sender<Arc<[TrafficJson]>>,
    node_series: NodeSeries,
    /// Whether what hosts keep to themselves is left out.
    redacted: bool,
    page: Page,
    shutdown: CancellationToken,
}

/// [`SiteParts`], shared by all requests.
#[derive(Clone, Debug)]
pub(crate) struct Site(Arc<SiteParts>);

impl Site {
    /// Long answers of its own are charged to `budget`.
    pub(crate) fn new(
        fleet: FleetHandle,
        client: Client,
        config: &ApiConfig,
        budget: MemoryBudget,
        alerts: watch::Receiver<ShownAlerts>,
        silencer: Silencer,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(SiteParts {
            fleet,
            ingest: IngestClient::new(client.clone()),
            history: HistoryClient::new(client.clone()),
            enroller: EnrollClient::new(client),
            joins: Quota::new(enroll::PER_SECOND, Instant::now()),
            history_turns: Semaphore::new(history::AT_ONCE),
            budget,
            alerts,
            silencer,
            agents: AgentPrograms::new(config.agents_dir.clone()),
            access: config.access.clone(),
            names: config.names.clone(),
            partitions: config.partitions,
            plans: config.plans.clone(),
            standings: watch::Sender::default(),
            node_series: config.node_series,
            redacted: config.redacted,
            page: Page::new(config.tiles.as_ref()),
            shutdown,
        }))
    }

    /// How nodes are billed at the moment.
    fn plans(&self) -> FileContent<Plans> {
        let none = || FileContent::good(Plans::none());
        self.plans.as_ref().map_or_else(none, WatchedFile::content)
    }
}

impl std::ops::Deref for Site {
    type Target = SiteParts;

    fn deref(&self) -> &SiteParts {
        &self.0
    }
}

/// Serves until `shutdown`, and then until every connection has ended.
pub(crate) async fn serve(
    site: Site,
    limits: Limits,
    listener: TcpListener,
    open_files: Option<u64>,
    shutdown: CancellationToken,
) {
    let names = Arc::new(site.names.clone());
    server::run((routes(site).boxed(), names), limits, listener, open_files, shutdown).await;
}

/// A request, as far as routes look at it.
#[derive(Debug)]
struct Asked {
    method: Method,
    path: FullPath,
    /// Empty when there is none.
    query: String,
    headers: HeaderMap,
    /// Where a route takes one: all others are ignored. Absent where it is too long, or broke off.
    body: Option<Vec<u8>>,
}

/// All routes, as one filter: a tree of filters would be copied for each request, and each of its branches
/// would copy the request's headers.
pub(crate) fn routes(site: Site) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    warp::method()
        .and(warp::path::full())
        .and(query::raw())
        .and(warp::header::headers_cloned())
        .and(sent::body())
        .then(move |method, path: FullPath, query, headers, body| {
            let site = site.clone();
            async move {
                let takes_body = method == Method::PUT || enroll::is_asked(path.as_str());
                let body = if takes_body { sent::read(body).await } else { None };
                Asked { method, path, query, headers, body }.answer(&site).await
            }
        })
        .with(warp::log::custom(|request| log(&request)))
}

impl Asked {
    async fn answer(self, site: &Site) -> Response {
        let answer = self.route(site).await.unwrap_or_else(ApiError::into_response);
        let answer = errors::for_people(&self.headers, self.path.as_str(), with_common_headers(answer));
        with_sharing(&site.names, &self.headers, answer)
    }

    /// Calls the route of this path, whatever may be asked of it: it is looked for before the method is
    /// looked at. One slash at the end of the path makes no difference, except for the page's files.
    async fn route(&self, site: &Site) -> Result<Response, ApiError> {
        let path = self.path.as_str();
        if let Some(name) = site.names.unknown_host(&self.headers) {
            return Err(ApiError::Misdirected(name));
        }
        if self.method == Method::OPTIONS && (path == "/api" || path.starts_with("/api/")) {
            return Ok(preflight());
        }
        match path.strip_suffix('/').unwrap_or(path) {
            "/api/stats" => stats::read(self.reader(site)?, site).await,
            "/api/stats/recent" => stats::recent(self.reader(site)?, site).await,
            "/api/nodes" => nodes::list(self.reader(site)?, site).await,
            "/api/stream" => events::stream(self.reader(site)?, site).await,
            "/api/history" => history::of_group(self.reader(site)?, site).await,
            "/api/history/status" => history::status(self.reader(site)?, site).await,
            "/api/top" => history::top(self.reader(site)?, site).await,
            "/api/traffic" => traffic::read(self.reader(site)?, site).await,
            "/api/traffic/plans" => traffic::plans(self.reader(site)?, site).await,
            "/api/alerts" => alerts::read(self.reader(site)?, site).await,
            "/api/alerts/silences" if self.method == Method::PUT => silences::put(self, site).await,
            "/api/alerts/silences" => silences::list(self.reads(silences::ALLOWS)?, site).await,
            enroll::PATH => enroll::join(self, site).await,
            "/api/connections" => connections::list(self.reader(site)?, site).await,
            "/api/openapi.json" => self.reader(site).map(openapi::read),
            "/install.sh" => self.get().map(install::script),
            "/healthz" => self.get().map(health::alive),
            "/readyz" => health::ready(self.get()?, site).await,
            "/metrics" => metrics::read(self.reader(site)?, site).await,
            other => self.named(site, other).await,
        }
    }

    /// Calls the route of a path with a node's name, or else that of the page's files.
    async fn named(&self, site: &Site, path: &str) -> Result<Response, ApiError> {
        if let Some(name) = history::name(path) {
            return history::of_node(self.reader(site)?, site, name).await;
        }
        if let Some(id) = silences::id(path) {
            return silences::end(self, site, id).await;
        }
        if let Some(file) = install::file(path) {
            return install::agent(self, site, file).await;
        }
        match nodes::name(path) {
            Some(name) if self.method == Method::DELETE => nodes::forget(self, site, name).await,
            Some(name) => nodes::one(self.reads(nodes::ONE_ALLOWS)?, site, name).await,
            None => page::file(self, site),
        }
    }

    /// A request that reads, by a client that may read.
    fn reader(&self, site: &Site) -> Result<&Self, ApiError> {
        access::check_read(&site.access, &self.get()?.headers)?;
        Ok(self)
    }

    /// A request that reads a path at which nothing else is possible.
    fn get(&self) -> Result<&Self, ApiError> {
        self.reads("GET, HEAD")
    }

    /// A request that reads; the server omits the body for `HEAD`. `allow` lists all methods of the path.
    fn reads(&self, allow: &'static str) -> Result<&Self, ApiError> {
        let reads = self.method == Method::GET || self.method == Method::HEAD;
        reads.then_some(self).ok_or(ApiError::WrongMethod { allow })
    }
}

/// `OPTIONS /api/…`: what pages of other origins may request.
fn preflight() -> Response {
    let mut response = Response::default();
    *response.status_mut() = warp::http::StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, x-tidemap-token, if-none-match, last-event-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Logs a request's outcome; for a stream, when it begins. The query is left out, because a careless client
/// may put a token there.
fn log(request: &warp::log::Info<'_>) {
    let (method, path) = (request.method().as_str(), request.path());
    let ms = || request.elapsed().as_micros() as f64 / 1000.0;
    tracing::debug!(method, path, status = request.status().as_u16(), ms = ms(), "answered");
}

fn with_common_headers(reply: impl Reply) -> Response {
    let mut response = reply.into_response();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("etag, x-tidemap-tick, x-total-count"),
    );
    response
}

fn with_sharing(names: &Names, request: &HeaderMap, mut response: Response) -> Response {
    for (name, value) in names.sharing(request) {
        response.headers_mut().append(name, value);
    }
    response
}
