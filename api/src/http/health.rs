//! Liveness and readiness.

use warp::{Filter, Rejection, reply::Response};

use crate::{
    http::{Site, errors::ApiError, get, respond},
    json,
};

/// `GET /healthz`
pub(super) fn alive() -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("healthz").and(get()).map(|| said("alive"))
}

/// `GET /readyz`
pub(super) fn ready(site: Site) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("readyz")
        .and(get())
        .and(warp::any().map(move || site.clone()))
        .then(|site: Site| async move { respond(answer_ready(&site).await) })
}

async fn answer_ready(site: &Site) -> Result<Response, ApiError> {
    let stats = site.fleet.stats().await?;
    let stale: Vec<String> = stats
        .health
        .partitions
        .iter()
        .filter(|partition| !partition.fresh)
        .map(|partition| partition.number.to_string())
        .collect();
    if stale.is_empty() {
        return Ok(said("ready"));
    }
    Err(ApiError::NotReady(format!("no fresh view of partition {}", stale.join(", "))))
}

fn said(status: &'static str) -> Response {
    let mut response =
        Response::new(json::encode(&std::collections::BTreeMap::from([("status", status)])).into());
    let headers = response.headers_mut();
    headers.insert("content-type", warp::http::HeaderValue::from_static("application/json"));
    headers.insert("cache-control", warp::http::HeaderValue::from_static("no-store"));
    response
}
