//! Liveness and readiness.

use warp::reply::Response;

use crate::{
    http::{Asked, Site, errors::ApiError},
    json,
};

/// `GET /healthz`
pub(super) fn alive(_: &Asked) -> Response {
    said("alive")
}

/// `GET /readyz`
pub(super) async fn ready(_: &Asked, site: &Site) -> Result<Response, ApiError> {
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
