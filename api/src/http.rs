//! HTTP: one function for each route, with its request line as doc comment.
//!
//! `warp::cors` is not used: it cannot answer with `*`, for which caches need not keep one copy for each
//! origin.

mod access;
mod bodies;
mod connections;
mod errors;
mod events;
mod health;
mod metrics;
mod nodes;
mod openapi;
mod page;
mod query;
mod server;
mod stats;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, sync::Arc};

use async_nats::Client;
use tidemap_client::IngestClient;
use tidemap_wire::PartitionCount;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::{
    Filter, Rejection, Reply,
    filters::path::FullPath,
    http::{HeaderMap, HeaderValue, Method, header},
    reply::Response,
};

use self::{
    errors::{ApiError, WrongMethod},
    page::Page,
};
use crate::{
    config::{Access, ApiConfig, Limits},
    fleet_task::FleetHandle,
    names::Names,
};

/// Everything that routes need.
#[derive(Debug)]
pub(crate) struct SiteParts {
    fleet: FleetHandle,
    ingest: IngestClient,
    access: Access,
    names: Names,
    partitions: PartitionCount,
    metrics_nodes: usize,
    page: Page,
    shutdown: CancellationToken,
}

/// [`SiteParts`], shared by all requests.
#[derive(Clone, Debug)]
pub(crate) struct Site(Arc<SiteParts>);

impl Site {
    pub(crate) fn new(
        fleet: FleetHandle,
        client: Client,
        config: &ApiConfig,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(SiteParts {
            fleet,
            ingest: IngestClient::new(client),
            access: config.access.clone(),
            names: config.names.clone(),
            partitions: config.partitions,
            metrics_nodes: config.metrics_nodes,
            page: Page::new(config.tiles.as_ref()),
            shutdown,
        }))
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
    server::run(routes(site).boxed(), limits, listener, open_files, shutdown).await;
}

/// All routes.
pub(crate) fn routes(site: Site) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    let shared = site.clone();
    // The most frequent routes come first, because a request is tried on every route before its own.
    let api = stats::read(site.clone())
        .or(nodes::list(site.clone()))
        .or(events::stream(site.clone()))
        .or(nodes::one(site.clone()))
        .or(nodes::forget(site.clone()))
        .or(connections::list(site.clone()))
        .or(openapi::read(site.clone()))
        .or(preflight());
    let others = health::alive()
        .or(health::ready(site.clone()))
        .or(metrics::read(site.clone()))
        .or(page::file(site.clone()));
    let answer = for_known_host(site).and(api.or(others)).recover(errors::answer);
    warp::header::headers_cloned()
        .and(warp::path::full())
        .and(answer)
        .map(move |request: HeaderMap, path: FullPath, answer| {
            let answer = errors::for_people(&request, path.as_str(), with_common_headers(answer));
            with_sharing(&shared, &request, answer)
        })
        .with(warp::log::custom(|request| log(&request)))
}

/// `OPTIONS /api/…`: what pages of other origins may request.
fn preflight() -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let options = warp::method().and_then(|method: Method| async move {
        if method == Method::OPTIONS { Ok(()) } else { Err(warp::reject::not_found()) }
    });
    warp::path("api").and(warp::path::tail()).and(options.untuple_one()).map(|_| {
        let mut response = Response::default();
        *response.status_mut() = warp::http::StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, if-none-match, last-event-id"),
            (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    })
}

/// Accepts requests for one of the API's names.
fn for_known_host(site: Site) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::header::headers_cloned()
        .and_then(move |headers: HeaderMap| {
            let unknown = site.names.unknown_host(&headers);
            async move { unknown.map_or(Ok(()), |name| Err(Rejection::from(ApiError::Misdirected(name)))) }
        })
        .untuple_one()
}

/// Accepts these methods; `allow` lists all methods of the path.
fn method(
    methods: &'static [Method],
    allow: &'static str,
) -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::method()
        .and_then(move |method: Method| async move {
            if methods.contains(&method) { Ok(()) } else { Err(Rejection::from(WrongMethod { allow })) }
        })
        .untuple_one()
}

/// `GET`, and `HEAD`, for which the server omits the body.
fn get() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    method(&[Method::GET, Method::HEAD], "GET, HEAD")
}

/// Admits clients that may read, and extracts what handlers need.
fn reader(site: Site) -> impl Filter<Extract = (Site, HeaderMap), Error = Rejection> + Clone {
    warp::header::headers_cloned()
        .and_then(move |headers: HeaderMap| {
            let site = site.clone();
            async move {
                match access::check_read(&site.access, &headers) {
                    Ok(()) => Ok((site, headers)),
                    Err(error) => Err(Rejection::from(error)),
                }
            }
        })
        .untuple_one()
}

/// Logs a request's outcome; for a stream, when it begins. The query is left out, because a careless client
/// may put a token there.
fn log(request: &warp::log::Info<'_>) {
    let ms = request.elapsed().as_micros() as f64 / 1000.0;
    let (method, path) = (request.method().as_str(), request.path());
    tracing::debug!(method, path, status = request.status().as_u16(), ms, "answered");
}

/// A result as a response.
fn respond(result: Result<Response, ApiError>) -> Response {
    result.unwrap_or_else(|error| error.into_response())
}

fn with_common_headers(reply: impl Reply) -> Response {
    let mut response = reply.into_response();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, x-tidemap-tick"));
    response
}

fn with_sharing(site: &Site, request: &HeaderMap, mut response: Response) -> Response {
    for (name, value) in site.names.sharing(request) {
        response.headers_mut().append(name, value);
    }
    response
}
