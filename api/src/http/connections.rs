//! Connections between nodes. Their latency is not measured, so there are none; pages and scripts of
//! homelab-map, which this system succeeds, ask for them and show nothing at all without an answer.

use warp::{
    http::{HeaderValue, header},
    reply::Response,
};

use crate::http::{Asked, bodies::JSON, errors::ApiError, query};

/// `GET /api/connections`
pub(super) fn list(asked: &Asked) -> Result<Response, ApiError> {
    query::none(&asked.query)?;
    let mut response = Response::new("[]".into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
